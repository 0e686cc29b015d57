//! The long way: closes batches, opens batches, gets memory.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use milena_record::{BatchHeader, MAX_RECORD_OVERHEAD, record_size_from};

use super::short::hand_out;
use super::{Place, Placed, Refused};
use crate::accumulator::Accumulator;
use crate::body::own;
use crate::clock::{Clock, Urgency};
use crate::lock::Held;
use crate::outcome::Outcome;
use crate::queue::{Need, Open, Queue, Start};
use crate::record::{AsRecord, Prepared, Target, Want};
use crate::room::Room;
use crate::stock::Stock;
use crate::topic::Topic;

/// What the long way prepares outside the partition's lock.
#[derive(Default)]
struct Supplies {
    stock: Stock,
    /// The tail of a batch for one large record.
    exact: Option<Vec<u8>>,
    outcome: Option<Arc<Outcome>>,
    created: Option<Instant>,
    /// The stock is a waiter's: there is no other.
    granted: bool,
}

/// A record as it came, with its timestamp.
pub(super) struct Input<'a, R> {
    pub(super) record: &'a R,
    pub(super) timestamp: i64,
}

impl<'a, R: AsRecord> Input<'a, R> {
    fn prepare(&self, compressed: bool) -> Prepared<'a> {
        let mut prepared = Prepared::EMPTY;
        prepared.fill(&self.record.record(), self.timestamp, compressed);
        prepared
    }
}

/// What the long way begins with.
pub(super) enum Memory {
    Unknown,
    /// Most of the time this is what it takes, and the partition is locked only once more.
    Foreseen(Foreseen),
    Room(Room),
}

/// What the short way lacked.
pub(super) struct Foreseen {
    need: Need,
    partition: u32,
    fresh: bool,
}

