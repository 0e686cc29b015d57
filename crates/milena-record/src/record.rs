//! One record: its parts, its exact size, and its bytes in a batch of format 2.

use std::fmt;

use crate::BatchHeader;
use crate::varint::{self, Piece, Word};

/// Where encoded bytes go.
///
/// A record is put in a handful of pieces: a few bytes of lengths first, then key, value and headers as they are.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Appends the first `len` bytes of `bytes.to_le_bytes()`, at most all 8.
    ///
    /// A sink with room for 8 may write them all and count `len`, straight from the register they are in: several
    /// times cheaper than a call for a handful of bytes. What comes next is written over the rest.
    #[inline]
    fn put_short(&mut self, bytes: u64, len: usize) {
        self.put(&bytes.to_le_bytes()[..len]);
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_short(&mut self, bytes: u64, len: usize) {
        if self.capacity() - self.len() < 8 {
            return put_near_end(self, bytes, len);
        }
        let end = self.len() + len;
        self.extend_from_slice(&bytes.to_le_bytes());
        self.truncate(end);
    }
}

/// Out of line, or the compiler makes one copy of variable size, through memory, out of both.
#[cold]
#[inline(never)]
fn put_near_end(out: &mut Vec<u8>, bytes: u64, len: usize) {
    out.extend_from_slice(&bytes.to_le_bytes()[..len]);
}

impl<S: Sink> Sink for &mut S {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }

    #[inline]
    fn put_short(&mut self, bytes: u64, len: usize) {
        (**self).put_short(bytes, len);
    }
}

/// One header of a record to be written. The same key may come more than once; order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key; never null in Kafka, but it may be empty.
    pub key: &'a str,
    /// The value; `None` is null, which is not the same as empty.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    pub const fn new(key: &'a str, value: &'a [u8]) -> Self {
        Self {
            key,
            value: Some(value),
        }
    }
}

/// Headers kept in a caller's own form, lent to a [`RecordRef`] without being copied into a slice first.
pub trait HeaderList: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// The one at `index`, which is below [`len`](Self::len).
    fn get(&self, index: usize) -> Header<'_>;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The headers of a record to be written.
#[derive(Clone, Copy)]
pub struct HeadersRef<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Slice(&'a [Header<'a>]),
    List(&'a dyn HeaderList),
}

impl<'a> HeadersRef<'a> {
    /// No headers.
    pub const EMPTY: Self = Self(Repr::Slice(&[]));

    /// Headers in a slice.
    #[inline]
    pub const fn slice(headers: &'a [Header<'a>]) -> Self {
        Self(Repr::Slice(headers))
    }

    /// Headers in a form of the caller's own.
    #[inline]
    pub fn list(headers: &'a dyn HeaderList) -> Self {
        if headers.is_empty() {
            Self::EMPTY
        } else {
            Self(Repr::List(headers))
        }
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self.0 {
            Repr::Slice(headers) => headers.len(),
            Repr::List(headers) => headers.len(),
        }
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self.0 {
            Repr::Slice(headers) => headers.is_empty(),
            // An empty list is never kept.
            Repr::List(_) => false,
        }
    }

    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let repr = self.0;
        (0..self.len()).map(move |index| match repr {
            Repr::Slice(headers) => headers[index],
            Repr::List(headers) => headers.get(index),
        })
    }
}

impl<'a> From<&'a [Header<'a>]> for HeadersRef<'a> {
    fn from(headers: &'a [Header<'a>]) -> Self {
        Self::slice(headers)
    }
}

impl Default for HeadersRef<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for HeadersRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A record to be written: everything borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordRef<'a> {
    /// Milliseconds since 1970, or -1 for none.
    pub timestamp: i64,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone, which is not the same as empty.
    pub value: Option<&'a [u8]>,
    /// The headers in order.
    pub headers: HeadersRef<'a>,
}

/// Bytes of the parts that do not depend on the place in the batch: key, value and headers with their lengths.
///
/// Exact. Worth computing once, before a lock is taken, and given to [`record_size_from`] under it.
#[inline]
pub fn parts_size(record: &RecordRef<'_>) -> usize {
    let headers = if record.headers.is_empty() {
        1
    } else {
        headers_size(record.headers)
    };
    bytes_size(record.key) + bytes_size(record.value) + headers
}

