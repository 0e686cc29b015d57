//! A user's own rule: what it sees and what it answers.

use std::fmt;

/// Chooses partitions for records that do not name one.
///
/// Called once for each record, on the thread that sends it: it has to be quick and must not block.
///
/// # Example
///
/// ```
/// use milena_partitioner::{Choice, PartitionInput, Partitioner, TopicView};
///
/// /// Audit records go to partition 0, all others where the producer likes.
/// struct Audit;
///
/// impl Partitioner for Audit {
///     fn partition(&self, input: &PartitionInput<'_>, _: &TopicView<'_>) -> Choice {
///         match input.key {
///             Some(b"audit") => Choice::Partition(0),
///             _ => Choice::Sticky,
///         }
///     }
/// }
/// ```
pub trait Partitioner: Send + Sync {
    /// The partition of this record.
    fn partition(&self, input: &PartitionInput<'_>, view: &TopicView<'_>) -> Choice;

    /// The producer is closed and asks nothing more.
    fn close(&self) {}
}

/// What a [`Partitioner`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This partition. A negative one is refused, one that the topic does not have (yet) is waited for.
    Partition(i32),
    /// Any: the producer fills one batch after the other, as it does for records without a key (KIP-794).
    Sticky,
}

/// A record, as a [`Partitioner`] sees it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PartitionInput<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a dyn InputHeaders,
}

impl<'a> PartitionInput<'a> {
    /// A record without headers.
    pub const fn new(topic: &'a str, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Self {
            topic,
            key,
            value,
            headers: &NoHeaders,
        }
    }

    /// The same with these headers.
    #[must_use]
    pub const fn with_headers(self, headers: &'a dyn InputHeaders) -> Self {
        Self { headers, ..self }
    }
}

impl fmt::Debug for PartitionInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionInput")
            .field("topic", &self.topic)
            .field("key", &self.key)
            .field("value", &self.value)
            .field("headers", &self.headers.len())
            .finish()
    }
}

/// The headers of a record, in whatever form the producer keeps them.
pub trait InputHeaders: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Key and value of the one at `index`, which is below [`len`](Self::len).
    fn get(&self, index: usize) -> (&str, Option<&[u8]>);

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// No headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeaders;

impl InputHeaders for NoHeaders {
    fn len(&self) -> usize {
        0
    }

    fn get(&self, _: usize) -> (&str, Option<&[u8]>) {
        ("", None)
    }
}

/// A topic, as the producer knows it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicView<'a> {
    /// How many partitions it has.
    pub partition_count: i32,
    /// Those that have a leader, in order.
    pub available: &'a [i32],
}
