//! Reading the records of a body.

use std::borrow::Cow;

use crate::{BatchError, BatchHeader, RecordFault, varint};

/// The records of one batch: its body, decompressed where it was compressed.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    body: Cow<'a, [u8]>,
    base: Base,
    count: i32,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    offset: i64,
    timestamp: i64,
    /// The broker's clock, where the topic is configured for it.
    append_time: Option<i64>,
}

impl<'a> Records<'a> {
    /// The records in an uncompressed body, by what the header says of them.
    ///
    /// # Errors
    ///
    /// [`BatchError::RecordCount`] for a negative count.
    pub fn new(header: &BatchHeader, body: Cow<'a, [u8]>) -> Result<Self, BatchError> {
        if header.record_count < 0 {
            return Err(BatchError::RecordCount {
                records: header.record_count,
                extra: body.len(),
            });
        }
        let append_time = header
            .attributes
            .is_log_append_time()
            .then_some(header.max_timestamp);
        let base = Base {
            offset: header.base_offset,
            timestamp: header.base_timestamp,
            append_time,
        };
        Ok(Self {
            body,
            base,
            count: header.record_count,
        })
    }

    /// The uncompressed body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The records in order. After a faulty one, or after bytes that no record accounts for, comes an error and
    /// then nothing more.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            rest: &self.body,
            base: self.base,
            index: 0,
            count: self.count as usize,
            done: false,
        }
    }

    /// All records, or the first fault.
    ///
    /// # Errors
    ///
    /// [`BatchError::Record`], [`BatchError::RecordCount`].
    pub fn to_vec(&self) -> Result<Vec<RecordView<'_>>, BatchError> {
        self.iter().collect()
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type Item = Result<RecordView<'r>, BatchError>;
    type IntoIter = RecordIter<'r>;

    fn into_iter(self) -> RecordIter<'r> {
        self.iter()
    }
}

/// An iterator over records, made by [`Records::iter`].
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    base: Base,
    index: usize,
    count: usize,
    done: bool,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.index == self.count {
            self.done = true;
            let extra = self.rest.len();
            return (extra > 0).then_some(Err(BatchError::RecordCount {
                records: self.count as i32,
                extra,
            }));
        }
        match RawRecord::split_first(&mut self.rest).and_then(|raw| raw.view(&self.base)) {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(fault) => {
                self.done = true;
                let index = self.index;
                Some(Err(BatchError::Record { index, fault }))
            }
        }
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}

/// One record that was read.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970, -1 for none: the producer's, or the broker's where the batch says so.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> RecordView<'a> {
    /// The headers in order.
    pub const fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// The headers of a record that was read.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    encoded: &'a [u8],
    count: usize,
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order, duplicates and all.
    pub fn iter(&self) -> HeaderIter<'a> {
        HeaderIter {
            rest: self.encoded,
            left: self.count,
        }
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = HeaderView<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// An iterator over headers, made by [`Headers::iter`].
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // Read once already when the record was: it does not fail here.
        HeaderView::split_first(&mut self.rest).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}
impl std::iter::FusedIterator for HeaderIter<'_> {}

/// One header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The key's bytes: UTF-8 by the protocol, but nobody on the way checks it.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderView<'a> {
    /// The key as text; what is not UTF-8 becomes U+FFFD, as in Kafka's own client.
    pub fn key_str(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }

    fn split_first(input: &mut &'a [u8]) -> Result<Self, RecordFault> {
        let key = split_bytes(input)?.ok_or(RecordFault::NullHeaderKey)?;
        let value = split_bytes(input)?;
        Ok(Self { key, value })
    }
}

/// A record cut out of a body, its parts from the key on not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    /// Key, value and headers with their lengths: the part that does not depend on the place in a batch.
    pub(crate) parts: &'a [u8],
}

impl<'a> RawRecord<'a> {
    pub(crate) fn split_first(input: &mut &'a [u8]) -> Result<Self, RecordFault> {
        let len = varint::read(input).ok_or_else(|| number_fault(input))?;
        let len = usize::try_from(len).map_err(|_| RecordFault::NegativeLength)?;
        let (record, rest) = input.split_at_checked(len).ok_or(RecordFault::CutShort)?;
        *input = rest;
        // The attributes of a record mean nothing so far.
        let (_, mut record) = record.split_first().ok_or(RecordFault::Overrun)?;
        let timestamp_delta = varint::read_long(&mut record).ok_or(RecordFault::Number)?;
        let offset_delta = varint::read(&mut record).ok_or(RecordFault::Number)?;
        Ok(Self {
            timestamp_delta,
            offset_delta,
            parts: record,
        })
    }

    fn view(&self, base: &Base) -> Result<RecordView<'a>, RecordFault> {
        let mut parts = self.parts;
        let key = split_bytes(&mut parts)?;
        let value = split_bytes(&mut parts)?;
        let count = varint::read(&mut parts).ok_or(RecordFault::Number)?;
        let count = usize::try_from(count).map_err(|_| RecordFault::HeaderCount)?;
        // A header takes two bytes at least.
        if count > parts.len() / 2 {
            return Err(RecordFault::HeaderCount);
        }
        let headers = Headers {
            encoded: parts,
            count,
        };
        for _ in 0..count {
            HeaderView::split_first(&mut parts)?;
        }
        if !parts.is_empty() {
            return Err(RecordFault::LeftOver);
        }
        let timestamp = base
            .append_time
            .unwrap_or_else(|| base.timestamp.wrapping_add(self.timestamp_delta));
        Ok(RecordView {
            offset: base.offset.wrapping_add(i64::from(self.offset_delta)),
            timestamp,
            key,
            value,
            headers,
        })
    }
}

/// A number that cannot be read is cut short where fewer bytes are left than it may have.
fn number_fault(input: &[u8]) -> RecordFault {
    if input.len() < 5 {
        RecordFault::CutShort
    } else {
        RecordFault::Number
    }
}

/// Bytes with their length in front, -1 for null.
fn split_bytes<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    let len = varint::read(input).ok_or(RecordFault::Number)?;
    match len {
        -1 => Ok(None),
        ..-1 => Err(RecordFault::NegativeLength),
        0.. => {
            let (bytes, rest) = input
                .split_at_checked(len as usize)
                .ok_or(RecordFault::Overrun)?;
            *input = rest;
            Ok(Some(bytes))
        }
    }
}
