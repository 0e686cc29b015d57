//! Plain counters of what the sender did, added to under the lock that is held anyway.

use milena_client::Few;
use milena_wire::ErrorCode;

/// What happened since the producer was built. Counts never go back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Produce requests begun.
    pub requests: u64,
    /// Batches put into requests, each attempt counted.
    pub batches: u64,
    /// Attempts that were not a batch's first.
    pub retries: u64,
    /// Batches cut because they were too large.
    pub splits: u64,
    /// Records acknowledged.
    pub records_acknowledged: u64,
    /// Records that failed.
    pub records_failed: u64,
    /// Bytes of batches acknowledged, headers included, as they were on the wire.
    pub bytes_acknowledged: u64,
    /// Batches whose answer was an error, by its code.
    pub errors: Few<i16, u64>,
    /// Batches lost with their connection or their request's timeout.
    pub lost: u64,
    /// The most batches of one partition that were in flight at a time.
    pub max_in_flight_of_a_partition: usize,
    /// How often a partition began anew under another epoch.
    pub restarts: u64,
    /// The sum of the brokers' throttle times, in milliseconds.
    pub throttle_ms: u64,
}

impl Counters {
    pub(crate) fn error(&mut self, code: ErrorCode) {
        *self.errors.get_or_insert_with(code.0, || 0) += 1;
    }
}
