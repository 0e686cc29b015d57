//! Brings metrics of this client to the cluster (KIP-714).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, Uuid, message};

impl Request for PushTelemetryRequest<'_> {
    const KEY: ApiKey = ApiKey::PUSH_TELEMETRY;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE: i16 = 0;
    type Response<'a> = PushTelemetryResponse;
}

message! {
    /// Brings the metrics.
    pub struct PushTelemetryRequest<'a> {
        /// The client's id.
        0.. => client_instance_id: Uuid,
        /// What they were made for.
        0.. => subscription_id: i32,
        /// Whether the client is about to end.
        0.. => terminating: bool,
        /// The codec they are compressed with.
        0.. => compression_type: i8,
        /// The metrics, as OpenTelemetry has them.
        0.. => metrics: &'a [u8],
    }

    /// What became of them.
    pub struct PushTelemetryResponse {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// Why they were refused, or 0.
        0.. => error_code: i16,
    }
}
