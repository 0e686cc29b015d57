//! Flushes by epoch: a flush waits for what was opened before it, and for nothing else.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::bin::Bin;
use crate::numbered::Numbered;

/// Counts incomplete batches by the epoch they opened in. Its lock is a leaf.
#[derive(Default)]
pub(crate) struct Flushes {
    state: Mutex<State>,
    /// Flushes that are not resolved. Written under the lock, read without.
    running: AtomicUsize,
}

#[derive(Default)]
struct State {
    epoch: u64,
    /// Incomplete batches per epoch, oldest first; only the last may be zero.
    counts: VecDeque<(u64, usize)>,
    /// Flushes that run: each waits until no count up to its epoch is left.
    running: Numbered<Running>,
    next: u64,
}

struct Running {
    epoch: u64,
    waker: Option<Waker>,
}

impl State {
    /// Everything up to this epoch is complete.
    fn clear_to(&self) -> u64 {
        match self.counts.front() {
            Some((epoch, _)) => *epoch,
            None => u64::MAX,
        }
    }
}

impl Flushes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch opened: counted, and told its epoch.
    pub(crate) fn opened(&self) -> u64 {
        let mut state = self.lock();
        let now = state.epoch;
        match state.counts.back_mut() {
            Some((epoch, count)) if *epoch == now => *count += 1,
            _ => state.counts.push_back((now, 1)),
        }
        now
    }

    /// A part of a batch of `epoch`, which is still incomplete.
    pub(crate) fn opened_in(&self, epoch: u64) {
        let mut state = self.lock();
        let at = state.counts.partition_point(|(other, _)| *other < epoch);
        match state.counts.get_mut(at) {
            Some((other, count)) if *other == epoch => *count += 1,
            _ => state.counts.insert(at, (epoch, 1)),
        }
    }

    /// A batch of `epoch` is complete.
    pub(crate) fn completed(&self, epoch: u64, bin: &mut Bin) {
        let mut state = self.lock();
        let at = state.counts.partition_point(|(other, _)| *other < epoch);
        let Some((_, count)) = state.counts.get_mut(at) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        state.counts.remove(at);
        let clear = state.clear_to();
        for flush in state.running.values_mut() {
            if flush.epoch < clear
                && let Some(waker) = flush.waker.take()
            {
                bin.wake(waker);
            }
        }
    }

    /// Batches that are not complete.
    pub(crate) fn incomplete(&self) -> usize {
        self.lock().counts.iter().map(|(_, count)| count).sum()
    }

    /// Whether a flush runs.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Begins a flush of all that is open now.
    pub(crate) fn begin(self: &Arc<Self>) -> Flush {
        let mut state = self.lock();
        let (id, epoch) = (state.next, state.epoch);
        state.next += 1;
        state.epoch += 1;
        state.running.insert(id, Running { epoch, waker: None });
        self.running.store(state.running.len(), Ordering::Relaxed);
        drop(state);
        Flush {
            flushes: Arc::clone(self),
            id,
        }
    }
}

/// Resolves when every batch that was open when it began is complete, well or badly; parts of split ones too.
///
/// While it exists linger holds nothing back. Cancel-safe: dropping it ends the flush and nothing else.
#[must_use = "a flush lasts as long as this future"]
pub struct Flush {
    flushes: Arc<Flushes>,
    id: u64,
}

impl Future for Flush {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.flushes.lock();
        let clear = state.clear_to();
        let Some(running) = state.running.get_mut(self.id) else {
            return Poll::Ready(());
        };
        let replaced = if running.epoch < clear {
            let ended = state.running.remove(self.id);
            self.flushes
                .running
                .store(state.running.len(), Ordering::Relaxed);
            drop(state);
            drop((ended, waker));
            return Poll::Ready(());
        } else {
            running.waker.replace(waker)
        };
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let mut state = self.flushes.lock();
        let ended = state.running.remove(self.id);
        self.flushes
            .running
            .store(state.running.len(), Ordering::Relaxed);
        drop(state);
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(flush: &mut Flush) -> bool {
        Pin::new(flush)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_flush_waits_for_what_was_opened_before_it() {
        let flushes = Arc::new(Flushes::default());
        let mut bin = Bin::new();
        assert!(is_ready(&mut flushes.begin()));
        let first = flushes.opened();
        let mut one = flushes.begin();
        let second = flushes.opened();
        let mut two = flushes.begin();
        let third = flushes.opened();
        assert!(!is_ready(&mut one) && !is_ready(&mut two));
        flushes.completed(third, &mut bin);
        flushes.completed(second, &mut bin);
        assert!(
            !is_ready(&mut one) && !is_ready(&mut two),
            "the first batch is open"
        );
        flushes.opened_in(first);
        flushes.completed(first, &mut bin);
        assert!(!is_ready(&mut one), "a part of it is open");
        flushes.completed(first, &mut bin);
        assert!(is_ready(&mut one) && is_ready(&mut two));
        assert!(!flushes.is_running());
        assert_eq!(flushes.incomplete(), 0);
    }

    #[test]
    fn a_dropped_flush_is_over() {
        let flushes = Arc::new(Flushes::default());
        flushes.opened();
        let flush = flushes.begin();
        assert!(flushes.is_running());
        drop(flush);
        assert!(!flushes.is_running());
    }
}
