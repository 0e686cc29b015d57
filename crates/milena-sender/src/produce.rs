//! Deciding what goes to a node: which partitions, how much of them, and under which names.

use std::sync::Arc;
use std::time::Instant;

use milena_accumulator::Slot;
use milena_client::{ConnectionId, NodeId};
use milena_record::{Attributes, BatchHeader, Codec};
use milena_transaction::{Identity, Stamp};
use milena_wire::{ApiKey, ProduceRequest, Request as _, Uuid};

use crate::event::Request;
use crate::frame::{Item, Kind, ProduceJob, WriteJob, same_topic};
use crate::partition::{Away, Parcel, Schedule, Waiting};
use crate::seal::{SealItem, SealJob};
use crate::sender::{Sender, Transmit};

/// The highest version that names topics by name.
const LAST_BY_NAME: i16 = 12;

/// The most batches that a request takes. They are decided on under the sender's lock, and each takes memory until it is
/// answered; more of them in one request are no cheaper.
const MOST_BATCHES: usize = 1000;

/// What a partition had for a request.
enum Picked {
    Parcel(Parcel),
    /// Something, but not within the room that is left.
    TooMuch,
    Nothing,
}

/// A Produce request that is being filled.
struct Filling {
    wire: (ConnectionId, NodeId),
    /// Bytes that it still takes.
    room: usize,
    /// Whose batches it has.
    slots: Vec<Slot>,
    items: Vec<Item>,
}

impl Filling {
    fn is_full(&self) -> bool {
        self.items.len() >= MOST_BATCHES
    }
}

impl Sender {
    /// The next work for a connection that may take a Produce request, if its node has any.
    ///
    /// Readiness decides when a node is served; what it gets is every partition with data, one
    /// batch each, ready ones first, in rotation.
    pub(crate) fn poll_produce(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        node: NodeId,
    ) -> Option<Transmit> {
        if !self.is_due(now, node) {
            return None;
        }
        if self.config.compression.codec() != Codec::None
            && !self.board.node(node)?.sealed_last
            && let Some(job) = self.poll_seal(now, node)
        {
            self.board.node_mut(node).sealed_last = true;
            return Some(Transmit::Seal(job));
        }
        self.board.node_mut(node).sealed_last = false;
        let version =
            self.client
                .version_for(connection, ApiKey::PRODUCE, ProduceRequest::VERSIONS)?;
        let mut filling = Filling {
            wire: (connection, node),
            room: self.config.max_request_size,
            slots: self.spare_slots.pop().unwrap_or_default(),
            items: self.spare_items.pop().unwrap_or_default(),
        };
        self.fill(now, node, &mut filling);
        let Filling {
            mut slots,
            mut items,
            ..
        } = filling;
        if items.is_empty() {
            self.spare_slots.push(slots);
            self.spare_items.push(items);
            return None;
        }
        let nameless = items.iter().any(|item| item.topic_id == Uuid::ZERO);
        let version = if nameless {
            version.min(LAST_BY_NAME)
        } else {
            version
        };
        let version = ProduceRequest::version(version);
        group_by_topic(&mut slots, &mut items);
        for topic in items.chunk_by(same_topic) {
            self.note_use(now, topic[0].topic.shared_name());
        }
        self.counters.requests += 1;
        self.note_written_to(now, node);
        let answered = self.config.acks != crate::Acks::None;
        let request = Request::Produce(slots);
        let correlation =
            self.client
                .begin_request(now, connection, ApiKey::PRODUCE, version, request, answered);
        Some(Transmit::Write(WriteJob(Kind::Produce(ProduceJob {
            correlation,
            version,
            client_id: self.client_id.clone(),
            acks: self.config.acks.code(),
            timeout_ms: self
                .config
                .request_timeout
                .as_millis()
                .try_into()
                .unwrap_or(i32::MAX),
            items,
        }))))
    }

    /// Whether anything of a node has to go now.
    pub(crate) fn is_due(&self, now: Instant, node: NodeId) -> bool {
        let Some(node) = self.board.node(node) else {
            return false;
        };
        let lingering = node.lingering.first();
        !node.ready.is_empty() || lingering.is_some_and(|(until, _)| until <= now || self.pressed())
    }

    /// Lets what has lingered take its turn among those that are ready: they alone can fill request after request.
    fn end_lingering(&mut self, now: Instant, node: NodeId) {
        while let Some((until, slot)) = self.board.next_lingering(node, None)
            && until <= now
        {
            self.reschedule(now, slot);
        }
    }

