//! Seeded records and batches of them, for all tests.

use milena_record::{
    BatchHeader, Codec, Compression, Header, HeadersRef, RecordRef, RecordView, encode_record,
    record_size,
};

/// Splitmix64: the same numbers on every machine.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Null, empty, short or up to `most` bytes; random or repetitive.
    pub(crate) fn bytes(&mut self, most: u64) -> Option<Vec<u8>> {
        let len = match self.below(6) {
            0 => return None,
            1 => 0,
            2 => 1,
            3 => self.below(300),
            _ => self.below(most + 1),
        };
        let noise = self.below(2) == 0;
        let bytes = (0..len).map(|at| {
            if noise {
                self.next() as u8
            } else {
                b"{\"level\":\"info\"}"[at as usize % 16]
            }
        });
        Some(bytes.collect())
    }
}

/// A record that owns its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    pub(crate) fn random(rng: &mut Rng, most: u64) -> Self {
        let keys = ["", "a", "trace-id", "clé", "a"];
        let headers = match rng.below(3) {
            0 => rng.below(5),
            _ => 0,
        };
        Self {
            timestamp: match rng.below(8) {
                0 => rng.below(1 << 40) as i64,
                1 => -1,
                _ => 1_700_000_000_000 + rng.below(10_000) as i64,
            },
            key: rng.bytes(40),
            value: rng.bytes(most),
            headers: (0..headers)
                .map(|_| (keys[rng.below(5) as usize].to_owned(), rng.bytes(50)))
                .collect(),
        }
    }

    pub(crate) fn read(record: &RecordView<'_>) -> Self {
        Self {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers()
                .iter()
                .map(|header| {
                    (
                        header.key_str().into_owned(),
                        header.value.map(<[u8]>::to_vec),
                    )
                })
                .collect(),
        }
    }

    /// Appends it, and checks the size that was announced.
    pub(crate) fn encode(&self, body: &mut Vec<u8>, offset_delta: i32, base_timestamp: i64) {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        let record = RecordRef {
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: HeadersRef::slice(&headers),
        };
        let delta = self.timestamp.wrapping_sub(base_timestamp);
        let before = body.len();
        encode_record(body, offset_delta, delta, &record);
        assert_eq!(
            body.len() - before,
            record_size(offset_delta, delta, &record)
        );
    }
}

pub(crate) fn body_of(records: &[Owned]) -> Vec<u8> {
    let mut body = Vec::new();
    for (offset, record) in records.iter().enumerate() {
        record.encode(&mut body, offset as i32, records[0].timestamp);
    }
    body
}

pub(crate) fn header_of(records: &[Owned], codec: Codec) -> BatchHeader {
    let max = records.iter().map(|record| record.timestamp).max();
    BatchHeader::new(
        codec,
        records.len() as i32,
        records[0].timestamp,
        max.unwrap_or(-1),
    )
}

/// Every codec that is built, at its default level.
pub(crate) fn built() -> impl Iterator<Item = Compression> {
    Codec::ALL
        .into_iter()
        .filter_map(|codec| Compression::new(codec).ok())
}
