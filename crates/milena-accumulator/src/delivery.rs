//! What a sender of records holds: a future for one record, or one for many.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::failure::DeliveryError;
use crate::outcome::{NO_SEAT, Outcome, Place};

/// What is kept of a record beside its place in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) timestamp: i64,
    pub(crate) key_size: i32,
    pub(crate) value_size: i32,
}

/// Where a record is in the log.
#[derive(Clone)]
pub struct RecordMetadata {
    /// The outcome of its batch, which knows topic and partition. A future hands its own over, so that no reference is
    /// counted for it: each of those would wait until all that was written before has left the store buffer.
    outcome: Arc<Outcome>,
    offset: Option<i64>,
    timestamp: i64,
    key_size: i32,
    value_size: i32,
}

impl RecordMetadata {
    #[inline]
    pub(crate) fn new(outcome: Arc<Outcome>, place: Place, about: &About) -> Self {
        Self {
            outcome,
            offset: place.offset,
            timestamp: place.timestamp(about),
            key_size: about.key_size,
            value_size: about.value_size,
        }
    }

    /// Makes it that of another record of the same batch, whose outcome needs no further reference.
    pub(crate) fn renew(&mut self, place: Place, about: &About) {
        self.offset = place.offset;
        self.timestamp = place.timestamp(about);
        self.key_size = about.key_size;
        self.value_size = about.value_size;
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.outcome.topic()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.outcome.partition()
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

impl fmt::Debug for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordMetadata")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("timestamp", &self.timestamp())
            .field("serialized_key_size", &self.serialized_key_size())
            .field("serialized_value_size", &self.serialized_value_size())
            .finish()
    }
}

/// The outcome of one record: resolves when its batch is acknowledged or has failed for good.
///
/// Cancel-safe: dropping it changes nothing for the record.
///
/// # Panics
///
/// If it is polled once more after it was ready.
#[must_use = "without its delivery nobody knows whether a record was written"]
pub struct Delivery {
    /// `None` once it was ready: the result has it.
    outcome: Option<Arc<Outcome>>,
    index: u32,
    /// Its seat among the outcome's wakers.
    seat: u32,
    about: About,
}

impl Delivery {
    #[inline]
    pub(crate) fn new(outcome: Arc<Outcome>, index: u32, about: About) -> Self {
        Self {
            outcome: Some(outcome),
            index,
            seat: NO_SEAT,
            about,
        }
    }

    /// The result if it is known, and the future has not given it already. Never waits.
    pub fn try_get(&self) -> Option<Result<RecordMetadata, DeliveryError>> {
        self.outcome.as_ref()?.result(self.index, &self.about)
    }

