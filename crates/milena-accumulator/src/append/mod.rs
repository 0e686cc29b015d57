//! The path of a record into a batch: a short way for nearly all, a long one when memory or a new batch is needed.

mod long;
mod many;
mod place;
mod short;

use std::fmt;
use std::sync::Arc;

use crate::delivery::{About, Delivery};
use crate::gate::CloseReason;
use crate::outcome::Outcome;
use crate::record::Record;
use place::Place;

/// A record that is in a batch now.
#[derive(Debug)]
pub struct Appended {
    /// The partition it went to.
    pub partition: i32,
    /// Its delivery, if one was wanted.
    pub delivery: Option<Delivery>,
}

/// Why a record was not appended. Nothing of it is left anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no memory, or others wait for it: wait for room of so many bytes, and append with it.
    Full {
        /// What to wait for.
        bytes: usize,
    },
    /// It can never be appended.
    TooLarge {
        /// The most it may take in a request.
        size: usize,
        /// The smaller of `max.request.size` and `buffer.memory`.
        limit: usize,
    },
    /// The topic has fewer partitions, as far as is known: wait for the topic with this partition.
    NoSuchPartition {
        /// What was asked for.
        partition: i32,
        /// How many there are.
        count: i32,
    },
    /// No more records are taken.
    Closed(CloseReason),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { bytes } => write!(f, "buffer.memory is used up, {bytes} bytes are needed"),
            Self::TooLarge { size, limit } => write!(
                f,
                "the record may take {size} bytes, {limit} are allowed by max.request.size and buffer.memory"
            ),
            Self::NoSuchPartition { partition, count } => write!(
                f,
                "the topic has {count} partitions, there is no partition {partition}"
            ),
            Self::Closed(reason) => write!(f, "the producer is closed ({reason})"),
        }
    }
}

impl std::error::Error for Refused {}

/// A record that is in a batch, with the batch's outcome if it was wanted.
struct Placed {
    index: u32,
    partition: u32,
    outcome: Option<Arc<Outcome>>,
}

impl Placed {
    /// What its delivery is made of, if one was wanted.
    #[inline(always)]
    fn claim(self) -> Option<Claim> {
        let index = self.index;
        self.outcome.map(|outcome| Claim { outcome, index })
    }
}

/// A record's index in a batch of which the outcome is wanted: all of a [`Delivery`] that its sender does not know.
///
/// Two words, which a function returns in registers. A delivery would be returned through memory, where the next move
/// reads in one piece what was written in several, and waits until these have left the store buffer, and so until the
/// record has that was written before them.
#[derive(Debug)]
pub struct Claim {
    outcome: Arc<Outcome>,
    index: u32,
}

impl Claim {
    /// The delivery of the record, which was appended at `timestamp`.
    #[inline(always)]
    pub fn delivery(self, record: &Record<'_>, timestamp: i64) -> Delivery {
        Delivery::new(self.outcome, self.index, About::of(record, timestamp))
    }
}
