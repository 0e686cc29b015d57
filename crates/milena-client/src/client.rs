//! The client: what it is made of, and what can be asked of it.
mod wants;

mod input;

mod output;

mod drive;

mod connect;

mod end;

mod answers;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Instant;

use milena_wire::ApiKey;

use crate::bootstrap::Bootstrap;
use crate::connection::Connection;
use crate::refresh::Refresh;
use crate::versions::Features;
use crate::{Action, Address, Cluster, Config, ConnectionId, Event, Few, NodeId, NodeState, Rng};

pub use wants::{Endpoint, LeaderHint};

/// Decides which brokers to be connected to and keeps account of what is in flight there. It has no
/// clock, no sockets and no threads.
///
/// `R` is what its owner remembers of a request until the answer comes.
///
/// Its methods are of four kinds:
/// - A. questions, taking `&self`;
/// - B. `handle_*`: what the network or the clock did;
/// - C. what the owner wants: [`want`](Self::want), [`begin_request`](Self::begin_request),
///   [`track_topic`](Self::track_topic), …;
/// - D. `poll_*`: what to do now. After any B or C, poll until each answers `None`.
///
/// `now` must not go back. Reports about connections that the client has given up are ignored.
#[derive(Debug)]
pub struct Client<R> {
    config: Config,
    rng: Rng,
    /// Every attempt and connection that was not given up.
    connections: Few<ConnectionId, Connection<R>>,
    nodes: Few<NodeId, Node>,
    /// Brokers that the owner has something to say to and that are not connected; not all need be
    /// known.
    wanted: Few<NodeId, ()>,
    any_wanted: bool,
    bootstrap: Bootstrap,
    refresh: Refresh,
    /// Since when metadata is due while every connection that could carry it is full.
    metadata_waits: Option<Instant>,
    cluster: Cluster,
    features: Features,
    actions: VecDeque<Action>,
    events: VecDeque<Event<R>>,
    next_connection: u64,
    next_correlation: i32,
    /// Nothing is due before this. It may be early: then nothing happens at it.
    timer: Option<Instant>,
    shut_down: bool,
}

/// What is remembered of a broker between its connections.
#[derive(Debug)]
struct Node {
    address: Address,
    /// Whether metadata still names it.
    known: bool,
    /// Whether it was ever reached at this address.
    reached: bool,
    connection: Option<ConnectionId>,
    last_attempt: Option<Instant>,
    retry_at: Option<Instant>,
    /// Ends of connections since one was usable last.
    failures: u32,
    /// Attempts to connect in a row that failed.
    connect_failures: u32,
    throttled_until: Option<Instant>,
}

impl Node {
    fn new(address: Address) -> Self {
        Self {
            address,
            known: true,
            reached: false,
            connection: None,
            last_attempt: None,
            retry_at: None,
            failures: 0,
            connect_failures: 0,
            throttled_until: None,
        }
    }
}

