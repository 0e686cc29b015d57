//! Appends record batches to partitions.
//!
//! - 3: transactions, batches of format 2 (KIP-98).
//! - 4: `KAFKA_STORAGE_ERROR` may be answered.
//! - 5: where the log begins (KIP-107).
//! - 6: a throttled client is to stay silent by itself (KIP-219).
//! - 7: batches may be compressed with zstd (KIP-110).
//! - 8: which records of a batch are at fault, and why (KIP-467).
//! - 9: flexible (KIP-482).
//! - 10: who leads now, when the one asked does not (KIP-951).
//! - 11: `TRANSACTION_ABORTABLE` may be answered (KIP-890).
//! - 12: a partition joins the transaction by being written to (KIP-890).
//! - 13: topics go by id instead of name (KIP-516).

use std::ops::RangeInclusive;

use crate::{ApiKey, Records, Request, Uuid, message};

impl Request for ProduceRequest<'_> {
    const KEY: ApiKey = ApiKey::PRODUCE;
    const VERSIONS: RangeInclusive<i16> = 3..=13;
    const FLEXIBLE: i16 = 9;
    type Response<'a> = ProduceResponse<'a>;
}

message! {
    /// Brings batches. With `acks` 0 nothing is answered.
    pub struct ProduceRequest<'a> {
        /// The transactional id, if the batches belong to a transaction.
        3.. => transactional_id: Option<&'a str> = None,
        /// Who must have the batches: 0 nobody, 1 the leader, -1 all replicas in sync.
        0.. => acks: i16,
        /// How long the leader waits for the replicas, in milliseconds.
        0.. => timeout_ms: i32,
        /// The batches, by topic.
        0.. => topic_data: Vec<TopicProduceData<'a>>,
    }

    /// Batches of one topic.
    pub struct TopicProduceData<'a> {
        /// The topic, by name.
        0..=12 => name: &'a str; ignorable,
        /// The topic, by id.
        13.. => topic_id: Uuid; ignorable,
        /// The batches, by partition.
        0.. => partition_data: Vec<PartitionProduceData<'a>>,
    }

    /// The batch of one partition.
    pub struct PartitionProduceData<'a> {
        /// The partition.
        0.. => index: i32,
        /// Exactly one record batch.
        0.. => records: Option<Records<'a>> = None,
    }

    /// What became of the batches.
    pub struct ProduceResponse<'a> {
        /// By topic.
        0.. => responses: Vec<TopicProduceResponse<'a>>,
        /// How long the client should stay silent, in milliseconds.
        1.. => throttle_time_ms: i32; ignorable,
    } tagged {
        /// Where the leaders named in the answer are reached.
        0 @ 10.. => node_endpoints: Vec<NodeEndpoint<'a>>,
    }

    /// What became of the batches of one topic.
    pub struct TopicProduceResponse<'a> {
        /// The topic, by name.
        0..=12 => name: &'a str; ignorable,
        /// The topic, by id.
        13.. => topic_id: Uuid; ignorable,
        /// By partition.
        0.. => partition_responses: Vec<PartitionProduceResponse<'a>>,
    }

    /// What became of the batch of one partition.
    pub struct PartitionProduceResponse<'a> {
        /// The partition.
        0.. => index: i32,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// The offset its first record got.
        0.. => base_offset: i64,
        /// When the leader appended it, or -1 when the topic keeps the producer's timestamps.
        2.. => log_append_time_ms: i64 = -1; ignorable,
        /// Where the log now begins.
        5.. => log_start_offset: i64 = -1; ignorable,
        /// The records at fault.
        8.. => record_errors: Vec<BatchIndexAndErrorMessage<'a>>; ignorable,
        /// Why, in words.
        8.. => error_message: Option<&'a str> = None; ignorable,
    } tagged {
        /// Who leads the partition now.
        0 @ 10.. => current_leader: LeaderIdAndEpoch,
    }

    /// A record at fault.
    pub struct BatchIndexAndErrorMessage<'a> {
        /// Its place in the batch, from 0.
        8.. => batch_index: i32,
        /// What is wrong with it.
        8.. => batch_index_error_message: Option<&'a str> = None,
    }

    /// Who leads a partition.
    pub struct LeaderIdAndEpoch {
        /// The broker; -1 if not known.
        10.. => leader_id: i32 = -1,
        /// Its epoch; -1 if not known.
        10.. => leader_epoch: i32 = -1,
    }

    /// Where a broker is reached.
    pub struct NodeEndpoint<'a> {
        /// The broker.
        10.. => node_id: i32,
        /// Its host.
        10.. => host: &'a str,
        /// Its port.
        10.. => port: i32,
        /// The rack it stands in.
        10.. => rack: Option<&'a str> = None,
    }
}
