//! Codecs: their numbers, names and levels; compressing a body in one shot; decompressing within a limit.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

mod compression;
mod compressor;

use std::fmt;

pub use compression::{Compression, CompressionError};
pub use compressor::{CompressError, Compressor};

use crate::DecompressError;

/// How the body of a batch is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in the framing of the xerial library.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

impl Codec {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in the attributes of a batch, 0 to 4.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec of this number.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name in Kafka's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether the cargo feature of that name is on.
    pub const fn is_built(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Decompresses the body of a batch.
///
/// Never takes much more memory than `limit` bytes, whatever the bytes claim, and never panics on them.
///
/// # Errors
///
/// [`DecompressError::TooLarge`] above `limit`, [`DecompressError::Malformed`] for bytes the codec did not write,
/// [`DecompressError::NotBuilt`] if its cargo feature is off.
pub fn decompress(codec: Codec, body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    match codec {
        Codec::None if body.len() > limit => Err(DecompressError::TooLarge { limit }),
        Codec::None => Ok(body.to_vec()),
        #[cfg(feature = "gzip")]
        Codec::Gzip => gzip::decompress(body, limit),
        #[cfg(feature = "snappy")]
        Codec::Snappy => snappy::decompress(body, limit),
        #[cfg(feature = "lz4")]
        Codec::Lz4 => lz4::decompress(body, limit),
        #[cfg(feature = "zstd")]
        Codec::Zstd => zstd::decompress(body, limit),
        #[cfg(not(all(
            feature = "gzip",
            feature = "snappy",
            feature = "lz4",
            feature = "zstd"
        )))]
        codec => Err(DecompressError::NotBuilt(codec)),
    }
}

#[cfg(any(
    feature = "gzip",
    feature = "snappy",
    feature = "lz4",
    feature = "zstd"
))]
fn malformed(codec: Codec, why: impl fmt::Display) -> DecompressError {
    DecompressError::Malformed {
        codec,
        why: why.to_string(),
    }
}