/// Bytes that the record takes in a batch, at this place. Exact.
///
/// # Example
///
/// ```
/// use milena_record::{RecordRef, encode_record, record_size};
///
/// let record = RecordRef { value: Some(b"hello"), ..RecordRef::default() };
/// let mut body = Vec::new();
/// encode_record(&mut body, 0, 0, &record);
/// assert_eq!(body.len(), record_size(0, 0, &record));
/// ```
#[inline]
pub fn record_size(offset_delta: i32, timestamp_delta: i64, record: &RecordRef<'_>) -> usize {
    record_size_from(offset_delta, timestamp_delta, parts_size(record))
}

/// [`record_size`], from what [`parts_size`] said.
#[inline]
pub const fn record_size_from(offset_delta: i32, timestamp_delta: i64, parts: usize) -> usize {
    let body = body_size(offset_delta, timestamp_delta, parts);
    varint::size_of_len(body) + body
}

/// The most that a batch of this one record can take before compression, wherever it lands.
///
/// Kafka admits records by this number (`max.request.size`, `buffer.memory`): the header of a batch, the longest
/// possible head of a record, and the exact size of its parts.
#[inline]
pub fn size_upper_bound(record: &RecordRef<'_>) -> usize {
    BatchHeader::LEN + MAX_RECORD_OVERHEAD + parts_size(record)
}

/// The longest head of a record: length 5, attributes 1, timestamp 10, offset 5.
pub const MAX_RECORD_OVERHEAD: usize = 21;

/// Appends the record. `timestamp_delta` may be negative.
///
/// The whole record has to be shorter than 2^31 bytes, and `offset_delta` not negative; whoever admits records sees
/// to that, by [`size_upper_bound`].
#[inline(always)]
pub fn encode_record(
    out: &mut impl Sink,
    offset_delta: i32,
    timestamp_delta: i64,
    record: &RecordRef<'_>,
) {
    RecordHead::new(offset_delta, timestamp_delta, parts_size(record)).encode(out, record);
}

/// Appends what comes before the value: all lengths including the value's own, and the key.
///
/// Then the caller appends the value, or leaves it where it is and puts a reference to it, and goes on with
/// [`encode_record_tail`].
#[inline]
pub fn encode_record_head(
    out: &mut impl Sink,
    offset_delta: i32,
    timestamp_delta: i64,
    record: &RecordRef<'_>,
) {
    RecordHead::new(offset_delta, timestamp_delta, parts_size(record))
        .encode_before_value(out, record);
}

/// Appends what comes after the value: the headers.
#[inline]
pub fn encode_record_tail(out: &mut impl Sink, record: &RecordRef<'_>) {
    if record.headers.is_empty() {
        out.put(&[0]);
    } else {
        encode_headers(out, record.headers);
    }
}

/// A record's place in its batch, encoded, and the size that it takes there.
///
/// Whoever has to know whether a record fits before it is written makes this once for both.
///
/// ```
/// use milena_record::{RecordHead, RecordRef, encode_record, parts_size};
///
/// let record = RecordRef { value: Some(b"hello"), ..RecordRef::default() };
/// let head = RecordHead::new(70, 12, parts_size(&record));
/// let (mut body, mut same) = (Vec::new(), Vec::new());
/// head.encode(&mut body, &record);
/// encode_record(&mut same, 70, 12, &record);
/// assert_eq!((body.len(), &body), (head.record_size(), &same));
/// ```
#[derive(Clone, Copy)]
pub struct RecordHead {
    /// Length, attributes, timestamp and offset; empty if one of the numbers is too long for it.
    word: Word,
    body: usize,
    size: usize,
    offset_delta: i32,
    timestamp_delta: i64,
}

/// Attributes, timestamp and offset, if both numbers are short.
const SHORT_PLACE: usize = 5;

impl RecordHead {
    /// At this place, for a record of which [`parts_size`] said `parts`.
    #[inline(always)]
    pub fn new(offset_delta: i32, timestamp_delta: i64, parts: usize) -> Self {
        let (word, body, size) = if Word::fits(parts + SHORT_PLACE, timestamp_delta, offset_delta) {
            let place = Word::place(timestamp_delta, offset_delta);
            let body = place.len() + parts;
            let len = Word::count(body);
            (len.then(place), body, len.len() + body)
        } else {
            let body = body_size(offset_delta, timestamp_delta, parts);
            (Word::EMPTY, body, varint::size_of_len(body) + body)
        };
        Self {
            word,
            body,
            size,
            offset_delta,
            timestamp_delta,
        }
    }

    /// Bytes that the whole record takes.
    #[inline(always)]
    pub fn record_size(&self) -> usize {
        self.size
    }

    /// Appends the record.
    #[inline(always)]
    pub fn encode(&self, out: &mut impl Sink, record: &RecordRef<'_>) {
        self.encode_before_value(out, record);
        if let Some(value) = record.value {
            out.put(value);
        }
        encode_record_tail(out, record);
    }