impl<R> Client<R> {
    /// A client that knows nobody yet: its first actions are to connect to bootstrap servers.
    ///
    /// The same seed and the same calls give the same actions.
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let config = config.within_a_century();
        let mut rng = Rng::new(seed);
        let mut client = Self {
            bootstrap: Bootstrap::new(&config.bootstrap, &mut rng),
            refresh: Refresh::new(
                config.metadata_max_age,
                config.metadata_max_idle,
                config.retry_backoff,
            ),
            rng,
            connections: Few::new(),
            nodes: Few::new(),
            wanted: Few::new(),
            any_wanted: false,
            metadata_waits: None,
            cluster: Cluster::default(),
            features: Features::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            next_connection: 0,
            next_correlation: 0,
            timer: None,
            shut_down: false,
            config,
        };
        client.drive(now);
        client
    }

    /// The view of the cluster, as it was renewed last.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The connection to a broker, if it is open, the broker's versions are known, and metadata names it.
    pub fn connection_to(&self, node: NodeId) -> Option<ConnectionId> {
        let id = self
            .nodes
            .get(&node)
            .filter(|node| node.known)?
            .connection?;
        self.connections.get(&id)?.is_ready().then_some(id)
    }

    /// The broker that a connection leads to; `None` for a bootstrap server that is not known to be
    /// a broker of the cluster.
    pub fn node_of(&self, connection: ConnectionId) -> Option<NodeId> {
        self.connections.get(&connection)?.node
    }

    /// Where a connection leads to.
    pub fn address_of(&self, connection: ConnectionId) -> Option<&Address> {
        self.connections
            .get(&connection)
            .map(|connection| &connection.address)
    }

    /// Whether a request can be sent to a broker.
    pub fn state(&self, now: Instant, node: NodeId) -> NodeState {
        let Some(node) = self.nodes.get(&node).filter(|node| node.known) else {
            return NodeState::Unknown;
        };
        let open = node
            .connection
            .and_then(|id| Some((id, self.connections.get(&id)?)));
        let Some((id, connection)) = open else {
            return match node.retry_at.filter(|&at| at > now) {
                Some(at) => NodeState::BackingOff(at),
                None => NodeState::Disconnected,
            };
        };
        if !connection.is_ready() {
            NodeState::Connecting
        } else if let Some(until) = connection.throttle(now) {
            NodeState::Throttled(until)
        } else if connection.has_room(self.config.max_in_flight) {
            NodeState::Ready(id)
        } else {
            NodeState::Busy(id)
        }
    }

    /// The connection with the fewest requests in flight of those that a request can be sent on
    /// now.
    ///
    /// One to a bootstrap server that is no known broker counts only if there is no other.
    pub fn least_loaded(&self, now: Instant) -> Option<ConnectionId> {
        self.least_loaded_by(now, 0)
    }

    /// `salt` decides between connections with equally few requests.
    fn least_loaded_by(&self, now: Instant, salt: usize) -> Option<ConnectionId> {
        let max = self.config.max_in_flight;
        let fit = || {
            self.connections
                .iter()
                .filter(|(_, connection)| connection.can_send(now, max))
        };
        let load =
            |connection: &Connection<R>| (connection.node.is_none(), connection.in_flight.len());
        let least = fit().map(|(_, connection)| load(connection)).min()?;
        let mut best = fit()
            .filter(|(_, connection)| load(connection) == least)
            .map(|(&id, _)| id);
        let count = best.clone().count();
        best.nth(salt % count.max(1))
    }

    /// The highest version of an API that both the broker at the other end and the owner (`ours`)
    /// speak.
    pub fn version_for(
        &self,
        connection: ConnectionId,
        api: ApiKey,
        ours: RangeInclusive<i16>,
    ) -> Option<i16> {
        self.connections
            .get(&connection)?
            .versions
            .common(api, &ours)
    }

    /// The level of a feature that the cluster has finalized (KIP-584), as far as any broker told.
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.level(name)
    }

    /// How many requests are unanswered on a connection, the client's own included.
    pub fn in_flight(&self, connection: ConnectionId) -> usize {
        self.connections
            .get(&connection)
            .map_or(0, |connection| connection.in_flight.len())
    }

    /// How many requests are unanswered in all, the client's own included.
    pub fn total_in_flight(&self) -> usize {
        self.connections
            .values()
            .map(|connection| connection.in_flight.len())
            .sum()
    }

    /// The connections that are open or being made, and the brokers they lead to.
    pub fn connections(&self) -> impl ExactSizeIterator<Item = (ConnectionId, Option<NodeId>)> {
        self.connections
            .iter()
            .map(|(&id, connection)| (id, connection.node))
    }

    /// Whether metadata is kept for a topic.
    pub fn is_tracked(&self, topic: &str) -> bool {
        self.refresh.is_tracked(topic)
    }

    /// What the client was told at its making, durations of more than a century aside.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn arm(&mut self, at: Instant) {
        self.timer = Some(self.timer.map_or(at, |timer| timer.min(at)));
    }
}
