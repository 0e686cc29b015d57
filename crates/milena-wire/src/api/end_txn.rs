//! Commits or aborts a transaction.
//!
//! - 2: `PRODUCER_FENCED` may be answered (KIP-588).
//! - 3: flexible (KIP-482).
//! - 4: `TRANSACTION_ABORTABLE` may be answered (KIP-890).
//! - 5: every transaction ends with a new epoch, which the answer brings (KIP-890).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for EndTxnRequest<'_> {
    const KEY: ApiKey = ApiKey::END_TXN;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FLEXIBLE: i16 = 3;
    type Response<'a> = EndTxnResponse;
}

message! {
    /// Says how it ends.
    pub struct EndTxnRequest<'a> {
        /// The transactional id.
        0.. => transactional_id: &'a str,
        /// Its producer's id.
        0.. => producer_id: i64,
        /// Its producer's epoch.
        0.. => producer_epoch: i16,
        /// Whether to commit; false aborts.
        0.. => committed: bool,
    }

    /// What became of it.
    pub struct EndTxnResponse {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// The producer's id from now on.
        5.. => producer_id: i64 = -1; ignorable,
        /// The producer's epoch from now on.
        5.. => producer_epoch: i16 = -1; ignorable,
    }
}
