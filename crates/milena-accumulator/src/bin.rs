//! What has to happen outside every lock: wake-ups, callbacks, and the end of finished batches.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use crate::batch::Batch;
use crate::delivery::RecordMetadata;
use crate::failure::DeliveryError;
use crate::outcome::{CallbackEntry, Outcome};

/// Collects under locks, acts when [run](Self::run) or dropped, which must be outside of them.
///
/// Order is kept: callbacks run in the order of verdicts, and within a batch in the order of its records.
#[derive(Default)]
#[must_use = "waking and callbacks happen when the bin is run or dropped, outside all locks"]
pub struct Bin {
    wakers: Vec<Waker>,
    calls: Vec<Calls>,
    batches: Vec<Batch>,
}

struct Calls {
    outcome: Arc<Outcome>,
    callbacks: Vec<CallbackEntry>,
    /// The outcome counts as complete for flushes once these ran.
    last: bool,
}

impl Bin {
    /// An empty one; allocates nothing until something is put in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.calls.is_empty() && self.batches.is_empty()
    }

    /// Puts in a batch whose outcome is known, so that its memory goes back outside the locks.
    pub fn finish(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Puts in a waker, to be woken.
    pub fn wake(&mut self, waker: Waker) {
        self.wakers.push(waker);
    }

    pub(crate) fn call(
        &mut self,
        outcome: Arc<Outcome>,
        callbacks: Vec<CallbackEntry>,
        last: bool,
    ) {
        self.calls.push(Calls {
            outcome,
            callbacks,
            last,
        });
    }

    /// Takes all from `other`, after what is here already.
    pub fn append(&mut self, other: &mut Self) {
        self.wakers.append(&mut other.wakers);
        self.calls.append(&mut other.calls);
        self.batches.append(&mut other.batches);
    }

    /// Takes the callbacks out into a bin of their own, for whoever runs them elsewhere, one bin after the other. `None`
    /// if there are none.
    pub fn split_callbacks(&mut self) -> Option<Self> {
        if self.calls.is_empty() {
            return None;
        }
        let mut callbacks = Self::new();
        mem::swap(&mut callbacks.calls, &mut self.calls);
        Some(callbacks)
    }

    /// Gives memory back, runs callbacks, wakes. Returns how many callbacks panicked; a panic ends only its own.
    pub fn run(&mut self) -> usize {
        self.batches.clear();
        let mut panics = 0;
        for calls in mem::take(&mut self.calls) {
            let outcome = calls.outcome;
            let mut result: Option<Result<RecordMetadata, DeliveryError>> = None;
            for entry in calls.callbacks {
                match (&mut result, outcome.place(entry.index)) {
                    (Some(Ok(metadata)), Some(place)) => metadata.renew(place, &entry.about),
                    _ => result = outcome.result(entry.index, &entry.about),
                }
                let call = || {
                    if let Some(result) = &result {
                        (entry.call)(result);
                    }
                };
                panics += usize::from(panics_in(call));
            }
            if calls.last {
                outcome.called(self);
            }
        }
        for waker in self.wakers.drain(..) {
            panics_in(|| waker.wake());
        }
        panics
    }
}

/// Whether a user's code panics. What it panics with is its own too, and may panic when it is dropped.
pub(crate) fn panics_in(call: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else {
        return false;
    };
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(again);
    }
    true
}

impl Drop for Bin {
    fn drop(&mut self) {
        self.run();
    }
}
