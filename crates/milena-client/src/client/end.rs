//! How connections end, and what follows from it.
use std::time::Instant;

use tracing::{debug, info};

use super::Client;
use crate::connection::{Connection, Request, State};
use crate::{
    Action, CloseReason, ConnectFailure, ConnectionId, Event, LostReason, MetadataFailure, NodeId,
};

/// What is left of a connection that ended.
struct Lost {
    /// It got as far as asking for versions.
    connected: bool,
    /// It was closed here although nothing is the matter with the broker.
    ours: bool,
    throttled_until: Option<Instant>,
    reason: CloseReason,
}

impl<R> Client<R> {
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

    /// Forgets all brokers, so that the bootstrap servers are tried next; with `close` it ends all
    /// connections too.
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
        self.bootstrap.restart(&mut self.rng);
        self.cluster.forget_brokers();
        self.refresh.want_full();
        self.events.push_back(Event::Rebootstrap);
    }

    /// Forgets a connection: the only way in which one ends. With `close` the driver is told to
    /// close it.
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
        let lost = Lost {
            connected: !matches!(open.state, State::Connecting { .. }),
            ours: matches!(
                reason,
                CloseReason::Idle | CloseReason::NotNeeded | CloseReason::Superseded
            ),
            throttled_until: open.throttled_until,
            reason: reason.clone(),
        };
        let on_purpose = lost.ours
            || matches!(
                reason,
                CloseReason::Moved | CloseReason::Rebootstrap | CloseReason::ShutDown
            );
        if !on_purpose {
            self.suspect_metadata(now);
        }
        let (node, server) = (open.node, open.server);
        self.lose_requests(now, id, open, &reason);
        if close {
            self.actions.push_back(Action::Close {
                connection: id,
                reason: reason.clone(),
            });
        }
        if let (Some(server), CloseReason::Failed(failure)) = (server, reason) {
            self.bootstrap.failed(now, server, failure, lost.connected);
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
            self.lose_node(now, node, id, lost);
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
            CloseReason::Failed(failure) => failure,
            CloseReason::Superseded
            | CloseReason::NotNeeded
            | CloseReason::Moved
            | CloseReason::Rebootstrap
            | CloseReason::ShutDown => return reason,
            CloseReason::Fault(_) | CloseReason::Idle => ConnectFailure::Io(reason.to_string()),
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

    fn lose_node(&mut self, now: Instant, id: NodeId, connection: ConnectionId, lost: Lost) {
        let Some(node) = self
            .nodes
            .get_mut(&id)
            .filter(|node| node.connection == Some(connection))
        else {
            return;
        };
        node.connection = None;
        node.throttled_until = lost.throttled_until;
        node.last_attempt = Some(now);
        node.connect_failures = if lost.connected {
            0
        } else {
            node.connect_failures.saturating_add(1)
        };
        if !lost.ours {
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
            (&lost.reason, reached, &self.bootstrap.reached)
            && !bootstrap.is_same(&advertised)
        {
            debug!(node = id.0, %advertised, %bootstrap, %failure, "an advertised address cannot be reached");
            let (bootstrap, failure) = (bootstrap.clone(), failure.clone());
            self.events.push_back(Event::AdvertisedUnreachable {
                node: id,
                bootstrap,
                advertised,
                failure,
            });
        }
        if !self.shut_down {
            self.events.push_back(Event::NodeLost {
                node: id,
                reason: lost.reason,
            });
        }
    }
}
