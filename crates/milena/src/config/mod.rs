//! What a producer can be told: one struct, set by typed methods or by Kafka's property names.

mod error;
mod properties;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_tokio::{Connector, Resolver};

pub use error::ConfigError;
pub(crate) use settle::Settings;

use crate::{Acks, Compression};

/// What to do when none of the known brokers can be used any more (`metadata.recovery.strategy`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MetadataRecovery {
    /// Start again from `bootstrap.servers` (KIP-899, KIP-1102): the default.
    #[default]
    Rebootstrap,
    /// Keep trying the brokers known last.
    None,
}

/// The configuration of a producer, and its builder.
///
/// Every setting has one method, named as its Kafka property without units; [`from_properties`]
/// sets the same values from the names that the Java client uses. Nothing is checked before
/// [`validate`], [`build`] or [`connect`], so the order of calls does not matter.
///
/// The defaults are those of the Java client 4.3. They assume a network of at most a few
/// milliseconds, brokers that keep idle connections for ten minutes, and an application that
/// prefers not to lose or double anything.
///
/// # Defaults
///
/// | method | property | default |
/// |---|---|---|
/// | [`bootstrap_servers`](Self::bootstrap_servers) | `bootstrap.servers` | none, required |
/// | [`client_id`](Self::client_id) | `client.id` | `producer-<n>` |
/// | [`acks`](Self::acks) | `acks` | all |
/// | [`idempotence`](Self::idempotence) | `enable.idempotence` | on |
/// | [`retries`](Self::retries) | `retries` | 2147483647 |
/// | [`max_in_flight`](Self::max_in_flight) | `max.in.flight.requests.per.connection` | 5 |
/// | [`compression`](Self::compression) | `compression.type` | none |
/// | [`compression_level`](Self::compression_level) | `compression.<codec>.level` | the codec's |
/// | [`batch_size`](Self::batch_size) | `batch.size` | 16 KiB |
/// | [`linger`](Self::linger) | `linger.ms` | 5 ms |
/// | [`buffer_memory`](Self::buffer_memory) | `buffer.memory` | 32 MiB |
/// | [`max_request_size`](Self::max_request_size) | `max.request.size` | 1 MiB |
/// | [`max_block`](Self::max_block) | `max.block.ms` | 60 s |
/// | [`delivery_timeout`](Self::delivery_timeout) | `delivery.timeout.ms` | 120 s |
/// | [`request_timeout`](Self::request_timeout) | `request.timeout.ms` | 30 s |
/// | [`retry_backoff`](Self::retry_backoff) | `retry.backoff.ms`, `.max.ms` | 100 ms to 1 s |
/// | [`reconnect_backoff`](Self::reconnect_backoff) | `reconnect.backoff.ms`, `.max.ms` | 50 ms to 1 s |
/// | [`connection_setup_timeout`](Self::connection_setup_timeout) | `socket.connection.setup.timeout.ms`, `.max.ms` | 10 s to 30 s |
/// | [`connections_max_idle`](Self::connections_max_idle) | `connections.max.idle.ms` | 9 min |
/// | [`send_buffer`](Self::send_buffer) | `send.buffer.bytes` | the system's (Java 128 KiB) |
/// | [`receive_buffer`](Self::receive_buffer) | `receive.buffer.bytes` | 32 KiB |
/// | [`metadata_max_age`](Self::metadata_max_age) | `metadata.max.age.ms` | 5 min |
/// | [`metadata_max_idle`](Self::metadata_max_idle) | `metadata.max.idle.ms` | 5 min |
/// | [`metadata_recovery`](Self::metadata_recovery) | `metadata.recovery.strategy` | rebootstrap |
/// | [`rebootstrap_trigger`](Self::rebootstrap_trigger) | `metadata.recovery.rebootstrap.trigger.ms` | 5 min |
/// | [`adaptive_partitioning`](Self::adaptive_partitioning) | `partitioner.adaptive.partitioning.enable` | on |
/// | [`partitioner_availability_timeout`](Self::partitioner_availability_timeout) | `partitioner.availability.timeout.ms` | off |
/// | [`partitioner_ignore_keys`](Self::partitioner_ignore_keys) | `partitioner.ignore.keys` | off |
///
/// # What differs from the Java client
///
/// - A property nobody knows is an error that names the nearest known one; Java logs it.
/// - `batch.size` above `buffer.memory` is refused by `build`; in Java every `send` fails.
/// - `build` resolves no names; names are resolved when connecting, and
///   [`connect`](Self::connect) tells what did not resolve.
/// - The bootstrap connection tries the servers side by side, a quarter of a second apart.
///
/// [`from_properties`]: Self::from_properties
/// [`validate`]: Self::validate
/// [`build`]: Self::build
/// [`connect`]: Self::connect
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it is built or connected"]
pub struct ProducerConfig {
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) acks: Option<Acks>,
    pub(crate) idempotence: Option<bool>,
    pub(crate) retries: Option<u32>,
    pub(crate) max_in_flight: usize,
    pub(crate) compression: Compression,
    pub(crate) compression_level: Option<i32>,
    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    pub(crate) max_request_size: usize,
    pub(crate) max_block: Duration,
    pub(crate) delivery_timeout: Option<Duration>,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_backoff: (Duration, Duration),
    pub(crate) reconnect_backoff: (Option<Duration>, Option<Duration>),
    pub(crate) connection_setup_timeout: (Duration, Duration),
    pub(crate) connections_max_idle: Option<Duration>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) metadata_max_age: Duration,
    pub(crate) metadata_max_idle: Duration,
    pub(crate) metadata_recovery: MetadataRecovery,
    pub(crate) rebootstrap_trigger: Duration,
    pub(crate) adaptive_partitioning: bool,
    pub(crate) partitioner_availability_timeout: Duration,
    pub(crate) partitioner_ignore_keys: bool,
    pub(crate) edges: Edges,
}

