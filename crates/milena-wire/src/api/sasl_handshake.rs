//! Chooses a SASL mechanism.
//!
//! - 0: the tokens that follow are frames without headers.
//! - 1: the tokens that follow travel in SaslAuthenticate (KIP-152).

use std::ops::RangeInclusive;

use crate::{ApiKey, NEVER, Request, message};

impl Request for SaslHandshakeRequest<'_> {
    const KEY: ApiKey = ApiKey::SASL_HANDSHAKE;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FLEXIBLE: i16 = NEVER;
    type Response<'a> = SaslHandshakeResponse<'a>;
}

message! {
    /// Names the mechanism.
    pub struct SaslHandshakeRequest<'a> {
        /// The mechanism, as `SCRAM-SHA-512`.
        0.. => mechanism: &'a str,
    }

    /// Whether the broker has it.
    pub struct SaslHandshakeResponse<'a> {
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// The mechanisms that the broker has.
        0.. => mechanisms: Vec<&'a str>,
    }
}
