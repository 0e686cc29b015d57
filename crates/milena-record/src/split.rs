//! Cutting a batch that a broker finds too large into smaller ones.

use crate::records::RawRecord;
use crate::varint::Piece;
use crate::{BatchError, BatchHeader, record_size_from};

/// A part of a batch that was split: the records of a new batch, not compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPart {
    /// The records, with offset and timestamp deltas of their own.
    pub body: Vec<u8>,
    /// How many there are, at least one.
    pub record_count: i32,
    /// The timestamp of the first.
    pub base_timestamp: i64,
    /// The largest timestamp.
    pub max_timestamp: i64,
}

/// Splits the raw (not compressed) body of a batch into parts that with their header, and before compression, take at
/// most `batch_size` bytes each.
///
/// A record larger than that makes a part of its own. All records are kept, in order; keys, values and headers are
/// copied as they are. A part of one record cannot be split further: when its batch is refused, it has to fail.
///
/// # Errors
///
/// [`BatchError::Record`] if `body` is not a sequence of records.
pub fn split(
    body: &[u8],
    base_timestamp: i64,
    batch_size: usize,
) -> Result<Vec<SplitPart>, BatchError> {
    let most = batch_size.saturating_sub(BatchHeader::LEN);
    let mut parts: Vec<SplitPart> = Vec::new();
    let mut rest = body;
    let mut index = 0;
    while !rest.is_empty() {
        let record = RawRecord::split_first(&mut rest)
            .map_err(|fault| BatchError::Record { index, fault })?;
        let timestamp = base_timestamp.wrapping_add(record.timestamp_delta);
        let fits = parts.last().is_some_and(|part| {
            let timestamp_delta = timestamp.wrapping_sub(part.base_timestamp);
            let size = record_size_from(part.record_count, timestamp_delta, record.parts.len());
            part.body.len() + size <= most
        });
        if !fits {
            parts.push(SplitPart {
                body: Vec::new(),
                record_count: 0,
                base_timestamp: timestamp,
                max_timestamp: timestamp,
            });
        }
        if let Some(part) = parts.last_mut() {
            part.push(timestamp, record.parts);
        }
        index += 1;
    }
    Ok(parts)
}

impl SplitPart {
    fn push(&mut self, timestamp: i64, parts: &[u8]) {
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let mut head = Piece::<16>::new();
        head.byte(0);
        head.long(timestamp_delta);
        head.int(self.record_count);
        let mut len = Piece::<8>::new();
        len.count(head.as_slice().len() + parts.len());
        self.body.extend_from_slice(len.as_slice());
        self.body.extend_from_slice(head.as_slice());
        self.body.extend_from_slice(parts);
        self.record_count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }
}
