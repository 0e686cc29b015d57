//! Reads record batches.
//!
//! - 4: transactions (KIP-98).
//! - 5: where the log begins (KIP-107).
//! - 7: sessions (KIP-227).
//! - 8: a throttled client is to stay silent by itself (KIP-219).
//! - 9: epochs of leaders (KIP-320).
//! - 10: batches may be compressed with zstd (KIP-110).
//! - 11: replicas near by (KIP-392).
//! - 12: flexible (KIP-482); epochs of what was fetched (KIP-595).
//! - 13: topics go by id instead of name (KIP-516).
//! - 14: records may lie in tiered storage (KIP-405).
//! - 15: the replica's state, tagged (KIP-903).
//! - 16: who leads now, when the one asked does not (KIP-951).
//! - 17: the replica's directory (KIP-853).
//! - 18: how far a replica knows the records are safe (KIP-1166).

use std::ops::RangeInclusive;

use crate::{ApiKey, Records, Request, Uuid, message};

impl Request for FetchRequest<'_> {
    const KEY: ApiKey = ApiKey::FETCH;
    const VERSIONS: RangeInclusive<i16> = 4..=18;
    const FLEXIBLE: i16 = 12;
    type Response<'a> = FetchResponse<'a>;
}

message! {
    /// Asks for records.
    pub struct FetchRequest<'a> {
        /// The replica that asks; -1 for a consumer.
        0..=14 => replica_id: i32 = -1,
        /// How long the broker may wait for `min_bytes`, in milliseconds.
        0.. => max_wait_ms: i32,
        /// The fewest bytes to answer with at once.
        0.. => min_bytes: i32,
        /// The most bytes to answer with; a first batch may be larger.
        3.. => max_bytes: i32 = i32::MAX; ignorable,
        /// 0: all records, 1: those of finished transactions.
        4.. => isolation_level: i8; ignorable,
        /// The session, or 0.
        7.. => session_id: i32; ignorable,
        /// The session's epoch; -1 for none.
        7.. => session_epoch: i32 = -1; ignorable,
        /// What to read, by topic.
        0.. => topics: Vec<FetchTopic<'a>>,
        /// What leaves the session.
        7.. => forgotten_topics_data: Vec<ForgottenTopic<'a>>,
        /// The rack in which the consumer stands.
        11.. => rack_id: &'a str; ignorable,
    } tagged {
        /// The cluster the replica belongs to.
        0 @ 12.. => cluster_id: Option<&'a str> = None; ignorable,
        /// The replica that asks.
        1 @ 15.. => replica_state: ReplicaState,
    }

    /// The replica that asks.
    pub struct ReplicaState {
        /// Its broker; -1 for a consumer.
        15.. => replica_id: i32 = -1,
        /// Its broker's epoch, or -1.
        15.. => replica_epoch: i64 = -1,
    }

    /// A topic to read.
    pub struct FetchTopic<'a> {
        /// The topic, by name.
        0..=12 => topic: &'a str; ignorable,
        /// The topic, by id.
        13.. => topic_id: Uuid; ignorable,
        /// Its partitions.
        0.. => partitions: Vec<FetchPartition>,
    }

    /// A partition to read.
    pub struct FetchPartition {
        /// The partition.
        0.. => partition: i32,
        /// The epoch of its leader, as far as the client knows, or -1.
        9.. => current_leader_epoch: i32 = -1; ignorable,
        /// Where to begin.
        0.. => fetch_offset: i64,
        /// The epoch of the last record fetched, or -1.
        12.. => last_fetched_epoch: i32 = -1,
        /// Where the replica's log begins; -1 for a consumer.
        5.. => log_start_offset: i64 = -1; ignorable,
        /// The most bytes of it to answer with.
        0.. => partition_max_bytes: i32,
    } tagged {
        /// Where the replica keeps it.
        0 @ 17.. => replica_directory_id: Uuid; ignorable,
        /// How far the replica knows the records are safe; the highest number if it does not say.
        1 @ 18.. => high_watermark: i64 = i64::MAX; ignorable,
    }

    /// A topic that leaves the session.
    pub struct ForgottenTopic<'a> {
        /// The topic, by name.
        7..=12 => topic: &'a str; ignorable,
        /// The topic, by id.
        13.. => topic_id: Uuid; ignorable,
        /// Its partitions.
        7.. => partitions: Vec<i32>,
    }

    /// The records.
    pub struct FetchResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        1.. => throttle_time_ms: i32; ignorable,
        /// Why all of it was refused, or 0.
        7.. => error_code: i16; ignorable,
        /// The session, or 0.
        7.. => session_id: i32,
        /// By topic.
        0.. => responses: Vec<FetchableTopicResponse<'a>>,
    } tagged {
        /// Where the leaders named in the answer are reached.
        0 @ 16.. => node_endpoints: Vec<NodeEndpoint<'a>>,
    }

    /// Records of a topic.
    pub struct FetchableTopicResponse<'a> {
        /// The topic, by name.
        0..=12 => topic: &'a str; ignorable,
        /// The topic, by id.
        13.. => topic_id: Uuid; ignorable,
        /// By partition.
        0.. => partitions: Vec<PartitionData<'a>>,
    }

    /// Records of a partition.
    pub struct PartitionData<'a> {
        /// The partition.
        0.. => partition_index: i32,
        /// Why there are none, or 0.
        0.. => error_code: i16,
        /// Consumers may read below this offset.
        0.. => high_watermark: i64,
        /// All transactions below this offset are finished; -1 if not known.
        4.. => last_stable_offset: i64 = -1; ignorable,
        /// Where the log begins.
        5.. => log_start_offset: i64 = -1; ignorable,
        /// The aborted transactions among the records; null if all records were asked for.
        4.. => aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()); ignorable,
        /// The replica to read from instead, or -1.
        11.. => preferred_read_replica: i32 = -1,
        /// Batches; the last one may be cut off.
        0.. => records: Option<Records<'a>> = None,
    } tagged {
        /// Where the reader's log and the leader's part.
        0 @ 12.. => diverging_epoch: EpochEndOffset,
        /// Who leads the partition now.
        1 @ 12.. => current_leader: LeaderIdAndEpoch,
        /// The snapshot to read instead.
        2 @ 12.. => snapshot_id: SnapshotId,
    }

    /// Where an epoch ends.
    pub struct EpochEndOffset {
        /// The epoch, or -1.
        12.. => epoch: i32 = -1,
        /// The offset after its last record, or -1.
        12.. => end_offset: i64 = -1,
    }

    /// Who leads a partition.
    pub struct LeaderIdAndEpoch {
        /// The broker; -1 if not known.
        12.. => leader_id: i32 = -1,
        /// Its epoch; -1 if not known.
        12.. => leader_epoch: i32 = -1,
    }

    /// A snapshot.
    pub struct SnapshotId {
        /// The offset after its last record, or -1.
        0.. => end_offset: i64 = -1,
        /// The epoch of its last record, or -1.
        0.. => epoch: i32 = -1,
    }

    /// An aborted transaction.
    pub struct AbortedTransaction {
        /// Its producer's id.
        4.. => producer_id: i64,
        /// The offset of its first record.
        4.. => first_offset: i64,
    }

    /// Where a broker is reached.
    pub struct NodeEndpoint<'a> {
        /// The broker.
        16.. => node_id: i32,
        /// Its host.
        16.. => host: &'a str,
        /// Its port.
        16.. => port: i32,
        /// The rack it stands in.
        16.. => rack: Option<&'a str> = None,
    }
}
