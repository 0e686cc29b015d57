//! Gives topics more partitions.
//!
//! - 1: a throttled client is to stay silent by itself (KIP-219).
//! - 2: flexible (KIP-482).
//! - 3: `THROTTLING_QUOTA_EXCEEDED` may be answered (KIP-599).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for CreatePartitionsRequest<'_> {
    const KEY: ApiKey = ApiKey::CREATE_PARTITIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const FLEXIBLE: i16 = 2;
    type Response<'a> = CreatePartitionsResponse<'a>;
}

message! {
    /// Says how many.
    pub struct CreatePartitionsRequest<'a> {
        /// By topic.
        0.. => topics: Vec<CreatePartitionsTopic<'a>>,
        /// How long to wait for them, in milliseconds.
        0.. => timeout_ms: i32,
        /// Whether to check only.
        0.. => validate_only: bool,
    }

    /// A topic.
    pub struct CreatePartitionsTopic<'a> {
        /// Its name.
        0.. => name: &'a str,
        /// How many partitions it shall have in all.
        0.. => count: i32,
        /// Where the new ones are to be; null lets the cluster choose.
        0.. => assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    /// Where a new partition is to be.
    pub struct CreatePartitionsAssignment {
        /// The brokers; the first is to lead.
        0.. => broker_ids: Vec<i32>,
    }

    /// What became of it.
    pub struct CreatePartitionsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// By topic.
        0.. => results: Vec<CreatePartitionsTopicResult<'a>>,
    }

    /// What became of a topic.
    pub struct CreatePartitionsTopicResult<'a> {
        /// Its name.
        0.. => name: &'a str,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// Why, in words.
        0.. => error_message: Option<&'a str> = None,
    }
}
