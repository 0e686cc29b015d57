//! Gzip, RFC 1952, by libdeflate, which wants to see a body whole.

use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::compressor::{CompressError, failed};
use super::{Codec, malformed};
use crate::DecompressError;

pub(super) struct Context {
    effort: i32,
    compressor: Compressor,
}

const DEFAULT_LEVEL: usize = 6;

/// The library's level for each of ours, which are zlib's: the one whose batches of records have about the size of
/// zlib's, or less. The library's own are spread wider, to 12.
const EFFORT: [i32; 10] = [0, 1, 2, 3, 4, 5, 5, 6, 7, 8];

fn effort(level: Option<i32>) -> i32 {
    // -1 means the default too.
    let level = level.and_then(|level| usize::try_from(level).ok());
    let effort = level.and_then(|level| EFFORT.get(level).copied());
    effort.unwrap_or(EFFORT[DEFAULT_LEVEL])
}

pub(super) fn compress(
    context: &mut Option<Context>,
    level: Option<i32>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    let effort = effort(level);
    let context = match context {
        Some(context) if context.effort == effort => context,
        _ => context.insert(Context {
            effort,
            compressor: Compressor::new(CompressionLvl::new(effort).unwrap_or_default()),
        }),
    };
    context
        .compressor
        .gzip_compress(body, out)
        .map_err(|error| failed(Codec::Gzip, error))
}

/// What does not compress is stored, with 5 bytes before a block of at least 5,000; the frame comes on top.
pub(super) const fn bound(len: usize) -> usize {
    len + len / 500 + 64
}

/// Two bits can stand for the longest repetition, of 258 bytes: a larger claim is a lie.
const MOST_PER_BYTE: usize = 4 * 258;

/// Reads one member, which is what clients write: its last four bytes say how long its content is. What follows one
/// goes unnoticed only if it ends like it; the count of records then shows what is missing.
pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let malformed = |why: &str| malformed(Codec::Gzip, why);
    let claim = body
        .last_chunk()
        .ok_or_else(|| malformed("it is cut short"))?;
    let len = u32::from_le_bytes(*claim) as usize;
    if len > body.len().saturating_mul(MOST_PER_BYTE) {
        return Err(malformed("its length cannot be"));
    }
    if len > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    let mut out = vec![0; len];
    match Decompressor::new().gzip_decompress(body, &mut out) {
        Ok(written) if written == len => Ok(out),
        Ok(_) => Err(malformed("its length is wrong")),
        Err(error) => Err(malformed(&error.to_string())),
    }
}
