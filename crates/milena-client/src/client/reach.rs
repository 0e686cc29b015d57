//! Which connections to make and to end.
use std::time::Instant;

use tracing::{debug, info, warn};

use super::{Client, Node};
use crate::bootstrap::Step;
use crate::connection::{Connection, Request, State};
use crate::{
    Action, Address, CloseReason, ConnectFailure, ConnectionId, Event, LostReason, MetadataFailure,
    NodeId, Recovery,
};

/// How long metadata that is due waits for a connection that is full before another broker is asked.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// Where a request that any broker can answer goes.
enum Way {
    Send(ConnectionId),
    /// Something will happen to a connection that is being made or is full.
    Wait(Option<Instant>),
    Connect(NodeId),
    /// Every known broker was tried and is backing off; the first may be tried again then.
    Nobody(Option<Instant>),
}

impl<R> Client<R> {
    /// Does what is due, and arms the timer for what will be.
    pub(super) fn drive(&mut self, now: Instant) {
        if self.shut_down {
            return;
        }
        self.check_recovery(now);
        self.connect_wanted(now);
        self.drive_bootstrap(now);
        self.drive_metadata(now);
        self.drive_any(now);
    }

    /// Begins anew when metadata could not be had for too long.
    fn check_recovery(&mut self, now: Instant) {
        let Recovery::Rebootstrap(trigger) = self.config.recovery else {
            return;
        };
        let Some(since) = self.refresh.wanted_since else {
            return;
        };
        if since + trigger <= now {
            self.rebootstrap(now, true);
        }
        if let Some(since) = self.refresh.wanted_since {
            self.arm(since + trigger);
        }
    }

    fn drive_bootstrap(&mut self, now: Instant) {
        while self.cluster.brokers.is_empty() && self.bootstrap.winner.is_none() {
            let stagger = self.config.bootstrap_stagger;
            let backoff = self.config.reconnect_backoff;
            let step = self
                .bootstrap
                .step(now, stagger, |failed| backoff.delay(failed, &mut self.rng));
            match step {
                Step::Try(server) => self.connect_server(now, server),
                Step::Exhausted(servers) => {
                    warn!(servers = servers.len(), "no bootstrap server can be used");
                    self.events.push_back(Event::Exhausted(servers));
                }
                Step::Wait(until) => {
                    until.into_iter().for_each(|until| self.arm(until));
                    return;
                }
            }
        }
    }

    /// Connects to the brokers that the owner wants and whose back-off is over.
    pub(super) fn connect_wanted(&mut self, now: Instant) {
        let retry_at = |node: &NodeId| {
            self.nodes
                .get(node)
                .and_then(|node| node.retry_at)
                .filter(|&at| at > now)
        };
        let (ready, later): (Vec<_>, Vec<_>) = self
            .wanted
            .iter()
            .copied()
            .partition(|node| retry_at(node).is_none());
        let next = later.iter().filter_map(retry_at).min();
        if let Some(next) = next {
            self.arm(next);
        }
        for node in ready {
            self.connect_node(now, node);
        }
    }

    fn drive_metadata(&mut self, now: Instant) {
        self.metadata_waits = self
            .metadata_waits
            .filter(|_| self.refresh.asked().is_none());
        let Some(due) = self.refresh.due(now) else {
            return;
        };
        if due > now {
            self.metadata_waits = None;
            self.arm(due);
            return;
        }
        if self.refresh.wanted_since.is_none() {
            self.refresh.wanted_since = Some(now);
            if let Recovery::Rebootstrap(trigger) = self.config.recovery {
                self.arm(now + trigger);
            }
        }
        let waits = *self.metadata_waits.get_or_insert(now);
        match self.way(now, waits + PATIENCE) {
            Way::Send(connection) => {
                self.metadata_waits = None;
                self.ask_metadata(now, connection);
            }
            Way::Wait(until) => until.into_iter().for_each(|until| self.arm(until)),
            Way::Connect(node) => self.connect_node(now, node),
            Way::Nobody(retry_at) => {
                if self.config.recovery == Recovery::None {
                    retry_at.into_iter().for_each(|at| self.arm(at));
                } else {
                    self.rebootstrap(now, false);
                    self.drive_bootstrap(now);
                }
            }
        }
    }

    fn drive_any(&mut self, now: Instant) {
        if !self.any_wanted {
            return;
        }
        if self
            .connections
            .values()
            .any(|open| open.is_ready() && !open.leaving)
        {
            self.any_wanted = false;
            return;
        }
        match self.way(now, now) {
            Way::Connect(node) => self.connect_node(now, node),
            Way::Nobody(Some(at)) | Way::Wait(Some(at)) => self.arm(at),
            Way::Send(_) | Way::Wait(None) | Way::Nobody(None) => {}
        }
    }

