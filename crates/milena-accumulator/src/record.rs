//! A record as it is appended.

use bytes::Bytes;
use milena_record::{HeadersRef, RecordRef, parts_size};

use crate::delivery::About;
use crate::outcome::Callback;

/// A record to append: everything borrowed, because it is copied before the call returns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// Milliseconds since 1970; `None` is now, by [`Clock::wall_ms`](crate::Clock::wall_ms).
    pub timestamp: Option<i64>,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Value<'a>,
    /// The headers in order.
    pub headers: HeadersRef<'a>,
}

/// The value of a record.
#[derive(Clone, Copy, Debug, Default)]
pub enum Value<'a> {
    /// A tombstone.
    #[default]
    Null,
    /// Bytes that are copied.
    Borrowed(&'a [u8]),
    /// Bytes that can be shared: if they are large and not to be compressed they are sent from where they are.
    Shared(&'a Bytes),
}

/// From this length on, a shared value is kept by reference.
pub(crate) const BY_REFERENCE: usize = 8 << 10;

impl<'a> From<RecordRef<'a>> for Record<'a> {
    /// -1 as timestamp is now.
    fn from(record: RecordRef<'a>) -> Self {
        Self {
            timestamp: (record.timestamp >= 0).then_some(record.timestamp),
            key: record.key,
            value: record.value.map_or(Value::Null, Value::Borrowed),
            headers: record.headers,
        }
    }
}

/// Where a record goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// By its key, else where the producer is filling a batch just now (KIP-794).
    #[default]
    Any,
    /// To this partition.
    Partition(i32),
    /// Where the producer is filling a batch just now, whatever the key.
    Sticky,
}

/// What the caller wants to hear of a record.
#[derive(Default)]
pub enum Want<'a> {
    /// Nothing: cheapest, no reference count is touched.
    #[default]
    Nothing,
    /// A [`Delivery`](crate::Delivery).
    Delivery,
    /// A call, in the order of records, outside all locks. Taken out only if the record is appended.
    Callback(&'a mut Option<Callback>),
}

/// Something that can be lent as a record: a [`Record`], or one and its [`Target`], or what a caller has.
pub trait AsRecord {
    /// The record.
    fn record(&self) -> Record<'_>;

    /// Where it goes.
    #[inline]
    fn target(&self) -> Target {
        Target::Any
    }
}

impl AsRecord for Record<'_> {
    #[inline]
    fn record(&self) -> Record<'_> {
        *self
    }
}

impl AsRecord for (Target, Record<'_>) {
    #[inline]
    fn record(&self) -> Record<'_> {
        self.1
    }

    #[inline]
    fn target(&self) -> Target {
        self.0
    }
}

/// A record on its way into a batch: with its timestamp and what is computed before a lock is taken.
#[derive(Clone, Copy)]
pub(crate) struct Prepared<'a> {
    pub(crate) record: RecordRef<'a>,
    pub(crate) shared: Option<&'a Bytes>,
    pub(crate) parts: usize,
}

impl<'a> Prepared<'a> {
    pub(crate) const EMPTY: Self = Self {
        record: RecordRef {
            timestamp: -1,
            key: None,
            value: None,
            headers: HeadersRef::EMPTY,
        },
        shared: None,
        parts: 0,
    };

    /// Fills an empty one in its place. Returned by value it would be copied, and the copy would have to wait until
    /// the single fields have left the store buffer: measurable in each record.
    #[inline(always)]
    pub(crate) fn fill(&mut self, record: &Record<'a>, timestamp: i64, compressed: bool) {
        let (value, shared) = match record.value {
            Value::Null => (None, None),
            Value::Borrowed(value) => (Some(value), None),
            Value::Shared(value) => {
                let stays = !compressed && value.len() >= BY_REFERENCE;
                (Some(&value[..]), stays.then_some(value))
            }
        };
        self.record.timestamp = timestamp;
        self.record.key = record.key;
        self.record.value = value;
        self.record.headers = record.headers;
        self.shared = shared;
        self.parts = parts_size(&self.record);
    }

    #[inline(always)]
    pub(crate) fn about(&self) -> About {
        About {
            timestamp: self.record.timestamp,
            key_size: size(self.record.key),
            value_size: size(self.record.value),
        }
    }
}

impl About {
    #[inline(always)]
    pub(crate) fn of(record: &Record<'_>, timestamp: i64) -> Self {
        let value = match record.value {
            Value::Null => None,
            Value::Borrowed(value) => Some(value),
            Value::Shared(value) => Some(&value[..]),
        };
        Self {
            timestamp,
            key_size: size(record.key),
            value_size: size(value),
        }
    }
}

#[inline(always)]
fn size(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| bytes.len() as i32)
}
