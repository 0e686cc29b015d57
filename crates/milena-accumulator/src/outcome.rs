//! What became of a batch: one outcome, shared by all of its records.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use crate::bin::Bin;
use crate::delivery::{About, RecordMetadata};
use crate::failure::{BatchFailure, DeliveryError};
use crate::flush::Flushes;

/// What a callback is: called once with the outcome of its record, outside all locks.
pub type Callback = Box<dyn FnOnce(&Result<RecordMetadata, DeliveryError>) + Send>;

/// How a batch ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is in the log, or (`acks=0`) it was handed to the broker.
    Done {
        /// The offset of its first record; -1 if nobody said (`acks=0`, a duplicate).
        base_offset: i64,
        /// The broker's time, milliseconds since 1970, if the topic uses `LogAppendTime`; else -1.
        log_append_time: i64,
    },
    /// It was not delivered.
    Failed(Arc<BatchFailure>),
    /// It was split: records from each first index on belong to another outcome. Ascending, the first index is 0.
    Moved(Vec<(u32, Arc<Outcome>)>),
}

/// What became of a batch. Pending until [completed](Self::complete), which happens once.
pub struct Outcome {
    topic: Arc<str>,
    partition: i32,
    verdict: OnceLock<Verdict>,
    waiting: Mutex<Waiting>,
    flushes: Arc<Flushes>,
    epoch: u64,
}

#[derive(Default)]
struct Waiting {
    /// The usual case, one task that awaits one delivery after the other, allocates nothing.
    first: Option<Waker>,
    /// Apart, so that those many outcomes that have none are small.
    more: Option<Box<Seats>>,
    callbacks: Vec<CallbackEntry>,
}

/// The seats of an outcome's wakers, but the first.
#[derive(Default)]
struct Seats {
    wakers: Vec<Option<Waker>>,
    /// Those that were left.
    free: Vec<u32>,
}

/// A record's callback and what its metadata needs.
pub(crate) struct CallbackEntry {
    pub(crate) index: u32,
    pub(crate) about: About,
    pub(crate) call: Callback,
}

/// Where a record is in its partition's log.
pub(crate) struct Place {
    /// `None` if nobody said.
    pub(crate) offset: Option<i64>,
    /// The broker's time if the topic uses it, else -1.
    pub(crate) log_append_time: i64,
}

impl Place {
    /// The time that the record has there.
    #[inline]
    pub(crate) fn timestamp(&self, about: &About) -> i64 {
        match self.log_append_time {
            -1 => about.timestamp,
            time => time,
        }
    }
}

/// No place among an outcome's wakers.
pub(crate) const NO_SEAT: u32 = u32::MAX;

impl Outcome {
    /// A pending one, counted by the flush epoch that is current; in the place of `last`, if that is complete and
    /// nobody else has it.
    pub(crate) fn new(
        topic: &Arc<str>,
        partition: i32,
        flushes: &Arc<Flushes>,
        last: Option<Arc<Self>>,
    ) -> Arc<Self> {
        if let Some(mut last) = last
            && let Some(own) = Arc::get_mut(&mut last)
            && own.verdict.take().is_some()
        {
            if !Arc::ptr_eq(&own.topic, topic) {
                own.topic = Arc::clone(topic);
            }
            own.partition = partition;
            own.epoch = flushes.opened();
            return last;
        }
        Arc::new(Self {
            topic: Arc::clone(topic),
            partition,
            verdict: OnceLock::new(),
            waiting: Mutex::default(),
            flushes: Arc::clone(flushes),
            epoch: flushes.opened(),
        })
    }

    /// A pending outcome for a part of this batch, in the same flush epoch. Make all parts before the whole is
    /// completed as [`Verdict::Moved`], so that a flush cannot miss them.
    pub fn part(&self) -> Arc<Self> {
        self.flushes.opened_in(self.epoch);
        Arc::new(Self {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            verdict: OnceLock::new(),
            waiting: Mutex::default(),
            flushes: Arc::clone(&self.flushes),
            epoch: self.epoch,
        })
    }