    /// Where to put a question that any broker can answer: the least loaded connection; else one that is being made; else the broker that was
    /// not tried for the longest time. A connection that is full is waited for until `patience`.
    fn way(&mut self, now: Instant, patience: Instant) -> Way {
        let salt = self.rng.next_u64() as usize;
        if let Some(connection) = self.least_loaded_by(now, salt) {
            return Way::Send(connection);
        }
        let throttled = self
            .connections
            .values()
            .filter_map(|open| open.throttle(now))
            .min();
        let full = self
            .connections
            .values()
            .any(|open| open.is_ready() && !open.leaving);
        if full && now < patience {
            return Way::Wait(Some(
                throttled.map_or(patience, |until| until.min(patience)),
            ));
        }
        if self.cluster.brokers.is_empty() || self.connections.values().any(|open| !open.is_ready())
        {
            return Way::Wait(throttled);
        }
        let free = |node: &Node| node.known && node.connection.is_none();
        let may = |node: &Node| free(node) && node.retry_at.is_none_or(|at| at <= now);
        let oldest = self
            .nodes
            .values()
            .filter(|node| may(node))
            .map(|node| node.last_attempt)
            .min();
        if let Some(oldest) = oldest {
            let as_old = || {
                self.nodes
                    .iter()
                    .filter(|(_, node)| may(node) && node.last_attempt == oldest)
            };
            let count = as_old().count().max(1);
            if let Some((&node, _)) = as_old().nth(salt % count) {
                return Way::Connect(node);
            }
        }
        let retry_at = self
            .nodes
            .values()
            .filter(|node| free(node))
            .filter_map(|node| node.retry_at)
            .min();
        if full {
            Way::Wait(throttled.or(retry_at))
        } else {
            Way::Nobody(retry_at)
        }
    }

    fn connect_server(&mut self, now: Instant, server: usize) {
        let Some(address) = self.bootstrap.address(server).cloned() else {
            return;
        };
        let failures = self.bootstrap.connect_failures(server);
        let id = self.connect(now, address, failures);
        if let Some(open) = self.connections.get_mut(&id) {
            open.server = Some(server);
        }
    }