    /// Takes a batch of each partition with data until the request is full.
    fn fill(&mut self, now: Instant, node: NodeId, request: &mut Filling) {
        self.round += 1;
        for _ in 0..self.board.node(node).map_or(0, |node| node.ready.len()) {
            let Some(slot) = self.board.pop_ready(node) else {
                break;
            };
            if self.in_this_request(slot) {
                // The rotation has come round.
                self.board.unpop(node, slot);
                break;
            }
            if request.is_full() || !self.take_one(now, slot, request) {
                self.board.unpop(node, slot);
                return self.end_lingering(now, node);
            }
        }
        // Open ones come along, unless somebody who is ahead goes on to fill them.
        let holds = self.accumulator.is_paced() && !self.pressed();
        let mut last = None;
        while let Some((until, slot)) = self.board.next_lingering(node, last) {
            if (holds && until > now) || request.is_full() {
                return;
            }
            last = Some((until, slot));
            if self.in_this_request(slot) {
                continue;
            }
            if !self.take_one(now, slot, request) {
                // It is closed now.
                self.reschedule(now, slot);
                return;
            }
        }
    }

    fn in_this_request(&self, slot: Slot) -> bool {
        self.board
            .get(slot)
            .is_some_and(|partition| partition.round == self.round)
    }

    /// Puts one batch of the partition into the request; `false` when it does not fit any more.
    fn take_one(&mut self, now: Instant, slot: Slot, request: &mut Filling) -> bool {
        match self.pick(slot, request.room, request.items.is_empty()) {
            Picked::Parcel(parcel) => self.dispatch(slot, parcel, request),
            Picked::TooMuch => return false,
            Picked::Nothing => {}
        }
        self.reschedule(now, slot);
        true
    }

    /// The next batch of a partition: one to be retried, one that is sealed, or one that is taken
    /// from the accumulator now.
    fn pick(&mut self, slot: Slot, room: usize, first: bool) -> Picked {
        let Some(partition) = self.board.get_mut(slot) else {
            return Picked::Nothing;
        };
        if let Some(aside) = partition.known_aside() {
            let queue = if aside.retries.is_empty() {
                &mut aside.sealed
            } else {
                &mut aside.retries
            };
            if let Some(parcel) = queue.front() {
                if parcel.size() > room && !first {
                    return Picked::TooMuch;
                }
                return queue.pop_front().map_or(Picked::Nothing, Picked::Parcel);
            }
        }
        if self.config.compression.codec() != Codec::None {
            return Picked::Nothing;
        }
        if room < BatchHeader::LEN && !first {
            return Picked::TooMuch;
        }
        let Some(taken) = self
            .accumulator
            .take_from(&partition.topic, partition.index)
        else {
            partition.waiting = Waiting::Nothing;
            return Picked::Nothing;
        };
        partition.waiting = taken.rest.into();
        let parcel = partition.adopt(taken.batch);
        if parcel.size() > room && !first {
            partition.make_aside().sealed.push_back(parcel);
            return Picked::TooMuch;
        }
        Picked::Parcel(parcel)
    }

    /// Names a batch, counts its attempt, notes it as in flight and puts it into the request.
    fn dispatch(&mut self, slot: Slot, parcel: Parcel, request: &mut Filling) {
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        let stamp = if self.config.idempotence && parcel.stamp.is_none() {
            let records = parcel.batch.records;
            let Some(stamp) = partition.sequences.stamp(&self.producer, records) else {
                return partition.make_aside().sealed.push_front(parcel);
            };
            Some(stamp)
        } else {
            parcel.stamp
        };
        let (connection, node) = request.wire;
        if partition.proven.is_some_and(|proven| proven != connection) {
            partition.proven = None;
        }
        let attempts = parcel.attempts + 1;
        self.counters.batches += 1;
        self.counters.retries += u64::from(attempts > 1);
        request.room = request.room.saturating_sub(parcel.size());
        request.slots.push(slot);
        // Made where they stay, here and below: a copy of what was just written waits until all of it is in the cache.
        request.items.push(Item {
            slot,
            topic: Arc::clone(&partition.topic),
            topic_id: partition.topic_id,
            partition: partition.index,
            header: header(&parcel, stamp),
            body: parcel.batch.body.clone(),
        });
        partition.round = self.round;
        partition.wire = Some((connection, node));
        if partition.in_flight.is_empty() {
            partition.in_flight = self.spare_queues.pop().unwrap_or_default();
        }
        // Where partitions are many, most have one at a time: a queue grows to four at once by itself.
        if partition.in_flight.len() == partition.in_flight.capacity() {
            partition.in_flight.reserve_exact(1);
        }
        partition.in_flight.push_back(Parcel {
            stamp,
            attempts,
            ..parcel
        });
        let depth = partition.in_flight.len();
        self.counters.max_in_flight_of_a_partition =
            self.counters.max_in_flight_of_a_partition.max(depth);
    }

