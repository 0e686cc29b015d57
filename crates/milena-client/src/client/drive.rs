//! Which connections to make: for the owner, to begin with, and to ask for metadata.
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Client, Node};
use crate::bootstrap::Step;
use crate::{ConnectionId, Event, NodeId, Recovery};

/// How long metadata that is due waits for a connection that is full before another broker is
/// asked.
const PATIENCE: Duration = Duration::from_secs(1);

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

    /// Connects to the brokers that the owner wants, that are known and whose back-off is over.
    pub(super) fn connect_wanted(&mut self, now: Instant) {
        let mut ready = Vec::new();
        let mut next: Option<Instant> = None;
        for &id in self.wanted.keys() {
            let Some(node) = self.nodes.get(&id).filter(|node| node.known) else {
                continue;
            };
            match node.retry_at.filter(|&at| at > now) {
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => ready.push(id),
            }
        }
        next.into_iter().for_each(|at| self.arm(at));
        ready.into_iter().for_each(|id| self.connect_node(now, id));
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
        // One that is full will be answered, and then its owner looks again; of the end of a silence only the timer tells.
        if self
            .connections
            .values()
            .any(|open| open.is_ready() && !open.leaving && open.throttle(now).is_none())
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

    /// Where to put a question that any broker can answer: the least loaded connection; else one
    /// that is being made; else the broker that was not tried for the longest time. A connection
    /// that is full is waited for until `patience`.
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
            Way::Wait(throttled.into_iter().chain(retry_at).min())
        } else {
            Way::Nobody(retry_at)
        }
    }
}
