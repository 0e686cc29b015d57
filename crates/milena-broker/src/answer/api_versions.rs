//! ApiVersions: what the broker speaks (KIP-35), also to those who speak what it does not.

use milena_wire::api::api_versions::ApiVersion;
use milena_wire::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::reply::Reply;

impl Cluster {
    pub(crate) fn api_versions(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: ApiVersionsRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| Vec::new());
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let named = [
            request.client_software_name,
            request.client_software_version,
        ];
        let invalid = call.version.number >= 3 && !named.into_iter().all(is_software);
        let code = effects
            .code()
            .or_else(|| invalid.then_some(ErrorCode::INVALID_REQUEST));
        let mut response = ApiVersionsResponse {
            throttle_time_ms: effects.throttle_ms,
            ..ApiVersionsResponse::default()
        };
        match code {
            Some(code) => response.error_code = code.0,
            None => response.api_keys = self.spoken(),
        }
        call.answer::<ApiVersionsRequest<'_>>(&effects, &response)
    }

    fn spoken(&self) -> Vec<ApiVersion> {
        let entry = |(api, versions): (ApiKey, &std::ops::RangeInclusive<i16>)| ApiVersion {
            api_key: api.0,
            // Brokers claim to know Produce from 0 on, because librdkafka asks for it.
            min_version: if api == ApiKey::PRODUCE {
                0
            } else {
                *versions.start()
            },
            max_version: *versions.end(),
        };
        self.versions.iter().map(entry).collect()
    }

    /// A request in a version that is not spoken: only ApiVersions has an answer to that, in version 0.
    pub(crate) fn unspoken(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        if call.header.api_key != ApiKey::API_VERSIONS {
            return Err(Hopeless);
        }
        let mut effects = self.meet(call, |_| Vec::new());
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let mut response = ApiVersionsResponse {
            throttle_time_ms: effects.throttle_ms,
            ..ApiVersionsResponse::default()
        };
        match effects.code() {
            Some(code) => response.error_code = code.0,
            None => {
                response.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
                response.api_keys = self.spoken();
                // Brokers from 2.4 on, those with flexible versions, say which versions of ApiVersions they know
                // (KIP-511).
                let itself = ApiKey::API_VERSIONS.0;
                response
                    .api_keys
                    .retain(|entry| entry.api_key == itself && entry.max_version >= 3);
            }
        }
        call.answer::<ApiVersionsRequest<'_>>(&effects, &response)
    }
}

/// Whether brokers accept this as the name or version of a client's software.
fn is_software(text: &str) -> bool {
    let outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    outer(text.bytes().next())
        && outer(text.bytes().next_back())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
