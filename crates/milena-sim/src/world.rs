//! Virtual time, and a network between a producer and a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_broker::{Change, Cluster, ClusterConfig, Wait};
use milena_record::Compressor;
use milena_sender::accumulator::{Accumulator, Bin, Clock, Urgency, Wake};
use milena_sender::client::{Action, Address, ConnectionId, NodeId, Rng};
use milena_sender::{Config, Cursor, FrameBuffer, Sealed, Sender, Transmit, WriteJob};

use crate::wire::Wire;

/// The first broker's port; broker `n` listens on `PORT + n - 1`.
const PORT: u16 = 9092;

/// A run that takes more steps than this spins: the usual one takes a few thousand.
pub(crate) const MOST_STEPS: u64 = 200_000;

/// A producer and a cluster in virtual time.
pub struct World {
    /// The cluster; change it as you like between steps.
    pub cluster: Cluster,
    /// Where records go in.
    pub accumulator: Arc<Accumulator>,
    /// The producer's sender.
    pub sender: Sender,
    /// The randomness of everything but the sender and the cluster.
    pub rng: Rng,
    /// How long bytes travel at least and at most, one way.
    pub latency: (Duration, Duration),
    start: Instant,
    pub(crate) now: Duration,
    queue: BTreeMap<(Duration, u64), Happening>,
    next: u64,
    pub(crate) wires: BTreeMap<ConnectionId, Wire>,
    pub(crate) woken: BTreeSet<ConnectionId>,
    bells: Arc<Bells>,
    compressor: Compressor,
    buffer: FrameBuffer,
    steps: u64,
    /// How long compression takes at most, beyond a flight.
    pub seal_time: Duration,
    /// The first thing that was found wrong in the sender's own order.
    pub stuck: Option<String>,
    /// What happened, if somebody wants to read it.
    pub journal: Option<Vec<String>>,
}

/// What is to happen at a time.
pub(crate) enum Happening {
    Connected(ConnectionId),
    ConnectFailed(ConnectionId),
    /// Batches were compressed, whether the connection that was to send them is still there or not.
    Sealed(ConnectionId, Sealed),
    /// All bytes of the present write have left.
    Written(ConnectionId),
    /// A request arrives at its broker. The connection may be gone by then.
    Arrives {
        connection: ConnectionId,
        broker: i32,
        frame: Vec<u8>,
    },
    /// A broker goes on with a request it held.
    Resumes {
        connection: ConnectionId,
        broker: i32,
        frame: Vec<u8>,
        wait: Wait,
    },
    Answered {
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
    PeerCloses(ConnectionId),
    Changes(Change),
    /// Somebody else's turn: the step ends.
    Pause,
}

#[derive(Default)]
struct Bells(Mutex<Vec<(i32, Urgency)>>);

impl Bells {
    fn take(&self) -> Vec<(i32, Urgency)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for Bells {
    fn wake(&self, leader: i32, urgency: Urgency) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((leader, urgency));
    }
}

/// The clock of a [`World`], as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    now: Instant,
    wall_ms: i64,
}

impl Clock for Standing {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms
    }
}

impl World {
    /// A world at time zero. The sender's bootstrap servers are all brokers of the cluster.
    pub fn new(
        seed: u64,
        cluster: ClusterConfig,
        mut config: Config,
        accumulator: milena_sender::accumulator::Config,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let start = Instant::now();
        let brokers = cluster.brokers as u16;
        let cluster = Cluster::new(ClusterConfig {
            port: PORT,
            seed: rng.next_u64(),
            ..cluster
        });
        config.client.bootstrap = (0..brokers)
            .map(|n| Address::new("127.0.0.1", PORT + n))
            .collect();
        let accumulator = Arc::new(Accumulator::new(accumulator, rng.next_u64()));
        let bells = Arc::new(Bells::default());
        accumulator.set_wake(bells.clone());
        let sender = Sender::new(config, Arc::clone(&accumulator), rng.next_u64(), start);
        Self {
            cluster,
            accumulator,
            sender,
            rng,
            latency: (Duration::from_micros(50), Duration::from_millis(2)),
            start,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            next: 0,
            wires: BTreeMap::new(),
            woken: BTreeSet::new(),
            bells,
            compressor: Compressor::new(),
            buffer: FrameBuffer::new(),
            steps: 0,
            seal_time: Duration::ZERO,
            stuck: None,
            journal: None,
        }
    }

