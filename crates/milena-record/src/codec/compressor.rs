//! Compressing the body of a batch in one shot, with contexts that are kept between batches.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Codec, Compression};

/// Compresses bodies. Keeps the codecs' contexts and buffers between batches: belongs to one worker.
///
/// A context is made when its codec is first used: about 0.7 MiB for gzip, 32 KiB for lz4 and snappy, 1.3 MiB and more
/// for zstd, depending on its level. The buffers are as large as a body before compression.
#[derive(Default)]
pub struct Compressor {
    /// The body in one piece.
    gathered: Vec<u8>,
    /// What codecs write to: room for the worst case, of which a batch uses a part. All of it is initialised, so that
    /// none of it has to be cleared.
    room: Vec<u8>,
    #[cfg(feature = "gzip")]
    gzip: Option<super::gzip::Context>,
    #[cfg(feature = "snappy")]
    snappy: Option<super::snappy::Context>,
    #[cfg(feature = "lz4")]
    lz4: Option<super::lz4::Context>,
    #[cfg(feature = "zstd")]
    zstd: Option<super::zstd::Context>,
}

/// Buffers that have grown beyond this are given back when the next body can do with less.
const KEEP: usize = 1 << 20;

impl Compressor {
    /// One without any context yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses a body, given in any number of pieces, and leaves the result in `out`, whose old content goes.
    ///
    /// # Errors
    ///
    /// [`CompressError`] if the codec's library fails, in practice only for want of memory, or panics.
    pub fn compress<'s>(
        &mut self,
        compression: Compression,
        body: impl IntoIterator<Item = &'s [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        out.clear();
        out.extend_from_slice(self.compressed(compression, body)?);
        Ok(())
    }

    /// Compresses a body, given in any number of pieces. The result stays here until the next one.
    ///
    /// # Errors
    ///
    /// [`CompressError`] if the codec's library fails, in practice only for want of memory, or panics.
    pub fn compressed<'s>(
        &mut self,
        compression: Compression,
        body: impl IntoIterator<Item = &'s [u8]>,
    ) -> Result<&[u8], CompressError> {
        let mut gathered = mem::take(&mut self.gathered);
        if gathered.capacity() > KEEP {
            gathered = Vec::new();
        }
        let body = gather(body, &mut gathered);
        let worst = bound(compression.codec(), body.len());
        let mut room = mem::take(&mut self.room);
        if room.len() < worst || room.len() > worst.max(KEEP) {
            // Fresh zeros cost nothing before they are touched; growing would copy what nobody reads.
            room = vec![0; worst];
        }
        let result = guarded(compression.codec(), || {
            self.compress_one(compression, body, &mut room)
        });
        let result = result.unwrap_or_else(|panicked| {
            // The contexts may be half written.
            *self = Self::new();
            Err(panicked)
        });
        (self.gathered, self.room) = (gathered, room);
        Ok(&self.room[..result?])
    }

    /// Compresses a body into the front of `out`, which has room for the worst case; how much of it was needed.
    fn compress_one(
        &mut self,
        compression: Compression,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CompressError> {
        match compression.codec() {
            Codec::None => {
                out[..body.len()].copy_from_slice(body);
                Ok(body.len())
            }
            #[cfg(feature = "gzip")]
            Codec::Gzip => super::gzip::compress(&mut self.gzip, compression.level(), body, out),
            #[cfg(feature = "snappy")]
            Codec::Snappy => super::snappy::compress(&mut self.snappy, body, out),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => super::lz4::compress(&mut self.lz4, body, out),
            #[cfg(feature = "zstd")]
            Codec::Zstd => super::zstd::compress(&mut self.zstd, compression.level(), body, out),
            // A `Compression` of a codec that is not built cannot be made.
            #[allow(unreachable_patterns, reason = "unless all are built")]
            codec => Err(failed(codec, "it is not built")),
        }
    }
}

/// What a codec's library makes of a body; a panic of it ends one batch, not whoever compresses.
fn guarded<T>(codec: Codec, compress: impl FnOnce() -> T) -> Result<T, CompressError> {
    let done = catch_unwind(AssertUnwindSafe(compress));
    done.map_err(|_| failed(codec, "its library panicked, which is a bug of it"))
}

/// The most that a body of `len` bytes can become.
fn bound(codec: Codec, len: usize) -> usize {
    match codec {
        #[cfg(feature = "gzip")]
        Codec::Gzip => super::gzip::bound(len),
        #[cfg(feature = "snappy")]
        Codec::Snappy => super::snappy::bound(len),
        #[cfg(feature = "lz4")]
        Codec::Lz4 => super::lz4::bound(len),
        #[cfg(feature = "zstd")]
        Codec::Zstd => super::zstd::bound(len),
        _ => len,
    }
}

/// The whole body in one piece: itself if it is in one already, otherwise copied.
///
/// The copy costs a fiftieth of any compression, and codecs see farther in one piece.
fn gather<'s: 'a, 'a>(
    body: impl IntoIterator<Item = &'s [u8]>,
    gathered: &'a mut Vec<u8>,
) -> &'a [u8] {
    let mut pieces = body.into_iter();
    let first = pieces.next().unwrap_or_default();
    let Some(second) = pieces.next() else {
        return first;
    };
    gathered.clear();
    gathered.extend_from_slice(first);
    gathered.extend_from_slice(second);
    pieces.for_each(|piece| gathered.extend_from_slice(piece));
    gathered
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// A codec's library failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressError {
    /// The codec.
    pub codec: Codec,
    /// What its library says.
    pub why: String,
}

impl fmt::Display for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec, why } = self;
        write!(f, "cannot compress a batch with {codec}: {why}")
    }
}

impl std::error::Error for CompressError {}

pub(super) fn failed(codec: Codec, why: impl fmt::Display) -> CompressError {
    CompressError {
        codec,
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_library_is_an_error() {
        let error = guarded(Codec::Lz4, || panic!("index out of bounds"));
        let error: CompressError = error.map(|(): ()| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot compress a batch with lz4: its library panicked, which is a bug of it"
        );
        assert_eq!(guarded(Codec::Lz4, || 7), Ok(7));
    }
}
