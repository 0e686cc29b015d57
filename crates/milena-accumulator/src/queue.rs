//! The batches of one partition: one that takes records, and those that are full and wait to be taken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use milena_record::{
    Codec, RecordHead, Sink, encode_record_tail, estimated_batch_size, planned_raw_size,
};

use crate::batch::{Batch, Rest};
use crate::bin::Bin;
use crate::body::{Body, Pages, own};
use crate::delivery::About;
use crate::outcome::{Callback, CallbackEntry, Outcome};
use crate::pool::Pool;
use crate::record::Prepared;
use crate::stock::Stock;
use crate::topic::{Slot, Topic};
use crate::way::Period;

/// How much goes into a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `batch.size`, header included.
    pub(crate) batch: usize,
    /// The most raw bytes of records, whatever they may compress to.
    pub(crate) raw: usize,
    pub(crate) codec: Codec,
}

impl Limits {
    /// Raw bytes that a batch is filled with, if it compresses as `ratio` says.
    fn planned(&self, ratio: f32) -> usize {
        planned_raw_size(self.codec, self.batch, ratio).min(self.raw)
    }
}

/// What waits in a partition. Behind its lock, and in this order, so that all that a record touches is next to the
/// lock: on the first two cache lines of the partition.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Queue {
    /// Bytes of unkeyed records since this became the sticky partition of its topic.
    pub(crate) sticky: u64,
    pub(crate) open: Option<Open>,
    closed: VecDeque<Open>,
    /// The sender was told that a batch opened here, and has not emptied the partition since.
    told_opened: bool,
    /// The sender was told that a batch is full here, and has not taken it.
    told_filled: bool,
    /// Callbacks of the batch that was last closed or taken: as many as the next one may get.
    callbacks: u32,
    /// Batches are never older than those before them.
    newest: Option<Instant>,
}

/// A batch that takes records, or did. The fields that each record touches come first.
#[repr(C)]
pub(crate) struct Open {
    pub(crate) tail: Vec<u8>,
    pub(crate) raw: usize,
    /// Raw bytes that it is filled with.
    limit: usize,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) records: u32,
    pub(crate) generation: u32,
    pub(crate) ratio: f32,
    /// Callbacks that it may get, if it gets any.
    expected_callbacks: u32,
    pub(crate) outcome: Arc<Outcome>,
    /// What is before the tail.
    pages: Arc<Pages>,
    callbacks: Vec<CallbackEntry>,
    /// Bytes taken out of the budget.
    charged: usize,
    /// When it was closed.
    closed: Period,
    created: Instant,
    /// It will be sent as it is: its chunks are summed when they are full.
    summed: bool,
}

/// Memory that a record needs, beyond what its batch has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) chunks: usize,
    /// Bytes outside chunks: an exact allocation, or a value that stays where it is.
    pub(crate) loose: usize,
    /// What is copied of the record is larger than a batch: it gets an allocation of just its size.
    pub(crate) exact: bool,
    /// What a new batch takes besides.
    pub(crate) upkeep: usize,
}

impl Need {
    pub(crate) fn bytes(&self, chunk: usize) -> usize {
        self.chunks * chunk + self.loose + self.upkeep
    }

    /// What a new batch of a record of `size` bytes needs. `shared` of them stay where they are.
    pub(crate) fn fresh(size: usize, shared: usize, limits: &Limits, pool: &Pool) -> Self {
        let chunk = pool.chunk_size();
        let chunked = Self {
            chunks: (size - shared).div_ceil(chunk).max(1),
            loose: shared,
            exact: false,
            upkeep: 0,
        };
        let large = 61 + size - shared > limits.batch;
        let need = match large || chunked.bytes(chunk) > pool.total() {
            true => Self {
                chunks: 0,
                loose: size,
                exact: true,
                upkeep: 0,
            },
            false => chunked,
        };
        // A record is not refused for what comes on top of it.
        let upkeep = Batch::UPKEEP.min(pool.total().saturating_sub(need.bytes(chunk)));
        Self { upkeep, ..need }
    }
}

impl Open {
    /// The head that the record would have as the next one.
    #[inline(always)]
    pub(crate) fn head_of(&self, record: &Prepared<'_>) -> RecordHead {
        let delta = record.record.timestamp.wrapping_sub(self.base_timestamp);
        RecordHead::new(self.records as i32, delta, record.parts)
    }

