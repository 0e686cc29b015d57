//! What the tasks tell those who wait for them: connected or not, ended and with what left.

use std::sync::Arc;

use milena_client::Unreachable;

/// How far the tasks have come.
#[derive(Clone, Debug, Default)]
pub(crate) enum Status {
    /// No broker has answered yet.
    #[default]
    Starting,
    /// A broker has answered.
    Connected,
    /// No bootstrap server could be used; they are tried again.
    Unreachable(Arc<[Unreachable]>),
    /// All is over.
    Ended(Report),
}

/// What was left when everything ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Records that were accepted and given up because the end came first. Their deliveries say of each whether it
    /// may have been written.
    pub lost: u64,
}
