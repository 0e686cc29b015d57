//! What a broker does with a connection after a request.

use crate::rule::Effects;

/// What a broker does after a request.
#[derive(Clone, Debug)]
#[must_use]
pub enum Reply {
    /// It answers.
    Answer(Answer),
    /// It says nothing: the request wanted no answer, or a rule swallowed it.
    Nothing,
    /// It says nothing, to this request and to all that follow on the connection.
    Silence,
    /// It has nothing to say yet: call [`Cluster::resume`](crate::Cluster::resume) with the same frame later, and
    /// handle nothing else of this connection before.
    Wait(Wait),
    /// It closes the connection.
    Close,
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What to write, the length in front included.
    pub bytes: Vec<u8>,
    /// How long to hold it back, in milliseconds. Answers behind it on the connection wait too.
    pub after_ms: u64,
    /// Whether the connection is to be closed once it is written.
    pub then_close: bool,
}

/// A request that a broker holds.
#[derive(Clone, Debug)]
pub struct Wait {
    /// When to resume it at the latest, in milliseconds of the cluster's clock.
    pub until_ms: i64,
    /// Whether to resume it also when something was appended: [`Cluster::appends`](crate::Cluster::appends) grew.
    pub on_append: bool,
    pub(crate) effects: Box<Effects>,
}

impl Reply {
    /// The answer's bytes, if it is one.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Answer(answer) => Some(answer.bytes),
            _ => None,
        }
    }
}