    /// Appends what comes before the value: see [`encode_record_head`].
    #[inline(always)]
    pub fn encode_before_value(&self, out: &mut impl Sink, record: &RecordRef<'_>) {
        if self.word.len() == 0 {
            let (delta, offset) = (self.timestamp_delta, self.offset_delta);
            return put_long_head(out, self.body, delta, offset, record.key, record.value);
        }
        match record.key {
            Some(key) => {
                put_word(out, self.word);
                put_word(out, Word::count(key.len()));
                out.put(key);
            }
            None => put_word(out, self.word.byte(NULL)),
        }
        match record.value {
            Some(value) => put_word(out, Word::count(value.len())),
            None => put_word(out, Word::EMPTY.byte(NULL)),
        }
    }
}

/// What comes before the value with a long number in it: a record of 8 KiB, the 8,192nd of its batch, or 8 seconds
/// after the first. Takes nothing by reference that would have to be in memory for it, and so for every record.
#[inline(never)]
fn put_long_head(
    out: &mut impl Sink,
    body: usize,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) {
    // 5 length, 1 attributes, 10 timestamp, 5 offset, 5 key length, 5 value length.
    let mut piece = Piece::<32>::new();
    piece.count(body);
    piece.byte(0);
    piece.long(timestamp_delta);
    piece.int(offset_delta);
    piece.len_of(key);
    if let Some(key) = key {
        out.put(piece.as_slice());
        out.put(key);
        piece = Piece::new();
    }
    piece.len_of(value);
    out.put(piece.as_slice());
}

/// The length of what is null.
const NULL: u8 = 1;

#[inline(always)]
fn put_word(out: &mut impl Sink, word: Word) {
    out.put_short(word.bytes, word.len());
}

#[inline]
const fn body_size(offset_delta: i32, timestamp_delta: i64, parts: usize) -> usize {
    1 + varint::size_long(timestamp_delta) + varint::size(offset_delta) + parts
}

#[inline]
fn bytes_size(bytes: Option<&[u8]>) -> usize {
    match bytes {
        Some(bytes) => varint::size_of_len(bytes.len()) + bytes.len(),
        None => 1,
    }
}

/// Headers are passed as the slice or the list that they are in: the enum of both would have to be in memory.
#[inline(always)]
fn headers_size(headers: HeadersRef<'_>) -> usize {
    match headers.0 {
        Repr::Slice(headers) => size_of_slice(headers),
        Repr::List(headers) => size_of_list(headers),
    }
}

#[inline(never)]
fn size_of_slice(headers: &[Header<'_>]) -> usize {
    let each = headers.iter().map(header_size);
    varint::size_of_len(headers.len()) + each.sum::<usize>()
}

#[inline(never)]
fn size_of_list(headers: &dyn HeaderList) -> usize {
    let count = headers.len();
    let each = (0..count).map(|at| header_size(&headers.get(at)));
    varint::size_of_len(count) + each.sum::<usize>()
}

#[inline(always)]
fn header_size(header: &Header<'_>) -> usize {
    bytes_size(Some(header.key.as_bytes())) + bytes_size(header.value)
}

#[inline(always)]
fn encode_headers(out: &mut impl Sink, headers: HeadersRef<'_>) {
    match headers.0 {
        Repr::Slice(headers) => encode_slice(out, headers),
        Repr::List(headers) => encode_list(out, headers),
    }
}

#[inline(never)]
fn encode_slice(out: &mut impl Sink, headers: &[Header<'_>]) {
    put_len(out, headers.len());
    headers.iter().for_each(|header| encode_header(out, header));
}

#[inline(never)]
fn encode_list(out: &mut impl Sink, headers: &dyn HeaderList) {
    let count = headers.len();
    put_len(out, count);
    (0..count).for_each(|at| encode_header(out, &headers.get(at)));
}

#[inline(always)]
fn encode_header(out: &mut impl Sink, header: &Header<'_>) {
    put_len(out, header.key.len());
    out.put(header.key.as_bytes());
    match header.value {
        Some(value) => {
            put_len(out, value.len());
            out.put(value);
        }
        None => put_word(out, Word::EMPTY.byte(NULL)),
    }
}

#[inline(always)]
fn put_len(out: &mut impl Sink, len: usize) {
    if varint::is_short_len(len) {
        return put_word(out, Word::count(len));
    }
    let mut piece = Piece::<8>::new();
    piece.count(len);
    out.put(piece.as_slice());
}
