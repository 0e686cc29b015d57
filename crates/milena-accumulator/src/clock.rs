//! What the accumulator is lent by its driver: the time, who is calling, and a way to wake whoever sends.

use std::time::Instant;

/// Two clocks. Methods are called on the caller's thread and have to be cheap.
pub trait Clock {
    /// A precise reading, taken when a batch opens: once a batch.
    fn now(&self) -> Instant;

    /// Milliseconds since 1970, the timestamp of a record that brought none. At most once a record; a coarse clock
    /// (a few nanoseconds) is precise enough, because milliseconds are all that the format holds.
    fn wall_ms(&self) -> i64;

    /// A small number that tells the calling thread from others. Threads that get in each other's way are told apart
    /// by it; those with the same number are not, and nothing worse comes of that.
    fn thread(&self) -> usize {
        0
    }
}

/// How soon the sender should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Something has to be done at this time and not before. Nobody has to be woken if an earlier timer is armed.
    Opened {
        /// When: the end of the batch's linger, or a waiter's deadline.
        deadline: Instant,
    },
    /// There is something to do now: a batch is full, somebody waits for memory, a flush began, the gate closed.
    Now,
}

/// Wakes the tasks that send. Called outside all locks of the accumulator, at most a few times per batch; not for a
/// batch that opens while news of the same leader, due no later, are unread: who is woken reads all there are.
pub trait Wake: Send + Sync {
    /// `leader` is the node that leads the partition as far as the appender knew, a hint; -1 is for whoever looks
    /// after everything else (unknown leaders, deadlines of waiters, flush, close).
    fn wake(&self, leader: i32, urgency: Urgency);
}
