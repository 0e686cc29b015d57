//! What makes a message a request, and the table of those that are here.

use std::ops::RangeInclusive;

use crate::{ApiKey, Decode, Encode, Version};

/// A message that asks, and what answers it.
pub trait Request: Encode {
    /// The API.
    const KEY: ApiKey;
    /// The versions that are known here: all that Kafka 4.3 supports.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version (KIP-482); [`NEVER`] if none is.
    const FLEXIBLE: i16;
    /// The newest version that Kafka 4.3 does not call unstable. A client stays at or below it.
    const STABLE: i16 = *Self::VERSIONS.end();
    /// The answer.
    type Response<'a>: Decode<'a> + Encode;

    /// The version with this number, which need not be among [`Request::VERSIONS`].
    #[must_use]
    fn version(number: i16) -> Version {
        Version::new(number, number >= Self::FLEXIBLE)
    }
}

/// [`Request::FLEXIBLE`] of an API that has no flexible version.
pub const NEVER: i16 = i16::MAX;

/// What is known here about an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The versions that are known here.
    pub versions: RangeInclusive<i16>,
    /// The first flexible version.
    pub flexible: i16,
    /// The newest stable version.
    pub stable: i16,
}

impl Api {
    pub(crate) const fn of<Q: Request>() -> Self {
        Self {
            key: Q::KEY,
            versions: Q::VERSIONS,
            flexible: Q::FLEXIBLE,
            stable: Q::STABLE,
        }
    }
}

/// What is known here about the API with this key.
#[must_use]
pub fn api(key: ApiKey) -> Option<&'static Api> {
    crate::api::ALL.iter().find(|api| api.key == key)
}

/// Version `number` of an API, whether or not it is within the range that is known here; `None`
/// for an API that is not.
#[must_use]
pub fn version_of(key: ApiKey, number: i16) -> Option<Version> {
    api(key).map(|api| Version::new(number, number >= api.flexible))
}
