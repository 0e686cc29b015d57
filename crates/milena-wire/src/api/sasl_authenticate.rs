//! One step of a SASL exchange.
//!
//! - 1: how long the session lives (KIP-368).
//! - 2: flexible (KIP-482).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for SaslAuthenticateRequest<'_> {
    const KEY: ApiKey = ApiKey::SASL_AUTHENTICATE;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FLEXIBLE: i16 = 2;
    type Response<'a> = SaslAuthenticateResponse<'a>;
}

message! {
    /// The client's token.
    pub struct SaslAuthenticateRequest<'a> {
        /// The token, as the mechanism has it.
        0.. => auth_bytes: &'a [u8],
    }

    /// The broker's token.
    pub struct SaslAuthenticateResponse<'a> {
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// Why, in words.
        0.. => error_message: Option<&'a str> = Some(""),
        /// The token, as the mechanism has it.
        0.. => auth_bytes: &'a [u8],
        /// How long until the client must authenticate anew, in milliseconds; 0 is for ever.
        1.. => session_lifetime_ms: i64; ignorable,
    }
}
