//! One partition as the sender sees it: what waits, what is in flight, and what holds it back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use milena_accumulator::{Batch, Outcome, Rest, Slot, Topic};
use milena_client::{ConnectionId, NodeId};
use milena_record::Codec;
use milena_transaction::{PartitionSequences, Stamp};
use milena_wire::Uuid;

/// A batch the sender has taken over, until its outcome is told.
///
/// Its body never changes. Once it is in doubt it is only ever sent again as it is.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) batch: Batch,
    /// How the body is compressed.
    pub(crate) codec: Codec,
    /// Its place among the batches of the partition: the number of the batch that was taken, and
    /// which record of that batch is its first.
    pub(crate) order: (u64, u32),
    /// Its name at the broker, from the first attempt on; none without idempotence.
    pub(crate) stamp: Option<Stamp>,
    /// How often it was put into a request.
    pub(crate) attempts: u32,
    /// An attempt is unanswered, or was answered in a way that leaves open whether it was
    /// appended.
    pub(crate) in_doubt: bool,
    /// Its outcome is told; only its sequence still matters.
    pub(crate) given_up: bool,
    /// It is part of a batch that a broker found too large.
    pub(crate) part: bool,
}

impl Parcel {
    /// What it adds to a request, in bytes.
    pub(crate) fn size(&self) -> usize {
        milena_record::BatchHeader::LEN + self.batch.body.len()
    }
}

/// What is left here of a batch that is with the compressor.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) order: (u64, u32),
    pub(crate) records: i32,
    pub(crate) outcome: Arc<Outcome>,
}

impl Away {
    pub(crate) fn of(parcel: &Parcel) -> Self {
        Self {
            order: parcel.order,
            records: parcel.batch.records,
            outcome: Arc::clone(&parcel.batch.outcome),
        }
    }
}

/// What the accumulator holds for a partition, as far as the sender has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    /// One batch, open since then.
    Open(Instant),
    /// At least one batch that is full; the oldest was opened then.
    Full(Instant),
}

impl Waiting {
    pub(crate) fn since(self) -> Option<Instant> {
        match self {
            Self::Nothing => None,
            Self::Open(since) | Self::Full(since) => Some(since),
        }
    }
}

impl From<Rest> for Waiting {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::Nothing => Self::Nothing,
            Rest::Open { since } => Self::Open(since),
            Rest::Full { since } => Self::Full(since),
        }
    }
}

/// Where a partition stands. Each parked reason names the event that lifts it.
///
/// ```text
///            opened            linger over, filled, pressed           taken
///   Idle ──────────► Lingering ─────────────────────────────► Ready ───────► Idle, Ready, Parked
///     ▲                                                         ▲
///     └───────────────── nothing left ── Parked(why) ───────────┘ the event of `why`
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Nothing is to be sent.
    Idle,
    /// An open batch waits for more records until then.
    Lingering(NodeId, Instant),
    /// A batch may go to this node.
    Ready(NodeId),
    /// Something is to be sent, and something has to happen before.
    Parked(Reason),
}

/// Why a partition with data is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its back-off ends then (a timer).
    BackOff(Instant),
    /// A number of its sequence is missing; it begins anew once what is in flight is answered.
    Draining,
    /// Batches are in flight to a node that no longer leads it (their answers, or their loss).
    InFlightElsewhere,
    /// A retry is out: they go one at a time (its answer).
    RetryOut,
    /// A batch of it is being compressed (its return).
    Sealing,
    /// Nobody leads it (metadata).
    NoLeader,
    /// No producer id is known yet (its arrival).
    NoProducerId,
    /// As many batches are in flight to this node as may be (an answer).
    Window(NodeId),
}

/// What [`Partition::decide`] needs to know of the producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) now: Instant,
    pub(crate) linger: std::time::Duration,
    pub(crate) max_in_flight: usize,
    /// Batches carry sequences, and no identity is known.
    pub(crate) identity_missing: bool,
}

/// Batches of a partition that come from elsewhere than the accumulator, and what holds them back. Where nothing is
/// compressed and nothing fails nobody has any.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Compressed or split, and not yet sent; oldest first.
    pub(crate) sealed: VecDeque<Parcel>,
    /// Sent and to be sent again; oldest first.
    pub(crate) retries: VecDeque<Parcel>,
    pub(crate) back_off: Option<Instant>,
    /// A batch that was never sent is with the compressor. At most one is, so that order is kept;
    /// what is sealed already may still go.
    pub(crate) sealing: bool,
    /// How many batches are being cut: their parts have to go before anything newer.
    pub(crate) cutting: u32,
    /// The batches that are with the compressor, so that they can be ended from here.
    pub(crate) away: Vec<Away>,
}

/// What a partition without any has aside.
static NOTHING: Aside = Aside {
    sealed: VecDeque::new(),
    retries: VecDeque::new(),
    back_off: None,
    sealing: false,
    cutting: 0,
    away: Vec::new(),
};

