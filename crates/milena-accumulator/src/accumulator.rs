//! The accumulator: what users' threads and the sender share.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use milena_record::{BatchHeader, Codec};

use crate::batch::{Batch, Rest, Taken};
use crate::bin::Bin;
use crate::clock::{Urgency, Wake};
use crate::config::{Config, chunk_size};
use crate::failure::{BatchFailure, BrokerError, FailureReason, Fate};
use crate::flush::{Flush, Flushes};
use crate::gate::{CloseReason, Gate};
use crate::inbox::{Inbox, News};
use crate::outcome::Verdict;
use crate::pace::WaitPace;
use crate::pool::Pool;
use crate::queue::{Limits, Open};
use crate::registry::{Registry, TopicError, WaitTopic};
use crate::room::WaitRoom;
use crate::sticky::{Latencies, Rules};
use crate::topic::{Partition, Slot, Topic};

/// Where records wait.
///
/// Users' threads [append](Self::append); the sender reads [news](Self::drain_news) and [takes](Self::take) batches.
/// Shared by reference or in an [`Arc`]. An appender takes the lock of one partition, and never one of the sender's.
/// The sender may call everything here under a lock of its own; what has to happen outside is put into a [`Bin`].
pub struct Accumulator {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) compressed: bool,
    /// The largest record, by its upper bound.
    pub(crate) largest: usize,
    pub(crate) gate: Gate,
    pub(crate) pool: Arc<Pool>,
    pub(crate) inbox: Inbox,
    pub(crate) flushes: Arc<Flushes>,
    latencies: Latencies,
    registry: Arc<Registry>,
    wake: OnceLock<Arc<dyn Wake>>,
}

/// Plain counters, read without stopping anybody: each is right, together they may be a moment apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// `buffer.memory`.
    pub buffer_total: usize,
    /// Bytes of it that nothing is charged to.
    pub buffer_available: usize,
    /// Bytes of one pooled chunk.
    pub chunk_size: usize,
    /// Chunks that are kept for reuse; part of what is available.
    pub free_chunks: usize,
    /// Callers that wait for memory.
    pub memory_waiters: usize,
    /// Callers that waited for memory in vain.
    pub memory_exhausted: u64,
    /// Callers that wait for a topic.
    pub topic_waiters: usize,
    /// Batches that are not complete: open, waiting or in flight.
    pub incomplete_batches: usize,
    /// Topics that are known.
    pub topics: usize,
    /// Partitions that ever were.
    pub partitions: usize,
}

impl Snapshot {
    /// Bytes that something is charged to.
    pub fn buffered(&self) -> usize {
        self.buffer_total - self.buffer_available
    }
}

impl Accumulator {
    /// An empty one. `seed` decides the random choices of partitions.
    pub fn new(config: Config, seed: u64) -> Self {
        let batch = config.batch_size.max(1);
        let codec = config.compression.codec();
        Self {
            limits: Limits {
                batch,
                raw: config
                    .max_request_size
                    .saturating_sub(BatchHeader::LEN)
                    .min(i32::MAX as usize / 2),
                codec,
            },
            compressed: codec != Codec::None,
            largest: config.max_request_size.min(config.buffer_memory),
            gate: Gate::default(),
            pool: Arc::new(Pool::new(config.buffer_memory, chunk_size(&config), batch)),
            inbox: Inbox::default(),
            flushes: Arc::default(),
            latencies: Latencies::default(),
            registry: Arc::new(Registry::new(seed)),
            wake: OnceLock::new(),
            config,
        }
    }

    /// Sets whom to wake. Once, before the first append; until then nobody is.
    pub fn set_wake(&self, wake: Arc<dyn Wake>) {
        // A second one is a mistake without consequence: the first stays.
        let _ = self.wake.set(wake);
    }

    /// What it was built with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn wake(&self, leader: i32, urgency: Urgency) {
        if let Some(wake) = self.wake.get() {
            wake.wake(leader, urgency);
        }
    }

    /// Wakes whoever sends what is in a partition.
    #[cold]
    pub(crate) fn wake_leader(&self, topic: &Topic, index: u32, urgency: Urgency) {
        let leader = topic.find(index).map_or(-1, Partition::leader);
        self.wake(leader, urgency);
    }

    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules {
            adaptive: self.config.adaptive,
            timeout: self.config.availability_timeout,
            latencies: &self.latencies,
        }
    }
}

