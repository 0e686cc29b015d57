//! Why a server could not be used, and why a connection ended.
use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use milena_wire::{ApiKey, ErrorCode, Fault};

use crate::Address;

/// Why an attempt to connect failed.
///
/// The driver makes those up to [`ConnectFailure::Io`]; the others are found by the client while it
/// asks a server for its versions. Texts are for people: they say what the system said and, where
/// there were several, which addresses were tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The host's name could not be resolved.
    Dns(String),
    /// Nothing listens there.
    Refused(String),
    /// No connection within the time allowed for it.
    TimedOut(String),
    /// The network has no way there.
    Unreachable(String),
    /// The handshake of TLS failed.
    Tls(String),
    /// The broker does not accept the client's credentials.
    Authentication(String),
    /// Something else went wrong.
    Io(String),
    /// The connection was closed before the server had said which versions it speaks.
    ClosedDuringNegotiation(String),
    /// The server did not say in time which versions it speaks.
    NoAnswer(String),
    /// The server answers, but not as a Kafka broker does.
    NotKafka(NotKafka),
    /// The server refused to say which versions it speaks.
    Rejected(ErrorCode),
    /// The server has no version of an API that both sides speak.
    UnsupportedVersion(VersionMismatch),
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) => write!(f, "the host name could not be resolved: {text}"),
            Self::Refused(text) => write!(f, "connection refused, nothing listens there: {text}"),
            Self::TimedOut(text) => write!(f, "no connection within {text}"),
            Self::Unreachable(text) => write!(f, "the address cannot be reached: {text}"),
            Self::Tls(text) => write!(f, "the TLS handshake failed: {text}"),
            Self::Authentication(text) => write!(f, "authentication failed: {text}"),
            Self::Io(text) => f.write_str(text),
            Self::ClosedDuringNegotiation(text) => write!(
                f,
                "the server closed the connection before it said which versions it speaks{text}"
            ),
            Self::NoAnswer(text) => write!(
                f,
                "the server did not say within {text} which versions it speaks"
            ),
            Self::NotKafka(why) => why.fmt(f),
            Self::Rejected(code) => write!(
                f,
                "the server refused the request for its versions with {}",
                code_name(*code)
            ),
            Self::UnsupportedVersion(mismatch) => mismatch.fmt(f),
        }
    }
}

impl Error for ConnectFailure {}

/// How it shows that a server is no Kafka broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotKafka {
    /// It speaks HTTP.
    Http,
    /// It speaks TLS.
    Tls,
    /// It began a frame with a length that is negative or beyond the limit.
    Length(i32),
    /// Its answer cannot be read.
    Answer(Fault),
}

impl fmt::Display for NotKafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => {
                f.write_str("the server speaks HTTP, not Kafka's protocol: check the port")
            }
            Self::Tls => f.write_str(
                "the server answered with a TLS record: \
                the listener expects TLS, the client spoke plain text",
            ),
            Self::Length(length) => write!(
                f,
                "the server announced a frame of {length} bytes: \
                it is not a Kafka listener, or not of this security protocol"
            ),
            Self::Answer(fault) => write!(f, "the answer is not that of a Kafka broker: {fault}"),
        }
    }
}

impl Error for NotKafka {}

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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The broker closed it.
    Peer,
    /// Reading or writing failed.
    Io(String),
    /// What arrived is not Kafka's protocol.
    NotKafka(NotKafka),
    /// It was never usable.
    Failed(ConnectFailure),
    /// An answer could not be understood.
    Fault(BrokerFault),
    /// It was unused for `connections.max.idle.ms`.
    Idle,
    /// A request was not answered within the request timeout.
    RequestTimeout,
    /// Another bootstrap server answered first.
    Superseded,
    /// It belongs to no broker of the cluster, and there is another to ask.
    NotNeeded,
    /// The broker has another address now.
    Moved,
    /// The client begins anew with the bootstrap servers.
    Rebootstrap,
    /// The client was shut down.
    ShutDown,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("the broker closed the connection"),
            Self::Io(text) => write!(f, "the connection failed: {text}"),
            Self::NotKafka(why) => why.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
            Self::Idle => f.write_str("the connection was idle"),
            Self::RequestTimeout => {
                f.write_str("the broker did not answer within the request timeout")
            }
            Self::Superseded => f.write_str("another bootstrap server answered first"),
            Self::NotNeeded => f.write_str("the connection is not needed any more"),
            Self::Moved => f.write_str("the broker has another address now"),
            Self::Rebootstrap => f.write_str("beginning anew with the bootstrap servers"),
            Self::ShutDown => f.write_str("the client was shut down"),
        }
    }
}

impl Error for CloseReason {}

/// What a broker did that it must not do. Its connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerFault {
    /// An answer that cannot be read.
    Unreadable(Fault),
    /// An answer to another request than the oldest one.
    Correlation {
        /// The correlation id of the oldest request in flight.
        expected: i32,
        /// The one that was answered.
        got: i32,
    },
    /// An answer although nothing was asked.
    Unexpected(i32),
    /// The server refuses to say which versions it speaks.
    Rejected(ErrorCode),
    /// An API that is needed has no common version.
    UnsupportedVersion(ApiKey),
}

impl fmt::Display for BrokerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(fault) => write!(f, "the broker's answer cannot be read: {fault}"),
            Self::Correlation { expected, got } => write!(
                f,
                "the broker answered request {got} although it has to answer {expected} first"
            ),
            Self::Unexpected(id) => write!(
                f,
                "the broker answered request {id} although none is unanswered"
            ),
            Self::Rejected(code) => write!(
                f,
                "the broker refused the request for its versions with {}",
                code_name(*code)
            ),
            Self::UnsupportedVersion(api) => write!(
                f,
                "the broker has no version of {} that this client speaks",
                api_name(*api)
            ),
        }
    }
}

impl Error for BrokerFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(fault) => Some(fault),
            _ => None,
        }
    }
}

impl From<Fault> for BrokerFault {
    fn from(fault: Fault) -> Self {
        Self::Unreadable(fault)
    }
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