/// What may be put in place of the system's own.
#[derive(Clone, Default)]
pub(crate) struct Edges {
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
    pub(crate) connector: Option<Arc<dyn Connector>>,
}

impl fmt::Debug for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edges")
            .field("resolver", &self.resolver.is_some())
            .field("connector", &self.connector.is_some())
            .finish()
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: Vec::new(),
            client_id: None,
            acks: None,
            idempotence: None,
            retries: None,
            max_in_flight: 5,
            compression: Compression::None,
            compression_level: None,
            batch_size: 16_384,
            linger: Duration::from_millis(5),
            buffer_memory: 32 * 1024 * 1024,
            max_request_size: 1024 * 1024,
            max_block: Duration::from_secs(60),
            delivery_timeout: None,
            request_timeout: Duration::from_secs(30),
            retry_backoff: (Duration::from_millis(100), Duration::from_secs(1)),
            reconnect_backoff: (None, None),
            connection_setup_timeout: (Duration::from_secs(10), Duration::from_secs(30)),
            connections_max_idle: Some(Duration::from_secs(540)),
            send_buffer: None,
            receive_buffer: Some(32_768),
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            metadata_recovery: MetadataRecovery::default(),
            rebootstrap_trigger: Duration::from_secs(300),
            adaptive_partitioning: true,
            partitioner_availability_timeout: Duration::ZERO,
            partitioner_ignore_keys: false,
            edges: Edges::default(),
        }
    }
}

/// Whom to speak to, and as whom.
impl ProducerConfig {
    /// A configuration with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The brokers to ask first, as `host:port` separated by commas.
    ///
    /// They are only the way in: once one of them has answered, the cluster's own list counts.
    /// `[::1]:9092` and a prefix such as `PLAINTEXT://` are understood. Naming two or three is
    /// enough; they are tried side by side, a quarter of a second apart. Required.
    #[doc(alias = "bootstrap.servers")]
    #[doc(alias = "metadata.broker.list")]
    pub fn bootstrap_servers(mut self, servers: impl AsRef<str>) -> Self {
        self.bootstrap_servers = split_list(servers.as_ref());
        self
    }

    /// The name that brokers write into their logs, metrics and quotas for this producer.
    ///
    /// Default: `producer-<n>`, counted in this process. An empty name is kept as it is.
    #[doc(alias = "client.id")]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// How long to wait for a TCP connection to open: at first, and at most.
    ///
    /// The time doubles with each failure in a row, with a jitter of 20 %. It covers looking up
    /// the name, connecting and the handshake. Default: 10 s to 30 s.
    #[doc(alias = "socket.connection.setup.timeout.ms")]
    #[doc(alias = "socket.connection.setup.timeout.max.ms")]
    pub fn connection_setup_timeout(mut self, first: Duration, max: Duration) -> Self {
        self.connection_setup_timeout = (first, max);
        self
    }

    /// Close a connection on which nothing has happened for this long; `None` keeps it for ever.
    ///
    /// Default: 9 minutes, just below the 10 minutes after which brokers close it.
    #[doc(alias = "connections.max.idle.ms")]
    pub fn connections_max_idle(mut self, idle: Option<Duration>) -> Self {
        self.connections_max_idle = idle;
        self
    }

    /// How long to wait before connecting again to a broker that failed: at first, and at most.
    ///
    /// The time doubles with each failure in a row, with a jitter of 20 %. Default: 50 ms to 1 s.
    #[doc(alias = "reconnect.backoff.ms")]
    #[doc(alias = "reconnect.backoff.max.ms")]
    pub fn reconnect_backoff(mut self, first: Duration, max: Duration) -> Self {
        self.reconnect_backoff = (Some(first), Some(max));
        self
    }

