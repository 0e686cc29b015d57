//! Which broker coordinates a group or a transactional id.
//!
//! - 1: what kind of key it is; why it failed, in words (KIP-98).
//! - 2: a throttled client is to stay silent by itself (KIP-219).
//! - 3: flexible (KIP-482).
//! - 4: several keys at once (KIP-699).
//! - 5: `TRANSACTION_ABORTABLE` may be answered (KIP-890).
//! - 6: coordinators of share groups (KIP-932).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for FindCoordinatorRequest<'_> {
    const KEY: ApiKey = ApiKey::FIND_COORDINATOR;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FLEXIBLE: i16 = 3;
    type Response<'a> = FindCoordinatorResponse<'a>;
}

impl FindCoordinatorRequest<'_> {
    /// [`key_type`](Self::key_type) of a group.
    pub const GROUP: i8 = 0;
    /// [`key_type`](Self::key_type) of a transactional id.
    pub const TRANSACTION: i8 = 1;
    /// [`key_type`](Self::key_type) of a share group.
    pub const SHARE: i8 = 2;
}

message! {
    /// Asks for coordinators.
    pub struct FindCoordinatorRequest<'a> {
        /// The one key.
        0..=3 => key: &'a str,
        /// What the keys are: 0 groups, 1 transactional ids, 2 share groups.
        1.. => key_type: i8,
        /// The keys.
        4.. => coordinator_keys: Vec<&'a str>,
    }

    /// The coordinators.
    pub struct FindCoordinatorResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        1.. => throttle_time_ms: i32; ignorable,
        /// Why there is none, or 0.
        0..=3 => error_code: i16,
        /// Why, in words.
        1..=3 => error_message: Option<&'a str> = Some(""); ignorable,
        /// The broker.
        0..=3 => node_id: i32,
        /// Its host.
        0..=3 => host: &'a str,
        /// Its port.
        0..=3 => port: i32,
        /// One for each key.
        4.. => coordinators: Vec<Coordinator<'a>>,
    }

    /// The coordinator of one key.
    pub struct Coordinator<'a> {
        /// The key.
        4.. => key: &'a str,
        /// The broker.
        4.. => node_id: i32,
        /// Its host.
        4.. => host: &'a str,
        /// Its port.
        4.. => port: i32,
        /// Why there is none, or 0.
        4.. => error_code: i16,
        /// Why, in words.
        4.. => error_message: Option<&'a str> = Some(""); ignorable,
    }
}
