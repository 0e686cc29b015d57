//! The headers of requests and responses.

use nom::Parser;
use nom::number::complete::{be_i16, be_i32};

use crate::fault::place;
use crate::types::tags;
use crate::{ApiKey, Decode, Parsed, Unsupported, Version, Writer};

/// What stands in front of every request.
///
/// It is flexible where the request is, except that the client id keeps its old encoding
/// (KIP-511): a broker must be able to read it before it knows the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The API.
    pub api_key: ApiKey,
    /// Its version.
    pub api_version: i16,
    /// Comes back with the response.
    pub correlation_id: i32,
    /// Who asks, in the broker's logs and quotas.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Writes it; `version` is that of the request.
    ///
    /// # Errors
    /// A client id above 32767 bytes.
    pub fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        out.i16(self.api_key.0);
        out.i16(self.api_version);
        out.i32(self.correlation_id);
        out.nullable_string(
            Version {
                flexible: false,
                ..version
            },
            self.client_id,
        )
        .map_err(|error| error.within("RequestHeader", "client_id"))?;
        out.no_tags(version);
        Ok(())
    }

    /// Reads it, says in which version the body is that follows, and returns the body.
    ///
    /// The version need not be one that is known here (see [`version_of`](crate::version_of)):
    /// a server answers that with an error of its own.
    ///
    /// # Errors
    /// The bytes are not a request header, or the API is not known.
    pub fn decode(input: &'a [u8]) -> Parsed<'a, (Self, Version)> {
        let (rest, (key, number, correlation_id)) = (be_i16, be_i16, be_i32)
            .parse(input)
            .map_err(|error| place(error, "RequestHeader", "correlation_id"))?;
        let api_key = ApiKey(key);
        let Some(version) = crate::version_of(api_key, number) else {
            return crate::Fault::raise(crate::Why::Version, input)
                .map_err(|error| place(error, "RequestHeader", "request_api_version"));
        };
        let (rest, client_id) = Decode::decode(
            rest,
            Version {
                flexible: false,
                ..version
            },
        )
        .map_err(|error| place(error, "RequestHeader", "client_id"))?;
        let (rest, ()) = tags(rest, version, |_, _| Ok(()))
            .map_err(|error| place(error, "RequestHeader", "tags"))?;
        Ok((
            rest,
            (
                Self {
                    api_key,
                    api_version: number,
                    correlation_id,
                    client_id,
                },
                version,
            ),
        ))
    }
}

/// What stands in front of every response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Writes the header of a response to `key` in `version`.
    pub fn encode(&self, out: &mut Writer, key: ApiKey, version: Version) {
        out.i32(self.correlation_id);
        out.no_tags(header_version(key, version));
    }

    /// Reads the header of a response to `key` in `version` and returns the body.
    ///
    /// # Errors
    /// The bytes end too early, or its tags are not in order.
    pub fn decode(input: &[u8], key: ApiKey, version: Version) -> Parsed<'_, Self> {
        let (rest, correlation_id) =
            be_i32(input).map_err(|error| place(error, "ResponseHeader", "correlation_id"))?;
        let (rest, ()) = tags(rest, header_version(key, version), |_, _| Ok(()))
            .map_err(|error| place(error, "ResponseHeader", "tags"))?;
        Ok((rest, Self { correlation_id }))
    }
}

/// A client that asks for versions cannot know yet whether the broker speaks
/// flexible headers, so that answer never has one.
fn header_version(key: ApiKey, version: Version) -> Version {
    Version {
        flexible: version.flexible && key != ApiKey::API_VERSIONS,
        ..version
    }
}
