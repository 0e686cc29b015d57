//! Users' callbacks, one after the other, in the order of verdicts.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use milena_accumulator::Bin;

/// Callbacks that wait for their turn.
///
/// Verdicts fall in several tasks at once. Each queues its callbacks while it holds the sender's
/// lock; without it whoever finds nobody at work runs all there are. A partition whose leader
/// moved thus keeps its order, and one slow callback delays callbacks, never deliveries.
#[derive(Default)]
pub(crate) struct Callbacks {
    queue: Mutex<VecDeque<Bin>>,
    /// Held by whoever runs them.
    turn: Mutex<()>,
}

impl Callbacks {
    /// Adds callbacks at the end. Runs nothing.
    pub(crate) fn push(&self, bin: Option<Bin>) {
        if let Some(bin) = bin {
            self.queue().push_back(bin);
        }
    }

    /// Runs those there are, unless somebody is at it, who will run these too. Whether it ran any.
    pub(crate) fn run(&self) -> bool {
        let mut ran = false;
        while !self.queue().is_empty() {
            let _turn = match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                // Looks at the queue again after its turn.
                Err(TryLockError::WouldBlock) => return ran,
            };
            loop {
                let next = self.queue().pop_front();
                let Some(mut bin) = next else { break };
                ran = true;
                let panics = bin.run();
                if panics > 0 {
                    tracing::error!(panics, "callbacks of records panicked");
                }
            }
        }
        ran
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Bin>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
