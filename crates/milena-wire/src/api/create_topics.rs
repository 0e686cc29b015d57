//! Creates topics.
//!
//! - 3: a throttled client is to stay silent by itself (KIP-219).
//! - 4: -1 partitions or replicas stand for the broker's default (KIP-464).
//! - 5: flexible (KIP-482); the answer says how the topic is configured (KIP-525).
//! - 6: `THROTTLING_QUOTA_EXCEEDED` may be answered (KIP-599).
//! - 7: ids of topics (KIP-516).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, Uuid, message};

impl Request for CreateTopicsRequest<'_> {
    const KEY: ApiKey = ApiKey::CREATE_TOPICS;
    const VERSIONS: RangeInclusive<i16> = 2..=7;
    const FLEXIBLE: i16 = 5;
    type Response<'a> = CreateTopicsResponse<'a>;
}

message! {
    /// Describes the topics.
    pub struct CreateTopicsRequest<'a> {
        /// The topics.
        0.. => topics: Vec<CreatableTopic<'a>>,
        /// How long to wait for them, in milliseconds.
        0.. => timeout_ms: i32 = 60_000,
        /// Whether to check only.
        1.. => validate_only: bool,
    }

    /// A topic.
    pub struct CreatableTopic<'a> {
        /// Its name.
        0.. => name: &'a str,
        /// How many partitions; -1 for the default, or with assignments.
        0.. => num_partitions: i32,
        /// How many replicas; -1 for the default, or with assignments.
        0.. => replication_factor: i16,
        /// Where the replicas are to be; empty lets the cluster choose.
        0.. => assignments: Vec<CreatableReplicaAssignment>,
        /// Its configuration.
        0.. => configs: Vec<CreatableTopicConfig<'a>>,
    }

    /// Where the replicas of a partition are to be.
    pub struct CreatableReplicaAssignment {
        /// The partition.
        0.. => partition_index: i32,
        /// The brokers; the first is to lead.
        0.. => broker_ids: Vec<i32>,
    }

    /// A configuration value.
    pub struct CreatableTopicConfig<'a> {
        /// Its name.
        0.. => name: &'a str,
        /// Its value.
        0.. => value: Option<&'a str> = Some(""),
    }

    /// What became of the topics.
    pub struct CreateTopicsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        2.. => throttle_time_ms: i32; ignorable,
        /// By topic.
        0.. => topics: Vec<CreatableTopicResult<'a>>,
    }

    /// What became of a topic.
    pub struct CreatableTopicResult<'a> {
        /// Its name.
        0.. => name: &'a str,
        /// Its id.
        7.. => topic_id: Uuid; ignorable,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// Why, in words.
        1.. => error_message: Option<&'a str> = Some(""); ignorable,
        /// How many partitions it has, or -1.
        5.. => num_partitions: i32 = -1; ignorable,
        /// How many replicas they have, or -1.
        5.. => replication_factor: i16 = -1; ignorable,
        /// How it is configured; null if that may not be told.
        5.. => configs: Option<Vec<CreatableTopicConfigs<'a>>> = Some(Vec::new()); ignorable,
    } tagged {
        /// Why its configuration is not told, or 0.
        0 @ 5.. => topic_config_error_code: i16; ignorable,
    }

    /// A configuration value.
    pub struct CreatableTopicConfigs<'a> {
        /// Its name.
        5.. => name: &'a str,
        /// Its value; null if it is secret.
        5.. => value: Option<&'a str> = Some(""),
        /// Whether it cannot be changed.
        5.. => read_only: bool,
        /// Where it comes from, or -1.
        5.. => config_source: i8 = -1; ignorable,
        /// Whether it is secret.
        5.. => is_sensitive: bool,
    }
}
