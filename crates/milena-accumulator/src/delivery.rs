//! What a sender of records holds: a future for one record, or one for many.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::failure::DeliveryError;
use crate::outcome::{NO_SEAT, Outcome};

/// What is kept of a record beside its place in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) timestamp: i64,
    pub(crate) key_size: i32,
    pub(crate) value_size: i32,
}

/// Where a record is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    topic: Arc<str>,
    partition: i32,
    offset: Option<i64>,
    timestamp: i64,
    key_size: i32,
    value_size: i32,
}

impl RecordMetadata {
    pub(crate) fn new(
        topic: &Arc<str>,
        partition: i32,
        offset: Option<i64>,
        log_append_time: i64,
        about: &About,
    ) -> Self {
        let timestamp = match log_append_time {
            -1 => about.timestamp,
            time => time,
        };
        Self {
            topic: Arc::clone(topic),
            partition,
            offset,
            timestamp,
            key_size: about.key_size,
            value_size: about.value_size,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset; `None` if the broker did not say it (`acks=0`, or a duplicate of what it had already).
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// Milliseconds since 1970: the broker's time if the topic uses `LogAppendTime`, else the record's own.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Bytes of the key; `None` for a null key.
    pub fn serialized_key_size(&self) -> Option<usize> {
        usize::try_from(self.key_size).ok()
    }

    /// Bytes of the value; `None` for a null value.
    pub fn serialized_value_size(&self) -> Option<usize> {
        usize::try_from(self.value_size).ok()
    }
}

/// The outcome of one record: resolves when its batch is acknowledged or has failed for good.
///
/// Cancel-safe: dropping it changes nothing for the record. It may be polled again after it was ready and then answers
/// the same.
#[must_use = "without its delivery nobody knows whether a record was written"]
pub struct Delivery {
    outcome: Arc<Outcome>,
    index: u32,
    /// Its seat among the outcome's wakers.
    seat: u32,
    about: About,
}

impl Delivery {
    #[inline]
    pub(crate) fn new(outcome: Arc<Outcome>, index: u32, about: About) -> Self {
        Self {
            outcome,
            index,
            seat: NO_SEAT,
            about,
        }
    }

    /// The result if it is known. Never waits.
    pub fn try_get(&self) -> Option<Result<RecordMetadata, DeliveryError>> {
        self.outcome.result(self.index, &self.about)
    }

    /// Goes on to the part of a split batch that has the record now.
    fn follow(&mut self) {
        while let Some((part, index)) = self.outcome.moved(self.index) {
            (self.outcome, self.index, self.seat) = (Arc::clone(part), index, NO_SEAT);
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            this.follow();
            if let Some(result) = this.outcome.result(this.index, &this.about) {
                this.seat = NO_SEAT;
                return Poll::Ready(result);
            }
            let (waits, unused) = this.outcome.register(&mut this.seat, cx.waker().clone());
            drop(unused);
            if waits {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.seat != NO_SEAT {
            self.outcome.leave(self.seat);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("index", &self.index)
            .field("result", &self.try_get())
            .finish()
    }
}

/// The outcomes of many records, in the order they were appended: resolves when all of them are known.
///
/// Filled by `append_many`. Cancel-safe, as [`Delivery`].
#[must_use = "without their deliveries nobody knows whether records were written"]
pub struct Deliveries {
    runs: Vec<Run>,
    about: Vec<About>,
    /// Runs before this one are complete.
    done: usize,
    seat: u32,
}

/// Neighbours: records that follow each other here and in their batch.
struct Run {
    outcome: Arc<Outcome>,
    first: u32,
    count: u32,
}

impl Deliveries {
    /// None yet.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// None yet, with room for so many records.
    pub fn with_capacity(records: usize) -> Self {
        Self {
            runs: Vec::new(),
            about: Vec::with_capacity(records),
            done: 0,
            seat: NO_SEAT,
        }
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.about.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.about.is_empty()
    }

    /// The results if all are known. Never waits.
    pub fn try_get(&self) -> Option<Vec<Result<RecordMetadata, DeliveryError>>> {
        let mut about = self.about.iter();
        let mut results = Vec::with_capacity(self.about.len());
        for run in &self.runs {
            for (index, about) in (run.first..).zip(about.by_ref().take(run.count as usize)) {
                results.push(run.outcome.result(index, about)?);
            }
        }
        Some(results)
    }

    #[inline]
    pub(crate) fn push(&mut self, outcome: &Arc<Outcome>, index: u32, about: About) {
        self.about.push(about);
        if let Some(run) = self.runs.last_mut()
            && Arc::ptr_eq(&run.outcome, outcome)
            && run.first + run.count == index
        {
            run.count += 1;
            return;
        }
        self.runs.push(Run {
            outcome: Arc::clone(outcome),
            first: index,
            count: 1,
        });
    }

    /// Replaces a run whose batch was split by one run for each part.
    fn follow(&mut self, at: usize) {
        while let Some((_, index)) = self.runs[at].outcome.moved(self.runs[at].first) {
            let Run {
                outcome,
                mut first,
                mut count,
            } = self.runs.remove(at);
            debug_assert!(index <= first);
            let mut to = at;
            while count > 0 {
                let Some((part, index)) = outcome.moved(first) else {
                    return;
                };
                let last = first + count - 1;
                // Records up to the next part's first are here.
                let mut here = 1;
                while first + here <= last
                    && outcome
                        .moved(first + here)
                        .is_some_and(|(other, _)| Arc::ptr_eq(other, part))
                {
                    here += 1;
                }
                self.runs.insert(
                    to,
                    Run {
                        outcome: Arc::clone(part),
                        first: index,
                        count: here,
                    },
                );
                (to, first, count) = (to + 1, first + here, count - here);
            }
            self.seat = NO_SEAT;
        }
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        Self::new()
    }
}

impl Future for Deliveries {
    type Output = Vec<Result<RecordMetadata, DeliveryError>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        while this.done < this.runs.len() {
            this.follow(this.done);
            let outcome = &this.runs[this.done].outcome;
            if outcome.verdict().is_none() {
                let (waits, unused) = outcome.register(&mut this.seat, cx.waker().clone());
                drop(unused);
                if waits {
                    return Poll::Pending;
                }
            } else if outcome.moved(this.runs[this.done].first).is_none() {
                this.done += 1;
                this.seat = NO_SEAT;
            }
        }
        match this.try_get() {
            Some(results) => Poll::Ready(results),
            None => Poll::Pending,
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        if self.seat != NO_SEAT {
            self.runs[self.done].outcome.leave(self.seat);
        }
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}
