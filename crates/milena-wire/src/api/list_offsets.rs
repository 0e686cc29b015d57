//! Finds offsets by time.
//!
//! - 2: transactions (KIP-98).
//! - 3: a throttled client is to stay silent by itself (KIP-219).
//! - 4: epochs of leaders (KIP-320).
//! - 5: `OFFSET_NOT_AVAILABLE` may be answered (KIP-207).
//! - 6: flexible (KIP-482).
//! - 7: the record with the latest timestamp, as time -3 (KIP-734).
//! - 8: where the local log begins, as time -4 (KIP-405).
//! - 9: where tiered storage ends, as time -5 (KIP-1005).
//! - 10: how long the broker may take (KIP-1075).
//! - 11: where the upload to tiered storage begins, as time -6 (KIP-1023).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for ListOffsetsRequest<'_> {
    const KEY: ApiKey = ApiKey::LIST_OFFSETS;
    const VERSIONS: RangeInclusive<i16> = 1..=11;
    const FLEXIBLE: i16 = 6;
    type Response<'a> = ListOffsetsResponse<'a>;
}

message! {
    /// Asks for offsets.
    pub struct ListOffsetsRequest<'a> {
        /// The replica that asks; -1 for a client.
        0.. => replica_id: i32,
        /// 0: all records, 1: those of finished transactions.
        2.. => isolation_level: i8,
        /// By topic.
        0.. => topics: Vec<ListOffsetsTopic<'a>>,
        /// How long the broker may look in tiered storage, in milliseconds.
        10.. => timeout_ms: i32; ignorable,
    }

    /// Partitions of a topic.
    pub struct ListOffsetsTopic<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// Its partitions.
        0.. => partitions: Vec<ListOffsetsPartition>,
    }

    /// A partition.
    pub struct ListOffsetsPartition {
        /// The partition.
        0.. => partition_index: i32,
        /// The epoch of its leader, as far as the client knows, or -1.
        4.. => current_leader_epoch: i32 = -1; ignorable,
        /// The time in milliseconds; -1 is the end of the log, -2 its beginning.
        0.. => timestamp: i64,
    }

    /// The offsets.
    pub struct ListOffsetsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        2.. => throttle_time_ms: i32; ignorable,
        /// By topic.
        0.. => topics: Vec<ListOffsetsTopicResponse<'a>>,
    }

    /// Offsets of a topic.
    pub struct ListOffsetsTopicResponse<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// By partition.
        0.. => partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// The offset in a partition.
    pub struct ListOffsetsPartitionResponse {
        /// The partition.
        0.. => partition_index: i32,
        /// Why there is none, or 0.
        0.. => error_code: i16,
        /// The time of the record found, or -1.
        1.. => timestamp: i64 = -1,
        /// Its offset, or -1.
        1.. => offset: i64 = -1,
        /// The epoch of the leader that wrote it, or -1.
        4.. => leader_epoch: i32 = -1,
    }
}