    /// Work for the compressor: the next batch of each of the node's partitions that has none
    /// sealed, up to two requests' worth.
    fn poll_seal(&mut self, now: Instant, node: NodeId) -> Option<SealJob> {
        let mut work = Vec::new();
        let mut left = 2 * self.config.max_request_size;
        let ends = self.closing || self.accumulator.ends();
        let mut some_ready = false;
        let mut slots = std::mem::take(&mut self.scratch);
        self.board.waiting_for(node, &mut slots);
        for slot in slots.drain(..) {
            let Some(partition) = self.board.get_mut(slot) else {
                continue;
            };
            let sendable = match partition.schedule {
                Schedule::Ready(_) => {
                    some_ready = true;
                    true
                }
                // While others are ready it goes on filling: a full batch compresses better, and costs as much.
                Schedule::Lingering(_, until) => !some_ready || ends || until <= now,
                Schedule::Idle | Schedule::Parked(_) => false,
            };
            let aside = partition.aside();
            if left == 0 || !sendable || aside.sealing {
                continue;
            }
            if !aside.sealed.is_empty() || !aside.retries.is_empty() {
                continue;
            }
            let Some(taken) = self
                .accumulator
                .take_from(&partition.topic, partition.index)
            else {
                // News of what was taken before it came: it must not be looked for again.
                partition.waiting = Waiting::Nothing;
                self.reschedule(now, slot);
                continue;
            };
            partition.waiting = taken.rest.into();
            partition.make_aside().sealing = true;
            let parcel = partition.adopt(taken.batch);
            left = left.saturating_sub(parcel.size());
            work.push(SealItem {
                slot,
                parcel,
                cut: None,
            });
            self.reschedule(now, slot);
        }
        self.scratch = slots;
        self.seal_job(work)
    }

    /// When the oldest record was handed over of what waits to be cut.
    pub(crate) fn oldest_to_cut(&self, slot: Slot) -> Option<Instant> {
        let of_it = self.to_cut.iter().filter(|item| item.slot == slot);
        of_it.map(|item| item.parcel.batch.created).min()
    }

    /// The connection to be woken because batches are to be cut; each is named once, while it is there. Any will do, but
    /// the first batch's leader has its parts next.
    pub(crate) fn whom_to_have_cut(&mut self, now: Instant) -> Option<ConnectionId> {
        let Some(first) = self.to_cut.first() else {
            self.cutter = None;
            return None;
        };
        let leader = self.board.get(first.slot)?.leader;
        let client = &self.client;
        let nodes = leader.into_iter();
        let connection = nodes
            .chain(client.connections().filter_map(|(_, node)| node))
            .find_map(|node| client.connection_to(node));
        if connection.is_none() {
            self.client.want_any(now);
        }
        let before = std::mem::replace(&mut self.cutter, connection);
        connection.filter(|_| before != connection)
    }

    pub(crate) fn seal_job(&mut self, work: Vec<SealItem>) -> Option<SealJob> {
        for item in &work {
            if let Some(partition) = self.board.get_mut(item.slot) {
                partition.make_aside().away.push(Away::of(&item.parcel));
            }
        }
        let job = SealJob {
            compression: self.config.compression,
            max_request_size: self.config.max_request_size,
            work,
        };
        (!job.work.is_empty()).then_some(job)
    }
}

/// Brings the batches of a topic together, which is how a Produce request wants them.
fn group_by_topic(slots: &mut Vec<Slot>, items: &mut [Item]) {
    let grouped = items.windows(2).all(|pair| same_topic(&pair[0], &pair[1]));
    if !grouped {
        items.sort_unstable_by(|one, other| one.topic.name().cmp(other.topic.name()));
        slots.clear();
        slots.extend(items.iter().map(|item| item.slot));
    }
}

/// The header of this attempt.
fn header(parcel: &Parcel, stamp: Option<Stamp>) -> BatchHeader {
    let batch = &parcel.batch;
    let (identity, sequence) = match stamp {
        Some(stamp) => (stamp.identity, stamp.base.get()),
        None => (Identity::NONE, -1),
    };
    BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        attributes: Attributes::new(parcel.codec),
        last_offset_delta: batch.records - 1,
        base_timestamp: batch.base_timestamp,
        max_timestamp: batch.max_timestamp,
        producer_id: identity.id,
        producer_epoch: identity.epoch,
        base_sequence: sequence,
        record_count: batch.records,
    }
}
