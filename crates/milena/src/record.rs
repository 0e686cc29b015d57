//! What a user hands over: a key, a value, headers, and where they go.

use std::borrow::Cow;
use std::fmt;
use std::mem;

use milena_accumulator::{Clock, Target, Value};
use milena_record::{Header, HeaderList, HeadersRef};
use milena_tokio::SystemClock;

use crate::data::{Data, Part};
use crate::error::SendError;

/// A record and the topic it goes to.
///
/// Nothing is copied until the record is encoded into its batch: keys, values and headers may be
/// borrowed (`&[u8]`, `&str`, `&Vec<u8>`) or owned (`Bytes`, `Vec<u8>`, `String`).
///
/// ```
/// use milena::Record;
///
/// let order = Record::to("orders").key("customer-17").value(r#"{"total": 12}"#);
/// let forget_it = Record::to("orders").key("customer-17"); // no value: a tombstone
/// let traced = Record::to("orders").value(vec![1, 2, 3]).header("trace", "ab12").null_header("retry");
/// # assert_eq!(order.message().key_bytes(), Some(&b"customer-17"[..]));
/// # assert_eq!(forget_it.message().value_bytes(), None);
/// # assert_eq!(traced.message().header_count(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Record<'a> {
    pub(crate) topic: Cow<'a, str>,
    pub(crate) message: Message<'a>,
}

impl<'a> Record<'a> {
    /// An empty record to `topic`: without key, value and headers.
    #[inline]
    pub fn to(topic: impl Into<Cow<'a, str>>) -> Self {
        Self {
            topic: topic.into(),
            message: Message::new(),
        }
    }

    /// Sets the key. Records with the same key go to the same partition.
    #[inline]
    pub fn key(self, key: impl Into<Data<'a>>) -> Self {
        let message = self.message.key(key);
        Self { message, ..self }
    }

    /// Sets the value. A record without one is a tombstone: compaction forgets its key.
    #[inline]
    pub fn value(self, value: impl Into<Data<'a>>) -> Self {
        let message = self.message.value(value);
        Self { message, ..self }
    }

    /// Adds a header after those there are; the same name may come more than once.
    pub fn header(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Data<'a>>) -> Self {
        self.message = self.message.header(name, value);
        self
    }

    /// Adds a header whose value is null, which is not the same as empty.
    pub fn null_header(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.message = self.message.null_header(name);
        self
    }

    /// Adds headers kept elsewhere; when there are no others, without an allocation.
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.message = self.message.headers(headers);
        self
    }

    /// Names the partition, whatever the key. It must not be negative.
    #[inline]
    pub fn partition(mut self, partition: i32) -> Self {
        self.message.partition = partition.max(INVALID);
        self
    }

    /// Sets the time in milliseconds since 1970, at least 0. Default: when it is sent.
    ///
    /// A topic with `message.timestamp.type=LogAppendTime` replaces it by the broker's time.
    ///
    /// A broker reckons how long a producer has been idle from the time of its last batch. When it starts anew it
    /// forgets the producers for which that is `producer.id.expiration.ms` ago or more (a day), and appends a batch
    /// that is retried over the restart a second time. This is so for every client of Kafka.
    #[inline]
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.message.timestamp = millis.max(INVALID.into());
        self
    }

    /// The topic it goes to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Everything but the topic.
    pub fn message(&self) -> &Message<'a> {
        &self.message
    }

    /// The same record, borrowing nothing.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            topic: Cow::Owned(self.topic.into_owned()),
            message: self.message.into_owned(),
        }
    }
}

/// A record without its topic, for [`Topic`](crate::Topic) handles.
///
/// It is moved a few times on its way, so it is small: with a topic it fits two cache lines.
// What sets a key or a value makes a new one of the parts, which stay in registers: one that is changed where it is goes
// through memory, and there the next move reads in one piece what was written in two, and waits until that has left the
// store buffer.
#[derive(Clone)]
pub struct Message<'a> {
    key: Part<'a>,
    value: Part<'a>,
    headers: Headers<'a>,
    /// [`ANY`], the one that was named, or [`INVALID`].
    partition: i32,
    /// [`NOW`], the record's own, or [`INVALID`].
    timestamp: i64,
}

const _: () = assert!(size_of::<Record<'_>>() <= 128);

/// No partition was named.
const ANY: i32 = i32::MIN;

/// The record has no timestamp of its own.
const NOW: i64 = i64::MIN;

/// Any negative partition or time, which is refused when the message is sent.
const INVALID: i32 = -1;

impl Default for Message<'_> {
    #[inline]
    fn default() -> Self {
        Self {
            key: Part::NULL,
            value: Part::NULL,
            headers: Headers::default(),
            partition: ANY,
            timestamp: NOW,
        }
    }
}