    /// The size of the socket's send buffer in bytes; `None` leaves it to the system.
    ///
    /// Default: the system's, where Java has 131072: Linux gives a connection as much as it can use, and a
    /// fixed one bounds what a long way to the broker carries.
    ///
    /// However large it is, Linux and Android keep no more than 128 KiB there, or two batches if these are larger, that
    /// they cannot send yet.
    #[doc(alias = "send.buffer.bytes")]
    #[doc(alias = "SO_SNDBUF")]
    pub fn send_buffer(mut self, bytes: Option<usize>) -> Self {
        self.send_buffer = bytes;
        self
    }

    /// The size of the socket's receive buffer in bytes; `None` leaves it to the system.
    ///
    /// Default: 32768.
    #[doc(alias = "receive.buffer.bytes")]
    #[doc(alias = "SO_RCVBUF")]
    pub fn receive_buffer(mut self, bytes: Option<usize>) -> Self {
        self.receive_buffer = bytes;
        self
    }
}

/// Ways to brokers other than the system's own
impl ProducerConfig {
    /// Looks names up with this, instead of the system's name service.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.edges.resolver = Some(Arc::new(resolver));
        self
    }

    /// Opens connections with this, instead of plain TCP; `send_buffer` and `receive_buffer` have
    /// no effect then.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.edges.connector = Some(Arc::new(connector));
        self
    }
}

/// What is promised of a record.
impl ProducerConfig {
    /// How many replicas must have a record before it counts as delivered.
    ///
    /// Default: [`Acks::All`]. Anything less switches idempotence off, and is an error if
    /// idempotence was asked for.
    #[doc(alias = "request.required.acks")]
    pub fn acks(mut self, acks: Acks) -> Self {
        self.acks = Some(acks);
        self
    }

    /// Whether brokers recognise a record sent twice, so that it is stored once and in order.
    ///
    /// Default: on. Needs [`Acks::All`], retries, and at most five requests in flight: when it
    /// was asked for by this method, another setting of the first two is an error; when it was
    /// not, they switch it off. More than five in flight need it switched off by hand.
    #[doc(alias = "enable.idempotence")]
    pub fn idempotence(mut self, on: bool) -> Self {
        self.idempotence = Some(on);
        self
    }

    /// How often a batch may be sent again.
    ///
    /// Default: 2147483647, that is, as often as [`delivery_timeout`](Self::delivery_timeout)
    /// allows. Prefer that setting.
    #[doc(alias = "message.send.max.retries")]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// How many requests may wait for an answer on one connection, at least 1.
    ///
    /// Default: 5. With 1, order is kept even without idempotence.
    #[doc(alias = "max.in.flight.requests.per.connection")]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// How long a record may take from its batch's opening to the acknowledgement.
    ///
    /// After it the record fails, whatever is still being tried. Must be at least
    /// [`linger`](Self::linger) plus [`request_timeout`](Self::request_timeout); when it is not
    /// set it is raised to that sum. Default: 120 s.
    #[doc(alias = "delivery.timeout.ms")]
    #[doc(alias = "message.timeout.ms")]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = Some(timeout);
        self
    }

    /// How long to wait for the answer to one request.
    ///
    /// After it the connection is closed and what was in flight on it is sent again. It also goes
    /// to the broker as the time to wait for replicas. Default: 30 s.
    #[doc(alias = "request.timeout.ms")]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long to wait before trying something again: at first, and at most.
    ///
    /// Holds for batches and metadata. The time doubles with each failure in a row, with a jitter
    /// of 20 %. Default: 100 ms to 1 s.
    #[doc(alias = "retry.backoff.ms")]
    #[doc(alias = "retry.backoff.max.ms")]
    pub fn retry_backoff(mut self, first: Duration, max: Duration) -> Self {
        self.retry_backoff = (first, max);
        self
    }
}

/// How records are collected.
impl ProducerConfig {
    /// How batches are compressed.
    ///
    /// Default: not at all. Each codec is a feature of this crate, all on by default.
    #[doc(alias = "compression.type")]
    #[doc(alias = "compression.codec")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// How hard the codec tries; what is allowed depends on it.
    ///
    /// gzip: 1 to 9; zstd: -131072 to 22; lz4: 9 only; snappy has none. Default: the codec's own.
    #[doc(alias = "compression.gzip.level")]
    #[doc(alias = "compression.zstd.level")]
    #[doc(alias = "compression.lz4.level")]
    pub fn compression_level(mut self, level: i32) -> Self {
        self.compression_level = Some(level);
        self
    }

