//! The log of one partition: its batches, its offsets and the producers it has seen.

use std::collections::VecDeque;

use bytes::Bytes;
use milena_record::{BatchError, BatchHeader, BatchView};
use milena_wire::ErrorCode;

use crate::producers::{Candidate, Producers, Verdict};
use crate::refusal::Refusal;

/// A batch as it lies in a log: with its offset, its leader's epoch and, if the topic says so, the broker's timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The largest timestamp of its records, in milliseconds.
    pub max_timestamp: i64,
    /// All its bytes.
    pub bytes: Bytes,
}

/// A record that lies in a log, with memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970: the producer's, or the broker's with `LogAppendTime`.
    pub timestamp: i64,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone, which is not the same as empty.
    pub value: Option<Vec<u8>>,
    /// The headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A batch that decompresses to more than this is not read back.
const READ_BACK_LIMIT: usize = 256 << 20;

/// How a batch is to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append {
    /// The epoch of the leader that appends it.
    pub(crate) leader_epoch: i32,
    /// The broker's clock, where the topic takes its timestamps from there.
    pub(crate) log_append_time: Option<i64>,
    /// Whether the bytes are kept.
    pub(crate) keep: bool,
    /// Whether duplicates and gaps of idempotent producers are recognised.
    pub(crate) dedupe: bool,
    /// Whether a producer that is not known must begin with sequence 0, as before Kafka 2.5 (KIP-360).
    pub(crate) begin_with_zero: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The offset of its first record.
    pub(crate) base_offset: i64,
    /// The broker's timestamp, or -1.
    pub(crate) log_append_time: i64,
}

/// The log of one partition, in memory.
///
/// With `discard` on ([`TopicConfig::discard`](crate::TopicConfig)) the bytes of a batch are dropped once it is
/// counted, and nothing can be fetched.
#[derive(Clone, Debug, Default)]
pub struct Log {
    start: i64,
    end: i64,
    batches: VecDeque<StoredBatch>,
    producers: Producers,
    records: u64,
    appended_batches: u64,
    bytes: u64,
    duplicates: u64,
}

impl Log {
    /// The offset of the first record that is still there.
    pub fn start_offset(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets. All of it is committed: replication is not modelled.
    pub fn end_offset(&self) -> i64 {
        self.end
    }

    /// The batches that are kept, oldest first.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = &StoredBatch> {
        self.batches.iter()
    }

    /// The idempotent producers it has seen.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// The same, to make it forget some.
    pub fn producers_mut(&mut self) -> &mut Producers {
        &mut self.producers
    }

    /// How many records were appended, by the headers of their batches.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many batches were appended.
    pub fn appended_batches(&self) -> u64 {
        self.appended_batches
    }

    /// How many bytes of batches were appended.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many batches were not appended because they were there already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Appends a batch whose form has been checked.
    pub(crate) fn append(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        how: Append,
    ) -> Result<Appended, Refusal> {
        let candidate = Candidate {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            first_sequence: header.base_sequence,
            last_offset_delta: header.last_offset_delta,
        };
        let idempotent = header.producer_id >= 0 && how.dedupe;
        if idempotent {
            let unknown = self.producers.get(header.producer_id).is_none();
            if how.begin_with_zero && unknown && header.base_sequence != 0 {
                return Err(Refusal::at(ErrorCode::UNKNOWN_PRODUCER_ID, self.start));
            }
            match self.producers.judge(&candidate) {
                Verdict::Next => {}
                Verdict::Refused(code) => return Err(Refusal::at(code, self.start)),
                // A leader answers the batch's own timestamp here, also where it keeps the producer's timestamps.
                Verdict::Duplicate(known) => {
                    self.duplicates += 1;
                    return Ok(Appended {
                        base_offset: known.first_offset,
                        log_append_time: known.timestamp,
                    });
                }
            }
        }
        let base_offset = self.end;
        let max_timestamp = how.log_append_time.unwrap_or(header.max_timestamp);
        self.end += i64::from(header.last_offset_delta) + 1;
        self.records += header.record_count as u64;
        self.appended_batches += 1;
        self.bytes += batch.len() as u64;
        if idempotent {
            self.producers
                .remember(&candidate, base_offset, max_timestamp);
        }
        if how.keep {
            self.batches.push_back(StoredBatch {
                base_offset,
                last_offset: self.end - 1,
                max_timestamp,
                bytes: stamped(batch, header, base_offset, how),
            });
        } else {
            self.start = self.end;
        }
        Ok(Appended {
            base_offset,
            log_append_time: how.log_append_time.unwrap_or(-1),
        })
    }