impl<'a> Message<'a> {
    /// An empty message: without key, value and headers.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key. Records with the same key go to the same partition.
    #[inline]
    pub fn key(self, key: impl Into<Data<'a>>) -> Self {
        let key = key.into().into();
        Self { key, ..self }
    }

    /// Sets the value. A message without one is a tombstone: compaction forgets its key.
    #[inline]
    pub fn value(self, value: impl Into<Data<'a>>) -> Self {
        let value = value.into().into();
        Self { value, ..self }
    }

    /// Adds a header after those there are; the same name may come more than once.
    pub fn header(self, name: impl Into<Cow<'a, str>>, value: impl Into<Data<'a>>) -> Self {
        self.push(name.into(), Some(value.into()))
    }

    /// Adds a header whose value is null, which is not the same as empty.
    pub fn null_header(self, name: impl Into<Cow<'a, str>>) -> Self {
        self.push(name.into(), None)
    }

    /// Adds headers kept elsewhere; when there are no others, without an allocation.
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        if self.headers_ref().is_empty() {
            self.headers.slice = headers;
            return self;
        }
        for header in headers {
            self = self.push(Cow::Borrowed(header.key), header.value.map(Data::from));
        }
        self
    }

    /// Names the partition, whatever the key. It must not be negative.
    #[inline]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = partition.max(INVALID);
        self
    }

    /// Sets the time in milliseconds since 1970, at least 0. Default: when it is sent. What [`Record::timestamp`]
    /// says of old times holds here too.
    #[inline]
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = millis.max(INVALID.into());
        self
    }

    /// The key's bytes, if there is a key.
    #[inline]
    pub fn key_bytes(&self) -> Option<&[u8]> {
        self.key.bytes()
    }

    /// The value's bytes, unless this is a tombstone.
    #[inline]
    pub fn value_bytes(&self) -> Option<&[u8]> {
        self.value.bytes()
    }

    /// How many headers there are.
    pub fn header_count(&self) -> usize {
        self.headers_ref().len()
    }

    /// The headers in order.
    pub fn iter_headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.headers_ref().iter()
    }

    /// The same message, borrowing nothing.
    pub fn into_owned(self) -> Message<'static> {
        let headers = self.iter_headers().map(|header| Pair {
            name: Cow::Owned(header.key.to_owned()),
            value: header.value.map(|value| Data::from(value.to_vec())),
        });
        let headers = List(headers.collect());
        Message {
            headers: Headers {
                slice: &[],
                own: (!headers.0.is_empty()).then(|| Box::new(headers)),
            },
            key: self.key.into_owned(),
            value: self.value.into_owned(),
            partition: self.partition,
            timestamp: self.timestamp,
        }
    }

    fn push(mut self, name: Cow<'a, str>, value: Option<Data<'a>>) -> Self {
        let Headers { slice, own } = &mut self.headers;
        let own = own.get_or_insert_with(|| {
            let pairs = mem::take(slice).iter().map(Pair::from);
            Box::new(List(pairs.collect()))
        });
        own.0.push(Pair { name, value });
        self
    }

    /// As the accumulator takes it.
    #[inline(always)]
    pub(crate) fn lend(&self) -> milena_accumulator::Record<'_> {
        milena_accumulator::Record {
            timestamp: self.own_timestamp(),
            key: self.key.bytes(),
            value: match &self.value {
                Part::Slice(None) => Value::Null,
                Part::Slice(Some(slice)) => Value::Borrowed(slice),
                Part::Shared(shared) => Value::Shared(shared),
            },
            headers: self.headers_ref(),
        }
    }

    #[inline(always)]
    pub(crate) fn target(&self) -> Target {
        match self.named_partition() {
            Some(partition) => Target::Partition(partition),
            None => Target::Any,
        }
    }

    #[inline(always)]
    fn named_partition(&self) -> Option<i32> {
        (self.partition != ANY).then_some(self.partition)
    }

    #[inline(always)]
    fn own_timestamp(&self) -> Option<i64> {
        (self.timestamp != NOW).then_some(self.timestamp)
    }

    /// Its own time, or the present one.
    #[inline(always)]
    pub(crate) fn timestamp_or_now(&self) -> i64 {
        self.own_timestamp()
            .unwrap_or_else(|| SystemClock.wall_ms())
    }

    /// What Kafka's own record refuses when it is made.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), SendError> {
        if self.partition == INVALID {
            return Err(SendError::Invalid(
                "the partition of a record must not be negative",
            ));
        }
        if self.timestamp == INVALID.into() {
            return Err(SendError::Invalid(
                "the timestamp of a record must not be negative",
            ));
        }
        Ok(())
    }

    #[inline]
    fn headers_ref(&self) -> HeadersRef<'_> {
        match &self.headers.own {
            None => HeadersRef::slice(self.headers.slice),
            Some(own) => HeadersRef::list(&**own),
        }
    }
}

