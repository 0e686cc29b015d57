//! The path of a record into a batch: a short way for nearly all, a long one when memory or a new batch is needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use milena_partitioner::{partition_for_key, should_switch};
use milena_record::{MAX_RECORD_OVERHEAD, record_size_from};

use crate::accumulator::Accumulator;
use crate::clock::{Clock, Urgency};
use crate::delivery::{Deliveries, Delivery};
use crate::gate::CloseReason;
use crate::inbox::{News, What};
use crate::outcome::{CallbackEntry, Outcome};
use crate::pool::{Room, Stock};
use crate::queue::{Change, Need, Open, Queue, Start};
use crate::record::{AsRecord, Prepared, Record, Target, Want};
use crate::topic::{Found, Topic};

/// A record that is in a batch now.
#[derive(Debug)]
pub struct Appended {
    /// The partition it went to.
    pub partition: i32,
    /// Its delivery, if one was wanted.
    pub delivery: Option<Delivery>,
}

/// Why a record was not appended. Nothing of it is left anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no memory, or others wait for it: wait for room of so many bytes, and append with it.
    #[error("buffer.memory is used up, {bytes} bytes are needed")]
    Full {
        /// What to wait for.
        bytes: usize,
    },
    /// It can never be appended.
    #[error(
        "the record may take {size} bytes, {limit} are allowed by max.request.size and buffer.memory"
    )]
    TooLarge {
        /// The most it may take in a request.
        size: usize,
        /// The smaller of `max.request.size` and `buffer.memory`.
        limit: usize,
    },
    /// The topic has fewer partitions, as far as is known: wait for the topic with this partition.
    #[error("the topic has {count} partitions, there is no partition {partition}")]
    NoSuchPartition {
        /// What was asked for.
        partition: i32,
        /// How many there are.
        count: i32,
    },
    /// No more records are taken.
    #[error("the producer is closed ({0})")]
    Closed(CloseReason),
}

/// Where a record goes: the partition, and whether that was the sticky choice.
#[derive(Clone, Copy)]
struct Place {
    index: u32,
    sticky: bool,
}

/// What the long way prepares outside the partition's lock.
#[derive(Default)]
struct Supplies {
    stock: Stock,
    /// The tail of a batch for one large record.
    exact: Option<Vec<u8>>,
    outcome: Option<Arc<Outcome>>,
    created: Option<std::time::Instant>,
    /// The stock is a waiter's: there is no other.
    granted: bool,
}

impl Accumulator {
    /// Appends one record, or says why not. Never waits.
    ///
    /// `room` is what [`wait_room`](Self::wait_room) granted after a [`Refused::Full`]; what is not needed of it goes
    /// back at once.
    ///
    /// # Errors
    ///
    /// [`Refused`]; a callback stays with the caller then.
    #[inline]
    pub fn append<C: Clock>(
        &self,
        clock: &C,
        topic: &Topic,
        target: Target,
        record: &Record<'_>,
        want: Want<'_>,
        room: Option<Room>,
    ) -> Result<Appended, Refused> {
        let timestamp = match record.timestamp {
            Some(timestamp) => timestamp,
            None => clock.wall_ms(),
        };
        let record = Prepared::new(record, timestamp, self.compressed);
        self.check_size(&record)?;
        if record.shared.is_none() && room.is_none() {
            let place = self.place(topic, target, &record)?;
            if let Some(found) = topic.find(place.index) {
                let mut queue = found.partition.lock();
                if self.may_stay(topic, place) {
                    let generation = self.gate.check().map_err(Refused::Closed)?;
                    if let Some(open) = self.write(&mut queue, place, generation, &record) {
                        let delivery = hand_out(open, &record, want);
                        let urgency = self.after(topic, found, place, &mut queue, clock);
                        drop(queue);
                        if let Some(urgency) = urgency {
                            self.wake(found.leader(), urgency);
                        }
                        return Ok(Appended {
                            partition: place.index as i32,
                            delivery,
                        });
                    }
                }
            }
        }
        self.append_slow(clock, topic, target, &record, want, room)
    }

