//! Tells the coordinator that a transaction is going to commit offsets of a group.
//!
//! - 2: `PRODUCER_FENCED` may be answered (KIP-588).
//! - 3: flexible (KIP-482).
//! - 4: `TRANSACTION_ABORTABLE` may be answered (KIP-890).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for AddOffsetsToTxnRequest<'_> {
    const KEY: ApiKey = ApiKey::ADD_OFFSETS_TO_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FLEXIBLE: i16 = 3;
    type Response<'a> = AddOffsetsToTxnResponse;
}

message! {
    /// Names the group.
    pub struct AddOffsetsToTxnRequest<'a> {
        /// The transactional id.
        0.. => transactional_id: &'a str,
        /// Its producer's id.
        0.. => producer_id: i64,
        /// Its producer's epoch.
        0.. => producer_epoch: i16,
        /// The group.
        0.. => group_id: &'a str,
    }

    /// What became of it.
    pub struct AddOffsetsToTxnResponse {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
    }
}
