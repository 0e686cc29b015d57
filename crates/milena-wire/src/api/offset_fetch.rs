//! The offsets that groups have committed.
//!
//! - 2: null asks for all topics; an error of the whole answer (KIP-88).
//! - 4: a throttled client is to stay silent by itself (KIP-219).
//! - 5: epochs of leaders (KIP-320).
//! - 6: flexible (KIP-482).
//! - 7: whether to wait for transactions that are not finished (KIP-447).
//! - 8: several groups at once (KIP-709).
//! - 9: the member that asks (KIP-848).
//! - 10: topics go by id instead of name (KIP-848).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, Uuid, message};

impl Request for OffsetFetchRequest<'_> {
    const KEY: ApiKey = ApiKey::OFFSET_FETCH;
    const VERSIONS: RangeInclusive<i16> = 1..=10;
    const FLEXIBLE: i16 = 6;
    type Response<'a> = OffsetFetchResponse<'a>;
}

message! {
    /// Asks for offsets.
    pub struct OffsetFetchRequest<'a> {
        /// The one group.
        0..=7 => group_id: &'a str,
        /// Its topics; null for all.
        0..=7 => topics: Option<Vec<OffsetFetchRequestTopic<'a>>> = Some(Vec::new());
            nullable(2..=7),
        /// The groups.
        8.. => groups: Vec<OffsetFetchRequestGroup<'a>>,
        /// Whether to wait for transactions that are not finished.
        7.. => require_stable: bool,
    }

    /// A topic of the one group.
    pub struct OffsetFetchRequestTopic<'a> {
        /// The topic.
        0..=7 => name: &'a str,
        /// Its partitions.
        0..=7 => partition_indexes: Vec<i32>,
    }

    /// A group.
    pub struct OffsetFetchRequestGroup<'a> {
        /// The group.
        8.. => group_id: &'a str,
        /// The member that asks.
        9.. => member_id: Option<&'a str> = None; ignorable,
        /// Its epoch, or -1.
        9.. => member_epoch: i32 = -1; ignorable,
        /// Its topics; null for all.
        8.. => topics: Option<Vec<OffsetFetchRequestTopics<'a>>> = Some(Vec::new()),
    }

    /// A topic of a group.
    pub struct OffsetFetchRequestTopics<'a> {
        /// The topic, by name.
        8..=9 => name: &'a str; ignorable,
        /// The topic, by id.
        10.. => topic_id: Uuid; ignorable,
        /// Its partitions.
        8.. => partition_indexes: Vec<i32>,
    }

    /// The offsets.
    pub struct OffsetFetchResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        3.. => throttle_time_ms: i32; ignorable,
        /// Those of the one group, by topic.
        0..=7 => topics: Vec<OffsetFetchResponseTopic<'a>>,
        /// Why they cannot be had, or 0.
        2..=7 => error_code: i16; ignorable,
        /// By group.
        8.. => groups: Vec<OffsetFetchResponseGroup<'a>>,
    }

    /// Offsets of a topic, of the one group.
    pub struct OffsetFetchResponseTopic<'a> {
        /// The topic.
        0..=7 => name: &'a str,
        /// By partition.
        0..=7 => partitions: Vec<OffsetFetchResponsePartition<'a>>,
    }

    /// The offset in a partition, of the one group.
    pub struct OffsetFetchResponsePartition<'a> {
        /// The partition.
        0..=7 => partition_index: i32,
        /// The next offset to read, or -1.
        0..=7 => committed_offset: i64,
        /// The leader epoch of the last record that was read, or -1.
        5..=7 => committed_leader_epoch: i32 = -1; ignorable,
        /// What the application keeps beside it.
        0..=7 => metadata: Option<&'a str> = Some(""),
        /// Why it cannot be had, or 0.
        0..=7 => error_code: i16,
    }

    /// Offsets of a group.
    pub struct OffsetFetchResponseGroup<'a> {
        /// The group.
        8.. => group_id: &'a str,
        /// By topic.
        8.. => topics: Vec<OffsetFetchResponseTopics<'a>>,
        /// Why they cannot be had, or 0.
        8.. => error_code: i16,
    }

    /// Offsets of a topic.
    pub struct OffsetFetchResponseTopics<'a> {
        /// The topic, by name.
        8..=9 => name: &'a str; ignorable,
        /// The topic, by id.
        10.. => topic_id: Uuid; ignorable,
        /// By partition.
        8.. => partitions: Vec<OffsetFetchResponsePartitions<'a>>,
    }

    /// The offset in a partition.
    pub struct OffsetFetchResponsePartitions<'a> {
        /// The partition.
        8.. => partition_index: i32,
        /// The next offset to read, or -1.
        8.. => committed_offset: i64,
        /// The leader epoch of the last record that was read, or -1.
        8.. => committed_leader_epoch: i32 = -1; ignorable,
        /// What the application keeps beside it.
        8.. => metadata: Option<&'a str> = Some(""),
        /// Why it cannot be had, or 0.
        8.. => error_code: i16,
    }
}