    /// Where the batch begins that holds this offset, or the first one after it.
    fn position(&self, offset: i64) -> usize {
        self.batches
            .partition_point(|batch| batch.last_offset < offset)
    }

    /// The batches from the one that holds `offset` on, at most `limit` bytes, but one whole batch if `at_least_one`.
    pub(crate) fn read(&self, offset: i64, limit: usize, at_least_one: bool) -> Vec<Bytes> {
        let mut found = Vec::new();
        let mut len = 0usize;
        for batch in self.batches.range(self.position(offset)..) {
            let forced = at_least_one && found.is_empty();
            if !forced && len.saturating_add(batch.bytes.len()) > limit {
                break;
            }
            len += batch.bytes.len();
            found.push(batch.bytes.clone());
        }
        found
    }

    /// The offset and timestamp of the first batch with a record at or after this time.
    pub(crate) fn first_since(&self, timestamp: i64) -> Option<&StoredBatch> {
        self.batches
            .iter()
            .find(|batch| batch.max_timestamp >= timestamp)
    }

    /// The batch with the largest timestamp, the first of several.
    pub(crate) fn latest(&self) -> Option<&StoredBatch> {
        self.batches
            .iter()
            .rev()
            .max_by_key(|batch| batch.max_timestamp)
    }

    /// All records that are kept, decompressed and copied: for tests. Batches as they are: [`batches`](Self::batches).
    ///
    /// # Errors
    /// A batch is not well-formed inside: the model looks there only if
    /// [`ClusterConfig::verify_records`](crate::ClusterConfig) says so.
    pub fn read_back(&self) -> Result<Vec<StoredRecord>, BatchError> {
        let mut all = Vec::new();
        for stored in &self.batches {
            let (batch, _) = BatchView::split_first(&stored.bytes)?;
            for record in &batch.records(READ_BACK_LIMIT)? {
                let record = record?;
                let bytes = |bytes: &[u8]| bytes.to_vec();
                let headers = record.headers().iter().map(|header| {
                    (
                        String::from_utf8_lossy(header.key).into_owned(),
                        header.value.map(bytes),
                    )
                });
                all.push(StoredRecord {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(bytes),
                    value: record.value.map(bytes),
                    headers: headers.collect(),
                });
            }
        }
        Ok(all)
    }

    /// Drops everything before this offset, in whole batches, as retention does. Producers are remembered.
    pub fn delete_before(&mut self, offset: i64) {
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.last_offset < offset)
        {
            self.batches.pop_front();
        }
        self.start = offset.clamp(self.start, self.end);
    }
}

