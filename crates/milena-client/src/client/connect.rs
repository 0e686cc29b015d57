//! How connections come to be, and which broker they belong to.
use std::time::Instant;

use tracing::{debug, info};

use super::{Client, Node};
use crate::connection::{Connection, State};
use crate::{Action, Address, Broker, CloseReason, ConnectionId, Event, NodeId};

impl<R> Client<R> {
    pub(super) fn connect_server(&mut self, now: Instant, server: usize) {
        let Some(address) = self.bootstrap.address(server).cloned() else {
            return;
        };
        let failures = self.bootstrap.connect_failures(server);
        let id = self.connect(now, address, failures);
        if let Some(open) = self.connections.get_mut(&id) {
            open.server = Some(server);
        }
    }

    pub(super) fn connect_node(&mut self, now: Instant, id: NodeId) {
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
        if open.leaving {
            return;
        }
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

    /// Brings the nodes in line with the brokers of the cluster.
    pub(super) fn sync_nodes(&mut self, now: Instant) {
        let mut moved = Vec::new();
        let mut gone = Vec::new();
        for (id, node) in self.nodes.iter_mut() {
            match self.cluster.brokers.get(id) {
                Some(broker) if broker.address.is_same(&node.address) => {
                    node.known = true;
                    let open = node.connection.and_then(|id| self.connections.get_mut(&id));
                    open.into_iter().for_each(|open| open.leaving = false);
                }
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
            match connection {
                Some(connection) => self.leave(now, connection),
                None => drop(self.nodes.remove(&id)),
            }
        }
        for (&id, broker) in self.cluster.brokers.iter() {
            self.nodes
                .get_or_insert_with(id, || Node::new(broker.address.clone()));
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
        let same = |broker: &&Broker| broker.address.is_same(&open.address);
        let Some(id) = self
            .cluster
            .brokers
            .values()
            .find(same)
            .map(|broker| broker.id)
        else {
            // It is nobody's: it is of use until there is another to ask.
            if self
                .connections
                .values()
                .any(|open| open.is_ready() && open.node.is_some())
            {
                self.bootstrap.winner = None;
                self.leave(now, winner);
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
