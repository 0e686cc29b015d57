//! What can go wrong, by what the caller was doing.

use std::fmt;
use std::sync::Arc;

use milena_accumulator::{CloseReason, Refused, RoomError, TopicError};
use milena_tokio::{NoRuntime, NotConnected, Unreachable};

use crate::config::ConfigError;

/// Why a producer could not be built. Nothing was started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no tokio runtime to run on.
    #[error(transparent)]
    NoRuntime(#[from] NoRuntime),
}

/// Why a producer could not be built and connected. Nothing is left running.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No broker answered: the text says of each address why.
    #[error(transparent)]
    NotConnected(#[from] NotConnected),
}

/// Why a record was not accepted. It was surely not written, and nothing of it is left.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The producer takes no more records.
    #[error("the producer is closed ({0})")]
    Closed(CloseReason),
    /// The buffer is full; only where a call does not wait.
    #[error("buffer.memory is used up ({bytes} bytes are needed): wait, or send less at a time")]
    Full {
        /// What the record needs.
        bytes: usize,
    },
    /// The record contradicts itself.
    #[error("{0}")]
    Invalid(&'static str),
    /// No memory became free within `max.block.ms`.
    #[error(
        "buffer.memory stayed used up for max.block.ms ({bytes} bytes are needed): raise it, or send less at a time"
    )]
    NoRoom {
        /// What the record needs.
        bytes: usize,
    },
    /// The record is larger than may be sent.
    #[error(
        "the record takes up to {size} bytes, but max.request.size and buffer.memory allow {limit}: raise them, or send less in one record"
    )]
    TooLarge {
        /// The most that it can take, with a batch's header.
        size: usize,
        /// The smaller one of the two limits.
        limit: usize,
    },
    /// The topic, or the partition, cannot be written to.
    #[error(transparent)]
    Topic(TopicError),
    /// The topic is not known yet, and was asked for; only where a call does not wait.
    #[error("the topic {topic} is not known yet: try again in a moment, or use send, which waits")]
    UnknownYet {
        /// The topic.
        topic: Arc<str>,
    },
    /// The topic could not be looked up within `max.block.ms`, as no broker can be reached.
    #[error("the topic {topic} was not found within max.block.ms: {cause}")]
    Unreachable {
        /// The topic.
        topic: Arc<str>,
        /// Every server with the reason.
        cause: NotConnected,
    },
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
            Refused::NoSuchPartition { .. } => Self::UnknownYet {
                topic: Arc::clone(topic),
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

impl<T> std::error::Error for TrySendError<T> {}

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

impl std::error::Error for SendManyError {}

pub(crate) fn unreachable(topic: &str, servers: Arc<[Unreachable]>) -> SendError {
    SendError::Unreachable {
        topic: topic.into(),
        cause: NotConnected::Unreachable(servers),
    }
}