    fn connect_node(&mut self, now: Instant, id: NodeId) {
        self.wanted.remove(&id);
        let Some(node) = self
            .nodes
            .get_mut(&id)
            .filter(|node| node.known && node.connection.is_none())
        else {
            return;
        };
        node.last_attempt = Some(now);
        let (address, failures, throttled_until) = (
            node.address.clone(),
            node.connect_failures,
            node.throttled_until,
        );
        let connection = self.connect(now, address, failures);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.connection = Some(connection);
        }
        if let Some(open) = self.connections.get_mut(&connection) {
            open.node = Some(id);
            open.throttled_until = throttled_until;
        }
    }

    fn connect(&mut self, now: Instant, address: Address, failures: u32) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let timeout = self
            .config
            .connection_setup_timeout
            .delay(failures, &mut self.rng);
        debug!(connection = id.0, %address, ?timeout, "connecting");
        self.connections
            .insert(id, Connection::new(now, address.clone(), timeout));
        self.actions.push_back(Action::Connect {
            connection: id,
            address,
            timeout,
        });
        self.arm(now + timeout);
        id
    }

    /// A connection can be used: its broker's versions are known.
    pub(super) fn on_ready(&mut self, now: Instant, id: ConnectionId) {
        let Some(open) = self.connections.get_mut(&id) else {
            return;
        };
        open.state = State::Ready;
        let (server, node, address) = (open.server.take(), open.node, open.address.clone());
        if let Some(idle) = self.config.connections_max_idle {
            self.arm(now + idle);
        }
        if server.is_some() {
            info!(%address, "a bootstrap server answers");
            let others: Vec<_> = self
                .connections
                .iter()
                .filter(|(_, other)| other.server.is_some())
                .map(|(&id, _)| id)
                .collect();
            for other in others {
                self.end(now, other, CloseReason::Superseded, true);
            }
            self.bootstrap.won(id, address.clone());
            self.events.push_back(Event::Bootstrapped {
                connection: id,
                address,
            });
        }
        if let Some(node) = node {
            self.on_node_ready(now, node);
        }
    }

    pub(super) fn on_node_ready(&mut self, now: Instant, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.reached = true;
            node.failures = 0;
            node.retry_at = None;
        }
        self.wanted.remove(&id);
        self.any_wanted = false;
        self.events.push_back(Event::NodeReady(id));
        // The server it began with is nobody's, and now there is another to ask.
        if let Some(winner) = self.bootstrap.winner.take() {
            self.leave(now, winner);
        }
    }

    /// Closes a connection as soon as nothing is in flight on it.
    pub(super) fn leave(&mut self, now: Instant, id: ConnectionId) {
        if let Some(open) = self.connections.get_mut(&id) {
            open.leaving = true;
            self.release(now, id);
        }
    }

    pub(super) fn release(&mut self, now: Instant, id: ConnectionId) {
        if self
            .connections
            .get(&id)
            .is_some_and(|open| open.leaving && open.is_quiet())
        {
            self.end(now, id, CloseReason::NotNeeded, true);
        }
    }

    /// Forgets all brokers, so that the bootstrap servers are tried next; with `close` it ends all connections too.
    pub(super) fn rebootstrap(&mut self, now: Instant, close: bool) {
        info!(close, "beginning anew with the bootstrap servers");
        if close {
            for id in self.connections.keys().copied().collect::<Vec<_>>() {
                self.end(now, id, CloseReason::Rebootstrap, true);
            }
            self.nodes.clear();
            self.refresh.wanted_since = Some(now);
        }
        self.nodes.values_mut().for_each(|node| node.known = false);
        self.wanted.clear();
        self.bootstrap.restart(&mut self.rng);
        self.cluster.forget_brokers();
        self.refresh.want_full();
        self.events.push_back(Event::Rebootstrap);
    }

    /// Forgets a connection: the only way in which one ends. With `close` the driver is told to close it.
    pub(super) fn end(&mut self, now: Instant, id: ConnectionId, reason: CloseReason, close: bool) {
        let Some(open) = self.connections.remove(&id) else {
            return;
        };
        debug!(connection = id.0, address = %open.address, %reason, "connection ended");
        let reason = if open.is_ready() {
            reason
        } else {
            self.as_failure(&open, reason)
        };
        let ours = matches!(
            reason,
            CloseReason::Idle
                | CloseReason::NotNeeded
                | CloseReason::Superseded
                | CloseReason::ShutDown
        );
        if !ours && !self.shut_down && reason != CloseReason::Rebootstrap {
            self.suspect_metadata(now);
        }
        let (node, server) = (open.node, open.server);
        let (connected, throttled_until) = (
            !matches!(open.state, State::Connecting { .. }),
            open.throttled_until,
        );
        self.lose_requests(now, id, open, &reason);
        if close {
            self.actions.push_back(Action::Close {
                connection: id,
                reason: reason.clone(),
            });
        }
        if let (Some(server), CloseReason::Failed(failure)) = (server, &reason) {
            self.bootstrap
                .failed(now, server, failure.clone(), connected);
        }
        if self.bootstrap.winner == Some(id) {
            self.bootstrap.winner = None;
            if self.cluster.brokers.is_empty() {
                let backoff = self.config.reconnect_backoff;
                self.bootstrap
                    .lost(now, |failed| backoff.delay(failed, &mut self.rng));
            }
        }
        if let Some(node) = node {
            self.lose_node(now, node, id, connected, throttled_until, ours, reason);
        }
    }

    /// What a close means for a connection that was never usable.
    fn as_failure(&self, open: &Connection<R>, reason: CloseReason) -> CloseReason {
        CloseReason::Failed(match reason {
            CloseReason::Peer => ConnectFailure::ClosedDuringNegotiation(String::new()),
            CloseReason::Io(why) if open.state == State::Negotiating => {
                ConnectFailure::ClosedDuringNegotiation(format!(": {why}"))
            }
            CloseReason::Io(why) => ConnectFailure::Io(why),
            CloseReason::NotKafka(why) => ConnectFailure::NotKafka(why),
            CloseReason::RequestTimeout => {
                ConnectFailure::NoAnswer(format!("{:?}", self.config.request_timeout))
            }
            CloseReason::Fault(fault) => ConnectFailure::Io(fault.to_string()),
            other => return other,
        })
    }

    /// A lost broker is a reason to ask what the cluster looks like now.
    fn suspect_metadata(&mut self, now: Instant) {
        if self.refresh.due(now).is_some_and(|due| due <= now) && !self.cluster.brokers.is_empty() {
            self.refresh.failed(now, &mut self.rng);
        }
        self.refresh.want_full();
    }

    fn lose_requests(
        &mut self,
        now: Instant,
        id: ConnectionId,
        open: Connection<R>,
        reason: &CloseReason,
    ) {
        let why = match reason {
            CloseReason::RequestTimeout => LostReason::Timeout,
            _ => LostReason::Disconnected,
        };
        let (node, writing) = (open.node, open.writing);
        for lost in open.in_flight {
            match lost.request {
                Request::Owner(request) => {
                    let begun = writing.is_none_or(|writing| {
                        writing.correlation != lost.correlation || writing.begun
                    });
                    self.events.push_back(Event::Lost {
                        connection: id,
                        node,
                        request,
                        why,
                        begun,
                    });
                }
                Request::Metadata => {
                    self.refresh.failed(now, &mut self.rng);
                    self.events
                        .push_back(Event::MetadataFailed(MetadataFailure::Lost(reason.clone())));
                }
                Request::Versions => {}
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what is left of one connection")]
    fn lose_node(
        &mut self,
        now: Instant,
        id: NodeId,
        connection: ConnectionId,
        connected: bool,
        throttled_until: Option<Instant>,
        ours: bool,
        reason: CloseReason,
    ) {
        let Some(node) = self
            .nodes
            .get_mut(&id)
            .filter(|node| node.connection == Some(connection))
        else {
            return;
        };
        node.connection = None;
        node.throttled_until = throttled_until;
        node.last_attempt = Some(now);
        node.connect_failures = if connected {
            0
        } else {
            node.connect_failures.saturating_add(1)
        };
        if !ours {
            node.retry_at = Some(
                now + self
                    .config
                    .reconnect_backoff
                    .delay(node.failures, &mut self.rng),
            );
            node.failures = node.failures.saturating_add(1);
        }
        let (known, reached, advertised) = (node.known, node.reached, node.address.clone());
        if !known {
            self.nodes.remove(&id);
        }
        if let (CloseReason::Failed(failure), false, Some(bootstrap)) =
            (&reason, reached, &self.bootstrap.reached)
            && !bootstrap.is_same(&advertised)
        {
            warn!(node = id.0, %advertised, %bootstrap, %failure, "an advertised address cannot be reached");
            let (bootstrap, failure) = (bootstrap.clone(), failure.clone());
            self.events.push_back(Event::AdvertisedUnreachable {
                node: id,
                bootstrap,
                advertised,
                failure,
            });
        }
        if !self.shut_down {
            self.events.push_back(Event::NodeLost { node: id, reason });
        }
    }

    /// Brings the nodes in line with the brokers of the cluster.
    pub(super) fn sync_nodes(&mut self, now: Instant) {
        let mut moved = Vec::new();
        let mut gone = Vec::new();
        for (id, node) in &mut self.nodes {
            match self.cluster.brokers.get(id) {
                Some(broker) if broker.address.is_same(&node.address) => node.known = true,
                Some(_) => moved.push((*id, node.connection)),
                None => {
                    node.known = false;
                    gone.push((*id, node.connection));
                }
            }
        }
        for (id, connection) in moved {
            if let Some(connection) = connection {
                self.end(now, connection, CloseReason::Moved, true);
            }
            self.nodes.remove(&id);
        }
        for (id, connection) in gone {
            self.wanted.remove(&id);
            match connection {
                Some(connection) => self.leave(now, connection),
                None => drop(self.nodes.remove(&id)),
            }
        }
        for (&id, broker) in &self.cluster.brokers {
            self.nodes
                .entry(id)
                .or_insert_with(|| Node::new(broker.address.clone()));
        }
    }

    /// The broker that advertises the address of the bootstrap server takes over its connection.
    pub(super) fn adopt(&mut self, now: Instant) {
        let Some(winner) = self.bootstrap.winner else {
            return;
        };
        let Some(open) = self.connections.get_mut(&winner) else {
            return;
        };
        let same = |broker: &&crate::Broker| broker.address.is_same(&open.address);
        let Some(id) = self
            .cluster
            .brokers
            .values()
            .find(same)
            .map(|broker| broker.id)
        else {
            // It is nobody's: it is of use until a broker can be asked.
            if let Some((&id, _)) = self
                .nodes
                .iter()
                .find(|(_, node)| node.reached && node.connection.is_some())
            {
                self.on_node_ready(now, id);
            }
            return;
        };
        let Some(node) = self
            .nodes
            .get_mut(&id)
            .filter(|node| node.connection.is_none())
        else {
            return;
        };
        node.connection = Some(winner);
        node.last_attempt = Some(now);
        open.node = Some(id);
        self.bootstrap.winner = None;
        self.on_node_ready(now, id);
    }
}
