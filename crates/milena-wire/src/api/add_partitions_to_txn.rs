//! Tells the coordinator which partitions a transaction is going to write to.
//!
//! - 2: `PRODUCER_FENCED` may be answered (KIP-588).
//! - 3: flexible (KIP-482). The last version for clients.
//! - 4: several transactions at once, to be verified (KIP-890); for brokers.
//! - 5: `TRANSACTION_ABORTABLE` may be answered (KIP-890); for brokers.

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for AddPartitionsToTxnRequest<'_> {
    const KEY: ApiKey = ApiKey::ADD_PARTITIONS_TO_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FLEXIBLE: i16 = 3;
    type Response<'a> = AddPartitionsToTxnResponse<'a>;
}

message! {
    /// Names the partitions.
    pub struct AddPartitionsToTxnRequest<'a> {
        /// The transactions.
        4.. => transactions: Vec<AddPartitionsToTxnTransaction<'a>>,
        /// The one transactional id.
        0..=3 => v3_and_below_transactional_id: &'a str,
        /// Its producer's id.
        0..=3 => v3_and_below_producer_id: i64,
        /// Its producer's epoch.
        0..=3 => v3_and_below_producer_epoch: i16,
        /// The partitions, by topic.
        0..=3 => v3_and_below_topics: Vec<AddPartitionsToTxnTopic<'a>>,
    }

    /// A transaction.
    pub struct AddPartitionsToTxnTransaction<'a> {
        /// The transactional id.
        4.. => transactional_id: &'a str,
        /// Its producer's id.
        4.. => producer_id: i64,
        /// Its producer's epoch.
        4.. => producer_epoch: i16,
        /// Whether the partitions are only looked up, not added.
        4.. => verify_only: bool,
        /// The partitions, by topic.
        4.. => topics: Vec<AddPartitionsToTxnTopic<'a>>,
    }

    /// Partitions of a topic.
    pub struct AddPartitionsToTxnTopic<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// The partitions.
        0.. => partitions: Vec<i32>,
    }

    /// What became of them.
    pub struct AddPartitionsToTxnResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// Why all of it was refused, or 0.
        4.. => error_code: i16; ignorable,
        /// By transaction.
        4.. => results_by_transaction: Vec<AddPartitionsToTxnResult<'a>>,
        /// By topic.
        0..=3 => results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>>,
    }

    /// What became of one transaction's partitions.
    pub struct AddPartitionsToTxnResult<'a> {
        /// The transactional id.
        4.. => transactional_id: &'a str,
        /// By topic.
        4.. => topic_results: Vec<AddPartitionsToTxnTopicResult<'a>>,
    }

    /// What became of a topic's partitions.
    pub struct AddPartitionsToTxnTopicResult<'a> {
        /// The topic.
        0.. => name: &'a str,
        /// By partition.
        0.. => results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    /// What became of a partition.
    pub struct AddPartitionsToTxnPartitionResult {
        /// The partition.
        0.. => partition_index: i32,
        /// Why it was refused, or 0.
        0.. => partition_error_code: i16,
    }
}