    /// Bytes that the record would take as the next one.
    pub(crate) fn size_of(&self, record: &Prepared<'_>) -> usize {
        self.head_of(record).record_size()
    }

    /// Whether a record of `size` bytes may still go in.
    #[inline(always)]
    pub(crate) fn fits(&self, size: usize) -> bool {
        self.raw + size <= self.limit
    }

    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.raw >= self.limit
    }

    /// What the last `size` bytes of records are expected to add to the batch as it is sent.
    ///
    /// The difference of two estimates of the whole: so many small shares, each rounded down, would come to nothing.
    pub(crate) fn share_of_last(&self, size: usize, codec: Codec) -> usize {
        let estimate = |raw| estimated_batch_size(codec, raw, self.ratio);
        estimate(self.raw) - estimate(self.raw - size)
    }

    /// Bytes that its last chunk still has.
    #[inline(always)]
    pub(crate) fn space(&self) -> usize {
        self.tail.capacity() - self.tail.len()
    }

    /// What one more record needs of the pool.
    pub(crate) fn need(&self, size: usize, shared: usize, chunk: usize) -> Need {
        Need {
            chunks: (size - shared).saturating_sub(self.space()).div_ceil(chunk),
            loose: shared,
            exact: false,
            upkeep: 0,
        }
    }

    /// Counts a record that was written.
    #[inline(always)]
    pub(crate) fn count(&mut self, size: usize, timestamp: i64) {
        self.raw += size;
        self.records += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// Keeps what is to be called with the outcome of the record with this index.
    #[inline(always)]
    pub(crate) fn call_back(&mut self, index: u32, about: About, call: Callback) {
        if self.callbacks.is_empty() {
            // Not four, as a list begins by itself: where partitions are many, batches have one record.
            let expected = self.expected_callbacks.max(1) as usize;
            self.callbacks.reserve_exact(expected);
        }
        self.callbacks.push(CallbackEntry { index, about, call });
    }

    /// Writes a record with the help of a stock that has what it [needs](Self::need).
    pub(crate) fn write_with(&mut self, record: &Prepared<'_>, stock: &mut Stock, pool: &Pool) {
        let head = self.head_of(record);
        if record.shared.is_none() && head.record_size() <= self.space() {
            return head.encode(&mut self.tail, &record.record);
        }
        let mut sink = Straddle {
            open: self,
            stock,
            pool,
        };
        let Some(value) = record.shared else {
            head.encode(&mut sink, &record.record);
            return;
        };
        head.encode_before_value(&mut sink, &record.record);
        sink.stock.bytes -= value.len();
        sink.open.charged += value.len();
        let at = sink.open.tail.len();
        own(&mut sink.open.pages).cut(at, value.clone());
        encode_record_tail(&mut sink, &record.record);
    }
}

/// Writes over the end of one chunk into the next.
struct Straddle<'a> {
    open: &'a mut Open,
    stock: &'a mut Stock,
    pool: &'a Pool,
}

impl Sink for Straddle<'_> {
    fn put(&mut self, mut bytes: &[u8]) {
        loop {
            let (here, rest) = bytes.split_at(bytes.len().min(self.open.space()));
            self.open.tail.extend_from_slice(here);
            if rest.is_empty() {
                return;
            }
            let next = self.pool.use_chunk(self.stock);
            self.open.charged += next.capacity();
            let full = std::mem::replace(&mut self.open.tail, next);
            let pages = own(&mut self.open.pages);
            match self.open.summed {
                true => pages.push_summed(full),
                false => pages.push(full),
            }
            bytes = rest;
        }
    }
}

/// What a new batch starts with.
pub(crate) struct Start {
    pub(crate) tail: Vec<u8>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) created: Instant,
    pub(crate) generation: u32,
    pub(crate) timestamp: i64,
    pub(crate) ratio: f32,
    /// What was taken out of the budget besides the tail.
    pub(crate) upkeep: usize,
}

/// What to tell the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened(Instant),
    Filled(Instant),
}

