//! Gives a producer its id and epoch.
//!
//! - 2: flexible (KIP-482).
//! - 3: a producer may name the id and epoch it had, to resume (KIP-360).
//! - 4: `PRODUCER_FENCED` may be answered (KIP-588).
//! - 5: `TRANSACTION_ABORTABLE` may be answered (KIP-890).
//! - 6: transactions of an outer two-phase commit (KIP-939); Kafka still calls it unstable.

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for InitProducerIdRequest<'_> {
    const KEY: ApiKey = ApiKey::INIT_PRODUCER_ID;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FLEXIBLE: i16 = 2;
    const STABLE: i16 = 5;
    type Response<'a> = InitProducerIdResponse;
}

message! {
    /// Asks for an id, or for the next epoch of the one it had.
    pub struct InitProducerIdRequest<'a> {
        /// The transactional id; null if the producer is only idempotent.
        0.. => transactional_id: Option<&'a str> = Some(""),
        /// How long the coordinator waits before it aborts an idle transaction, in milliseconds.
        0.. => transaction_timeout_ms: i32,
        /// The id the producer had.
        3.. => producer_id: i64 = -1,
        /// The epoch the producer had.
        3.. => producer_epoch: i16 = -1,
        /// Whether an outer coordinator decides about the transactions.
        6.. => enable2_pc: bool,
        /// Whether a prepared transaction is kept rather than aborted.
        6.. => keep_prepared_txn: bool,
    }

    /// The id and the epoch.
    pub struct InitProducerIdResponse {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32; ignorable,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// The producer's id.
        0.. => producer_id: i64 = -1,
        /// The producer's epoch.
        0.. => producer_epoch: i16,
        /// The id that a transaction which goes on was begun with, or -1.
        6.. => ongoing_txn_producer_id: i64 = -1,
        /// The epoch that a transaction which goes on was begun with, or -1.
        6.. => ongoing_txn_producer_epoch: i16 = -1,
    }
}
