//! Which bell belongs to which broker: how appenders find the task that serves a partition.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use milena_accumulator::{Urgency, Wake};
use milena_client::Few;

use crate::bell::Bell;

/// The bells of all tasks. The lock is a leaf, read once a batch.
#[derive(Debug)]
pub(crate) struct Bells {
    epoch: Instant,
    /// Rung for everything that no connection serves.
    pub(crate) control: Arc<Bell>,
    nodes: RwLock<Few<i32, Arc<Bell>>>,
}

impl Bells {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            control: Arc::new(Bell::new(epoch)),
            nodes: RwLock::default(),
        }
    }

    /// A bell for a new task.
    pub(crate) fn hang(&self) -> Arc<Bell> {
        Arc::new(Bell::new(self.epoch))
    }

    /// From now on `bell` is that of the task that serves `node`.
    pub(crate) fn assign(&self, node: i32, bell: &Arc<Bell>) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(node, Arc::clone(bell));
    }

    /// The task of `bell` has ended; nothing happens if `node` has another one by now.
    pub(crate) fn remove(&self, node: i32, bell: &Arc<Bell>) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        if nodes
            .get(&node)
            .is_some_and(|there| Arc::ptr_eq(there, bell))
        {
            nodes.remove(&node);
        }
    }
}

impl Wake for Bells {
    fn wake(&self, leader: i32, urgency: Urgency) {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let bell = nodes.get(&leader).unwrap_or(&self.control);
        match urgency {
            Urgency::Now => bell.ring(),
            Urgency::Opened { deadline } => bell.ring_by(deadline),
        }
    }
}
