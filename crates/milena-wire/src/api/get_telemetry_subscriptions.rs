//! Which metrics the cluster wants from this client (KIP-714).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, Uuid, message};

impl Request for GetTelemetrySubscriptionsRequest {
    const KEY: ApiKey = ApiKey::GET_TELEMETRY_SUBSCRIPTIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE: i16 = 0;
    type Response<'a> = GetTelemetrySubscriptionsResponse<'a>;
}

message! {
    /// Asks for them.
    pub struct GetTelemetrySubscriptionsRequest {
        /// The id the client was given; zero at first.
        0.. => client_instance_id: Uuid,
    }

    /// What is wanted.
    pub struct GetTelemetrySubscriptionsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// The client's id.
        0.. => client_instance_id: Uuid,
        /// Changes when what is wanted changes.
        0.. => subscription_id: i32,
        /// The codecs that the broker takes, the best first.
        0.. => accepted_compression_types: Vec<i8>,
        /// How often to push, in milliseconds.
        0.. => push_interval_ms: i32,
        /// The most bytes that the broker takes.
        0.. => telemetry_max_bytes: i32,
        /// Whether counters are to be sent as differences.
        0.. => delta_temporality: bool,
        /// Prefixes of the metrics' names; none: no metrics, one empty: all.
        0.. => requested_metrics: Vec<&'a str>,
    }
}
