//! The sender itself: its parts, and the four kinds of methods that drive it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use milena_accumulator::{Accumulator, Bin, News, Slot, Verdict};
use milena_client::{
    Action, BrokerFault, Client, CloseReason, ConnectFailure, ConnectionId, Few, NodeId, NodeState,
    Rng, Why,
};
use milena_transaction::Idempotence;
use milena_wire::{ApiKey, ProduceRequest, Request as _, Uuid};

use crate::availability::Availability;
use crate::board::Board;
use crate::config::Config;
use crate::counters::Counters;
use crate::event::{Event, Request};
use crate::frame::{Item, Kind, WriteJob};
use crate::identity::Search;
use crate::partition::{Parcel, Partition, Rules};
use crate::seal::{SealItem, SealJob, Sealed};

/// Decides what a producer says to its brokers. It has no clock, no sockets and no threads.
///
/// Its methods are of four kinds:
///
/// - A. questions, taking `&self`;
/// - B. `handle_*`: what the network or the clock did;
/// - C. what the application asks: [`close`](Self::close), [`abort`](Self::abort);
/// - D. `poll_*`: what to do now. After any B or C poll [`poll_action`](Self::poll_action),
///   [`poll_wake`](Self::poll_wake) and [`poll_event`](Self::poll_event) until each answers
///   `None`, take the [bin](Self::take_bin), and look at [`poll_timeout`](Self::poll_timeout)
///   again.
///
/// Records do not come this way: they are appended to the [`Accumulator`], which the sender
/// shares, and which tells it through its inbox.
///
/// A connection is driven with [`poll_transmit`](Self::poll_transmit) until it answers `None`, and then
/// waits for a frame, for [`poll_timeout_of`](Self::poll_timeout_of), or to be woken.
///
/// Each call does a bounded amount of work. `now` must not go back.
pub struct Sender {
    pub(crate) config: Config,
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) accumulator: Arc<Accumulator>,
    pub(crate) client: Client<Request>,
    pub(crate) producer: Idempotence,
    pub(crate) search: Search,
    pub(crate) availability: Availability,
    pub(crate) board: Board,
    pub(crate) topics: BTreeMap<Arc<str>, TopicState>,
    pub(crate) topic_ids: BTreeMap<Uuid, Arc<str>>,
    /// Why brokers could not be reached at the last attempt.
    pub(crate) unreachable: Few<NodeId, String>,
    /// Topics that are in use and whose metadata has not been told so.
    pub(crate) in_use: Vec<Arc<str>>,
    /// Batches to be cut, by whichever connection is served next.
    pub(crate) to_cut: Vec<SealItem>,
    /// Which one was woken for them.
    pub(crate) cutter: Option<ConnectionId>,
    /// The number of the request that is being filled.
    pub(crate) round: u64,
    pub(crate) counters: Counters,
    pub(crate) rng: Rng,
    pub(crate) bin: Bin,
    pub(crate) closing: bool,
    aborted: bool,
    pub(crate) was_pressed: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) news: Vec<News>,
    pub(crate) scratch: Vec<Slot>,
    pub(crate) spare_slots: Vec<Vec<Slot>>,
    pub(crate) spare_items: Vec<Vec<Item>>,
    /// Empty ones, for partitions that get a batch in flight.
    pub(crate) spare_queues: Vec<VecDeque<Parcel>>,
}

/// What the sender knows of a topic.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) id: Uuid,
    /// Its partitions' slots, by index.
    pub(crate) slots: Vec<Slot>,
    /// When metadata was last told that the topic is in use.
    pub(crate) used: Option<Instant>,
}

/// Work for whoever drives a connection.
#[derive(Debug)]
pub enum Transmit {
    /// Compress these batches, on no lock, then [`handle_sealed`](Sender::handle_sealed).
    Seal(SealJob),
    /// Write this request, on no lock, then [`handle_written`](Sender::handle_written).
    Write(WriteJob),
}

impl Sender {
    /// A sender that begins to look for brokers with the first [`poll_action`](Self::poll_action).
    ///
    /// `seed` decides everything that is left to chance.
    pub fn new(config: Config, accumulator: Arc<Accumulator>, seed: u64, now: Instant) -> Self {
        let mut config = config.within_a_century();
        // A request counts as begun from the moment it is handed to its connection, which writes at once.
        config.client.announced_writes = false;
        config.client.max_in_flight = config.max_in_flight;
        config.client.request_timeout = config.request_timeout;
        config
            .client
            .required
            .push((ApiKey::PRODUCE, ProduceRequest::VERSIONS));
        let client_id = config.client.client_id.as_deref().map(Arc::from);
        let mut rng = Rng::new(seed);
        let availability = Availability::new(accumulator.config());
        let client = Client::new(config.client.clone(), rng.next_u64(), now);
        Self {
            config,
            client_id,
            accumulator,
            client,
            producer: Idempotence::new(),
            search: Search::default(),
            availability,
            board: Board::default(),
            topics: BTreeMap::new(),
            topic_ids: BTreeMap::new(),
            unreachable: Few::new(),
            in_use: Vec::new(),
            to_cut: Vec::new(),
            cutter: None,
            round: 0,
            counters: Counters::default(),
            rng,
            bin: Bin::new(),
            closing: false,
            aborted: false,
            was_pressed: false,
            events: Vec::new(),
            news: Vec::new(),
            scratch: Vec::new(),
            spare_slots: Vec::new(),
            spare_items: Vec::new(),
            spare_queues: Vec::new(),
        }
    }

