//! What appenders tell the sender: which partitions got something to send.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::Urgency;
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
pub(crate) struct Inbox(Mutex<Unread>);

#[derive(Default)]
struct Unread {
    news: Vec<News>,
    /// Whom the appenders wake because of them, by the leader, and by when they will have read them at the latest.
    told: Vec<(i32, Instant)>,
}

impl Inbox {
    /// Adds news of a partition that `leader` leads. Whether somebody is to be woken because of them: not if those who
    /// serve that leader will look in time anyway, for older news.
    pub(crate) fn push(&self, news: News, leader: i32, urgency: Urgency) -> bool {
        let mut unread = self.lock();
        unread.news.push(news);
        let Urgency::Opened { deadline } = urgency else {
            return true;
        };
        let told = unread.told.iter_mut().find(|(node, _)| *node == leader);
        match told {
            Some((_, by)) if *by <= deadline => return false,
            Some((_, by)) => *by = deadline,
            None => unread.told.push((leader, deadline)),
        }
        true
    }

    pub(crate) fn drain(&self, into: &mut Vec<News>) {
        let mut unread = self.lock();
        into.append(&mut unread.news);
        unread.told.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Unread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
