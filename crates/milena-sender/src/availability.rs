//! Which leaders keep data waiting, for the choice of partitions (`partitioner.availability.timeout.ms`, KIP-794).

use std::time::{Duration, Instant};

use milena_accumulator::Config;
use milena_client::{NodeId, NodeState};

use crate::sender::Sender;

/// How often nodes are looked at within the timeout.
const LOOKS: u32 = 8;

/// When nodes are looked at.
#[derive(Debug)]
pub(crate) struct Availability {
    /// How long after the last time; `None` where nobody wants to know.
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Availability {
    pub(crate) fn new(config: &Config) -> Self {
        let timeout = config.availability_timeout;
        let timeout = timeout.filter(|timeout| config.adaptive && !timeout.is_zero());
        Self {
            every: timeout.map(|timeout| timeout / LOOKS),
            last: None,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let passed = |last| now.saturating_duration_since(last);
        self.every
            .is_some_and(|every| self.last.is_none_or(|last| passed(last) >= every))
    }
}

impl Sender {
    /// Looks which nodes keep data waiting, and which can be written to again.
    ///
    /// The time of a node counts from the first look that finds data waiting, whenever something was sent to it last.
    /// One that is late is connected to although nothing may be left to be said to it: the choice of partitions avoids
    /// it until it can be written to.
    #[inline]
    pub(crate) fn look_at_nodes(&mut self, now: Instant) {
        if self.availability.is_due(now) {
            self.availability.last = Some(now);
            for node in self.board.node_ids() {
                self.look_at(now, node);
            }
        }
    }

    fn look_at(&mut self, now: Instant, node: NodeId) {
        let Some(there) = self.board.node(node) else {
            return;
        };
        let (late, full) = (there.late, there.full > 0);
        let state = self.client.state(now, node);
        let ready = matches!(state, NodeState::Ready(_));
        let waits = full || !ready && self.is_due(now, node);
        match (waits, late) {
            (true, false) => {
                self.accumulator.note_ready_node(now, node.0, true);
                self.board.node_mut(node).late = true;
            }
            (true, true) => self.accumulator.note_ready_node(now, node.0, false),
            (false, true) if ready || state == NodeState::Unknown => {
                self.note_written_to(now, node);
            }
            (false, true) => self.client.want(now, node),
            (false, false) => {}
        }
    }

    /// A node is written to, or can be.
    #[inline]
    pub(crate) fn note_written_to(&mut self, now: Instant, node: NodeId) {
        if self.availability.every.is_some() {
            self.accumulator.note_ready_node(now, node.0, true);
            self.board.node_mut(node).late = false;
        }
    }
}