/// For those who append.
impl Accumulator {
    /// A topic, if it is known.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.registry.get(name).map(Arc::clone)
    }

    /// A topic, if it is known, lent: for those who append one record. Takes no lock and touches no reference count.
    #[inline]
    pub fn find_topic(&self, name: &str) -> Option<&Topic> {
        self.registry.get(name).map(|topic| &**topic)
    }

    /// Waits until a topic is known, and has the partition `min_partition` if one is given.
    ///
    /// The sender is told to ask for it. `deadline` is fired by [`fire_deadlines`](Self::fire_deadlines), unless it
    /// has come by `now`. Cancel-safe.
    pub fn wait_topic(
        &self,
        now: Instant,
        name: &str,
        min_partition: Option<i32>,
        deadline: Instant,
    ) -> WaitTopic {
        let (id, look) = self.registry.join(now, name, min_partition, deadline);
        let wait = WaitTopic::new(&self.registry, id);
        if look {
            self.wake(-1, Urgency::Now);
        }
        wait
    }

    /// Waits for memory, after an append was [refused](crate::Refused::Full) for lack of so many bytes.
    ///
    /// Strictly first come, first served, from the moment of this call. While anybody waits, appends that need memory
    /// are refused. `deadline` is fired by [`fire_deadlines`](Self::fire_deadlines), unless it has come by `now`.
    /// Cancel-safe.
    pub fn wait_room(&self, now: Instant, bytes: usize, deadline: Instant) -> WaitRoom {
        let joined = self.pool.join(now, bytes, deadline);
        let wait = WaitRoom::new(&self.pool, joined.id);
        if joined.first {
            // Everything that is open can be sent now.
            self.wake(-1, Urgency::Now);
        } else if joined.earliest {
            self.wake(-1, Urgency::Opened { deadline });
        }
        wait
    }

    /// Whether batches under way, closed and not done with, have more bytes than connections that keep up need.
    ///
    /// That is 2 MiB or four batches, and more where twice as much goes by in the same time; what has been under way for
    /// 20 ms does not count. Whoever appends in a loop does well to [wait](Self::wait_pace) then: what is sent soon is
    /// still in the processor's cache, and a loop that finds memory each time would keep its thread from the sender
    /// until there is none.
    #[inline(always)]
    pub fn is_ahead(&self) -> bool {
        self.pool.way.is_ahead()
    }

    /// Waits while that [is so](Self::is_ahead), and 10 ms at the most for each doubling of the limit, of which there
    /// are as many as it takes to reach `buffer.memory`: it is there to be used where connections stand still. What the
    /// limit has grown by so goes again with sixteen times as much that is sent, and at once when all is.
    ///
    /// Those who wait go on in the order they came. [`fire_deadlines`](Self::fire_deadlines) has to be called as for
    /// other waits. Cancel-safe.
    pub fn wait_pace(&self, now: Instant) -> WaitPace {
        let joined = self.pool.join_pace(now);
        let wait = WaitPace::new(&self.pool, joined.map(|(id, _)| id));
        if let Some((_, Some(deadline))) = joined {
            self.wake(-1, Urgency::Opened { deadline });
        }
        wait
    }

    /// Whether somebody [waits so](Self::wait_pace) or is about to go on: what is open will be filled soon.
    pub fn is_paced(&self) -> bool {
        self.pool.way.is_paced()
    }

    /// Begins a flush: everything appended before is sent without lingering. Await it, or drop it to end it.
    pub fn flush(&self) -> Flush {
        let flush = self.flushes.begin();
        self.wake(-1, Urgency::Now);
        flush
    }
}

/// For the sender.
impl Accumulator {
    /// Moves all news to the end of `into`.
    pub fn drain_news(&self, into: &mut Vec<News>) {
        self.inbox.drain(into);
    }

