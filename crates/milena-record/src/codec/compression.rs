//! A codec with its level, checked against what its library has.

use std::fmt;
use std::str::FromStr;

use super::Codec;

/// A codec and a level that it has; only made if both are there.
///
/// Levels: gzip -1 (its default, 6) and 1 to 9, which give batches of about the size of zlib's; zstd -131072 to 22,
/// default 3; snappy has none; lz4 has only its default, which Kafka calls 9. Kafka's other lz4 levels, 1 to 8 and 10
/// to 17, are those of the high-compression mode of the C library, which the library used here does not have; they are
/// refused.
///
/// # Example
///
/// ```
/// use milena_record::{Codec, Compression};
///
/// # #[cfg(feature = "zstd")] {
/// let compression = Compression::zstd(Some(5))?;
/// assert_eq!((compression.codec(), compression.level()), (Codec::Zstd, Some(5)));
/// # }
/// let compression: Compression = "none".parse()?;
/// assert_eq!(compression, Compression::none());
/// # Ok::<(), milena_record::CompressionError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Compression {
    codec: Codec,
    level: Option<i32>,
}

impl Compression {
    /// No compression.
    pub const fn none() -> Self {
        Self {
            codec: Codec::None,
            level: None,
        }
    }

    /// Gzip at a level of -1 or 1 to 9; `None` is its default, 6.
    ///
    /// # Errors
    ///
    /// See [`CompressionError`].
    pub fn gzip(level: Option<i32>) -> Result<Self, CompressionError> {
        Self::with_level(Codec::Gzip, level)
    }

    /// Snappy.
    ///
    /// # Errors
    ///
    /// See [`CompressionError`].
    pub fn snappy() -> Result<Self, CompressionError> {
        Self::with_level(Codec::Snappy, None)
    }

    /// LZ4 at its only level, `None` or 9.
    ///
    /// # Errors
    ///
    /// See [`CompressionError`].
    pub fn lz4(level: Option<i32>) -> Result<Self, CompressionError> {
        Self::with_level(Codec::Lz4, level)
    }

    /// Zstd at a level of -131072 to 22; `None` is its default, 3.
    ///
    /// # Errors
    ///
    /// See [`CompressionError`].
    pub fn zstd(level: Option<i32>) -> Result<Self, CompressionError> {
        Self::with_level(Codec::Zstd, level)
    }

    /// This codec at its default level.
    ///
    /// # Errors
    ///
    /// [`CompressionError::NotBuilt`] if its cargo feature is off.
    pub fn new(codec: Codec) -> Result<Self, CompressionError> {
        Self::with_level(codec, None)
    }

    /// This codec at this level, or at its default.
    ///
    /// # Errors
    ///
    /// See [`CompressionError`].
    pub fn with_level(codec: Codec, level: Option<i32>) -> Result<Self, CompressionError> {
        if !codec.is_built() {
            return Err(CompressionError::NotBuilt(codec));
        }
        if let Some(level) = level {
            check_level(codec, level)?;
        }
        Ok(Self { codec, level })
    }

    /// The codec.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The level, `None` for the codec's default.
    pub const fn level(&self) -> Option<i32> {
        self.level
    }
}

fn check_level(codec: Codec, level: i32) -> Result<(), CompressionError> {
    let wrong = |allowed| CompressionError::Level {
        codec,
        level,
        allowed,
    };
    match codec {
        Codec::None | Codec::Snappy => Err(CompressionError::NoLevels(codec)),
        Codec::Gzip if level == -1 || (1..=9).contains(&level) => Ok(()),
        Codec::Gzip => Err(wrong("-1 or 1 to 9")),
        Codec::Lz4 if level == 9 => Ok(()),
        Codec::Lz4 if (1..=17).contains(&level) => Err(CompressionError::HighCompression(level)),
        Codec::Lz4 => Err(wrong("9 only")),
        Codec::Zstd if (-131_072..=22).contains(&level) => Ok(()),
        Codec::Zstd => Err(wrong("-131072 to 22")),
    }
}

impl TryFrom<Codec> for Compression {
    type Error = CompressionError;

    fn try_from(codec: Codec) -> Result<Self, CompressionError> {
        Self::new(codec)
    }
}

/// The codec's name, with the level after a colon where one was given.
impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{}:{level}", self.codec),
            None => self.codec.fmt(f),
        }
    }
}

/// Reads a name of `compression.type`, and a level after a colon, as [`Display`](fmt::Display) writes them.
impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let unknown = || CompressionError::Unknown(text.to_owned());
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let codec = Codec::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(unknown)?;
        Self::with_level(codec, level)
    }
}

/// Why there is no such compression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressionError {
    /// No codec has this name.
    Unknown(String),

    /// The codec is a cargo feature that is switched off.
    NotBuilt(Codec),

    /// The codec has no levels.
    NoLevels(Codec),

    /// The level is outside the codec's range.
    Level {
        /// The codec.
        codec: Codec,
        /// The level asked for.
        level: i32,
        /// The levels there are.
        allowed: &'static str,
    },

    /// Kafka's other clients have this level of lz4, this one does not.
    HighCompression(i32),
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => write!(
                f,
                "compression {text:?} is unknown, use none, gzip, snappy, lz4 or zstd"
            ),
            Self::NotBuilt(codec) => write!(
                f,
                "compression {codec} is not built in: switch on the cargo feature `{codec}`"
            ),
            Self::NoLevels(codec) => {
                write!(f, "compression {codec} has no levels, leave the level out")
            }
            Self::Level {
                codec,
                level,
                allowed,
            } => write!(f, "compression {codec} has no level {level}, use {allowed}"),
            Self::HighCompression(level) => write!(
                f,
                "lz4 level {level} is one of the high-compression mode, which this client does not have: \
                use 9 (the default, fast mode), or zstd for smaller batches"
            ),
        }
    }
}

impl std::error::Error for CompressionError {}
