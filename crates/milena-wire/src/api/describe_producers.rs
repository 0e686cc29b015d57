//! Which producers are writing to partitions (KIP-664).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for DescribeProducersRequest<'_> {
    const KEY: ApiKey = ApiKey::DESCRIBE_PRODUCERS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE: i16 = 0;
    type Response<'a> = DescribeProducersResponse<'a>;
}

message! {
    /// Names the partitions.
    pub struct DescribeProducersRequest<'a> {
        /// By topic.
        0.. => topics: Vec<TopicRequest<'a>>,
    }

    /// Partitions of a topic.
    pub struct TopicRequest<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// Its partitions.
        0.. => partition_indexes: Vec<i32>,
    }

    /// The producers.
    pub struct DescribeProducersResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// By topic.
        0.. => topics: Vec<TopicResponse<'a>>,
    }

    /// Producers of a topic.
    pub struct TopicResponse<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// By partition.
        0.. => partitions: Vec<PartitionResponse<'a>>,
    }

    /// Producers of a partition.
    pub struct PartitionResponse<'a> {
        /// The partition.
        0.. => partition_index: i32,
        /// Why they cannot be told, or 0.
        0.. => error_code: i16,
        /// Why, in words.
        0.. => error_message: Option<&'a str> = None,
        /// The producers that the leader remembers.
        0.. => active_producers: Vec<ProducerState>,
    }

    /// A producer.
    pub struct ProducerState {
        /// Its id.
        0.. => producer_id: i64,
        /// Its epoch.
        0.. => producer_epoch: i32,
        /// The sequence number of its last record, or -1.
        0.. => last_sequence: i32 = -1,
        /// The time of its last record, or -1.
        0.. => last_timestamp: i64 = -1,
        /// The epoch of the coordinator that last ended a transaction of it.
        0.. => coordinator_epoch: i32,
        /// Where its unfinished transaction begins, or -1.
        0.. => current_txn_start_offset: i64 = -1,
    }
}
