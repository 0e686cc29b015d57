//! What can be wrong with a batch somebody else wrote.

use std::error::Error;
use std::fmt;

use crate::Codec;

/// Why a batch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end inside a batch. The last batch of a Fetch response may be like that: fetch it again.
    Incomplete {
        /// Bytes it needs at least.
        needed: usize,
        /// Bytes there are.
        have: usize,
    },

    /// Its length is smaller than a header.
    Length(i32),

    /// It is of another format. Brokers before 0.11 wrote 0 and 1.
    Magic(i8),

    /// The checksum does not fit the bytes.
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },

    /// Its attributes name a codec nobody knows.
    UnknownCodec(u8),

    /// Its body cannot be decompressed.
    Decompress(DecompressError),

    /// One of its records is not well-formed, counted from 0.
    Record {
        /// Which.
        index: usize,
        /// What is wrong with it.
        fault: RecordFault,
    },

    /// The header's record count is negative, or there are bytes after the last record.
    RecordCount {
        /// The count in the header.
        records: i32,
        /// Bytes after the last one.
        extra: usize,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { needed, have } => write!(
                f,
                "batch is cut short: it needs {needed} bytes and {have} are there"
            ),
            Self::Length(length) => write!(
                f,
                "batch is corrupt: a length of {length} is too small for a header"
            ),
            Self::Magic(magic) => write!(f, "batch has format {magic}, only format 2 is read"),
            Self::Crc { stored, computed } => write!(
                f,
                "batch is corrupt: its checksum is {stored:#010x}, its bytes give {computed:#010x}"
            ),
            Self::UnknownCodec(codec) => {
                write!(f, "batch is compressed with unknown codec {codec}")
            }
            Self::Decompress(error) => error.fmt(f),
            Self::Record { index, fault } => {
                write!(f, "record {index} of the batch is invalid: {fault}")
            }
            Self::RecordCount { records, extra } => write!(
                f,
                "batch says it has {records} records, and its body has {extra} bytes more than these"
            ),
        }
    }
}

impl Error for BatchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Decompress(error) => error.source(),
            _ => None,
        }
    }
}

impl From<DecompressError> for BatchError {
    fn from(error: DecompressError) -> Self {
        Self::Decompress(error)
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFault {
    /// The body of the batch ends inside it.
    CutShort,
    /// A number is longer than it can be.
    Number,
    /// A length is negative where null is not allowed, or below -1.
    NegativeLength,
    /// A part reaches past the end of the record.
    Overrun,
    /// The count of headers is negative, or larger than what is left could hold.
    HeaderCount,
    /// The key of a header is null.
    NullHeaderKey,
    /// There are bytes after its last header.
    LeftOver,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutShort => "it is cut short",
            Self::Number => "a number is malformed",
            Self::NegativeLength => "a length is negative",
            Self::Overrun => "a part is longer than the record",
            Self::HeaderCount => "the number of headers is impossible",
            Self::NullHeaderKey => "the key of a header is null",
            Self::LeftOver => "bytes are left over at its end",
        })
    }
}

impl Error for RecordFault {}

/// Why bytes cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecompressError {
    /// The codec is a cargo feature that is switched off.
    NotBuilt(Codec),

    /// It would be larger than allowed; nothing more was read.
    TooLarge {
        /// The limit that was given.
        limit: usize,
    },

    /// They are not what the codec writes.
    Malformed {
        /// The codec.
        codec: Codec,
        /// What its library says.
        why: String,
    },
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt(codec) => write!(
                f,
                "cannot read {codec}: switch on the cargo feature `{codec}` of milena-record"
            ),
            Self::TooLarge { limit } => {
                write!(f, "decompressed batch exceeds the limit of {limit} bytes")
            }
            Self::Malformed { codec, why } => write!(f, "batch is not valid {codec}: {why}"),
        }
    }
}

impl Error for DecompressError {}
