//! Zstd, RFC 8878, by its C library.

use zstd::bulk::{Compressor, Decompressor};

use super::compressor::{CompressError, failed};
use super::{Codec, malformed};
use crate::DecompressError;

pub(super) struct Context {
    level: i32,
    compressor: Compressor<'static>,
}

const DEFAULT_LEVEL: i32 = 3;

pub(super) fn bound(len: usize) -> usize {
    zstd::zstd_safe::compress_bound(len)
}

pub(super) fn compress(
    context: &mut Option<Context>,
    level: Option<i32>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    let level = level.unwrap_or(DEFAULT_LEVEL);
    let failed = |error| failed(Codec::Zstd, error);
    let context = match context {
        Some(context) => context,
        None => context.insert(Context {
            level,
            compressor: Compressor::new(level).map_err(failed)?,
        }),
    };
    if context.level != level {
        context
            .compressor
            .set_compression_level(level)
            .map_err(failed)?;
        context.level = level;
    }
    context
        .compressor
        .compress_to_buffer(body, out)
        .map_err(failed)
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let mut decompressor = Decompressor::new().map_err(|error| malformed(Codec::Zstd, error))?;
    // In one shot into enough room no window is kept, however large a one the frame asks for. Java's frames do not
    // say how large their content is: try, and double.
    let mut room = body.len().saturating_mul(4).max(64 * 1024).min(limit);
    let mut out = Vec::new();
    loop {
        out.reserve_exact(room);
        match decompressor.decompress_to_buffer(body, &mut out) {
            Ok(_) if out.len() > limit => return Err(DecompressError::TooLarge { limit }),
            Ok(_) => return Ok(out),
            Err(error) if !is_too_small(&error) => return Err(malformed(Codec::Zstd, error)),
            Err(_) if room >= limit => return Err(DecompressError::TooLarge { limit }),
            Err(_) => room = room.saturating_mul(2).min(limit),
        }
        out.clear();
    }
}

/// Whether the library wants more room for its output, rather than finding fault with its input.
fn is_too_small(error: &std::io::Error) -> bool {
    error.to_string() == "Destination buffer is too small"
}
