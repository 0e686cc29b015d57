//! Plain numbers about a producer.

use crate::shared::Shared;
use crate::{BufferSnapshot, Counters};

/// What a producer did and does, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The buffer: memory, batches, those who wait.
    pub buffer: BufferSnapshot,
    /// What was sent, acknowledged, retried, and what failed, since the producer was built.
    pub sent: Counters,
    /// Connections, those being made included.
    pub connections: usize,
    /// Requests that wait for an answer, on all connections.
    pub in_flight: usize,
}

impl Snapshot {
    pub(crate) fn take(shared: &Shared) -> Self {
        let buffer = shared.accumulator.snapshot();
        shared.driver.ask(|sender| Self {
            buffer,
            sent: sender.counters().clone(),
            connections: sender.client().connections().len(),
            in_flight: sender.client().total_in_flight(),
        })
    }
}
