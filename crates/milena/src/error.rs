//! What can go wrong, by what the caller was doing.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use milena_accumulator::{CloseReason, Refused, RoomError, TopicError};
use milena_tokio::{NoRuntime, NotConnected, Unreachable};

use crate::config::ConfigError;

/// Why a producer could not be built. Nothing was started.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// There is no tokio runtime to run on.
    NoRuntime(NoRuntime),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::NoRuntime(error) => error.fmt(f),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::NoRuntime(error) => error.source(),
        }
    }
}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<NoRuntime> for BuildError {
    fn from(error: NoRuntime) -> Self {
        Self::NoRuntime(error)
    }
}

/// Why a producer could not be built and connected. Nothing is left running.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// It could not be built.
    Build(BuildError),
    /// No broker answered: the text says of each address why.
    NotConnected(NotConnected),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::NotConnected(error) => error.fmt(f),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(error) => error.source(),
            Self::NotConnected(error) => error.source(),
        }
    }
}

impl From<BuildError> for ConnectError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<NotConnected> for ConnectError {
    fn from(error: NotConnected) -> Self {
        Self::NotConnected(error)
    }
}

/// Why a record was not accepted. It was surely not written, and nothing of it is left.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The producer takes no more records.
    Closed(CloseReason),
    /// The buffer is full; only where a call does not wait.
    Full {
        /// What the record needs.
        bytes: usize,
    },
    /// The record contradicts itself.
    Invalid(&'static str),
    /// No memory became free within `max.block.ms`.
    NoRoom {
        /// What the record needs.
        bytes: usize,
    },
    /// The record is larger than may be sent.
    TooLarge {
        /// The most that it can take, with a batch's header.
        size: usize,
        /// The smaller one of the two limits.
        limit: usize,
    },
    /// The topic, or the partition, cannot be written to.
    Topic(TopicError),
    /// The topic is not known yet, or not that it has this partition, and was asked for; only where a call does not
    /// wait.
    UnknownYet {
        /// The topic.
        topic: Arc<str>,
        /// The partition that it is not known to have.
        partition: Option<i32>,
    },
    /// The topic could not be looked up within `max.block.ms`, as no broker can be reached.
    Unreachable {
        /// The topic.
        topic: Arc<str>,
        /// Every server with the reason.
        cause: NotConnected,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => write!(f, "the producer is closed ({reason})"),
            Self::Full { bytes } => write!(
                f,
                "buffer.memory is used up ({bytes} bytes are needed): wait, or send less at a time"
            ),
            Self::Invalid(text) => f.write_str(text),
            Self::NoRoom { bytes } => write!(
                f,
                "buffer.memory stayed used up for max.block.ms ({bytes} bytes are needed): raise it, or send less at a time"
            ),
            Self::TooLarge { size, limit } => write!(
                f,
                "the record takes up to {size} bytes, but max.request.size and buffer.memory allow {limit}: raise them, or send less in one record"
            ),
            Self::Topic(error) => error.fmt(f),
            Self::UnknownYet { topic, partition } => {
                let partition = partition.map_or_else(String::new, |partition| {
                    format!("partition {partition} of ")
                });
                write!(
                    f,
                    "{partition}the topic {topic} is not known yet: try again in a moment, or use send, which waits"
                )
            }
            Self::Unreachable { topic, cause } => write!(
                f,
                "the topic {topic} was not found within max.block.ms: {cause}"
            ),
        }
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Topic(error) => error.source(),
            _ => None,
        }
    }
}

impl SendError {
    /// Whether the same call may well succeed later, without anybody changing anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::NoRoom { .. }
            | Self::UnknownYet { .. }
            | Self::Unreachable { .. } => true,
            Self::Topic(error) => matches!(error, TopicError::TimedOut { .. }),
            Self::Closed(_) | Self::Invalid(_) | Self::TooLarge { .. } => false,
        }
    }
}

impl From<TopicError> for SendError {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Closed(reason) => Self::Closed(reason),
            error => Self::Topic(error),
        }
    }
}

impl SendError {
    pub(crate) fn room(error: RoomError, bytes: usize) -> Self {
        match error {
            RoomError::TimedOut => Self::NoRoom { bytes },
            RoomError::TooLarge { bytes, total } => Self::TooLarge {
                size: bytes,
                limit: total,
            },
            RoomError::Closed(reason) => Self::Closed(reason),
        }
    }

    pub(crate) fn refused(refused: Refused, topic: &Arc<str>) -> Self {
        match refused {
            Refused::Closed(reason) => Self::Closed(reason),
            Refused::Full { bytes } => Self::Full { bytes },
            Refused::NoSuchPartition { partition, .. } => Self::UnknownYet {
                topic: Arc::clone(topic),
                partition: Some(partition),
            },
            Refused::TooLarge { size, limit } => Self::TooLarge { size, limit },
        }
    }
}

/// Why a record was not accepted at once, and the record itself.
#[derive(Clone)]
pub struct TrySendError<T> {
    pub(crate) record: T,
    pub(crate) reason: SendError,
}

impl<T> TrySendError<T> {
    /// The record, as it was.
    pub fn into_record(self) -> T {
        self.record
    }

    /// Why it was not accepted.
    pub fn reason(&self) -> &SendError {
        &self.reason
    }

    /// The record, and why it was not accepted.
    pub fn into_parts(self) -> (T, SendError) {
        (self.record, self.reason)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrySendError").field(&self.reason).finish()
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> Error for TrySendError<T> {}

/// Why not all of many records were accepted, and the outcomes of those that were.
#[derive(Debug)]
pub struct SendManyError {
    /// Why the first one that was not accepted was not.
    pub reason: SendError,
    /// How many were accepted: all before the one that was not.
    pub accepted: usize,
    /// Their outcomes.
    pub deliveries: milena_accumulator::Deliveries,
}

impl fmt::Display for SendManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {} records)", self.reason, self.accepted)
    }
}

impl Error for SendManyError {}

pub(crate) fn unreachable(topic: &str, servers: Arc<[Unreachable]>) -> SendError {
    SendError::Unreachable {
        topic: topic.into(),
        cause: NotConnected::Unreachable(servers),
    }
}