    /// Moves the names of topics that somebody began to wait for to the end of `into`. Each comes once, until nobody
    /// waits for it and somebody begins to again.
    pub fn drain_wanted_topics(&self, into: &mut Vec<Arc<str>>) {
        self.registry.drain_wanted(into);
    }

    /// Whether somebody waits for this topic, or for a partition that it does not have.
    pub fn is_topic_wanted(&self, name: &str) -> bool {
        self.registry.is_wanted(name)
    }

    /// Closes the oldest batch of a partition, full or not, and hands it over. `None` if there is none.
    pub fn take(&self, slot: Slot) -> Option<Taken> {
        let (topic, index) = self.registry.slot(slot)?;
        self.take_from(&topic, index as i32)
    }

    /// The same for a partition of a topic that is at hand.
    pub fn take_from(&self, topic: &Arc<Topic>, partition: i32) -> Option<Taken> {
        let index = u32::try_from(partition).ok()?;
        let partition = topic.find(index)?;
        let mut queue = partition.lock();
        let open = queue.take(&self.pool)?;
        let rest = queue.rest();
        topic.set_depth(index, queue.depth());
        drop(queue);
        let slot = partition.slot;
        let batch = open.into_batch(slot, Arc::clone(topic), index, &self.pool);
        Some(Taken { batch, rest })
    }

    /// What waits in a partition. News can be older than what was taken since; this is not.
    pub fn waiting(&self, slot: Slot) -> Rest {
        let found = self.registry.slot(slot);
        let rest = found.and_then(|(topic, index)| Some(topic.find(index)?.lock().rest()));
        rest.unwrap_or(Rest::Nothing)
    }

    /// Takes the batches of a partition that were opened before `created_before`, oldest first: they have reached
    /// `delivery.timeout.ms` without being sent.
    pub fn expire(&self, slot: Slot, created_before: Instant) -> Vec<Batch> {
        self.take_while(slot, Some(created_before))
    }

    /// Takes all batches of a partition, oldest first.
    pub fn take_all(&self, slot: Slot) -> Vec<Batch> {
        self.take_while(slot, None)
    }

    fn take_while(&self, slot: Slot, created_before: Option<Instant>) -> Vec<Batch> {
        let Some((topic, index)) = self.registry.slot(slot) else {
            return Vec::new();
        };
        let Some(partition) = topic.find(index) else {
            return Vec::new();
        };
        let mut queue = partition.lock();
        let take = || match created_before {
            Some(created) => queue.take_before(created, &self.pool),
            None => queue.take(&self.pool),
        };
        let taken: Vec<Open> = std::iter::from_fn(take).collect();
        topic.set_depth(index, queue.depth());
        drop(queue);
        taken
            .into_iter()
            .map(|open| open.into_batch(slot, Arc::clone(&topic), index, &self.pool))
            .collect()
    }

    /// Whether linger holds nothing back: somebody waits for memory, a flush runs, or no more records are taken.
    #[inline]
    pub fn pressed(&self) -> bool {
        self.pool.is_waited_for() || self.ends()
    }

    /// Whether everything is to go, full or not: a flush runs, or no more records are taken.
    #[inline]
    pub fn ends(&self) -> bool {
        self.flushes.is_running() || self.gate.check().is_err()
    }

    /// The topic and partition of a slot.
    pub fn partition(&self, slot: Slot) -> Option<(Arc<Topic>, i32)> {
        let (topic, index) = self.registry.slot(slot)?;
        Some((topic, index as i32))
    }

    /// How many slots there are: all numbers below are slots.
    pub fn slots(&self) -> u32 {
        self.registry.slots()
    }

    /// Takes over what the metadata says of a topic: its id (zeros if there are no ids) and the leader of each of its
    /// partitions. Answers those who wait for it. Returns the slots of partitions never seen before, in order.
    ///
    /// A topic that was forgotten, or deleted and made anew, gets its old slots again.
    pub fn put_topic(
        &self,
        name: &str,
        id: [u8; 16],
        leaders: &[Option<i32>],
        bin: &mut Bin,
    ) -> Vec<Slot> {
        self.registry.put(name, id, leaders, bin)
    }

