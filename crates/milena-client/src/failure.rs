//! Why a server could not be used, and why a connection ended.
use std::fmt;
use std::ops::RangeInclusive;

use milena_wire::{ApiKey, ErrorCode, Fault};

use crate::Address;

/// Why an attempt to connect failed.
///
/// The driver makes those up to [`ConnectFailure::Io`]; the others are found by the client while it
/// asks a server for its versions. Texts are for people: they say what the system said and, where
/// there were several, which addresses were tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The host's name could not be resolved.
    #[error("the host name could not be resolved: {0}")]
    Dns(String),
    /// Nothing listens there.
    #[error("connection refused, nothing listens there: {0}")]
    Refused(String),
    /// No connection within the time allowed for it.
    #[error("no connection within {0}")]
    TimedOut(String),
    /// The network has no way there.
    #[error("the address cannot be reached: {0}")]
    Unreachable(String),
    /// The handshake of TLS failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// The broker does not accept the client's credentials.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// Something else went wrong.
    #[error("{0}")]
    Io(String),
    /// The connection was closed before the server had said which versions it speaks.
    #[error("the server closed the connection before it said which versions it speaks{0}")]
    ClosedDuringNegotiation(String),
    /// The server did not say in time which versions it speaks.
    #[error("the server did not say within {0} which versions it speaks")]
    NoAnswer(String),
    /// The server answers, but not as a Kafka broker does.
    #[error("{0}")]
    NotKafka(NotKafka),
    /// The server refused to say which versions it speaks.
    #[error("the server refused the request for its versions with {}", code_name(*.0))]
    Rejected(ErrorCode),
    /// The server has no version of an API that both sides speak.
    #[error("{0}")]
    UnsupportedVersion(VersionMismatch),
}

/// How it shows that a server is no Kafka broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKafka {
    /// It speaks HTTP.
    #[error("the server speaks HTTP, not Kafka's protocol: check the port")]
    Http,
    /// It speaks TLS.
    #[error(
        "the server answered with a TLS record: the listener expects TLS, the client spoke plain text"
    )]
    Tls,
    /// It began a frame with a length that is negative or beyond the limit.
    #[error(
        "the server announced a frame of {0} bytes: it is not a Kafka listener, or not of this security protocol"
    )]
    Length(i32),
    /// Its answer cannot be read.
    #[error("the answer is not that of a Kafka broker: {0}")]
    Answer(Fault),
}

impl NotKafka {
    /// Looks at the first four bytes of what should be a frame, its length: the length if it is not
    /// above `limit`.
    ///
    /// # Errors
    /// What it looks like instead. The connection is of no further use.
    pub fn check_length(prefix: [u8; 4], limit: usize) -> Result<usize, Self> {
        let length = i32::from_be_bytes(prefix);
        match usize::try_from(length) {
            Ok(length) if length <= limit => Ok(length),
            _ if &prefix == b"HTTP" => Err(Self::Http),
            // A record of type alert, handshake or change-cipher-spec, protocol version 3.x.
            _ if (0x14..=0x17).contains(&prefix[0]) && prefix[1] == 3 => Err(Self::Tls),
            _ => Err(Self::Length(length)),
        }
    }
}

/// A broker and this client have no version of an API in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionMismatch {
    /// The API.
    pub api: ApiKey,
    /// The versions spoken here.
    pub ours: RangeInclusive<i16>,
    /// The versions that the broker speaks, if it has the API at all.
    pub theirs: Option<RangeInclusive<i16>>,
}

impl fmt::Display for VersionMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (api, ours) = (api_name(self.api), &self.ours);
        match &self.theirs {
            Some(theirs) => write!(
                f,
                "the broker speaks versions {} to {} of {api}, this client {} to {}: use a broker from 2.1 on",
                theirs.start(),
                theirs.end(),
                ours.start(),
                ours.end(),
            ),
            None => write!(
                f,
                "the server does not offer {api} here: it is too old, or the port is a controller's"
            ),
        }
    }
}

/// An address and why it could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The address.
    pub address: Address,
    /// Why.
    pub failure: ConnectFailure,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.failure)
    }
}

/// Why a connection, or an attempt to make one, ended.
///
/// The driver makes those up to [`CloseReason::Failed`], in
/// [`handle_closed`](crate::Client::handle_closed) and
/// [`handle_connect_failed`](crate::Client::handle_connect_failed); the others are the client's own
/// decisions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The broker closed it.
    #[error("the broker closed the connection")]
    Peer,
    /// Reading or writing failed.
    #[error("the connection failed: {0}")]
    Io(String),
    /// What arrived is not Kafka's protocol.
    #[error("{0}")]
    NotKafka(NotKafka),
    /// It was never usable.
    #[error("{0}")]
    Failed(ConnectFailure),
    /// An answer could not be understood.
    #[error("{0}")]
    Fault(BrokerFault),
    /// It was unused for `connections.max.idle.ms`.
    #[error("the connection was idle")]
    Idle,
    /// A request was not answered within the request timeout.
    #[error("the broker did not answer within the request timeout")]
    RequestTimeout,
    /// Another bootstrap server answered first.
    #[error("another bootstrap server answered first")]
    Superseded,
    /// It belongs to no broker of the cluster, and there is another to ask.
    #[error("the connection is not needed any more")]
    NotNeeded,
    /// The broker has another address now.
    #[error("the broker has another address now")]
    Moved,
    /// The client begins anew with the bootstrap servers.
    #[error("beginning anew with the bootstrap servers")]
    Rebootstrap,
    /// The client was shut down.
    #[error("the client was shut down")]
    ShutDown,
}

/// What a broker did that it must not do. Its connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerFault {
    /// An answer that cannot be read.
    #[error("the broker's answer cannot be read: {0}")]
    Unreadable(#[from] Fault),
    /// An answer to another request than the oldest one.
    #[error("the broker answered request {got} although it has to answer {expected} first")]
    Correlation {
        /// The correlation id of the oldest request in flight.
        expected: i32,
        /// The one that was answered.
        got: i32,
    },
    /// An answer although nothing was asked.
    #[error("the broker answered request {0} although none is unanswered")]
    Unexpected(i32),
    /// The server refuses to say which versions it speaks.
    #[error("the broker refused the request for its versions with {}", code_name(*.0))]
    Rejected(ErrorCode),
    /// An API that is needed has no common version.
    #[error("the broker has no version of {} that this client speaks", api_name(*.0))]
    UnsupportedVersion(ApiKey),
}

fn code_name(code: ErrorCode) -> String {
    code.name()
        .map_or_else(|| format!("error {}", code.0), str::to_owned)
}

fn api_name(api: ApiKey) -> String {
    api.name()
        .map_or_else(|| format!("API {}", api.0), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_four_bytes_tell_what_it_is() {
        let check = |prefix: &[u8; 4]| NotKafka::check_length(*prefix, 1000);
        assert_eq!(check(&[0, 0, 3, 232]), Ok(1000));
        assert_eq!(check(&[0, 0, 0, 0]), Ok(0));
        assert_eq!(check(&[0, 0, 3, 233]), Err(NotKafka::Length(1001)));
        assert_eq!(check(&[0xff; 4]), Err(NotKafka::Length(-1)));
        assert_eq!(check(b"HTTP"), Err(NotKafka::Http));
        assert_eq!(check(&[0x15, 3, 3, 0]), Err(NotKafka::Tls));
        assert_eq!(check(b"SSH-"), Err(NotKafka::Length(0x5353_482d)));
    }
}
