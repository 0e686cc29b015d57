//! What a partition remembers of idempotent producers, and how it tells a duplicate from a gap (KIP-98).

use std::collections::{BTreeMap, VecDeque};

use milena_record::sequence_after;
use milena_wire::ErrorCode;

/// How many of a producer's last batches a partition can still recognise.
pub const DEDUPE_WINDOW: usize = 5;

/// A batch that a partition remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedBatch {
    /// The sequence number of its first record.
    pub first_sequence: i32,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The largest timestamp in it.
    pub timestamp: i64,
}

/// A producer as one partition knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The newest epoch seen.
    pub epoch: i16,
    /// The last batches of that epoch, oldest first, at most [`DEDUPE_WINDOW`].
    pub batches: VecDeque<RememberedBatch>,
}

impl ProducerEntry {
    /// The last sequence number appended, or -1.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    /// The timestamp of the last batch, or -1.
    pub fn last_timestamp(&self) -> i64 {
        self.batches.back().map_or(-1, |batch| batch.timestamp)
    }
}

/// A batch that asks to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who sends it.
    pub producer_id: i64,
    /// In which epoch.
    pub epoch: i16,
    /// The sequence number of its first record.
    pub first_sequence: i32,
    /// How many offsets it spans, less one.
    pub last_offset_delta: i32,
}

impl Candidate {
    fn last_sequence(&self) -> i32 {
        sequence_after(self.first_sequence, self.last_offset_delta)
    }
}

/// What a partition says to a batch of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one: append it.
    Next,
    /// It is there already: answer with what was answered then.
    Duplicate(RememberedBatch),
    /// It cannot be appended.
    Refused(ErrorCode),
}

/// The idempotent producers that a partition has seen.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    entries: BTreeMap<i64, ProducerEntry>,
}

