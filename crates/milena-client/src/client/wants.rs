//! What the owner wants: connections, requests, topics, an end.
use std::time::{Duration, Instant};

use milena_wire::{ApiKey, ErrorCode, Version};
use tracing::debug;

use super::Client;
use crate::cluster::Broker;
use crate::connection::{InFlight, Request, Writing};
use crate::{
    Address, CloseReason, ConnectionId, Event, Few, LostReason, MetadataUpdate, NodeId, Why,
};

/// Where an answer says that the leader of a partition is now (KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderHint<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The broker that leads it.
    pub leader: NodeId,
    /// Since which epoch.
    pub leader_epoch: i32,
}

/// Where a broker named by a [`LeaderHint`] listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The broker.
    pub node: NodeId,
    /// Its host.
    pub host: &'a str,
    /// Its port; ignored if it is none.
    pub port: i32,
    /// Its rack.
    pub rack: Option<&'a str>,
}

impl<R> Client<R> {
    /// There is something to say to this broker: connects to it, now or when its back-off is over.
    /// One that is not known is connected to once metadata names it.
    ///
    /// Lasts until that attempt has ended in [`Event::NodeReady`] or [`Event::NodeLost`]; after
    /// the latter, whoever still has something to say asks again. Does nothing if there is a
    /// connection already, or one is being made.
    pub fn want(&mut self, now: Instant, node: NodeId) {
        let connected = self
            .nodes
            .get(&node)
            .is_some_and(|node| node.connection.is_some());
        if !self.shut_down && !connected && self.wanted.insert(node, ()).is_none() {
            self.connect_wanted(now);
        }
    }

    /// There is something to say to any broker: makes a connection if there is none, or none whose broker may be spoken
    /// to now.
    ///
    /// Lasts until there is one, or the silence that a broker asked for is over; then [`least_loaded`](Self::least_loaded) names it.
    pub fn want_any(&mut self, now: Instant) {
        if !self.shut_down && !self.any_wanted {
            self.any_wanted = true;
            self.drive(now);
        }
    }