    // A. Questions.

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections, brokers and metadata.
    pub fn client(&self) -> &Client<impl Sized + use<>> {
        &self.client
    }

    /// Whether every record that was accepted has its outcome.
    pub fn is_drained(&self) -> bool {
        self.accumulator.snapshot().incomplete_batches == 0
    }

    // B. What happened.

    /// A connection is open; the next thing on it is for the sender to say.
    pub fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        self.client.handle_connected(now, connection);
        self.pump(now);
    }

    /// An attempt to connect failed; the connection is over.
    pub fn handle_connect_failed(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        why: ConnectFailure,
    ) {
        self.client.handle_connect_failed(now, connection, why);
        self.pump(now);
    }

    /// All bytes of the job it was given last are written.
    pub fn handle_written(&mut self, now: Instant, connection: ConnectionId, job: WriteJob) {
        if let Kind::Produce(mut job) = job.0 {
            job.items.clear();
            self.spare_items.push(job.items);
        }
        if let Some(Request::Produce(slots)) = self.client.handle_written(now, connection) {
            // `acks=0`: that it is written is all there will ever be known.
            for slot in &slots {
                if let Some(parcel) = self.pop_in_flight(*slot) {
                    self.done(*slot, connection, parcel, -1, -1);
                    self.settle(now, *slot);
                }
            }
            self.recycle_slots(slots);
        }
        self.pump(now);
    }

    /// A frame arrived, without its length in front.
    ///
    /// # Errors
    ///
    /// The broker broke the protocol. Close the connection and call
    /// [`handle_closed`](Self::handle_closed).
    pub fn handle_frame(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        frame: &[u8],
    ) -> Result<(), BrokerFault> {
        let answer = self.client.handle_frame(now, connection, frame)?;
        if let Some(answer) = answer {
            let body = &frame[answer.body..];
            match answer.request {
                Request::Produce(slots) => {
                    self.handle_produced(now, connection, answer.version, body, slots)?;
                }
                Request::InitProducerId => {
                    self.handle_identity(now, connection, answer.version, body)?
                }
            }
        }
        self.pump(now);
        Ok(())
    }

    /// A connection ended. What was in flight on it is sent again.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId, why: CloseReason) {
        self.client.handle_closed(now, connection, why);
        self.pump(now);
    }

    /// Batches come back from the compressor.
    pub fn handle_sealed(&mut self, now: Instant, sealed: Sealed) {
        for item in sealed.parcels {
            let Some(partition) = self.board.get_mut(item.slot) else {
                continue;
            };
            let aside = partition.make_aside();
            aside.away.retain(|away| away.order != item.order);
            if item.was_cut {
                aside.cutting = aside.cutting.saturating_sub(1);
            } else {
                aside.sealing = false;
            }
            if let Some((raw, compressed)) = item.ratio {
                partition
                    .topic
                    .ratios()
                    .observe(self.config.compression.codec(), raw, compressed);
            }
            match item.result {
                _ if self.aborted => self.discard(item.result),
                Ok(made) => {
                    if let Some((whole, moved)) = made.cut {
                        whole.complete(Verdict::Moved(moved), &mut self.bin);
                    }
                    if item.was_cut {
                        made.parcels
                            .into_iter()
                            .for_each(|parcel| partition.requeue(parcel));
                    } else {
                        partition.make_aside().sealed.extend(made.parcels);
                    }
                }
                Err((parcel, why)) => self.fail_sealing(item.slot, parcel, why),
            }
            // A timer that fired meanwhile was armed anew for what is younger.
            let oldest = self.board.get(item.slot).and_then(Partition::oldest);
            if let Some(oldest) = oldest {
                self.board
                    .arm(item.slot, oldest + self.config.delivery_timeout);
            }
            self.settle(now, item.slot);
        }
    }

    /// Time has passed: call it when [`poll_timeout`](Self::poll_timeout) says so, or at any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.pump(now);
        self.hear(now);
        if self.search.back_off.is_some_and(|until| until <= now) {
            self.search.back_off = None;
        }
        // All that are due now, each once: what is armed anew has its turn at the next call.
        let mut due = std::mem::take(&mut self.scratch);
        due.extend(std::iter::from_fn(|| self.board.pop_timer(now)));
        for slot in due.drain(..) {
            self.expire(now, slot);
        }
        self.scratch = due;
        self.accumulator.fire_deadlines(now, &mut self.bin);
    }

    // C. What the application asks.

    /// Sends what was accepted without lingering. The caller has closed the accumulator's gate.
    pub fn close(&mut self, now: Instant) {
        self.closing = true;
        self.hear(now);
        self.ring_all();
    }

    /// Ends everything: each record without an outcome fails as closed.
    ///
    /// What is on a wire fails as possibly written. The caller has closed the accumulator's gate.
    pub fn abort(&mut self, now: Instant) {
        self.closing = true;
        self.aborted = true;
        self.hear(now);
        for index in 0..self.board.len() {
            self.abort_partition(Slot(index as u32));
        }
        for item in std::mem::take(&mut self.to_cut) {
            self.fail_closed(item.slot, item.parcel);
        }
        self.client.shut_down(now);
        self.pump(now);
    }

    // D. What to do.

    /// Connections to make and to close.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.hear(now);
        self.client.poll_action(now)
    }

    /// A connection that should call [`poll_transmit`](Self::poll_transmit): something came up
    /// for it while somebody else was here.
    pub fn poll_wake(&mut self, now: Instant) -> Option<ConnectionId> {
        if let Some(connection) = self.whom_to_ask(now) {
            return Some(connection);
        }
        if let Some(connection) = self.whom_to_have_cut(now) {
            return Some(connection);
        }
        while let Some(node) = self.board.pop_rung() {
            if !self.board.wants(node) {
                continue;
            }
            match self.client.connection_to(node) {
                Some(connection) => return Some(connection),
                // A leader that the cluster's list of brokers lacks: it may be there next time.
                None if self.client.cluster().broker(node).is_none() => {
                    self.client.request_update(now, Why::NoLeader);
                }
                None => self.client.want(now, node),
            }
        }
        None
    }

    /// The next work for a connection. Ask again once it is done, until there is none.
    pub fn poll_transmit(&mut self, now: Instant, connection: ConnectionId) -> Option<Transmit> {
        self.hear(now);
        if !self.to_cut.is_empty() {
            self.cutter = None;
            let work = std::mem::take(&mut self.to_cut);
            return self.seal_job(work).map(Transmit::Seal);
        }
        if let Some(frame) = self.client.poll_transmit(now, connection) {
            return Some(Transmit::Write(WriteJob::frame(frame)));
        }
        if let Some(job) = self.poll_identity(now, connection) {
            return Some(Transmit::Write(job));
        }
        let node = self.client.node_of(connection)?;
        let state = self.client.state(now, node);
        // That metadata lacks it is for `poll_wake` to see, which asks.
        if state != NodeState::Unknown {
            self.board.unring(node);
        }
        match state {
            NodeState::Ready(ready) if ready == connection => {
                let next = self.poll_produce(now, connection, node);
                self.tell_use(now);
                next
            }
            _ => None,
        }
    }

    /// When a lingering batch of this connection's node is due.
    pub fn poll_timeout_of(&self, now: Instant, connection: ConnectionId) -> Option<Instant> {
        let node = self.client.node_of(connection)?;
        match self.client.state(now, node) {
            NodeState::Ready(_) => self
                .board
                .node(node)?
                .lingering
                .first()
                .map(|(until, _)| until),
            NodeState::Throttled(until) if self.board.wants(node) => Some(until),
            _ => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let times = [
            self.client.poll_timeout(),
            self.board.next_timer(),
            self.accumulator.next_deadline(),
            self.search.back_off,
        ];
        times.into_iter().flatten().min()
    }

    /// Something the user may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }

    /// Wake-ups, callbacks and finished batches: run it or drop it outside the sender's lock.
    pub fn take_bin(&mut self) -> Bin {
        std::mem::take(&mut self.bin)
    }

    /// The same, in exchange for an empty one, whose memory is used again.
    pub fn swap_bin(&mut self, empty: &mut Bin) {
        std::mem::swap(&mut self.bin, empty);
    }

    // Within.

    /// Whether open batches go without lingering.
    pub(crate) fn pressed(&self) -> bool {
        self.closing || self.accumulator.pressed()
    }

    pub(crate) fn rules(&self, now: Instant) -> Rules {
        Rules {
            now,
            linger: self.config.linger,
            max_in_flight: self.config.max_in_flight,
            identity_missing: self.config.idempotence && self.producer.identity().is_none(),
        }
    }

    pub(crate) fn reschedule(&mut self, now: Instant, slot: Slot) {
        let rules = self.rules(now);
        self.board
            .reschedule(slot, &rules, self.config.delivery_timeout);
        if let Some(created) = self.oldest_to_cut(slot) {
            self.board.arm(slot, created + self.config.delivery_timeout);
        }
    }

    pub(crate) fn ring_all(&mut self) {
        for node in self.board.node_ids() {
            self.board.ring(node);
        }
    }

    pub(crate) fn recycle_slots(&mut self, mut slots: Vec<Slot>) {
        slots.clear();
        self.spare_slots.push(slots);
    }
}
