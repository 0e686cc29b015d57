//! Snappy, in the framing of the xerial library for Java.
//!
//! A header of 16 bytes, then chunks: their length as a big-endian `i32`, and a raw snappy block.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::compressor::{CompressError, failed};
use super::{Codec, malformed};
use crate::DecompressError;

pub(super) struct Context(Encoder);

/// The magic, version 1, readable by version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// What one chunk holds uncompressed: as far as snappy looks back. Readers take chunks of any size; the Java library
/// writes half of it, which costs one per cent.
const CHUNK: usize = 64 * 1024;

pub(super) fn bound(len: usize) -> usize {
    HEADER.len() + len.div_ceil(CHUNK) * (4 + max_compress_len(CHUNK.min(len)))
}

pub(super) fn compress(
    context: &mut Option<Context>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    let Context(encoder) = context.get_or_insert_with(|| Context(Encoder::new()));
    out[..HEADER.len()].copy_from_slice(&HEADER);
    let mut at = HEADER.len();
    for chunk in body.chunks(CHUNK) {
        let (prefix, out) = out[at..].split_at_mut(4);
        let len = encoder
            .compress(chunk, out)
            .map_err(|error| failed(Codec::Snappy, error))?;
        prefix.copy_from_slice(&(len as u32).to_be_bytes());
        at += 4 + len;
    }
    Ok(at)
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    // Some clients write one bare block.
    if !body.starts_with(&HEADER[..8]) {
        append(&mut out, body, limit)?;
        return Ok(out);
    }
    let cut_short = || malformed(Codec::Snappy, "it is cut short");
    let mut rest = body.get(HEADER.len()..).ok_or_else(cut_short)?;
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (chunk, after) = after.split_at_checked(len).ok_or_else(cut_short)?;
        append(&mut out, chunk, limit)?;
        rest = after;
    }
    Ok(out)
}

/// Three bytes of a block make at most 64: a larger claim is a lie.
const MOST_PER_BYTE: usize = 22;

fn append(out: &mut Vec<u8>, block: &[u8], limit: usize) -> Result<(), DecompressError> {
    let len = decompress_len(block).map_err(|error| malformed(Codec::Snappy, error))?;
    if len > limit - out.len() {
        return Err(DecompressError::TooLarge { limit });
    }
    if len > block.len().saturating_mul(MOST_PER_BYTE) {
        return Err(malformed(Codec::Snappy, "its length cannot be"));
    }
    let at = out.len();
    out.resize(at + len, 0);
    Decoder::new()
        .decompress(block, &mut out[at..])
        .map_err(|error| malformed(Codec::Snappy, error))?;
    Ok(())
}
