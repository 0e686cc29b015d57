//! Batches made by hand, as a producer of any mind could send them.

use milena_record::{BatchHeader, Codec, RecordRef, encode_record};

/// A batch of `count` records with small values.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) body: Vec<u8>,
}

impl Batch {
    /// Without a producer id.
    pub(crate) fn plain(count: i32) -> Self {
        let now = crate::wall_ms();
        let mut body = Vec::new();
        for index in 0..count {
            let value = index.to_be_bytes();
            let record = RecordRef {
                timestamp: now,
                key: Some(b"key"),
                value: Some(&value),
                ..RecordRef::default()
            };
            encode_record(&mut body, index, 0, &record);
        }
        Self {
            header: BatchHeader::new(Codec::None, count, now, now),
            body,
        }
    }

    /// From a producer.
    pub(crate) fn of(producer_id: i64, epoch: i16, sequence: i32, count: i32) -> Self {
        let mut batch = Self::plain(count);
        batch.header.producer_id = producer_id;
        batch.header.producer_epoch = epoch;
        batch.header.base_sequence = sequence;
        batch
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.encode([self.body.as_slice()]).to_vec();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
