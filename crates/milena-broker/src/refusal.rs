//! Why the batch of a partition was not appended.

use std::borrow::Cow;

use milena_wire::ErrorCode;

/// A refused batch: the error and what else its answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The error of the partition.
    pub(crate) code: ErrorCode,
    /// Where the log begins, or -1 where a leader does not say.
    pub(crate) log_start_offset: i64,
    /// Why, in words.
    pub(crate) message: Option<Cow<'static, str>>,
    /// Single records that are to blame (KIP-467).
    pub(crate) records: Vec<(i32, Option<Cow<'static, str>>)>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self {
            code,
            log_start_offset: -1,
            message: None,
            records: Vec::new(),
        }
    }

    pub(crate) fn at(code: ErrorCode, log_start_offset: i64) -> Self {
        Self {
            log_start_offset,
            ..Self::new(code)
        }
    }

    pub(crate) fn because(code: ErrorCode, message: &'static str) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::new(code)
        }
    }
}