    /// The flush epoch that the batch opened in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The topic of the batch.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition of the batch.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// How it ended, if it did.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.get()
    }

    /// Ends it. Only the first verdict counts; returns whether this was it.
    ///
    /// Wakers, callbacks and flushes that this resolves are put into `bin`, to be run outside all locks.
    pub fn complete(self: &Arc<Self>, verdict: Verdict, bin: &mut Bin) -> bool {
        if self.verdict.set(verdict).is_err() {
            return false;
        }
        let Waiting {
            first,
            more,
            callbacks,
        } = mem::take(&mut *self.lock());
        let more = more.into_iter().flat_map(|more| more.wakers);
        for waker in first.into_iter().chain(more.flatten()) {
            bin.wake(waker);
        }
        if callbacks.is_empty() {
            self.flushes.completed(self.epoch, bin);
        } else if let Some(Verdict::Moved(_)) = self.verdict.get() {
            self.settle(callbacks, bin);
            self.flushes.completed(self.epoch, bin);
        } else {
            // A flush resolves after the callbacks, so the bin ends it.
            bin.call(Arc::clone(self), callbacks, true);
        }
        true
    }

    /// Its callbacks ran.
    pub(crate) fn called(&self, bin: &mut Bin) {
        self.flushes.completed(self.epoch, bin);
    }

    /// Adds callbacks of records, in order. If the outcome is known already they go to the bin.
    pub(crate) fn attach(self: &Arc<Self>, mut callbacks: Vec<CallbackEntry>, bin: &mut Bin) {
        if callbacks.is_empty() {
            return;
        }
        {
            let mut waiting = self.lock();
            if self.verdict.get().is_none() {
                if waiting.callbacks.is_empty() {
                    waiting.callbacks = callbacks;
                } else {
                    waiting.callbacks.append(&mut callbacks);
                }
                return;
            }
        }
        self.settle(callbacks, bin);
    }

    /// Hands callbacks of a completed outcome to the bin, or to the parts it was split into.
    fn settle(self: &Arc<Self>, callbacks: Vec<CallbackEntry>, bin: &mut Bin) {
        let Some(Verdict::Moved(parts)) = self.verdict.get() else {
            bin.call(Arc::clone(self), callbacks, false);
            return;
        };
        let mut rest = callbacks.into_iter().peekable();
        for (at, (first, part)) in parts.iter().enumerate() {
            let end = parts.get(at + 1).map_or(u32::MAX, |next| next.0);
            let mut own = Vec::new();
            while let Some(mut entry) = rest.next_if(|entry| entry.index < end) {
                entry.index -= first;
                own.push(entry);
            }
            part.attach(own, bin);
        }
    }

    /// The part that a record moved to, and its index there.
    pub(crate) fn moved(&self, index: u32) -> Option<(&Arc<Self>, u32)> {
        let Some(Verdict::Moved(parts)) = self.verdict.get() else {
            return None;
        };
        let after = parts.partition_point(|(first, _)| *first <= index);
        let (first, part) = &parts[after.checked_sub(1)?];
        Some((part, index - first))
    }

    /// The result of one record: `None` while pending or if it moved on and the part is pending.
    pub(crate) fn result(
        self: &Arc<Self>,
        index: u32,
        about: &About,
    ) -> Option<Result<RecordMetadata, DeliveryError>> {
        match self.verdict.get()? {
            Verdict::Done { .. } => {
                let place = self.place(index)?;
                Some(Ok(RecordMetadata::new(Arc::clone(self), place, about)))
            }
            Verdict::Failed(failure) => Some(Err(DeliveryError::new(
                Arc::clone(failure),
                Arc::clone(&self.topic),
                self.partition,
                index,
            ))),
            Verdict::Moved(_) => {
                let (part, index) = self.moved(index)?;
                part.result(index, about)
            }
        }
    }

    /// Where a record is in the log: `None` unless its batch is there.
    #[inline]
    pub(crate) fn place(&self, index: u32) -> Option<Place> {
        match self.verdict.get()? {
            Verdict::Done {
                base_offset,
                log_append_time,
            } => Some(Place {
                offset: (*base_offset >= 0).then(|| base_offset + i64::from(index)),
                log_append_time: *log_append_time,
            }),
            Verdict::Failed(_) | Verdict::Moved(_) => None,
        }
    }

    /// Leaves `waker` in seat `seat` (or a new one), unless the outcome is known: then `false`.
    ///
    /// The waker that it replaces is handed back, to be dropped outside the lock.
    pub(crate) fn register(&self, seat: &mut u32, waker: Waker) -> (bool, Option<Waker>) {
        let mut waiting = self.lock();
        if self.verdict.get().is_some() {
            return (false, Some(waker));
        }
        if *seat == NO_SEAT {
            *seat = waiting.free_seat();
        }
        (true, waiting.seat(*seat).replace(waker))
    }

    /// Gives a seat up.
    pub(crate) fn leave(&self, seat: u32) {
        let waker = {
            let mut waiting = self.lock();
            match self.verdict.get() {
                None => waiting.leave(seat),
                Some(_) => None,
            }
        };
        drop(waker);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn free_seat(&mut self) -> u32 {
        if self.first.is_none() {
            return 0;
        }
        let more = self.more.get_or_insert_default();
        more.free.pop().unwrap_or_else(|| {
            more.wakers.push(None);
            more.wakers.len() as u32
        })
    }

    fn leave(&mut self, seat: u32) -> Option<Waker> {
        let left = self.seat(seat).take();
        if seat > 0 && left.is_some() {
            self.more.get_or_insert_default().free.push(seat);
        }
        left
    }

    fn seat(&mut self, seat: u32) -> &mut Option<Waker> {
        match seat.checked_sub(1) {
            None => &mut self.first,
            Some(at) => &mut self.more.get_or_insert_default().wakers[at as usize],
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outcome({}-{}: ", self.topic, self.partition)?;
        match self.verdict.get() {
            Some(verdict) => write!(f, "{verdict:?})"),
            None => f.write_str("pending)"),
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        // Never completed and nobody holds it: only a flush can still wait for it.
        if self.verdict.get().is_none() {
            self.flushes.completed(self.epoch, &mut Bin::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_that_were_left_are_taken_again() {
        let mut waiting = Waiting::default();
        let sit = |waiting: &mut Waiting| {
            let seat = waiting.free_seat();
            *waiting.seat(seat) = Some(Waker::noop().clone());
            seat
        };
        assert_eq!([(); 4].map(|()| sit(&mut waiting)), [0, 1, 2, 3]);
        assert!(waiting.leave(2).is_some() && waiting.leave(2).is_none());
        assert!(waiting.leave(0).is_some());
        assert_eq!([(); 3].map(|()| sit(&mut waiting)), [0, 2, 4]);
    }
}