    #[cold]
    fn poll_longer(&mut self, cx: &mut Context<'_>) -> Poll<Result<RecordMetadata, DeliveryError>> {
        let Some(outcome) = &mut self.outcome else {
            panic!("a delivery was polled after it was ready");
        };
        loop {
            // Goes on to the part of a split batch that has the record now.
            while let Some((part, index)) = outcome.moved(self.index) {
                (*outcome, self.index, self.seat) = (Arc::clone(part), index, NO_SEAT);
            }
            if let Some(result) = outcome.result(self.index, &self.about) {
                (self.outcome, self.seat) = (None, NO_SEAT);
                return Poll::Ready(result);
            }
            let (waits, unused) = outcome.register(&mut self.seat, cx.waker().clone());
            drop(unused);
            if waits {
                return Poll::Pending;
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryError>;

    /// Inlined for the usual case, a batch that is acknowledged: what is made of it stays in registers then.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(outcome) = &this.outcome
            && let Some(place) = outcome.place(this.index)
            && let Some(outcome) = this.outcome.take()
        {
            this.seat = NO_SEAT;
            return Poll::Ready(Ok(RecordMetadata::new(outcome, place, &this.about)));
        }
        this.poll_longer(cx)
    }
}

impl Drop for Delivery {
    #[inline]
    fn drop(&mut self) {
        if self.seat != NO_SEAT
            && let Some(outcome) = &self.outcome
        {
            outcome.leave(self.seat);
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
    /// Each batch, followed by those of its records that are here. One list, so that a call of `send_many` has one
    /// allocation.
    list: Vec<Item>,
    /// Where the last batch is in the list; its end if a further record begins anew.
    last: usize,
    records: usize,
    /// The batch that is waited for. Those before it are complete.
    done: usize,
    seat: u32,
}

enum Item {
    /// Neighbours follow, the first of which has this index in its batch.
    Batch(Arc<Outcome>, u32),
    Record(About),
}

/// Batches that the records of one call are usually in.
const BATCHES: usize = 2;

impl Deliveries {
    /// None yet.
    pub fn new() -> Self {
        Self::with_list(Vec::new())
    }

    /// None yet, with room for so many records.
    pub fn with_capacity(records: usize) -> Self {
        Self::with_list(Vec::with_capacity(BATCHES + records))
    }

    fn with_list(list: Vec<Item>) -> Self {
        Self {
            list,
            last: 0,
            records: 0,
            done: 0,
            seat: NO_SEAT,
        }
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The results if all are known. Never waits.
    pub fn try_get(&self) -> Option<Vec<Result<RecordMetadata, DeliveryError>>> {
        let mut results = Vec::with_capacity(self.records);
        let mut batch = None;
        for item in &self.list {
            match item {
                Item::Batch(outcome, first) => batch = Some((outcome, *first)),
                Item::Record(about) => {
                    let (outcome, index) = batch.as_mut()?;
                    results.push(outcome.result(*index, about)?);
                    *index += 1;
                }
            }
        }
        Some(results)
    }

    #[inline]
    pub(crate) fn push(&mut self, outcome: &Arc<Outcome>, index: u32, about: About) {
        let follows = match self.list.get(self.last) {
            Some(Item::Batch(batch, first)) => {
                let next = *first as usize + self.list.len() - self.last - 1;
                Arc::ptr_eq(batch, outcome) && next == index as usize
            }
            _ => false,
        };
        if !follows {
            self.last = self.list.len();
            self.list.push(Item::Batch(Arc::clone(outcome), index));
        }
        self.list.push(Item::Record(about));
        self.records += 1;
    }

    /// Replaces a batch that was split by its parts.
    fn follow(&mut self, at: usize) {
        while let Some(Item::Batch(whole, first)) = self.list.get(at)
            && let Some((part, index)) = whole.moved(*first)
        {
            let (whole, first) = (Arc::clone(whole), *first);
            let mut last = Arc::clone(part);
            self.list[at] = Item::Batch(Arc::clone(part), index);
            let mut place = at + 1;
            for number in first.. {
                let Some(Item::Record(_)) = self.list.get(place) else {
                    break;
                };
                if let Some((part, index)) = whole.moved(number)
                    && !Arc::ptr_eq(part, &last)
                {
                    last = Arc::clone(part);
                    self.list
                        .insert(place, Item::Batch(Arc::clone(part), index));
                    place += 1;
                }
                place += 1;
            }
            self.last = self.list.len();
            self.seat = NO_SEAT;
        }
    }

    /// The batch that is waited for.
    fn awaited(&self) -> Option<(&Arc<Outcome>, u32)> {
        match self.list.get(self.done)? {
            Item::Batch(outcome, first) => Some((outcome, *first)),
            Item::Record(_) => None,
        }
    }

    /// Goes on to the next batch.
    fn advance(&mut self) {
        let is_batch = |item: &Item| matches!(item, Item::Batch(..));
        let records = self.list[self.done + 1..].iter();
        let records = records.take_while(|item| !is_batch(item)).count();
        self.done += 1 + records;
        self.seat = NO_SEAT;
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
        loop {
            this.follow(this.done);
            let mut seat = this.seat;
            let Some((outcome, first)) = this.awaited() else {
                break;
            };
            if outcome.verdict().is_none() {
                let (waits, unused) = outcome.register(&mut seat, cx.waker().clone());
                drop(unused);
                this.seat = seat;
                if waits {
                    return Poll::Pending;
                }
            } else if outcome.moved(first).is_none() {
                this.advance();
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
        if self.seat != NO_SEAT
            && let Some((outcome, _)) = self.awaited()
        {
            outcome.leave(self.seat);
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