    /// Notes a change of leader, a hint for wake-ups and for the choice of partitions.
    pub fn set_leader(&self, slot: Slot, leader: Option<i32>) {
        if let Some((topic, index)) = self.registry.slot(slot) {
            topic.set_leader(index, leader);
        }
    }

    /// Notes that there was data for a node, and whether it could be sent to; `partitioner.availability.timeout.ms`
    /// is counted from here.
    pub fn note_ready_node(&self, now: Instant, node: i32, sendable: bool) {
        if self.config.availability_timeout.is_some() {
            self.latencies.note(now, node, sendable);
        }
    }

    /// A topic is not known any more. Handles to it stay valid, and what was appended stays.
    pub fn forget_topic(&self, name: &str) -> bool {
        self.registry.forget(name)
    }

    /// Fails all who wait for a topic.
    pub fn fail_topic(&self, name: &str, error: &TopicError, bin: &mut Bin) {
        self.registry.fail(name, error, bin);
    }

    /// Notes what keeps a topic from being known, for those who wait now and whose time runs out.
    pub fn note_topic_error(&self, name: &str, error: BrokerError) {
        self.registry.note_error(name, error);
    }

    /// The earliest deadline of anybody who waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        let room = self.pool.next_deadline();
        let topic = self.registry.next_deadline();
        room.into_iter().chain(topic).min()
    }

    /// Ends the waits whose deadline has come.
    pub fn fire_deadlines(&self, now: Instant, bin: &mut Bin) {
        self.pool.fire_deadlines(now, bin);
        self.registry.fire_deadlines(now, bin);
    }

    /// Takes no more records, and fails all who wait. What was appended stays, and can be taken; nothing of it lingers.
    pub fn close(&self, reason: CloseReason, bin: &mut Bin) {
        self.shut(reason, bin);
        self.wake(-1, Urgency::Now);
    }

    fn shut(&self, reason: CloseReason, bin: &mut Bin) {
        self.gate.close(reason);
        self.pool.close(reason, bin);
        self.registry.close(reason, bin);
    }

    /// Takes records again, after a failed transaction was aborted; in a new generation, which is returned.
    ///
    /// # Errors
    ///
    /// The reason, if it was closed for good.
    pub fn reopen(&self) -> Result<u32, CloseReason> {
        let generation = self.gate.open()?;
        self.pool.open();
        self.registry.open();
        Ok(generation)
    }

    /// Why no records are taken, if so.
    pub fn closed(&self) -> Option<CloseReason> {
        self.gate.check().err()
    }

    /// [Closes](Self::close), and completes every batch that was not taken with `failure`. Batches already taken are
    /// their holder's to complete. Returns how many batches.
    pub fn abort(&self, reason: CloseReason, failure: &Arc<BatchFailure>, bin: &mut Bin) -> usize {
        self.close(reason, bin);
        self.sweep(failure, bin)
    }

    /// Completes every batch that was not taken with `failure`.
    pub fn sweep(&self, failure: &Arc<BatchFailure>, bin: &mut Bin) -> usize {
        let mut swept = 0;
        for slot in (0..self.slots()).map(Slot) {
            for batch in self.take_all(slot) {
                batch.complete(Verdict::Failed(Arc::clone(failure)), bin);
                swept += 1;
            }
        }
        swept
    }

    /// Counters, for users and tests.
    pub fn snapshot(&self) -> Snapshot {
        let pool = self.pool.snapshot();
        Snapshot {
            buffer_total: pool.total,
            buffer_available: pool.available,
            chunk_size: self.pool.chunk_size(),
            free_chunks: pool.free_chunks,
            memory_waiters: pool.waiters,
            memory_exhausted: pool.exhausted,
            topic_waiters: self.registry.waiters(),
            incomplete_batches: self.flushes.incomplete(),
            topics: self.registry.topics(),
            partitions: self.registry.slots() as usize,
        }
    }
}

impl Drop for Accumulator {
    fn drop(&mut self) {
        // Handles to topics and deliveries may live on; nobody is left to be woken for sending.
        let mut bin = Bin::new();
        self.shut(CloseReason::Aborted, &mut bin);
        let failure = BatchFailure::new(FailureReason::Lost, Fate::NotWritten);
        self.sweep(&Arc::new(failure), &mut bin);
    }
}