    /// The owner is about to write a request: returns the correlation id for its header.
    ///
    /// The connection must be [`Ready`](crate::NodeState::Ready) or the one that
    /// [`least_loaded`](Self::least_loaded) named, and the frame must be the next thing written on
    /// it. The time for the answer counts from here. A request that is answered by nobody
    /// (`expects_answer` false) is given back by [`handle_written`](Self::handle_written). If the
    /// connection is gone the request is lost at once.
    pub fn begin_request(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        api: ApiKey,
        version: Version,
        request: R,
        expects_answer: bool,
    ) -> i32 {
        debug_assert!(
            self.connections
                .get(&connection)
                .is_none_or(|open| open.is_ready() && open.writing.is_none()),
            "a request is begun only where the state says that it can be sent"
        );
        let begun = !self.config.announced_writes;
        self.begin(
            now,
            connection,
            api,
            version,
            Request::Owner(request),
            expects_answer,
            begun,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one request")]
    pub(super) fn begin(
        &mut self,
        now: Instant,
        id: ConnectionId,
        api: ApiKey,
        version: Version,
        request: Request<R>,
        expects_answer: bool,
        begun: bool,
    ) -> i32 {
        let correlation = self.correlation();
        let Some(connection) = self.connections.get_mut(&id) else {
            if let Request::Owner(request) = request {
                let why = LostReason::Disconnected;
                self.events.push_back(Event::Lost {
                    connection: id,
                    node: None,
                    request,
                    why,
                    begun: false,
                });
            }
            return correlation;
        };
        connection.writing = Some(Writing { correlation, begun });
        connection.last_used = now;
        connection.in_flight.push_back(InFlight {
            correlation,
            api,
            version,
            since: now,
            paused: Duration::ZERO,
            expects_answer,
            request,
        });
        if connection.in_flight.len() == 1 {
            let due = now + self.config.request_timeout;
            self.arm(due);
        }
        correlation
    }

    /// Counts up from 0. The last eight positive numbers are kept for authentication, whose
    /// requests are told apart by them.
    fn correlation(&mut self) -> i32 {
        const RESERVED_FROM: i32 = i32::MAX - 7;
        if self.next_correlation >= RESERVED_FROM {
            self.next_correlation = i32::MIN;
        }
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        correlation
    }

    /// Keeps metadata for a topic from now on; one that is new is asked for at once. Also renews
    /// its expiry.
    ///
    /// A name that no topic can have is not kept: the answer to it is an [`Event::TopicError`] with
    /// `INVALID_TOPIC_EXCEPTION`, as a broker's would be. A request with a name that is too long could not be written or
    /// read, and there would be no more metadata for any topic.
    pub fn track_topic(&mut self, now: Instant, topic: &str) {
        if !is_topic_name(topic) {
            let (topic, error) = (topic.into(), ErrorCode::INVALID_TOPIC_EXCEPTION);
            self.events.push_back(Event::TopicError { topic, error });
            return;
        }
        if self.refresh.track(now, topic) && !self.shut_down {
            debug!(topic, "asking for the metadata of a new topic");
            self.drive(now);
        }
    }

    /// The topic is still in use: renews its expiry (`metadata.max.idle.ms`), or tracks it again if
    /// it was forgotten.
    pub fn use_topic(&mut self, now: Instant, topic: &str) {
        self.track_topic(now, topic);
    }

    /// Asks for the metadata of all tracked topics as soon as the back-off between such requests
    /// allows.
    pub fn request_update(&mut self, now: Instant, why: Why) {
        if !self.shut_down {
            debug!(?why, "metadata wanted");
            self.refresh.want_full();
            self.drive(now);
        }
    }

    /// Takes over what a Produce answer says about leaders that have moved (KIP-951), and returns
    /// how many of the hints are news.
    ///
    /// A hint is ignored if it is not newer than what is known, if its leader is neither known nor
    /// among the endpoints, or if the partition is not known. Metadata should be asked for all the
    /// same.
    pub fn apply_leader_hints(
        &mut self,
        now: Instant,
        hints: &[LeaderHint<'_>],
        endpoints: &[Endpoint<'_>],
    ) -> usize {
        let mut update = MetadataUpdate {
            version: self.cluster.version,
            ..MetadataUpdate::default()
        };
        let mut applied = 0;
        let mut changed = Vec::new();
        let brokers: Few<_, _> = endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint.node, endpoint.broker()?)))
            .collect();
        for hint in hints {
            let broker = brokers.get(&hint.leader);
            let Some(topic) = self.cluster.apply_hint(hint, broker.is_some()) else {
                continue;
            };
            applied += 1;
            changed.push(topic);
            if let Some(broker) = broker {
                update.brokers_changed |= self.cluster.put_broker(broker);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        update.changed = changed;
        if update.brokers_changed {
            self.sync_nodes(now);
        }
        if applied > 0 {
            self.events.push_back(Event::Metadata(update));
            self.drive(now);
        }
        applied
    }

    /// Ends all connections; requests in flight are lost. Nothing is connected or asked for
    /// afterwards.
    pub fn shut_down(&mut self, now: Instant) {
        self.shut_down = true;
        self.wanted.clear();
        self.any_wanted = false;
        self.metadata_waits = None;
        self.timer = None;
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.end(now, id, CloseReason::ShutDown, true);
        }
    }
}

/// Whether Kafka lets a topic have this name.
fn is_topic_name(name: &str) -> bool {
    const LONGEST: usize = 249;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(fits)
}

impl Endpoint<'_> {
    fn broker(&self) -> Option<Broker> {
        let port = u16::try_from(self.port).ok().filter(|&port| port > 0)?;
        if self.host.is_empty() || self.node.0 < 0 {
            return None;
        }
        let rack = self.rack.map(str::to_owned);
        Some(Broker {
            id: self.node,
            address: Address::new(self.host, port),
            rack,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn names_are_those_that_kafka_allows() {
        let (longest, longer) = ("x".repeat(249), "x".repeat(250));
        for name in ["a", "A.b_c-9", "...", "_", "-", &longest] {
            assert!(is_topic_name(name), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "é", "a\0", &longer] {
            assert!(!is_topic_name(name), "{name}");
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time has to begin somewhere"
    )]
    fn correlation_ids_keep_off_those_of_authentication() {
        let mut client = Client::<()>::new(Config::new(Vec::new()), 1, Instant::now());
        client.next_correlation = i32::MAX - 9;
        let ids: Vec<_> = (0..4).map(|_| client.correlation()).collect();
        assert_eq!(ids, [i32::MAX - 9, i32::MAX - 8, i32::MIN, i32::MIN + 1]);
    }
}
