//! The fixed 61 bytes at the front of a batch.

use crate::crc::{append, crc32c};
use crate::{BatchError, Codec, Sum};

/// The header of a batch of format 2, without its length and checksum: those come from the body it is written for.
///
/// A body does not change once it is made; its header is written anew for every attempt to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record; a producer writes 0 and the broker sets it.
    pub base_offset: i64,
    /// The epoch of the leader that appended it; a producer writes -1. Outside the checksum.
    pub partition_leader_epoch: i32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record minus the base offset: one less than the count, in a batch that was not compacted.
    pub last_offset_delta: i32,
    /// The timestamp of the first record, in milliseconds; the deltas of the records count from here.
    pub base_timestamp: i64,
    /// The largest timestamp of all records, or the broker's clock where [`Attributes::is_log_append_time`].
    pub max_timestamp: i64,
    /// The producer's id, or -1.
    pub producer_id: i64,
    /// The producer's epoch, or -1.
    pub producer_epoch: i16,
    /// The sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records there are.
    pub record_count: i32,
}

/// Bytes before what the length counts.
pub(crate) const LOG_OVERHEAD: usize = 12;

impl BatchHeader {
    /// The length of an encoded header: the body begins here.
    pub const LEN: usize = 61;

    /// The format this crate reads and writes.
    pub const MAGIC: i8 = 2;

    /// A header as a producer without idempotence writes it: base offset 0, no leader epoch, no producer.
    ///
    /// `base_timestamp` is the first record's timestamp, `max_timestamp` the largest one.
    pub const fn new(
        codec: Codec,
        record_count: i32,
        base_timestamp: i64,
        max_timestamp: i64,
    ) -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: Attributes::new(codec),
            last_offset_delta: record_count - 1,
            base_timestamp,
            max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count,
        }
    }

    /// The sequence number of the last record, or -1 without a producer.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        sequence_after(self.base_sequence, self.last_offset_delta)
    }

    /// The header's bytes in front of this body, given in any number of pieces: its length and CRC-32C are computed
    /// in one pass over them.
    ///
    /// The body is what [`Attributes::codec`] says: compressed bytes, or the records themselves.
    pub fn encode<'s>(&self, body: impl IntoIterator<Item = &'s [u8]>) -> [u8; Self::LEN] {
        self.encode_after(Sum::default(), body)
    }

    /// The same for a body whose first bytes are summed already; `rest` are those that follow.
    pub fn encode_after<'s>(
        &self,
        sum: Sum,
        rest: impl IntoIterator<Item = &'s [u8]>,
    ) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16] = Self::MAGIC as u8;
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());

        let mut len = Self::LEN - LOG_OVERHEAD + sum.len();
        let mut crc = sum.behind(crc32c(&out[Self::SUMMED_FROM..]));
        for piece in rest {
            len += piece.len();
            crc = append(crc, piece);
        }
        out[8..12].copy_from_slice(&(len as u32).to_be_bytes());
        out[17..21].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a header off the front of `bytes`. The checksum is not looked at: see
    /// [`BatchView::verify_crc`](crate::BatchView::verify_crc).
    ///
    /// # Errors
    ///
    /// [`BatchError::Incomplete`] with fewer than [`Self::LEN`] bytes, [`BatchError::Magic`] for another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(bytes) = bytes.first_chunk::<{ Self::LEN }>() else {
            // Before the magic is known, nobody can say how much a batch needs.
            return Err(BatchError::Incomplete {
                needed: Self::LEN,
                have: bytes.len(),
            });
        };
        let magic = bytes[16] as i8;
        if magic != Self::MAGIC {
            return Err(BatchError::Magic(magic));
        }
        Ok(Self {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            partition_leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            attributes: Attributes(i16::from_be_bytes(field(bytes, 21))),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        })
    }

    /// The position of the first byte that the checksum counts: the attributes.
    pub(crate) const SUMMED_FROM: usize = 21;

    pub(crate) fn stored_crc(bytes: &[u8; Self::LEN]) -> u32 {
        u32::from_be_bytes(field(bytes, 17))
    }
}

fn field<const N: usize>(bytes: &[u8; BatchHeader::LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// The attributes of a batch: its codec in three bits, and flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// This codec, no flags.
    pub const fn new(codec: Codec) -> Self {
        Self(codec.id() as i16)
    }

    /// The codec of the body.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownCodec`] for a number that no codec has.
    pub fn codec(self) -> Result<Codec, BatchError> {
        let id = (self.0 & Self::CODEC) as u8;
        Codec::from_id(id).ok_or(BatchError::UnknownCodec(id))
    }

    /// Whether all records carry the broker's clock instead of the producer's.
    pub const fn is_log_append_time(self) -> bool {
        self.0 & Self::LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether it holds a marker instead of users' records.
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp says when a compacted batch's tombstones may go (KIP-534).
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same with this codec.
    #[must_use]
    pub const fn with_codec(self, codec: Codec) -> Self {
        Self(self.0 & !Self::CODEC | codec.id() as i16)
    }

    /// The same with the broker's clock on or off.
    #[must_use]
    pub const fn with_log_append_time(self, on: bool) -> Self {
        self.with(Self::LOG_APPEND_TIME, on)
    }

    /// The same inside or outside a transaction.
    #[must_use]
    pub const fn with_transactional(self, on: bool) -> Self {
        self.with(Self::TRANSACTIONAL, on)
    }

    /// The same as a marker or not.
    #[must_use]
    pub const fn with_control(self, on: bool) -> Self {
        self.with(Self::CONTROL, on)
    }

    const fn with(self, bit: i16, on: bool) -> Self {
        if on {
            Self(self.0 | bit)
        } else {
            Self(self.0 & !bit)
        }
    }
}

/// The sequence number `steps` after `sequence`. They wrap inside 0 to 2^31-1: after the largest comes 0.
///
/// `steps` may be negative, to go back.
pub const fn sequence_after(sequence: i32, steps: i32) -> i32 {
    sequence.wrapping_add(steps) & i32::MAX
}
