//! Whether the records of one partition in a Produce request are what a leader appends.

use milena_record::{BatchError, BatchHeader, BatchView, Codec};
use milena_wire::{ErrorCode, Records};

use crate::refusal::Refusal;
use crate::topic::TopicConfig;

/// What is checked besides the form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks<'a> {
    /// The version of the Produce request.
    pub(crate) version: i16,
    pub(crate) topic: &'a TopicConfig,
    pub(crate) crc: bool,
    pub(crate) records: bool,
    pub(crate) now: i64,
}

/// A batch that does not fit into this much memory decompressed is refused.
const DECOMPRESSED_LIMIT: usize = 32 << 20;

/// The smallest length that the first batch may say it has: the header of the oldest format.
const SMALLEST_BATCH: i32 = 14;

impl Checks<'_> {
    /// What Kafka checks before it knows about topics: exactly one batch, of format 2.
    pub(crate) fn form<'b>(&self, records: Option<Records<'b>>) -> Result<&'b [u8], Refusal> {
        let bytes = records
            .and_then(|records| records.as_slice())
            .unwrap_or_default();
        let Some((batch, rest)) = first_batch(bytes)? else {
            return Err(invalid(
                "a Produce request must have a record batch for each partition",
            ));
        };
        if batch[16] != BatchHeader::MAGIC as u8 {
            return Err(invalid(
                "a Produce request may only have record batches of format 2",
            ));
        }
        // The codec is in the low bits of the attributes; a batch too short for them is found corrupt later.
        let codec = batch.get(22).map(|attributes| attributes & 7);
        if codec == Some(Codec::Zstd.id()) && self.version < 7 {
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE));
        }
        if first_batch(rest)?.is_some() {
            return Err(invalid(
                "a Produce request may only have one record batch for each partition",
            ));
        }
        Ok(batch)
    }

    /// What a leader checks before it looks at sequences.
    pub(crate) fn content(&self, batch: &[u8]) -> Result<BatchHeader, Refusal> {
        if batch[..8] != [0; 8] {
            return Err(invalid("the base offset of a produced batch must be 0"));
        }
        if batch.len() > self.topic.max_message_bytes {
            return Err(Refusal::new(ErrorCode::MESSAGE_TOO_LARGE));
        }
        let corrupt = |_| Refusal::new(ErrorCode::CORRUPT_MESSAGE);
        let header = BatchHeader::decode(batch).map_err(corrupt)?;
        let looked_into = self.looks_into_batches() || header.attributes.is_log_append_time();
        if !self.crc && !looked_into {
            return self.header(&header).map(|()| header);
        }
        let (view, _) = BatchView::split_first(batch).map_err(corrupt)?;
        if self.crc {
            view.verify_crc().map_err(corrupt)?;
        }
        self.header(&header)?;
        if looked_into {
            self.each_record(&view)?;
        }
        Ok(header)
    }

    /// Whether every record is read, which costs time.
    fn looks_into_batches(&self) -> bool {
        let limits = [
            self.topic.timestamp_after_max_ms,
            self.topic.timestamp_before_max_ms,
        ];
        self.records || self.topic.compact || limits != [i64::MAX; 2]
    }

    fn header(&self, header: &BatchHeader) -> Result<(), Refusal> {
        if header.last_offset_delta < 0 || header.record_count <= 0 {
            return Err(invalid("a batch must have records"));
        }
        if header.last_offset_delta != header.record_count - 1 {
            return Err(invalid(
                "the offsets of a batch do not fit the number of its records",
            ));
        }
        if header.attributes.is_control() {
            return Err(invalid("clients may not write control records"));
        }
        if header.attributes.is_transactional() {
            let message = "transactions are not modelled";
            return Err(Refusal::because(ErrorCode::INVALID_TXN_STATE, message));
        }
        if header.producer_id >= 0 && header.base_sequence < 0 {
            return Err(invalid(
                "a batch with a producer id must have a sequence number",
            ));
        }
        Ok(())
    }

    fn each_record(&self, batch: &BatchView<'_>) -> Result<(), Refusal> {
        let records = batch
            .records(DECOMPRESSED_LIMIT)
            .map_err(|error| match error {
                BatchError::RecordCount { .. } => invalid("a batch has another number of records"),
                // What a codec does not understand is not foreseen by Kafka either.
                _ => Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR),
            })?;
        let mut keyless = Vec::new();
        let mut untimely = Vec::new();
        for (index, record) in (0..).zip(&records) {
            let record = record.map_err(|_| invalid("a record of the batch is not well-formed"))?;
            if self.topic.compact && record.key.is_none() {
                keyless.push((index, Some("a compacted topic needs keys".into())));
            } else if !self.is_timely(record.timestamp, batch) {
                untimely.push((index, Some("the timestamp is out of bounds".into())));
            }
        }
        let code = match (untimely.is_empty(), keyless.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => ErrorCode::INVALID_RECORD,
            (false, _) => ErrorCode::INVALID_TIMESTAMP,
        };
        keyless.append(&mut untimely);
        keyless.sort_unstable();
        let message = "one or more records were rejected";
        Err(Refusal {
            records: keyless,
            ..Refusal::because(code, message)
        })
    }

    fn is_timely(&self, timestamp: i64, batch: &BatchView<'_>) -> bool {
        // Only a broker may say that the timestamps are a broker's.
        if batch.header().attributes.is_log_append_time() {
            return false;
        }
        let ahead = timestamp.saturating_sub(self.now);
        timestamp == -1
            || self.topic.log_append_time
            || (ahead <= self.topic.timestamp_after_max_ms
                && -ahead.max(-i64::MAX) <= self.topic.timestamp_before_max_ms)
    }
}

fn invalid(message: &'static str) -> Refusal {
    Refusal::because(ErrorCode::INVALID_RECORD, message)
}

/// A batch and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The first whole batch in these bytes, at least 17 of them, and what follows it. As in Kafka an incomplete one is
/// none.
fn first_batch(bytes: &[u8]) -> Result<Option<Split<'_>>, Refusal> {
    let Some((_, length)) = bytes
        .first_chunk::<12>()
        .and_then(|head| head.split_last_chunk::<4>())
    else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < SMALLEST_BATCH {
        return Err(Refusal::new(ErrorCode::CORRUPT_MESSAGE));
    }
    match bytes.get(16) {
        None => return Ok(None),
        Some(0..=2) => {}
        Some(_) => return Err(Refusal::new(ErrorCode::CORRUPT_MESSAGE)),
    }
    Ok(bytes.split_at_checked(length as usize + 12))
}