/// The bytes of a batch with what the leader writes into its header.
fn stamped(batch: &[u8], header: &BatchHeader, base_offset: i64, how: Append) -> Bytes {
    let mut bytes = batch.to_vec();
    match how.log_append_time {
        // The timestamp is under the checksum, so the whole header is made again.
        Some(now) => {
            let stamped = BatchHeader {
                base_offset,
                partition_leader_epoch: how.leader_epoch,
                attributes: header.attributes.with_log_append_time(true),
                max_timestamp: now,
                ..*header
            };
            let front = stamped.encode([&batch[BatchHeader::LEN..]]);
            bytes[..BatchHeader::LEN].copy_from_slice(&front);
        }
        None => {
            bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
            bytes[12..16].copy_from_slice(&how.leader_epoch.to_be_bytes());
        }
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use milena_record::{Codec, Header, HeadersRef, RecordRef};

    use super::*;

    const KEEP: Append = Append {
        leader_epoch: 4,
        log_append_time: None,
        keep: true,
        dedupe: true,
        begin_with_zero: false,
    };

    fn header(records: i32, sequence: i32) -> BatchHeader {
        BatchHeader {
            producer_id: 1,
            producer_epoch: 0,
            base_sequence: sequence,
            ..BatchHeader::new(Codec::None, records, 100, 200)
        }
    }

    fn append(log: &mut Log, header: BatchHeader, how: Append) -> Result<Appended, Refusal> {
        let body: &[u8] = b"not looked at";
        let bytes = [&header.encode([body])[..], body].concat();
        log.append(&bytes, &header, how)
    }

    #[test]
    fn batches_get_offsets_and_the_leaders_epoch() {
        let mut log = Log::default();
        assert_eq!(
            append(&mut log, header(3, 0), KEEP).map(|a| a.base_offset),
            Ok(0)
        );
        assert_eq!(
            append(&mut log, header(2, 3), KEEP).map(|a| a.base_offset),
            Ok(3)
        );
        assert_eq!((log.end_offset(), log.records()), (5, 5));
        let second = log.batches().nth(1).expect("two were appended");
        let stored = BatchHeader::decode(&second.bytes).expect("a header");
        assert_eq!((stored.base_offset, stored.partition_leader_epoch), (3, 4));
    }

    #[test]
    fn a_duplicate_is_answered_and_not_appended() {
        let mut log = Log::default();
        append(&mut log, header(3, 0), KEEP).expect("the first");
        let again = append(&mut log, header(3, 0), KEEP);
        assert_eq!(
            again,
            Ok(Appended {
                base_offset: 0,
                log_append_time: 200
            })
        );
        assert_eq!((log.end_offset(), log.duplicates()), (3, 1));
    }

    #[test]
    fn without_dedupe_a_duplicate_is_appended_twice() {
        let mut log = Log::default();
        let how = Append {
            dedupe: false,
            ..KEEP
        };
        for offset in [0, 3] {
            assert_eq!(
                append(&mut log, header(3, 0), how).map(|a| a.base_offset),
                Ok(offset)
            );
        }
    }

    #[test]
    fn a_gap_is_refused_and_nothing_changes() {
        let mut log = Log::default();
        append(&mut log, header(3, 0), KEEP).expect("the first");
        let refused = append(&mut log, header(1, 4), KEEP).expect_err("a gap");
        assert_eq!(refused.code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!((log.end_offset(), refused.log_start_offset), (3, 0));
    }

    #[test]
    fn the_brokers_clock_is_written_and_the_checksum_fits() {
        let mut log = Log::default();
        let how = Append {
            log_append_time: Some(999),
            ..KEEP
        };
        assert_eq!(
            append(&mut log, header(1, 0), how).map(|a| a.log_append_time),
            Ok(999)
        );
        let batch = log.batches().next().expect("one was appended");
        let view = milena_record::batches(&batch.bytes)
            .next()
            .expect("a batch")
            .expect("in form");
        view.verify_crc().expect("its checksum");
        assert!(view.header().attributes.is_log_append_time());
        assert_eq!(
            (view.header().base_timestamp, view.header().max_timestamp),
            (100, 999)
        );
    }

    #[test]
    fn discarded_batches_are_counted() {
        let mut log = Log::default();
        append(
            &mut log,
            header(3, 0),
            Append {
                keep: false,
                ..KEEP
            },
        )
        .expect("appended");
        assert_eq!(
            (log.batches().count(), log.records(), log.start_offset()),
            (0, 3, 3)
        );
    }

    #[test]
    fn reading_stops_at_the_limit_but_gives_one_batch() {
        let mut log = Log::default();
        for n in 0..3 {
            append(&mut log, header(2, 2 * n), KEEP).expect("appended");
        }
        let len = log.batches[0].bytes.len();
        assert_eq!(log.read(0, 1, true).len(), 1);
        assert_eq!(log.read(0, 1, false).len(), 0);
        assert_eq!(log.read(0, 2 * len, true).len(), 2);
        assert_eq!(log.read(3, usize::MAX, true).len(), 2);
        assert_eq!(log.read(6, usize::MAX, true).len(), 0);
    }

    #[test]
    fn records_are_read_back() {
        let headers = [
            Header::new("h", b"1"),
            Header {
                key: "null",
                value: None,
            },
        ];
        let record = RecordRef {
            timestamp: 100,
            key: None,
            value: Some(b"v"),
            headers: HeadersRef::from(&headers[..]),
        };
        let mut body = Vec::new();
        for delta in 0..2 {
            milena_record::encode_record(&mut body, delta, i64::from(delta), &record);
        }
        let header = header(2, 0);
        let batch = [&header.encode([&body[..]])[..], &body].concat();
        let mut log = Log::default();
        log.append(&batch, &header, KEEP).expect("appended");
        let read = log.read_back().expect("in form");
        assert_eq!(read[1].offset, 1);
        assert_eq!((read[1].timestamp, &read[1].key), (101, &None));
        assert_eq!(read[1].value.as_deref(), Some(&b"v"[..]));
        let headers = vec![
            ("h".to_owned(), Some(b"1".to_vec())),
            ("null".to_owned(), None),
        ];
        assert_eq!(read[0].headers, headers);
    }

    #[test]
    fn old_batches_can_be_deleted() {
        let mut log = Log::default();
        for n in 0..3 {
            append(&mut log, header(2, 2 * n), KEEP).expect("appended");
        }
        log.delete_before(3);
        assert_eq!((log.start_offset(), log.batches().count()), (3, 2));
    }
}
