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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do to count from"
    )]
    fn nobody_is_woken_twice_for_what_is_read_at_once() {
        let start = Instant::now();
        let inbox = Inbox::default();
        let opened = |leader, millis| {
            let at = start + Duration::from_millis(millis);
            let news = News {
                slot: Slot(0),
                what: What::Opened { at },
            };
            inbox.push(news, leader, Urgency::Opened { deadline: at })
        };
        assert!(opened(1, 10));
        assert!(!opened(1, 10) && !opened(1, 12));
        assert!(
            opened(1, 9),
            "it is due before those that somebody looks for"
        );
        assert!(opened(2, 15) && !opened(2, 16) && !opened(1, 10));
        let filled = News {
            slot: Slot(0),
            what: What::Filled { at: start },
        };
        assert!(inbox.push(filled, 1, Urgency::Now) && inbox.push(filled, 1, Urgency::Now));
        let mut read = Vec::new();
        inbox.drain(&mut read);
        assert_eq!(read.len(), 9);
        assert!(opened(1, 20), "all before was read");
    }
}