    /// How large a batch may grow, in bytes.
    ///
    /// A larger record is sent in a batch of its own. 0 puts every record into a batch of its own.
    /// Default: 16384.
    #[doc(alias = "batch.size")]
    pub fn batch_size(mut self, bytes: usize) -> Self {
        self.batch_size = bytes;
        self
    }

    /// How long a batch that is not full waits for more records.
    ///
    /// Full batches, [`flush`](crate::Producer::flush), closing and lack of memory do not wait for
    /// it. Default: 5 ms.
    #[doc(alias = "linger.ms")]
    #[doc(alias = "queue.buffering.max.ms")]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How much memory records may take that are not yet delivered, in bytes.
    ///
    /// An exact bound, on batches by the chunks that their records are in and half a KiB besides. When
    /// it is reached, [`send`](crate::Producer::send) waits and [`try_send`](crate::Producer::try_send)
    /// hands the record back. At least [`batch_size`](Self::batch_size). Default: 33554432.
    #[doc(alias = "buffer.memory")]
    #[doc(alias = "queue.buffering.max.kbytes")]
    pub fn buffer_memory(mut self, bytes: usize) -> Self {
        self.buffer_memory = bytes;
        self
    }

    /// How large one request, and one record before compression, may be, in bytes.
    ///
    /// Default: 1048576. The broker's `message.max.bytes` and the topic's `max.message.bytes`
    /// bound a batch as well.
    #[doc(alias = "max.request.size")]
    #[doc(alias = "message.max.bytes")]
    pub fn max_request_size(mut self, bytes: usize) -> Self {
        self.max_request_size = bytes;
        self
    }

    /// How long [`send`](crate::Producer::send) and
    /// [`partitions_for`](crate::Producer::partitions_for) may wait for metadata and memory
    ///
    /// One budget for both, from the first wait of a call on. Default: 60 s.
    #[doc(alias = "max.block.ms")]
    pub fn max_block(mut self, time: Duration) -> Self {
        self.max_block = time;
        self
    }
}

/// Which partition a record goes to.
impl ProducerConfig {
    /// Whether records without a key prefer partitions whose brokers keep up (KIP-794).
    ///
    /// Default: on.
    #[doc(alias = "partitioner.adaptive.partitioning.enable")]
    pub fn adaptive_partitioning(mut self, on: bool) -> Self {
        self.adaptive_partitioning = on;
        self
    }

    /// Leave out partitions whose broker has not taken anything for this long; zero: never.
    ///
    /// Only for records without a key, and only with adaptive partitioning. Default: zero.
    #[doc(alias = "partitioner.availability.timeout.ms")]
    pub fn partitioner_availability_timeout(mut self, timeout: Duration) -> Self {
        self.partitioner_availability_timeout = timeout;
        self
    }

    /// Whether keys are ignored when a partition is chosen.
    ///
    /// Default: off, that is, records of one key go to one partition.
    #[doc(alias = "partitioner.ignore.keys")]
    pub fn partitioner_ignore_keys(mut self, on: bool) -> Self {
        self.partitioner_ignore_keys = on;
        self
    }
}

/// What is known of the cluster, and for how long.
impl ProducerConfig {
    /// Ask for metadata again when what is known is this old.
    ///
    /// Default: 5 minutes.
    #[doc(alias = "metadata.max.age.ms")]
    #[doc(alias = "topic.metadata.refresh.interval.ms")]
    pub fn metadata_max_age(mut self, age: Duration) -> Self {
        self.metadata_max_age = age;
        self
    }

    /// Forget a topic that was not used for this long, at least 5 s.
    ///
    /// Default: 5 minutes.
    #[doc(alias = "metadata.max.idle.ms")]
    pub fn metadata_max_idle(mut self, idle: Duration) -> Self {
        self.metadata_max_idle = idle;
        self
    }

    /// What to do when none of the known brokers can be used.
    ///
    /// Default: start again from the bootstrap servers.
    #[doc(alias = "metadata.recovery.strategy")]
    pub fn metadata_recovery(mut self, recovery: MetadataRecovery) -> Self {
        self.metadata_recovery = recovery;
        self
    }

    /// Start again from the bootstrap servers when metadata could not be had for this long, a second at the least.
    ///
    /// Default: 5 minutes.
    #[doc(alias = "metadata.recovery.rebootstrap.trigger.ms")]
    pub fn rebootstrap_trigger(mut self, time: Duration) -> Self {
        self.rebootstrap_trigger = time;
        self
    }
}

/// Splits a list at its commas, as Kafka's lists are: white space around elements is dropped.
///
/// Empty elements are kept, so that whoever checks the list can refuse them.
fn split_list(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|part| part.trim().to_owned()).collect()
}
