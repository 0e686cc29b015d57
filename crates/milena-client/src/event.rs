//! What the client tells its driver and its owner.
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_wire::{ApiKey, ErrorCode, Version};

use crate::{Address, CloseReason, ConnectFailure, ConnectionId, NodeId, Unreachable};

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect: look the host up, try all its addresses, report
    /// [`handle_connected`](crate::Client::handle_connected) or
    /// [`handle_connect_failed`](crate::Client::handle_connect_failed).
    Connect {
        /// The id to report with.
        connection: ConnectionId,
        /// Where to.
        address: Address,
        /// How long it may take in all. The client gives up by itself after that, so the driver
        /// need not watch it.
        timeout: Duration,
    },
    /// Close the connection, or give the attempt up. The client has forgotten it already; nothing
    /// needs to be reported.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// There is something for [`poll_transmit`](crate::Client::poll_transmit) on this connection.
    Transmit {
        /// Which one.
        connection: ConnectionId,
    },
}

/// What the owner should know. `R` is what it remembers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<R> {
    /// A request will not be answered, because its connection ended. Those of one connection come
    /// oldest first.
    Lost {
        /// The connection.
        connection: ConnectionId,
        /// The broker, if it was known.
        node: Option<NodeId>,
        /// What was remembered of the request.
        request: R,
        /// Why there will be no answer.
        why: LostReason,
        /// Whether some of it may have been written, so that the broker may have done what it asks
        /// for.
        begun: bool,
    },
    /// The first of the bootstrap servers has answered; the cluster's brokers are asked for next.
    Bootstrapped {
        /// Its connection, which belongs to no known broker yet.
        connection: ConnectionId,
        /// Which server it was.
        address: Address,
    },
    /// No bootstrap server could be used; all are tried again after a while. One entry for each
    /// server.
    Exhausted(Vec<Unreachable>),
    /// Requests can be sent to this broker.
    NodeReady(NodeId),
    /// The connection to this broker ended, or could not be made. Whoever still wants to say
    /// something to it calls [`want`](crate::Client::want) again.
    NodeLost {
        /// The broker.
        node: NodeId,
        /// Why.
        reason: CloseReason,
    },
    /// A broker cannot be reached at the address that the cluster advertises for it, although a
    /// bootstrap server could: most often `advertised.listeners` names a host that only the
    /// cluster's own machines know.
    AdvertisedUnreachable {
        /// The broker.
        node: NodeId,
        /// The server that was reached.
        bootstrap: Address,
        /// The address that the cluster gives for the broker.
        advertised: Address,
        /// Why it could not be reached.
        failure: ConnectFailure,
    },
    /// The view of the cluster was renewed.
    Metadata(MetadataUpdate),
    /// The cluster says of a topic that is tracked that it cannot be used, or not now. Told after
    /// each answer that says so; without one, if no topic can have that name.
    TopicError {
        /// The topic.
        topic: Arc<str>,
        /// What is the matter with it.
        error: ErrorCode,
    },
    /// No broker known from metadata could be asked, so the client begins anew with the bootstrap
    /// servers. Until they have told who there is, every broker is [`NodeState::Unknown`]; what is
    /// known of topics stays.
    Rebootstrap,
    /// The view of the cluster could not be renewed; it is tried again after a while.
    MetadataFailed(MetadataFailure),
}

/// What an answer about the cluster changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataUpdate {
    /// How many updates there were; for whoever waits for the next one.
    pub version: u64,
    /// Topics of which anything is new: id, error, partitions, a leader or its epoch. In no order.
    pub changed: Vec<Arc<str>>,
    /// Topics that are not tracked any more, because they were not used for `metadata.max.idle.ms`.
    pub removed: Vec<Arc<str>>,
    /// Topics that the answer was about, changed or not.
    pub mentioned: Vec<Arc<str>>,
    /// Whether brokers came, went or moved: one that was [`NodeState::Unknown`] may be known now.
    pub brokers_changed: bool,
}

/// Why an attempt to renew the view of the cluster came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataFailure {
    /// The answer names no broker.
    NoBrokers,
    /// The connection ended before the answer came.
    Lost(CloseReason),
    /// The broker refuses to answer.
    Refused(ErrorCode),
}

impl fmt::Display for MetadataFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBrokers => f.write_str("the broker's metadata names no brokers"),
            Self::Lost(reason) => reason.fmt(f),
            Self::Refused(code) => write!(
                f,
                "the broker answered with {}",
                code.name().unwrap_or("an unknown error")
            ),
        }
    }
}

impl std::error::Error for MetadataFailure {}

/// Why a request will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The broker did not answer a request on this connection within the request timeout.
    Timeout,
    /// The connection ended otherwise.
    Disconnected,
}

/// Why the view of the cluster should be renewed; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A broker said that it does not lead a partition, or does not know it.
    StaleLeader,
    /// Something is to be sent to a partition without a known leader.
    NoLeader,
    /// A partition is asked for that the topic does not have yet.
    NoPartition,
    /// A request got no answer.
    Lost,
    /// The owner's own reason.
    Asked,
}

/// What became of a frame: the answer to one of the owner's requests.
///
/// The body is `frame[body..]`, to be read in `version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<R> {
    /// What was remembered of the request.
    pub request: R,
    /// Which connection it came on.
    pub connection: ConnectionId,
    /// The broker, if it is known.
    pub node: Option<NodeId>,
    /// The API.
    pub api: ApiKey,
    /// The version of request and answer.
    pub version: Version,
    /// Where the body begins in the frame.
    pub body: usize,
    /// The time since the request was begun.
    pub latency: Duration,
}

/// Whether a request can be sent to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Yes, on this connection.
    Ready(ConnectionId),
    /// There is a connection, but it has enough requests in flight, or one is still being written,
    /// or metadata goes first.
    Busy(ConnectionId),
    /// The broker asked for a pause (KIP-219) until then.
    Throttled(Instant),
    /// A connection is being made.
    Connecting,
    /// The broker could not be reached or was lost; the next attempt may begin then.
    BackingOff(Instant),
    /// There is no connection, and one may be made.
    Disconnected,
    /// The cluster has no such broker, as far as is known.
    Unknown,
}