impl Queue {
    /// Opens a batch. There must be none open.
    pub(crate) fn open(&mut self, start: Start, limits: &Limits) -> &mut Open {
        debug_assert!(self.open.is_none());
        let created = self
            .newest
            .map_or(start.created, |at| at.max(start.created));
        self.newest = Some(created);
        self.open.insert(Open {
            raw: 0,
            limit: limits.planned(start.ratio),
            base_timestamp: start.timestamp,
            max_timestamp: start.timestamp,
            records: 0,
            ratio: start.ratio,
            outcome: start.outcome,
            charged: start.tail.capacity() + start.upkeep,
            tail: start.tail,
            pages: start.pages,
            summed: limits.codec == Codec::None,
            callbacks: Vec::new(),
            expected_callbacks: self.callbacks,
            closed: Period::default(),
            created,
            generation: start.generation,
        })
    }

    /// Closes the open batch: its bytes are under way from now on.
    pub(crate) fn close(&mut self, pool: &Pool) {
        if let Some(open) = self.end_open(pool) {
            if self.closed.len() == self.closed.capacity() {
                self.grow();
            }
            self.closed.push_back(open);
        }
    }

    /// The open batch, if there is one, to which nothing is added any more.
    fn end_open(&mut self, pool: &Pool) -> Option<Open> {
        let mut open = self.open.take()?;
        open.closed = pool.way.begin(open.charged);
        self.callbacks = open.callbacks.len() as u32;
        Some(open)
    }

    /// Where partitions are many, few have more than one batch closed: a queue grows to four at once by itself.
    #[cold]
    fn grow(&mut self) {
        self.closed.reserve_exact(self.closed.len().max(1));
    }

    /// Batches that wait.
    pub(crate) fn depth(&self) -> usize {
        self.closed.len() + usize::from(self.open.is_some())
    }

    /// Whether a full batch waits.
    pub(crate) fn has_full(&self) -> bool {
        !self.closed.is_empty()
    }

    /// What the sender has to hear now and has not heard.
    pub(crate) fn change(&mut self) -> Option<Change> {
        if let Some(oldest) = self.closed.front() {
            let news = !self.told_filled;
            (self.told_opened, self.told_filled) = (true, true);
            return news.then_some(Change::Filled(oldest.created));
        }
        let open = self.open.as_ref()?;
        let news = !self.told_opened;
        self.told_opened = true;
        news.then_some(Change::Opened(open.created))
    }

    /// What waits.
    pub(crate) fn rest(&self) -> Rest {
        match (self.closed.front(), &self.open) {
            (Some(oldest), _) => Rest::Full {
                since: oldest.created,
            },
            (None, Some(open)) => Rest::Open {
                since: open.created,
            },
            (None, None) => Rest::Nothing,
        }
    }

    /// Takes the oldest batch, full or not. Whoever takes it learns from [`rest`](Self::rest) what is left.
    pub(crate) fn take(&mut self, pool: &Pool) -> Option<Open> {
        let closed = self.closed.pop_front();
        let taken = closed.or_else(|| self.end_open(pool))?;
        self.told_filled = !self.closed.is_empty();
        self.told_opened = self.told_filled || self.open.is_some();
        Some(taken)
    }

    /// Takes the oldest batch if it was opened before.
    pub(crate) fn take_before(&mut self, created: Instant, pool: &Pool) -> Option<Open> {
        let oldest = self.closed.front().or(self.open.as_ref())?;
        if oldest.created < created {
            self.take(pool)
        } else {
            None
        }
    }
}

impl Open {
    /// Makes it a batch. Outside the partition's lock.
    pub(crate) fn into_batch(
        mut self,
        slot: Slot,
        topic: Arc<Topic>,
        partition: u32,
        pool: &Arc<Pool>,
    ) -> Batch {
        let pages = own(&mut self.pages);
        pages.push(self.tail);
        pages.keep_outcome(&self.outcome);
        let body = Body::new(self.pages, self.raw, pool, self.charged, self.closed);
        // Nobody but the sender completes outcomes, and it does not have this one yet.
        self.outcome.attach(self.callbacks, &mut Bin::new());
        Batch {
            slot,
            topic,
            partition: partition as i32,
            records: self.records as i32,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            created: self.created,
            body,
            raw_len: self.raw,
            generation: self.generation,
            outcome: self.outcome,
        }
    }
}