/// The sender's half of a partition. The other half, the records that still gather, is the
/// accumulator's.
///
/// There may be tens of thousands, of which each batch touches one: it is two pairs of cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Partition {
    pub(crate) slot: Slot,
    pub(crate) topic: Arc<Topic>,
    pub(crate) index: i32,
    pub(crate) topic_id: Uuid,
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    pub(crate) waiting: Waiting,
    /// Sent and not answered, all on one connection; oldest first.
    pub(crate) in_flight: VecDeque<Parcel>,
    /// Where that is.
    pub(crate) wire: Option<(ConnectionId, NodeId)>,
    /// Its leader has acknowledged a batch on the present connection: until then a broker that
    /// knows nothing of the producer would take any batch as the first.
    pub(crate) proven: Option<ConnectionId>,
    pub(crate) sequences: PartitionSequences,
    /// What a partition has once a batch did not go straight from the accumulator to its leader.
    aside: Option<Box<Aside>>,
    /// The request it was last put into: a request has at most one batch of a partition.
    pub(crate) round: u64,
    /// A response about the oldest batch in flight is being read.
    pub(crate) awaits_verdict: bool,
    pub(crate) schedule: Schedule,
    /// In the ready list of this node; entries elsewhere are stale.
    pub(crate) listed: Option<NodeId>,
    /// The one entry in the timers.
    pub(crate) timer: Option<Instant>,
    next_ordinal: u64,
}

const _: () = assert!(size_of::<Partition>() <= 256);

impl Partition {
    pub(crate) fn new(slot: Slot, topic: Arc<Topic>, index: i32) -> Self {
        Self {
            slot,
            topic,
            index,
            topic_id: Uuid::ZERO,
            leader: None,
            leader_epoch: -1,
            waiting: Waiting::Nothing,
            in_flight: VecDeque::new(),
            wire: None,
            proven: None,
            sequences: PartitionSequences::default(),
            aside: None,
            round: 0,
            awaits_verdict: false,
            schedule: Schedule::Idle,
            listed: None,
            timer: None,
            next_ordinal: 0,
        }
    }

    /// What it has aside.
    pub(crate) fn aside(&self) -> &Aside {
        self.aside.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to be changed, if it ever had any.
    pub(crate) fn known_aside(&mut self) -> Option<&mut Aside> {
        self.aside.as_deref_mut()
    }

    /// The same, to put something there.
    pub(crate) fn make_aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Takes over a batch that the accumulator has closed.
    pub(crate) fn adopt(&mut self, batch: Batch) -> Parcel {
        self.next_ordinal += 1;
        Parcel {
            batch,
            codec: Codec::None,
            order: (self.next_ordinal, 0),
            stamp: None,
            attempts: 0,
            in_doubt: false,
            given_up: false,
            part: false,
        }
    }

    /// Puts a batch that is to be sent again where its order wants it.
    pub(crate) fn requeue(&mut self, parcel: Parcel) {
        let retries = &mut self.make_aside().retries;
        let place = retries.partition_point(|other| other.order < parcel.order);
        retries.insert(place, parcel);
    }

    /// Whether the sequence has a hole and no batch is left that has to be sent under it.
    ///
    /// Batches in doubt are still sent as they are: if what seemed lost is in the log, they follow
    /// on it and the hole closes.
    pub(crate) fn must_restart(&self) -> bool {
        self.sequences.has_hole() && !self.aside().retries.iter().any(|parcel| parcel.in_doubt)
    }

    /// Whether there is anything to send, now or later.
    pub(crate) fn has_data(&self) -> bool {
        let aside = self.aside();
        self.waiting != Waiting::Nothing || !aside.sealed.is_empty() || !aside.retries.is_empty()
    }

    /// Where the partition stands. A function of its other fields alone.
    pub(crate) fn decide(&self, rules: &Rules) -> Schedule {
        if !self.has_data() {
            return Schedule::Idle;
        }
        if self.must_restart() {
            // With nothing in flight it would have begun anew already.
            return Schedule::Parked(Reason::Draining);
        }
        let elsewhere = self.wire.is_some_and(|(_, node)| Some(node) != self.leader);
        if elsewhere && !self.in_flight.is_empty() {
            return Schedule::Parked(Reason::InFlightElsewhere);
        }
        let aside = self.aside();
        let retry_out = self
            .in_flight
            .front()
            .is_some_and(|first| first.attempts > 1);
        if retry_out || (!aside.retries.is_empty() && !self.in_flight.is_empty()) {
            return Schedule::Parked(Reason::RetryOut);
        }
        if let Some(until) = aside.back_off.filter(|until| *until > rules.now) {
            return Schedule::Parked(Reason::BackOff(until));
        }
        let nothing_sealed = aside.retries.is_empty() && aside.sealed.is_empty();
        if aside.cutting > 0 || (aside.sealing && nothing_sealed) {
            return Schedule::Parked(Reason::Sealing);
        }
        let Some(leader) = self.leader else {
            return Schedule::Parked(Reason::NoLeader);
        };
        if !aside.retries.is_empty() {
            return Schedule::Ready(leader);
        }
        if rules.identity_missing && self.sequences.is_new() {
            return Schedule::Parked(Reason::NoProducerId);
        }
        let window = if self.proven.is_some() {
            rules.max_in_flight
        } else {
            1
        };
        if self.in_flight.len() >= window {
            return Schedule::Parked(Reason::Window(leader));
        }
        match self.waiting {
            Waiting::Open(since) if aside.sealed.is_empty() && since + rules.linger > rules.now => {
                Schedule::Lingering(leader, since + rules.linger)
            }
            _ => Schedule::Ready(leader),
        }
    }

    /// When its oldest record was handed over.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let aside = self.aside();
        let taken = [&self.in_flight, &aside.retries, &aside.sealed];
        let taken = taken
            .into_iter()
            .flat_map(|queue| queue.iter())
            .filter(|parcel| !parcel.given_up);
        taken
            .map(|parcel| parcel.batch.created)
            .chain(self.waiting.since())
            .min()
    }
}