    /// Appends records in order until all are in or one is refused: how many went in, and why not more. Neighbours to
    /// the same partition share one lock, and all share one reading of the clock.
    ///
    /// Each appended record is added to `deliveries`, if given.
    pub fn append_many<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        records: &[R],
        mut deliveries: Option<&mut Deliveries>,
        mut room: Option<Room>,
    ) -> (usize, Option<Refused>) {
        let wall_ms = clock.wall_ms();
        let mut done = 0;
        loop {
            if room.is_none() {
                match self.append_run(clock, topic, &records[done..], wall_ms, &mut deliveries) {
                    Ok(run) => done += run,
                    Err((run, refused)) => return (done + run, Some(refused)),
                }
            }
            let Some(next) = records.get(done) else {
                return (done, None);
            };
            let record = next.record();
            let timestamp = record.timestamp.unwrap_or(wall_ms);
            let prepared = Prepared::new(&record, timestamp, self.compressed);
            let want = match deliveries {
                Some(_) => Want::Delivery,
                None => Want::Nothing,
            };
            let appended = self.check_size(&prepared).and_then(|()| {
                self.append_slow(clock, topic, next.target(), &prepared, want, room.take())
            });
            match (appended, deliveries.as_deref_mut()) {
                (Ok(appended), Some(deliveries)) => deliveries.extend(appended.delivery),
                (Ok(_), None) => {}
                (Err(refused), _) => return (done, Some(refused)),
            }
            done += 1;
        }
    }

    /// Appends what goes the short way, and stops before what does not.
    fn append_run<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        records: &[R],
        wall_ms: i64,
        deliveries: &mut Option<&mut Deliveries>,
    ) -> Result<usize, (usize, Refused)> {
        let mut done = 0;
        let mut next = records
            .first()
            .map(|first| self.prepare(topic, first, wall_ms));
        while let Some(prepared) = next.take() {
            let (place, record) = prepared.map_err(|refused| (done, refused))?;
            let Some(found) = topic.find(place.index) else {
                return Ok(done);
            };
            let mut queue = found.partition.lock();
            let generation = match self.gate.check() {
                Ok(generation) => generation,
                Err(reason) => return Err((done, Refused::Closed(reason))),
            };
            let (mut record, mut urgency) = (record, None);
            loop {
                if record.shared.is_some() || !self.may_stay(topic, place) {
                    break;
                }
                let Some(open) = self.write(&mut queue, place, generation, &record) else {
                    break;
                };
                if let Some(deliveries) = deliveries {
                    deliveries.push(&open.outcome, open.records - 1, record.about());
                }
                urgency = self
                    .after(topic, found, place, &mut queue, clock)
                    .or(urgency);
                done += 1;
                let Some(following) = records.get(done) else {
                    break;
                };
                match self.prepare(topic, following, wall_ms) {
                    Ok((other, following))
                        if other.index == place.index && other.sticky == place.sticky =>
                    {
                        record = following;
                    }
                    other => {
                        next = Some(other);
                        break;
                    }
                }
            }
            drop(queue);
            if let Some(urgency) = urgency {
                self.wake(found.leader(), urgency);
            }
        }
        Ok(done)
    }

    #[inline]
    fn prepare<'r, R: AsRecord>(
        &self,
        topic: &Topic,
        record: &'r R,
        wall_ms: i64,
    ) -> Result<(Place, Prepared<'r>), Refused> {
        let target = record.target();
        let record = record.record();
        let timestamp = record.timestamp.unwrap_or(wall_ms);
        let record = Prepared::new(&record, timestamp, self.compressed);
        self.check_size(&record)?;
        Ok((self.place(topic, target, &record)?, record))
    }

    #[inline]
    fn check_size(&self, record: &Prepared<'_>) -> Result<(), Refused> {
        let size = 61 + MAX_RECORD_OVERHEAD + record.parts;
        if size > self.largest {
            return Err(Refused::TooLarge {
                size,
                limit: self.largest,
            });
        }
        Ok(())
    }

    #[inline]
    fn place(
        &self,
        topic: &Topic,
        target: Target,
        record: &Prepared<'_>,
    ) -> Result<Place, Refused> {
        let index = match (target, record.record.key) {
            (Target::Partition(partition), _) => {
                let count = topic.partition_count();
                if partition < 0 || partition >= count {
                    return Err(Refused::NoSuchPartition { partition, count });
                }
                partition as u32
            }
            (Target::Any, Some(key)) if !self.config.ignore_keys => {
                partition_for_key(key, topic.partition_count()) as u32
            }
            _ => {
                return Ok(Place {
                    index: topic.sticky.load(Ordering::Relaxed),
                    sticky: true,
                });
            }
        };
        Ok(Place {
            index,
            sticky: false,
        })
    }

    /// Under the lock of a partition that was the sticky one before: is it still? Only who holds this lock can change
    /// that.
    #[inline]
    fn may_stay(&self, topic: &Topic, place: Place) -> bool {
        !place.sticky || topic.sticky.load(Ordering::Relaxed) == place.index
    }

    /// The short way: the open batch takes the record, and its last chunk has space for it.
    #[inline]
    fn write<'q>(
        &self,
        queue: &'q mut Queue,
        place: Place,
        generation: u32,
        record: &Prepared<'_>,
    ) -> Option<&'q mut Open> {
        let Queue { open, sticky, .. } = queue;
        let open = open.as_mut()?;
        let size = open.size_of(record);
        if size > open.space() || !open.fits(size, &self.limits) || open.generation != generation {
            return None;
        }
        open.write(record);
        let grown = self.count(open, size, record);
        if place.sticky {
            *sticky += grown;
        }
        Some(open)
    }

    /// Counts a written record; returns by how much the batch is estimated to have grown.
    #[inline]
    fn count(&self, open: &mut Open, size: usize, record: &Prepared<'_>) -> u64 {
        if !self.compressed {
            open.count(size, record.record.timestamp);
            return size as u64;
        }
        let before = open.estimate(&self.limits);
        open.count(size, record.record.timestamp);
        (open.estimate(&self.limits) - before) as u64
    }

    /// After a record was written: closes the batch if it is full, moves the sticky choice on if it is time to.
    /// Returns whether somebody is to be woken, once the lock is released.
    #[inline]
    fn after<C: Clock>(
        &self,
        topic: &Topic,
        found: Found<'_>,
        place: Place,
        queue: &mut Queue,
        clock: &C,
    ) -> Option<Urgency> {
        let full = queue
            .open
            .as_ref()
            .is_some_and(|open| open.is_full(&self.limits));
        if full || (place.sticky && queue.sticky >= self.limits.batch as u64) {
            if full {
                queue.close();
            }
            if place.sticky {
                self.move_on(topic, queue, clock);
            }
            return self.report(found, queue);
        }
        None
    }

    /// Chooses the next sticky partition, if enough bytes went to this one. Returns whether it did.
    #[cold]
    fn move_on<C: Clock>(&self, topic: &Topic, queue: &mut Queue, clock: &C) -> bool {
        let batch = self.limits.batch as u64;
        if !should_switch(queue.sticky, batch, queue.open.is_some()) {
            return false;
        }
        queue.sticky = 0;
        let next = topic.choose(&self.rules(), || clock.now());
        topic.sticky.store(next, Ordering::Relaxed);
        true
    }

    /// Tells the sender's inbox what is new in a partition. Under its lock, so that the sender never reads it before
    /// it is true, nor after it took what it is about.
    #[cold]
    fn report(&self, found: Found<'_>, queue: &mut Queue) -> Option<Urgency> {
        let (what, urgency) = match queue.change()? {
            Change::Opened(at) => {
                let deadline = at + self.config.linger;
                (What::Opened { at }, Urgency::Opened { deadline })
            }
            Change::Filled(at) => (What::Filled { at }, Urgency::Now),
        };
        self.inbox.push(News {
            slot: found.partition.slot,
            what,
        });
        Some(urgency)
    }

    /// The long way: closes batches, opens batches, gets memory.
    #[cold]
    #[inline(never)]
    fn append_slow<C: Clock>(
        &self,
        clock: &C,
        topic: &Topic,
        target: Target,
        record: &Prepared<'_>,
        want: Want<'_>,
        room: Option<Room>,
    ) -> Result<Appended, Refused> {
        let mut supplies = Supplies {
            granted: room.is_some(),
            stock: room.map(Room::into_stock).unwrap_or_default(),
            ..Supplies::default()
        };
        let appended = self.append_with(clock, topic, target, record, want, &mut supplies);
        self.pool.put(supplies.stock);
        appended
    }

    fn append_with<C: Clock>(
        &self,
        clock: &C,
        topic: &Topic,
        target: Target,
        record: &Prepared<'_>,
        want: Want<'_>,
        supplies: &mut Supplies,
    ) -> Result<Appended, Refused> {
        loop {
            let place = self.place(topic, target, record)?;
            let Some(found) = topic.find(place.index) else {
                return Err(no_such_partition(topic, place));
            };
            let mut queue = found.partition.lock();
            let generation = self.gate.check().map_err(Refused::Closed)?;
            if !self.may_stay(topic, place) {
                continue;
            }
            self.close_if_unfit(&mut queue, generation, record);
            if place.sticky && queue.open.is_none() && self.move_on(topic, &mut queue, clock) {
                let urgency = self.report(found, &mut queue);
                drop(queue);
                self.wake_for(found, urgency);
                continue;
            }
            let need = self.need(&queue, record);
            if supplies.cover(&need, &queue, place, self.pool.chunk_size()) {
                if queue.open.is_none() {
                    self.open(
                        topic, found, &mut queue, supplies, &need, generation, record,
                    );
                    if place.sticky {
                        queue.sticky += 61;
                    }
                }
                let delivery = self.write_slow(&mut queue, place, supplies, record, want);
                let urgency = self.after(topic, found, place, &mut queue, clock);
                let urgency = urgency.or_else(|| self.report(found, &mut queue));
                drop(queue);
                self.wake_for(found, urgency);
                return Ok(Appended {
                    partition: place.index as i32,
                    delivery,
                });
            }
            let short = need.bytes(self.pool.chunk_size()) > supplies.stock.bytes;
            let fresh = queue.open.is_none();
            if short && supplies.granted && !fresh {
                // What was granted is enough for a new batch.
                queue.close();
            }
            let urgency = self.report(found, &mut queue);
            drop(queue);
            self.wake_for(found, urgency);
            if short && supplies.granted {
                if fresh {
                    return Err(self.full(record));
                }
                continue;
            }
            if short && !self.restock(supplies, &need, fresh) {
                self.close_for_lack(found, record);
                return Err(self.full(record));
            }
            self.prepare_supplies(clock, topic, place, supplies, &need, fresh);
        }
    }

    /// Closes the open batch if it cannot take the record.
    fn close_if_unfit(&self, queue: &mut Queue, generation: u32, record: &Prepared<'_>) {
        let unfit = queue.open.as_ref().is_some_and(|open| {
            open.generation != generation || !open.fits(open.size_of(record), &self.limits)
        });
        if unfit {
            queue.close();
        }
    }

    fn need(&self, queue: &Queue, record: &Prepared<'_>) -> Need {
        let shared = record.shared.map_or(0, bytes::Bytes::len);
        match &queue.open {
            Some(open) => open.need(open.size_of(record), shared, self.pool.chunk_size()),
            None => {
                let size = record_size_from(0, 0, record.parts);
                Need::fresh(size, shared, &self.limits, &self.pool)
            }
        }
    }

    fn open(
        &self,
        topic: &Topic,
        found: Found<'_>,
        queue: &mut Queue,
        supplies: &mut Supplies,
        need: &Need,
        generation: u32,
        record: &Prepared<'_>,
    ) {
        let tail = match supplies.exact.take().filter(|_| need.exact) {
            Some(exact) => {
                supplies.stock.bytes -= need.loose;
                exact
            }
            None => self.pool.use_chunk(&mut supplies.stock),
        };
        let (Some(outcome), Some(created)) = (supplies.outcome.take(), supplies.created) else {
            return;
        };
        queue.open(Start {
            tail,
            chunks: supplies.stock.list.take().unwrap_or_default(),
            outcome,
            created,
            generation,
            timestamp: record.record.timestamp,
            ratio: topic.ratios().ratio(self.limits.codec),
        });
        found.set_depth(queue.depth());
    }

    fn write_slow(
        &self,
        queue: &mut Queue,
        place: Place,
        supplies: &mut Supplies,
        record: &Prepared<'_>,
        want: Want<'_>,
    ) -> Option<Delivery> {
        let Queue { open, sticky, .. } = queue;
        let open = open.as_mut()?;
        let size = open.size_of(record);
        open.write_with(record, &mut supplies.stock, &self.pool);
        let grown = self.count(open, size, record);
        if place.sticky {
            *sticky += grown;
        }
        hand_out(open, record, want)
    }

    /// Gets the memory that is needed, instead of what there is. Whether there was enough.
    fn restock(&self, supplies: &mut Supplies, need: &Need, fresh: bool) -> bool {
        self.pool.put(std::mem::take(&mut supplies.stock));
        let bytes = need.bytes(self.pool.chunk_size());
        match self.pool.take(bytes, need.chunks, fresh) {
            Some(stock) => supplies.stock = stock,
            None => return false,
        }
        true
    }

    /// Allocates what allocations are needed, outside the lock.
    fn prepare_supplies<C: Clock>(
        &self,
        clock: &C,
        topic: &Topic,
        place: Place,
        supplies: &mut Supplies,
        need: &Need,
        fresh: bool,
    ) {
        self.pool.ready(&mut supplies.stock, need.chunks);
        if !fresh {
            return;
        }
        if supplies.stock.list.is_none() {
            supplies.stock.list = Some(self.pool.list());
        }
        if need.exact && !supplies.has_exact(need) {
            supplies.exact = Some(Vec::with_capacity(need.loose));
        }
        if !supplies.has_outcome(place) {
            let partition = place.index as i32;
            supplies.outcome = Some(Outcome::new(topic.shared_name(), partition, &self.flushes));
        }
        supplies.created = Some(clock.now());
    }

    /// The batch that would have needed memory does not wait for it half full. If others wait for memory already,
    /// everything is on its way out anyway, and one of them may bring the chunk that this batch needs.
    fn close_for_lack(&self, found: Found<'_>, record: &Prepared<'_>) {
        if self.pool.is_waited_for() {
            return;
        }
        let mut queue = found.partition.lock();
        if queue.open.is_some() && self.need(&queue, record).bytes(self.pool.chunk_size()) > 0 {
            queue.close();
        }
        let urgency = self.report(found, &mut queue);
        drop(queue);
        self.wake_for(found, urgency);
    }

    /// What to wait for: enough for this record wherever it lands.
    fn full(&self, record: &Prepared<'_>) -> Refused {
        let shared = record.shared.map_or(0, bytes::Bytes::len);
        let chunk = self.pool.chunk_size();
        let first = record_size_from(0, 0, record.parts);
        let fresh = Need::fresh(first, shared, &self.limits, &self.pool);
        let later = Need::fresh(
            MAX_RECORD_OVERHEAD + record.parts,
            shared,
            &self.limits,
            &self.pool,
        );
        let bytes = fresh.bytes(chunk).max(later.bytes(chunk));
        Refused::Full {
            bytes: bytes.min(self.pool.total()),
        }
    }

    fn wake_for(&self, found: Found<'_>, urgency: Option<Urgency>) {
        if let Some(urgency) = urgency {
            self.wake(found.leader(), urgency);
        }
    }
}

