//! In which state transactions are (KIP-664).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for DescribeTransactionsRequest<'_> {
    const KEY: ApiKey = ApiKey::DESCRIBE_TRANSACTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE: i16 = 0;
    type Response<'a> = DescribeTransactionsResponse<'a>;
}

message! {
    /// Names the transactional ids.
    pub struct DescribeTransactionsRequest<'a> {
        /// The transactional ids.
        0.. => transactional_ids: Vec<&'a str>,
    }

    /// The states.
    pub struct DescribeTransactionsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// One for each id.
        0.. => transaction_states: Vec<TransactionState<'a>>,
    }

    /// The state of one transactional id.
    pub struct TransactionState<'a> {
        /// Why it cannot be told, or 0.
        0.. => error_code: i16,
        /// The transactional id.
        0.. => transactional_id: &'a str,
        /// The state, by name.
        0.. => transaction_state: &'a str,
        /// When the coordinator aborts it, in milliseconds after its start.
        0.. => transaction_timeout_ms: i32,
        /// When it began, in milliseconds since 1970.
        0.. => transaction_start_time_ms: i64,
        /// Its producer's id.
        0.. => producer_id: i64,
        /// Its producer's epoch.
        0.. => producer_epoch: i16,
        /// Its partitions, by topic.
        0.. => topics: Vec<TopicData<'a>>,
    }

    /// Partitions of a topic.
    pub struct TopicData<'a> {
        /// The topic.
        0.. => topic: &'a str,
        /// The partitions.
        0.. => partitions: Vec<i32>,
    }
}