impl fmt::Debug for Message<'_> {
    /// Shows sizes rather than contents: records may hold what must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("partition", &self.named_partition())
            .field("timestamp", &self.own_timestamp())
            .field("key_len", &self.key_bytes().map(<[u8]>::len))
            .field("value_len", &self.value_bytes().map(<[u8]>::len))
            .field("headers", &self.header_count())
            .finish()
    }
}

/// Headers kept elsewhere, or those of its own.
#[derive(Clone, Default)]
struct Headers<'a> {
    slice: &'a [Header<'a>],
    /// Instead of the slice, and never empty. Behind a pointer, so that what has none is dropped with a glance.
    own: Option<Box<List<'a>>>,
}

#[derive(Clone, Default)]
struct List<'a>(Vec<Pair<'a>>);

#[derive(Clone)]
struct Pair<'a> {
    name: Cow<'a, str>,
    value: Option<Data<'a>>,
}

impl<'a> From<&'a Header<'a>> for Pair<'a> {
    fn from(header: &'a Header<'a>) -> Self {
        Self {
            name: Cow::Borrowed(header.key),
            value: header.value.map(Data::from),
        }
    }
}

impl HeaderList for List<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Header<'_> {
        let Pair { name, value } = &self.0[index];
        Header {
            key: name,
            value: value.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn null_empty_and_missing_are_three_things() {
        let message = Message::new().key("").header("a", "").null_header("b");
        assert_eq!(message.key_bytes(), Some(&b""[..]));
        assert_eq!(message.value_bytes(), None);
        let headers: Vec<_> = message.iter_headers().map(|h| (h.key, h.value)).collect();
        assert_eq!(headers, [("a", Some(&b""[..])), ("b", None)]);
    }

    #[test]
    fn headers_are_added_to_what_was_made_owned_without_any() {
        let kept = [Header::new("trace", b"1")];
        let owned = Record::to("t").value("v").into_owned();
        assert_eq!(owned.headers(&kept).message().header_count(), 1);
    }

    #[test]
    fn nothing_negative_is_accepted() {
        for partition in [-1, i32::MIN] {
            assert!(Message::new().partition(partition).check().is_err());
        }
        for millis in [-1, i64::MIN] {
            assert!(Message::new().timestamp(millis).check().is_err());
        }
        assert!(Message::new().check().is_ok());
        let last = Message::new().partition(i32::MAX).timestamp(i64::MAX);
        assert!(last.check().is_ok());
        assert_eq!(last.lend().timestamp, Some(i64::MAX));
        assert_eq!(last.target(), Target::Partition(i32::MAX));
        assert_eq!(Message::new().lend().timestamp, None);
        assert_eq!(Message::new().target(), Target::Any);
    }

    #[test]
    fn headers_keep_their_order_and_doubles() {
        let kept = [Header::new("a", b"1"), Header::new("b", b"2")];
        let message = Message::new()
            .headers(&kept)
            .header("a", String::from("3"))
            .headers(&kept[..1]);
        let values: Vec<_> = message
            .iter_headers()
            .map(|h| h.value.unwrap().to_vec())
            .collect();
        assert_eq!(values, [b"1", b"2", b"3", b"1"]);
        let owned = message.into_owned();
        assert_eq!(owned.header_count(), 4);
    }

    #[test]
    fn shared_bytes_stay_where_they_are() {
        let bytes = Bytes::from(vec![7; 100]);
        let record = Record::to("t").value(bytes.clone()).into_owned();
        assert_eq!(
            record.message().value_bytes().unwrap().as_ptr(),
            bytes.as_ptr()
        );
    }

    #[test]
    fn debug_shows_sizes_not_contents() {
        let text = format!("{:?}", Record::to("t").key("k").value("secret"));
        assert!(
            text.contains("value_len: Some(6)") && !text.contains("secret"),
            "{text}"
        );
    }
}
