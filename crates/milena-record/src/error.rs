//! What can be wrong with a batch somebody else wrote.

use thiserror::Error;

use crate::Codec;

/// Why a batch cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end inside a batch. The last batch of a Fetch response may be like that: fetch it again.
    #[error("batch is cut short: it needs {needed} bytes and {have} are there")]
    Incomplete {
        /// Bytes it needs at least.
        needed: usize,
        /// Bytes there are.
        have: usize,
    },

    /// Its length is smaller than a header.
    #[error("batch is corrupt: a length of {0} is too small for a header")]
    Length(i32),

    /// It is of another format. Brokers before 0.11 wrote 0 and 1.
    #[error("batch has format {0}, only format 2 is read")]
    Magic(i8),

    /// The checksum does not fit the bytes.
    #[error("batch is corrupt: its checksum is {stored:#010x}, its bytes give {computed:#010x}")]
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },

    /// Its attributes name a codec nobody knows.
    #[error("batch is compressed with unknown codec {0}")]
    UnknownCodec(u8),

    /// Its body cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),

    /// One of its records is not well-formed, counted from 0.
    #[error("record {index} of the batch is invalid: {fault}")]
    Record {
        /// Which.
        index: usize,
        /// What is wrong with it.
        fault: RecordFault,
    },

    /// The header's record count is negative, or there are bytes after the last record.
    #[error("batch says it has {records} records, and its body has {extra} bytes more than these")]
    RecordCount {
        /// The count in the header.
        records: i32,
        /// Bytes after the last one.
        extra: usize,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFault {
    /// The body of the batch ends inside it.
    #[error("it is cut short")]
    CutShort,
    /// A number is longer than it can be.
    #[error("a number is malformed")]
    Number,
    /// A length is negative where null is not allowed, or below -1.
    #[error("a length is negative")]
    NegativeLength,
    /// A part reaches past the end of the record.
    #[error("a part is longer than the record")]
    Overrun,
    /// The count of headers is negative, or larger than what is left could hold.
    #[error("the number of headers is impossible")]
    HeaderCount,
    /// The key of a header is null.
    #[error("the key of a header is null")]
    NullHeaderKey,
    /// There are bytes after its last header.
    #[error("bytes are left over at its end")]
    LeftOver,
}

/// Why bytes cannot be decompressed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecompressError {
    /// The codec is a cargo feature that is switched off.
    #[error("cannot read {0}: switch on the cargo feature `{0}` of milena-record")]
    NotBuilt(Codec),

    /// It would be larger than allowed; nothing more was read.
    #[error("decompressed batch exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit that was given.
        limit: usize,
    },

    /// They are not what the codec writes.
    #[error("batch is not valid {codec}: {why}")]
    Malformed {
        /// The codec.
        codec: Codec,
        /// What its library says.
        why: String,
    },
}