impl Supplies {
    fn has_exact(&self, need: &Need) -> bool {
        self.exact
            .as_ref()
            .is_some_and(|exact| exact.capacity() == need.loose)
    }

    fn has_outcome(&self, place: Place) -> bool {
        self.outcome
            .as_ref()
            .is_some_and(|outcome| outcome.partition() == place.index as i32)
    }

    /// Whether all is here that the record needs, so that nothing is allocated under the lock.
    fn cover(&self, need: &Need, queue: &Queue, place: Place, chunk: usize) -> bool {
        let memory = self.stock.bytes >= need.bytes(chunk) && self.stock.chunks() >= need.chunks;
        let exact = !need.exact || self.has_exact(need);
        let fresh = || self.has_outcome(place) && self.stock.list.is_some();
        memory && exact && (queue.open.is_some() || fresh())
    }
}

/// What the caller wanted to have of a record that was just written to `open`.
#[inline]
fn hand_out(open: &mut Open, record: &Prepared<'_>, want: Want<'_>) -> Option<Delivery> {
    let index = open.records - 1;
    match want {
        Want::Nothing => None,
        Want::Delivery => Some(Delivery::new(
            Arc::clone(&open.outcome),
            index,
            record.about(),
        )),
        Want::Callback(callback) => {
            let about = record.about();
            let entry = callback
                .take()
                .map(|call| CallbackEntry { index, about, call });
            open.callbacks.extend(entry);
            None
        }
    }
}

#[cold]
fn no_such_partition(topic: &Topic, place: Place) -> Refused {
    Refused::NoSuchPartition {
        partition: place.index as i32,
        count: topic.partition_count(),
    }
}
