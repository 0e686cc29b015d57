//! The records of a run: the same values, keys and headers in the same order for every peer.

use std::fs;

use anyhow::{Result, bail};
use bytes::{Bytes, BytesMut};

use crate::settings::Settings;

/// The bytes of a batch before its records.
const BATCH_HEADER: usize = 61;

/// The records of a run; record `number` always looks the same.
pub struct Load {
    values: Vec<Bytes>,
    keys: Vec<Bytes>,
    headers: Vec<(String, Bytes)>,
    assign: i32,
}

impl Load {
    /// Reads the values and makes the keys and headers.
    pub fn new(settings: &Settings) -> Result<Self> {
        let file = Bytes::from(fs::read(&settings.payloads)?);
        let size = settings.record_size;
        let count = file.len() / size;
        if count == 0 || !count.is_power_of_two() || file.len() % size != 0 {
            bail!(
                "{} does not hold a power of two of records of {size} bytes",
                settings.payloads.display()
            );
        }
        Ok(Self {
            // Each value is its own allocation, as a program's would be.
            values: (0..count)
                .map(|index| Bytes::copy_from_slice(&file[index * size..(index + 1) * size]))
                .collect(),
            keys: keys(settings.keys),
            headers: (0..settings.headers)
                .map(|index| {
                    (
                        format!("header-{index}"),
                        Bytes::from(format!("value-of-{index}")),
                    )
                })
                .collect(),
            assign: settings.assign,
        })
    }

    /// The value of a record.
    #[inline]
    pub fn value(&self, number: u64) -> &Bytes {
        &self.values[number as usize & (self.values.len() - 1)]
    }

    /// The key of a record, when records have keys.
    #[inline]
    pub fn key(&self, number: u64) -> Option<&Bytes> {
        if self.keys.is_empty() {
            return None;
        }
        Some(&self.keys[number as usize & (self.keys.len() - 1)])
    }

    /// The headers, the same for all records.
    #[inline]
    pub fn headers(&self) -> &[(String, Bytes)] {
        &self.headers
    }

    /// Whether records are values, or keys and values, and nothing else.
    pub fn is_simple(&self) -> bool {
        self.headers.is_empty() && self.assign == 0
    }

    /// How many records make a batch of so many bytes on the wire before it is compressed, at least one: for clients
    /// that count the bytes of a record otherwise.
    pub fn batch_records(&self, batch_size: usize) -> usize {
        let key = self.key(0).map_or(1, |key| prefixed(key.len()));
        let headers: usize = self
            .headers()
            .iter()
            .map(|(name, value)| prefixed(name.len()) + prefixed(value.len()))
            .sum();
        // Attributes, the timestamp's delta, the offset's in two bytes, the number of headers.
        let record = prefixed(5 + key + prefixed(self.value(0).len()) + headers);
        (batch_size.saturating_sub(BATCH_HEADER) / record).max(1)
    }

    /// The partition of a record, when the caller names it.
    #[inline]
    pub fn partition(&self, number: u64) -> Option<i32> {
        if self.assign == 0 {
            return None;
        }
        Some((number % self.assign as u64) as i32)
    }
}

/// So many keys, one after the other in one allocation: there are 65,536 of them in some rows, and the memory that is
/// measured should be the client's.
fn keys(count: u64) -> Vec<Bytes> {
    let mut all = BytesMut::with_capacity(count as usize * "key-00000000".len());
    (0..count)
        .map(|key| {
            all.extend_from_slice(format!("key-{key:08}").as_bytes());
            all.split().freeze()
        })
        .collect()
}

/// So many bytes and their length, a zigzag varint, before them.
fn prefixed(bytes: usize) -> usize {
    bytes + (bytes << 1).checked_ilog2().unwrap_or(0) as usize / 7 + 1
}
