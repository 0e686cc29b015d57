//! What appenders tell the sender: which partitions got something to send.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::topic::Slot;

/// A partition changed in a way that concerns the sender. At most one of each kind until the partition is
/// [taken](crate::Accumulator::take) from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The partition.
    pub slot: Slot,
    /// What happened.
    pub what: What,
}

/// What happened to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was empty and a batch opened.
    Opened {
        /// When.
        at: Instant,
    },
    /// Its oldest batch takes no more records.
    Filled {
        /// When that batch was opened.
        at: Instant,
    },
}

/// News not yet read. Its lock is a leaf.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Vec<News>>);

impl Inbox {
    pub(crate) fn push(&self, news: News) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(news);
    }

    pub(crate) fn drain(&self, into: &mut Vec<News>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