impl Accumulator {
    /// Goes on under the lock where the short way ended.
    #[cold]
    #[inline(never)]
    pub(super) fn append_locked<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        mut queue: Held<'_, Queue>,
        place: Place<'_>,
        input: Input<'_, R>,
        mut want: Want<'_>,
    ) -> Result<Placed, Refused> {
        let record = input.prepare(self.compressed);
        let memory = match self.lengthen(topic, &mut queue, place, record) {
            Ok(open) => {
                let (index, full) = (open.records - 1, open.is_full());
                let outcome = hand_out(open, index, &record, &mut want);
                let urgency = self.after(topic, place, &mut queue, full, clock);
                drop(queue);
                self.wake_for(topic, place, urgency);
                return Ok(Placed {
                    index,
                    partition: place.index,
                    outcome,
                });
            }
            Err(memory) => memory,
        };
        drop(queue);
        self.append_long(clock, topic, input, want, memory)
    }

    /// Writes a record for which the open batch lacks nothing but a chunk, if one is free. Otherwise says what it
    /// will need, as far as can be seen now.
    #[cold]
    #[inline(never)]
    pub(super) fn lengthen<'q>(
        &self,
        topic: &Topic,
        queue: &'q mut Queue,
        place: Place<'_>,
        record: Prepared<'_>,
    ) -> Result<&'q mut Open, Memory> {
        let record = &record;
        let open = queue.open.as_ref();
        let fits =
            |open: &&Open| self.gate.is_open_in(open.generation) && open.fits(open.size_of(record));
        let (need, fresh) = match open.filter(fits) {
            Some(_) => (self.need(queue, record), false),
            // The next batch will be elsewhere, and something may be open there.
            None if place.is_sticky() && self.is_done_here(topic, place, queue) => {
                return Err(Memory::Unknown);
            }
            None => (self.need_fresh(record), true),
        };
        let lacks_chunk = !fresh && need.chunks == 1 && need.loose == 0;
        let Some(mut stock) = lacks_chunk.then(|| self.pool.take_free()).flatten() else {
            return Err(Memory::Foreseen(Foreseen {
                need,
                partition: place.index,
                fresh,
            }));
        };
        let open = self.write_record(queue, place, &mut stock, record);
        open.ok_or(Memory::Unknown)
    }

    /// Appends a record for which the short way was not enough.
    #[cold]
    #[inline(never)]
    pub(super) fn append_long<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        input: Input<'_, R>,
        want: Want<'_>,
        memory: Memory,
    ) -> Result<Placed, Refused> {
        let record = input.prepare(self.compressed);
        let target = input.record.target();
        self.check_size(&record)?;
        let mut supplies = Supplies::default();
        match memory {
            Memory::Room(room) => {
                supplies.granted = true;
                supplies.stock = room.into_stock();
            }
            Memory::Foreseen(Foreseen {
                need,
                partition,
                fresh,
            }) => {
                if self.restock(&mut supplies, &need, fresh) && fresh {
                    self.prepare_batch(clock, topic, partition, &mut supplies, &need);
                }
            }
            Memory::Unknown => {}
        }
        let appended = self.append_with(clock, topic, target, &record, want, &mut supplies);
        self.pool.put(supplies.stock);
        appended
    }

    fn append_with<C: Clock>(
        &self,
        clock: &C,
        topic: &Topic,
        target: Target,
        record: &Prepared<'_>,
        mut want: Want<'_>,
        supplies: &mut Supplies,
    ) -> Result<Placed, Refused> {
        loop {
            let place = self.place(clock, topic, target, record)?;
            let Some(partition) = topic.find(place.index) else {
                return Err(no_such_partition(topic, place));
            };
            let mut queue = partition.lock();
            let generation = self.gate.check().map_err(Refused::Closed)?;
            if !place.holds() {
                continue;
            }
            self.close_if_unfit(&mut queue, generation, record);
            if place.is_sticky()
                && queue.open.is_none()
                && self.move_on(topic, place, &mut queue, clock)
            {
                self.release(topic, place, queue, None);
                continue;
            }
            let need = self.need(&queue, record);
            if supplies.cover(&need, &queue, place.index, self.pool.chunk_size()) {
                if queue.open.is_none() {
                    let timestamp = record.record.timestamp;
                    self.open(topic, &mut queue, supplies, &need, generation, timestamp);
                    topic.set_depth(place.index, queue.depth());
                    if place.is_sticky() {
                        queue.sticky += BatchHeader::LEN as u64;
                    }
                }
                // With an allocation of just its size, the record is copied even if its value could stay.
                let shared = record.shared.filter(|_| !need.exact);
                let record = Prepared { shared, ..*record };
                let Some(open) = self.write_record(&mut queue, place, &mut supplies.stock, &record)
                else {
                    continue;
                };
                let (index, full) = (open.records - 1, open.is_full());
                let outcome = hand_out(open, index, &record, &mut want);
                let urgency = self.after(topic, place, &mut queue, full, clock);
                self.release(topic, place, queue, urgency);
                return Ok(Placed {
                    index,
                    partition: place.index,
                    outcome,
                });
            }
            let short = need.bytes(self.pool.chunk_size()) > supplies.stock.bytes;
            let fresh = queue.open.is_none();
            if short && supplies.granted && !fresh {
                // What was granted is enough for a new batch.
                queue.close(&self.pool);
            }
            self.release(topic, place, queue, None);
            if short && supplies.granted {
                if fresh {
                    return Err(self.full(record));
                }
                continue;
            }
            if short && !self.restock(supplies, &need, fresh) {
                self.close_for_lack(topic, place, record);
                return Err(self.full(record));
            }
            self.pool.ready(&mut supplies.stock, need.chunks);
            if fresh {
                self.prepare_batch(clock, topic, place.index, supplies, &need);
            }
        }
    }

    /// Tells the sender what is new in a partition, and releases it.
    fn release(
        &self,
        topic: &Topic,
        place: Place<'_>,
        mut queue: Held<'_, Queue>,
        urgency: Option<Urgency>,
    ) {
        let urgency = urgency.or_else(|| self.report(topic, place, &mut queue));
        drop(queue);
        self.wake_for(topic, place, urgency);
    }

    /// Closes the open batch if it cannot take the record.
    fn close_if_unfit(&self, queue: &mut Queue, generation: u32, record: &Prepared<'_>) {
        let unfit = |open: &Open| open.generation != generation || !open.fits(open.size_of(record));
        if queue.open.as_ref().is_some_and(unfit) {
            queue.close(&self.pool);
        }
    }

    fn need(&self, queue: &Queue, record: &Prepared<'_>) -> Need {
        match &queue.open {
            Some(open) => {
                let shared = record.shared.map_or(0, Bytes::len);
                open.need(open.size_of(record), shared, self.pool.chunk_size())
            }
            None => self.need_fresh(record),
        }
    }

    fn need_fresh(&self, record: &Prepared<'_>) -> Need {
        let shared = record.shared.map_or(0, Bytes::len);
        let size = record_size_from(0, 0, record.parts);
        Need::fresh(size, shared, &self.limits, &self.pool)
    }

    /// Opens a batch from what was prepared.
    fn open(
        &self,
        topic: &Topic,
        queue: &mut Queue,
        supplies: &mut Supplies,
        need: &Need,
        generation: u32,
        timestamp: i64,
    ) {
        let tail = match supplies.exact.take().filter(|_| need.exact) {
            Some(exact) => {
                supplies.stock.bytes -= need.loose;
                exact
            }
            None => self.pool.use_chunk(&mut supplies.stock),
        };
        let prepared = (
            supplies.stock.pages.take(),
            supplies.outcome.take(),
            supplies.created,
        );
        let (Some(pages), Some(outcome), Some(created)) = prepared else {
            return;
        };
        supplies.stock.bytes -= need.upkeep;
        let start = Start {
            tail,
            pages,
            outcome,
            created,
            generation,
            timestamp,
            ratio: topic.ratios().ratio(self.limits.codec),
            upkeep: need.upkeep,
        };
        queue.open(start, &self.limits);
    }

    /// Writes a record into the open batch, with a stock that covers what it needs.
    fn write_record<'q>(
        &self,
        queue: &'q mut Queue,
        place: Place<'_>,
        stock: &mut Stock,
        record: &Prepared<'_>,
    ) -> Option<&'q mut Open> {
        let Queue { open, sticky, .. } = queue;
        let open = open.as_mut()?;
        let size = open.size_of(record);
        open.write_with(record, stock, &self.pool);
        self.count(open, sticky, place, size, record);
        Some(open)
    }

    /// Gets the memory that is needed, instead of what there is, ready to use. Whether there was enough.
    fn restock(&self, supplies: &mut Supplies, need: &Need, fresh: bool) -> bool {
        self.pool.put(mem::take(&mut supplies.stock));
        if need.bytes(self.pool.chunk_size()) == 0 {
            return true;
        }
        let bytes = need.bytes(self.pool.chunk_size());
        match self.pool.take(bytes, need.chunks, fresh) {
            Some(stock) => supplies.stock = stock,
            None => return false,
        }
        self.pool.ready(&mut supplies.stock, need.chunks);
        true
    }

    /// Allocates what allocations are needed, outside the lock.
    fn prepare_batch<C: Clock>(
        &self,
        clock: &C,
        topic: &Topic,
        partition: u32,
        supplies: &mut Supplies,
        need: &Need,
    ) {
        let pages = supplies
            .stock
            .pages
            .get_or_insert_with(|| self.pool.pages());
        let last = own(pages).take_outcome();
        if need.exact && !supplies.has_exact(need) {
            supplies.exact = Some(Vec::with_capacity(need.loose));
        }
        if !supplies.has_outcome(partition) {
            let name = topic.shared_name();
            supplies.outcome = Some(Outcome::new(name, partition as i32, &self.flushes, last));
        }
        supplies.created = Some(clock.now());
    }

    /// The batch that would have needed memory does not wait for it half full, unless it would go no sooner: behind
    /// older ones it has its turn after them, and may be full by then. If others wait for memory already, everything is
    /// on its way out anyway, and one of them may bring the chunk that this batch needs.
    fn close_for_lack(&self, topic: &Topic, place: Place<'_>, record: &Prepared<'_>) {
        if self.pool.is_waited_for() {
            return;
        }
        let Some(partition) = topic.find(place.index) else {
            return;
        };
        let mut queue = partition.lock();
        let goes_next = queue.open.is_some() && !queue.has_full();
        if goes_next && self.need(&queue, record).bytes(self.pool.chunk_size()) > 0 {
            queue.close(&self.pool);
        }
        self.release(topic, place, queue, None);
    }

    /// What to wait for: enough for this record wherever it lands.
    fn full(&self, record: &Prepared<'_>) -> Refused {
        let shared = record.shared.map_or(0, Bytes::len);
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
}

impl Supplies {
    fn has_exact(&self, need: &Need) -> bool {
        self.exact
            .as_ref()
            .is_some_and(|exact| exact.capacity() == need.loose)
    }

    fn has_outcome(&self, partition: u32) -> bool {
        self.outcome
            .as_ref()
            .is_some_and(|outcome| outcome.partition() == partition as i32)
    }

    /// Whether all is here that the record needs, so that nothing is allocated under the lock.
    fn cover(&self, need: &Need, queue: &Queue, partition: u32, chunk: usize) -> bool {
        let memory = self.stock.bytes >= need.bytes(chunk) && self.stock.chunks() >= need.chunks;
        let exact = !need.exact || self.has_exact(need);
        let fresh = || self.has_outcome(partition) && self.stock.pages.is_some();
        memory && exact && (queue.open.is_some() || fresh())
    }
}

#[cold]
fn no_such_partition(topic: &Topic, place: Place<'_>) -> Refused {
    Refused::NoSuchPartition {
        partition: place.index as i32,
        count: topic.partition_count(),
    }
}
