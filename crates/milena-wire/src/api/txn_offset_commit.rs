//! Commits offsets of a group within a transaction.
//!
//! - 2: epochs of leaders (KIP-320).
//! - 3: flexible (KIP-482); the group's member and generation (KIP-447).
//! - 4: `TRANSACTION_ABORTABLE` may be answered (KIP-890).
//! - 5: the group joins the transaction by it (KIP-890).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for TxnOffsetCommitRequest<'_> {
    const KEY: ApiKey = ApiKey::TXN_OFFSET_COMMIT;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FLEXIBLE: i16 = 3;
    type Response<'a> = TxnOffsetCommitResponse<'a>;
}

message! {
    /// Brings the offsets.
    pub struct TxnOffsetCommitRequest<'a> {
        /// The transactional id.
        0.. => transactional_id: &'a str,
        /// The group.
        0.. => group_id: &'a str,
        /// The producer's id.
        0.. => producer_id: i64,
        /// The producer's epoch.
        0.. => producer_epoch: i16,
        /// The group's generation, or -1.
        3.. => generation_id: i32 = -1,
        /// The member that read the records, or empty.
        3.. => member_id: &'a str,
        /// Its fixed name in the group.
        3.. => group_instance_id: Option<&'a str> = None,
        /// The offsets, by topic.
        0.. => topics: Vec<TxnOffsetCommitRequestTopic<'a>>,
    }

    /// Offsets of a topic.
    pub struct TxnOffsetCommitRequestTopic<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// By partition.
        0.. => partitions: Vec<TxnOffsetCommitRequestPartition<'a>>,
    }

    /// The offset of a partition.
    pub struct TxnOffsetCommitRequestPartition<'a> {
        /// The partition.
        0.. => partition_index: i32,
        /// The next offset to read.
        0.. => committed_offset: i64,
        /// The leader epoch of the last record that was read, or -1.
        2.. => committed_leader_epoch: i32 = -1; ignorable,
        /// Whatever the application wants to keep beside it.
        0.. => committed_metadata: Option<&'a str> = Some(""),
    }

    /// What became of the offsets.
    pub struct TxnOffsetCommitResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// By topic.
        0.. => topics: Vec<TxnOffsetCommitResponseTopic<'a>>,
    }

    /// What became of a topic's offsets.
    pub struct TxnOffsetCommitResponseTopic<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// By partition.
        0.. => partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// What became of a partition's offset.
    pub struct TxnOffsetCommitResponsePartition {
        /// The partition.
        0.. => partition_index: i32,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
    }
}
