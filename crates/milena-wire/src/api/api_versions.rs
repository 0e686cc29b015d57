//! Which APIs a broker speaks, and in which versions.
//!
//! - 3: flexible (KIP-482); the client names its software (KIP-511), the broker its features
//!   (KIP-584).
//! - 4: a feature may begin at version 0 (KIP-1022).
//!
//! The header of the answer is never flexible, and a broker that does not know the version
//! answers in version 0: see [`ApiVersionsResponse::decode_any`].

use std::ops::RangeInclusive;

use crate::{ApiKey, Fault, Request, Version, decode_body, message};

impl Request for ApiVersionsRequest<'_> {
    const KEY: ApiKey = ApiKey::API_VERSIONS;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const FLEXIBLE: i16 = 3;
    type Response<'a> = ApiVersionsResponse<'a>;
}

message! {
    /// Asks for the APIs and versions.
    pub struct ApiVersionsRequest<'a> {
        /// What the client's software is called; letters, digits, dots and dashes.
        3.. => client_software_name: &'a str; ignorable,
        /// The version of the client's software; letters, digits, dots and dashes.
        3.. => client_software_version: &'a str; ignorable,
    }

    /// The APIs and versions.
    pub struct ApiVersionsResponse<'a> {
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// What the broker speaks.
        0.. => api_keys: Vec<ApiVersion>,
        /// How long the client should stay silent, in milliseconds.
        1.. => throttle_time_ms: i32; ignorable,
    } tagged {
        /// The features that the broker could do.
        0 @ 3.. => supported_features: Vec<SupportedFeatureKey<'a>>; ignorable,
        /// Grows with each change of the cluster's features; -1 if not known.
        1 @ 3.. => finalized_features_epoch: i64 = -1; ignorable,
        /// The features that the cluster has agreed on.
        2 @ 3.. => finalized_features: Vec<FinalizedFeatureKey<'a>>; ignorable,
        /// Whether a ZooKeeper cluster is ready to migrate.
        3 @ 3.. => zk_migration_ready: bool; ignorable,
    }

    /// The versions of one API.
    pub struct ApiVersion {
        /// The API.
        0.. => api_key: i16,
        /// Its lowest version.
        0.. => min_version: i16,
        /// Its highest version.
        0.. => max_version: i16,
    }

    /// The versions of a feature that a broker can do.
    pub struct SupportedFeatureKey<'a> {
        /// The feature.
        3.. => name: &'a str,
        /// Its lowest version.
        3.. => min_version: i16,
        /// Its highest version.
        3.. => max_version: i16,
    }

    /// The versions of a feature that the cluster has agreed on.
    pub struct FinalizedFeatureKey<'a> {
        /// The feature.
        3.. => name: &'a str,
        /// The highest version that every broker allows.
        3.. => max_version_level: i16,
        /// The lowest version that every broker allows.
        3.. => min_version_level: i16,
    }
}

impl<'a> ApiVersionsResponse<'a> {
    /// Reads the body of an answer to a request in `asked`, and says in which version it came:
    /// a broker that does not know that version answers with
    /// [`ErrorCode::UNSUPPORTED_VERSION`](crate::ErrorCode::UNSUPPORTED_VERSION) in version 0.
    ///
    /// # Errors
    /// It is not the answer in either version. The fault is that of the version asked for.
    pub fn decode_any(body: &'a [u8], asked: Version) -> Result<(Self, Version), Fault> {
        let fault = match decode_body(body, asked) {
            Ok(response) => return Ok((response, asked)),
            Err(fault) => fault,
        };
        let zero = ApiVersionsRequest::version(0);
        decode_body(body, zero)
            .map(|response| (response, zero))
            .map_err(|_| fault)
    }

    /// The lowest and the highest version of an API, if the broker has it.
    #[must_use]
    pub fn range_of(&self, key: ApiKey) -> Option<RangeInclusive<i16>> {
        let entry = self.api_keys.iter().find(|entry| entry.api_key == key.0)?;
        Some(entry.min_version..=entry.max_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encode, ErrorCode, Writer};

    #[test]
    fn a_refusal_in_version_0_is_understood() {
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION.0,
            api_keys: vec![ApiVersion {
                api_key: 18,
                min_version: 0,
                max_version: 2,
            }],
            ..Default::default()
        };
        let mut out = Writer::new();
        refusal
            .encode(&mut out, ApiVersionsRequest::version(0))
            .unwrap();
        let asked = ApiVersionsRequest::version(4);
        let (read, version) = ApiVersionsResponse::decode_any(out.own(), asked).unwrap();
        assert_eq!((&read, version.number), (&refusal, 0));
        assert_eq!(read.range_of(ApiKey::API_VERSIONS), Some(0..=2));
        assert!(ApiVersionsResponse::decode_any(b"\0\x23\0\0\0", asked).is_err());
    }
}