impl Producers {
    /// All producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// What is remembered of one producer.
    pub fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.entries.get(&producer_id)
    }

    /// Forgets a producer, as a broker does after `producer.id.expiration.ms`.
    pub fn forget(&mut self, producer_id: i64) {
        self.entries.remove(&producer_id);
    }

    /// Judges a batch as a leader of Kafka 4 does.
    ///
    /// A producer that is not known may begin with any sequence number; a new epoch of a known one must begin with 0.
    pub fn judge(&self, batch: &Candidate) -> Verdict {
        let Some(entry) = self.entries.get(&batch.producer_id) else {
            return Verdict::Next;
        };
        if batch.epoch < entry.epoch {
            return Verdict::Refused(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if batch.epoch > entry.epoch {
            return match batch.first_sequence {
                0 => Verdict::Next,
                _ => Verdict::Refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
            };
        }
        let range = (batch.first_sequence, batch.last_sequence());
        let known = entry
            .batches
            .iter()
            .find(|b| (b.first_sequence, b.last_sequence) == range);
        match known {
            Some(known) => Verdict::Duplicate(*known),
            None if batch.first_sequence == sequence_after(entry.last_sequence(), 1) => {
                Verdict::Next
            }
            None => Verdict::Refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
        }
    }

    /// Remembers a batch that was appended.
    pub fn remember(&mut self, batch: &Candidate, first_offset: i64, timestamp: i64) {
        let entry = self
            .entries
            .entry(batch.producer_id)
            .or_insert_with(|| ProducerEntry {
                epoch: batch.epoch,
                batches: VecDeque::with_capacity(DEDUPE_WINDOW),
            });
        if entry.epoch != batch.epoch {
            entry.epoch = batch.epoch;
            entry.batches.clear();
        }
        if entry.batches.len() == DEDUPE_WINDOW {
            entry.batches.pop_front();
        }
        entry.batches.push_back(RememberedBatch {
            first_sequence: batch.first_sequence,
            last_sequence: batch.last_sequence(),
            first_offset,
            timestamp,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT_OF_ORDER: Verdict = Verdict::Refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);

    fn batch(epoch: i16, first_sequence: i32, records: i32) -> Candidate {
        Candidate {
            producer_id: 9,
            epoch,
            first_sequence,
            last_offset_delta: records - 1,
        }
    }

    /// Producers that have appended these batches one after the other.
    fn having(batches: &[Candidate]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 0;
        for batch in batches {
            assert_eq!(producers.judge(batch), Verdict::Next, "{batch:?}");
            producers.remember(batch, offset, 1000 + offset);
            offset += i64::from(batch.last_offset_delta) + 1;
        }
        producers
    }

    #[test]
    fn sequences_follow_each_other() {
        let producers = having(&[batch(0, 0, 3), batch(0, 3, 1)]);
        assert_eq!(producers.judge(&batch(0, 4, 1)), Verdict::Next);
        assert_eq!(producers.judge(&batch(0, 5, 1)), OUT_OF_ORDER);
    }

    #[test]
    fn a_duplicate_is_answered_with_its_first_offset() {
        let producers = having(&[batch(0, 0, 3), batch(0, 3, 2)]);
        let Verdict::Duplicate(known) = producers.judge(&batch(0, 3, 2)) else {
            panic!()
        };
        assert_eq!((known.first_offset, known.timestamp), (3, 1003));
    }

    #[test]
    fn only_the_same_range_is_a_duplicate() {
        let producers = having(&[batch(0, 0, 3)]);
        assert_eq!(producers.judge(&batch(0, 0, 2)), OUT_OF_ORDER);
        assert_eq!(producers.judge(&batch(0, 1, 2)), OUT_OF_ORDER);
    }

    #[test]
    fn five_batches_are_remembered_and_a_sixth_is_out_of_order() {
        let six: Vec<_> = (0..6).map(|n| batch(0, n, 1)).collect();
        let producers = having(&six);
        assert_eq!(producers.judge(&six[0]), OUT_OF_ORDER);
        for (offset, batch) in six.iter().enumerate().skip(1) {
            let Verdict::Duplicate(known) = producers.judge(batch) else {
                panic!("{batch:?}")
            };
            assert_eq!(known.first_offset, offset as i64);
        }
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        assert_eq!(Producers::default().judge(&batch(3, 77, 1)), Verdict::Next);
    }

    #[test]
    fn an_older_epoch_is_refused() {
        let producers = having(&[batch(2, 0, 1)]);
        assert_eq!(
            producers.judge(&batch(1, 1, 1)),
            Verdict::Refused(ErrorCode::INVALID_PRODUCER_EPOCH)
        );
        assert_eq!(
            producers.judge(&batch(1, 0, 1)),
            Verdict::Refused(ErrorCode::INVALID_PRODUCER_EPOCH)
        );
    }

    #[test]
    fn a_new_epoch_begins_with_zero_and_forgets_the_old_one() {
        let mut producers = having(&[batch(0, 0, 1), batch(0, 1, 1)]);
        assert_eq!(producers.judge(&batch(1, 2, 1)), OUT_OF_ORDER);
        assert_eq!(producers.judge(&batch(1, 0, 1)), Verdict::Next);
        producers.remember(&batch(1, 0, 1), 2, 0);
        assert_eq!(producers.get(9).map(|entry| entry.batches.len()), Some(1));
        assert_eq!(producers.judge(&batch(1, 1, 1)), Verdict::Next);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = having(&[batch(0, i32::MAX - 1, 3)]);
        assert_eq!(producers.get(9).map(ProducerEntry::last_sequence), Some(0));
        assert_eq!(producers.judge(&batch(0, 1, 1)), Verdict::Next);
        let producers = having(&[batch(0, i32::MAX, 1)]);
        assert_eq!(producers.judge(&batch(0, 0, 1)), Verdict::Next);
        assert_eq!(producers.judge(&batch(0, 1, 1)), OUT_OF_ORDER);
    }

    #[test]
    fn a_forgotten_producer_is_unknown_again() {
        let mut producers = having(&[batch(0, 0, 1)]);
        producers.forget(9);
        assert_eq!(producers.judge(&batch(0, 5, 1)), Verdict::Next);
    }
}