    /// How many things have happened.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now
    }

    /// The producer's clock.
    pub fn clock(&self) -> Standing {
        Standing {
            now: self.instant(),
            wall_ms: 1_700_000_000_000 + self.millis(),
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.start + self.now
    }

    pub(crate) fn millis(&self) -> i64 {
        self.now.as_millis() as i64
    }

    /// Lets something happen to the cluster later.
    pub fn change_at(&mut self, at: Duration, change: Change) {
        self.at(at, Happening::Changes(change));
    }

    /// Lets [`step`](Self::step) return at that time at the latest.
    pub fn pause_at(&mut self, at: Duration) {
        self.at(at, Happening::Pause);
    }

    pub(crate) fn at(&mut self, at: Duration, happening: Happening) {
        self.next += 1;
        self.queue.insert((at.max(self.now), self.next), happening);
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            let text = format!("{:>12.3} ms  {}", self.now.as_secs_f64() * 1e3, what());
            journal.push(text);
        }
    }

    /// Does everything that is due now, then goes to the next thing that happens and does it.
    /// `false` if nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        self.drive();
        let due = self
            .sender
            .poll_timeout()
            .map(|at| at.saturating_duration_since(self.start));
        let wire = self.wires.values().filter_map(|wire| wire.timer).min();
        let timer = [due, wire].into_iter().flatten().min();
        let next = self.queue.first_key_value().map(|((at, _), _)| *at);
        match (next, timer) {
            (None, None) => return false,
            (Some(next), timer) if timer.is_none_or(|timer| next <= timer) => {
                let Some((_, happening)) = self.queue.pop_first() else {
                    return false;
                };
                self.now = self.now.max(next);
                self.happen(happening);
            }
            (_, Some(timer)) => {
                self.now = self.now.max(timer);
                let now = self.instant();
                self.sender.handle_timeout(now);
                let due = self
                    .wires
                    .iter()
                    .filter(|(_, wire)| wire.timer.is_some_and(|at| at <= self.now));
                let due: Vec<_> = due.map(|(id, _)| *id).collect();
                self.woken.extend(due);
            }
            (Some(_), None) => {}
        }
        self.drive();
        if self.stuck.is_none() {
            self.stuck = self.sender.check(self.instant()).err();
        }
        true
    }

    /// Runs until `done` says so; `false` if that does not happen by `until`, or nothing happens
    /// any more.
    pub fn run_until(&mut self, until: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        self.pause_at(until);
        loop {
            if done(self) {
                return true;
            }
            if self.now >= until || self.steps > MOST_STEPS || !self.step() {
                return done(self);
            }
        }
    }

    /// What the driver's tasks do: actions, wake-ups, writes, until nobody has anything to do.
    fn drive(&mut self) {
        loop {
            let now = self.instant();
            let mut busy = false;
            for (leader, urgency) in self.bells.take() {
                busy = true;
                self.ring(leader, urgency);
            }
            while let Some(action) = self.sender.poll_action(now) {
                busy = true;
                self.act(action);
            }
            while let Some(connection) = self.sender.poll_wake(now) {
                busy |= self.woken.insert(connection);
            }
            while self.sender.poll_event().is_some() {}
            for connection in std::mem::take(&mut self.woken) {
                busy |= self.serve(connection);
            }
            self.sender.take_bin().run();
            self.steps += 1;
            if !busy || self.steps > MOST_STEPS {
                return;
            }
        }
    }

    /// A bell of the accumulator's: wakes the leader's connection, or has the inbox read.
    fn ring(&mut self, leader: i32, urgency: Urgency) {
        let connection = self.sender.client().connection_to(NodeId(leader));
        let Some(connection) = connection else { return };
        let Some(wire) = self.wires.get(&connection) else {
            return;
        };
        let asleep_past =
            |deadline: Instant| wire.timer.is_none_or(|timer| self.start + timer > deadline);
        match urgency {
            Urgency::Opened { deadline } if !asleep_past(deadline) => {}
            Urgency::Opened { .. } | Urgency::Now => {
                self.woken.insert(connection);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect {
                connection,
                address,
                ..
            } => {
                let broker = i32::from(address.port) - i32::from(PORT) + 1;
                let up = self
                    .cluster
                    .brokers()
                    .any(|other| other.id == broker && other.up);
                self.note(|| format!("connect {connection:?} to broker {broker}, up: {up}"));
                self.wires.insert(connection, Wire::new(broker));
                let at = self.now + self.flight();
                self.at(
                    at,
                    if up {
                        Happening::Connected(connection)
                    } else {
                        Happening::ConnectFailed(connection)
                    },
                );
            }
            Action::Close { connection, reason } => {
                self.note(|| format!("close {connection:?}: {reason}"));
                self.forget(connection);
            }
            Action::Transmit { connection } => {
                self.woken.insert(connection);
            }
            _ => {}
        }
    }

    /// The producer's side of a connection is gone. What it has sent may still arrive.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.woken.remove(&connection);
        if self.wires.remove(&connection).is_some() {
            let now = self.millis();
            self.cluster.disconnected(now, connection.0);
        }
    }

    pub(crate) fn flight(&mut self) -> Duration {
        let (least, most) = self.latency;
        least + (most - least).mul_f64(self.rng.unit())
    }

    /// What a connection's task does when it is woken. Whether it did anything.
    fn serve(&mut self, connection: ConnectionId) -> bool {
        let now = self.instant();
        let idle = |wire: &Wire| wire.open && wire.writing.is_none() && !wire.sealing;
        if !self.wires.get(&connection).is_some_and(idle) {
            return false;
        }
        match self.sender.poll_transmit(now, connection) {
            Some(Transmit::Seal(job)) => {
                let sealed = job.run(&mut self.compressor);
                let at = self.now + self.flight() + self.seal_time.mul_f64(self.rng.unit());
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.sealing = true;
                    wire.timer = None;
                }
                self.at(at, Happening::Sealed(connection, sealed));
            }
            Some(Transmit::Write(job)) => self.write(connection, job),
            None => {
                let timer = self.sender.poll_timeout_of(now, connection);
                let timer = timer.map(|at| at.saturating_duration_since(self.start));
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.timer = timer;
                }
                return false;
            }
        }
        true
    }

    fn write(&mut self, connection: ConnectionId, job: WriteJob) {
        let frame = self.bytes(&job);
        let flight = self.flight();
        let Some(wire) = self.wires.get_mut(&connection) else {
            return;
        };
        let broker = wire.broker;
        wire.timer = None;
        wire.writing = Some(job);
        wire.arrives = wire.arrives.max(self.now + flight);
        let arrives = wire.arrives;
        self.note(|| {
            format!(
                "write {} bytes on {connection:?} to broker {broker}",
                frame.len()
            )
        });
        self.at(self.now + flight / 4, Happening::Written(connection));
        self.at(
            arrives,
            Happening::Arrives {
                connection,
                broker,
                frame,
            },
        );
    }

    /// The request's bytes without the length in front, gathered as a socket would take them.
    fn bytes(&mut self, job: &WriteJob) -> Vec<u8> {
        job.encode(&mut self.buffer)
            .expect("topics of the simulation have short names");
        let mut cursor = Cursor::default();
        let mut frame = Vec::with_capacity(self.buffer.len());
        while !self.buffer.is_written(&cursor) {
            let mut slices = [std::io::IoSlice::new(&[]); 8];
            let filled = self.buffer.slices(job, &cursor, &mut slices);
            // A socket takes as much as it likes.
            let offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            let taken = 1 + self.rng.below(offered.max(1));
            let bytes = slices[..filled]
                .iter()
                .flat_map(|slice| slice.iter())
                .take(taken);
            frame.extend(bytes);
            self.buffer.advance(job, &mut cursor, taken.min(offered));
        }
        frame.split_off(4)
    }

    /// What the sender left to be done outside locks.
    pub fn empty_bin(&mut self) -> usize {
        let mut bin: Bin = self.sender.take_bin();
        bin.run()
    }
}
