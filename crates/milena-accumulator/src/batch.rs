//! What travels: a closed batch, handed to whoever sends.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::bin::Bin;
use crate::body::{Body, Pages};
use crate::failure::{BatchFailure, FailureReason, Fate};
use crate::outcome::{Outcome, Verdict};
use crate::queue::Open;
use crate::topic::{Slot, Topic};

/// A batch that takes no more records, with everything that its header needs but producer id, epoch and sequence.
///
/// It has to be completed through its [outcome](Self::outcome). One that is dropped without (its runtime was shut
/// down) fails as [`FailureReason::Lost`], possibly written.
pub struct Batch {
    /// Its partition, as a dense number.
    pub slot: Slot,
    /// Its topic.
    pub topic: Arc<Topic>,
    /// Its partition.
    pub partition: i32,
    /// How many records, at least 1.
    pub records: i32,
    /// The timestamp of its first record, from which the others are counted.
    pub base_timestamp: i64,
    /// The greatest timestamp of its records.
    pub max_timestamp: i64,
    /// When it was opened; `delivery.timeout.ms` counts from here. Parts of a split batch inherit it.
    pub created: Instant,
    /// The records.
    pub body: Body,
    /// Bytes of the records before compression.
    pub raw_len: usize,
    /// The generation of the gate that it was opened in.
    pub generation: u32,
    /// Shared by its deliveries and callbacks.
    pub outcome: Arc<Outcome>,
}

impl Batch {
    /// What a batch takes besides the bytes of its records, in bytes, charged to `buffer.memory` like these: where
    /// partitions are many and batches small it is an eighth of all. It is where it waits and where it is in flight,
    /// as both keep a place for it, and what the allocator adds to each of its four allocations.
    pub const UPKEEP: usize = size_of::<Outcome>()
        + size_of::<Pages>()
        + size_of::<Vec<u8>>()
        + size_of::<Open>()
        + size_of::<Self>()
        + 4 * 16;

    /// A part of this batch, with records from `first` on: same partition, age and flush epoch, its own outcome.
    ///
    /// Make all parts, then complete the whole as [`Verdict::Moved`] to them.
    pub fn part(
        &self,
        records: i32,
        base_timestamp: i64,
        max_timestamp: i64,
        body: Body,
        raw_len: usize,
    ) -> Self {
        Self {
            slot: self.slot,
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            records,
            base_timestamp,
            max_timestamp,
            created: self.created,
            body,
            raw_len,
            generation: self.generation,
            outcome: self.outcome.part(),
        }
    }

    /// The flush epoch that it was opened in.
    pub fn epoch(&self) -> u64 {
        self.outcome.epoch()
    }

    /// Completes it and puts it into the bin, where its memory goes back.
    pub fn complete(self, verdict: Verdict, bin: &mut Bin) {
        self.outcome.complete(verdict, bin);
        bin.finish(self);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.outcome.verdict().is_none() {
            let failure = BatchFailure::new(FailureReason::Lost, Fate::PossiblyWritten);
            let mut bin = Bin::new();
            self.outcome
                .complete(Verdict::Failed(Arc::new(failure)), &mut bin);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("topic", &self.topic.name())
            .field("partition", &self.partition)
            .field("records", &self.records)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What [`take`](crate::Accumulator::take) found.
#[derive(Debug)]
pub struct Taken {
    /// The oldest batch.
    pub batch: Batch,
    /// What is left in the partition.
    pub rest: Rest,
}

/// What is left in a partition after its oldest batch was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing; the next record is news.
    Nothing,
    /// One batch that still takes records; when it is full that is news.
    Open {
        /// When it was opened.
        since: Instant,
    },
    /// At least one batch that takes no more records. No news comes until it was taken.
    Full {
        /// When the oldest was opened.
        since: Instant,
    },
}
