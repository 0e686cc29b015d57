//! What a cluster is made with.

use crate::release::Release;
use crate::topic::TopicConfig;

/// How a cluster is made.
///
/// ```
/// use milena_broker::ClusterConfig;
///
/// let config = ClusterConfig { brokers: 3, ..ClusterConfig::default() };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterConfig {
    /// How many brokers there are, 1 to 1,000; their ids count from 1. By default 1.
    pub brokers: usize,
    /// The release whose versions of requests are spoken. By default everything that is implemented.
    pub release: Release,
    /// How many partitions a topic gets that is created because somebody asked for it, or `None` if none is created
    /// that way. By default 1.
    pub auto_create: Option<usize>,
    /// How topics are configured that are created without saying more.
    pub topic: TopicConfig,
    /// Whether checksums of batches are verified. On by default; off for benchmarks.
    pub verify_crc: bool,
    /// Whether every record of a batch is read and checked, as Kafka does. Off by default, since it costs time.
    pub verify_records: bool,
    /// Whether batches of idempotent producers are deduplicated. On by default; off shows whether a test would notice.
    pub dedupe: bool,
    /// Whether FindCoordinator for a group is answered with a broker. Off by default: groups are not modelled, and
    /// `COORDINATOR_NOT_AVAILABLE` keeps clients from asking further.
    pub group_coordinators: bool,
    /// The most bytes that the answer to a Fetch carries, whatever is asked for. By default 55 MiB, as in Kafka.
    pub fetch_max_bytes: usize,
    /// How many requests the [`Journal`](crate::Journal) keeps. By default 100,000.
    pub journal: usize,
    /// The cluster's id.
    pub cluster_id: String,
    /// The host that brokers are advertised at until [`Change::SetAddress`](crate::Change) says otherwise.
    pub host: String,
    /// The port of the first broker; the others follow. By default 9092.
    pub port: u16,
    /// Where random choices begin: topic ids, and faults with a probability.
    pub seed: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            brokers: 1,
            release: Release::default(),
            auto_create: Some(1),
            topic: TopicConfig::default(),
            verify_crc: true,
            verify_records: false,
            dedupe: true,
            group_coordinators: false,
            fetch_max_bytes: 55 << 20,
            journal: 100_000,
            cluster_id: "bWlsZW5hLWJyb2tlci0wMQ".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 9092,
            seed: 0,
        }
    }
}
