//! Snappy, in the framing of the xerial library for Java.
//!
//! A header of 16 bytes, then chunks: their length as a big-endian `i32`, and a raw snappy block.

use snap::raw::{Decoder, decompress_len};

use super::compressor::CompressError;
use super::matches::{self, BLOCK, Format, Out, Table};
use super::{Codec, malformed};
use crate::DecompressError;

pub(super) struct Context(Box<Table>);

/// The magic, version 1, readable by version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// A chunk is as long as snappy looks back. Readers take chunks of any size; the Java library writes half of it, which
/// costs one per cent.
pub(super) const fn bound(len: usize) -> usize {
    HEADER.len() + len.div_ceil(BLOCK) * 4 + worst(len)
}

/// What chunks of so many bytes grow to at most: their lengths in front, and three bytes for a run that is taken as it
/// is; a match is never longer than what it stands for.
const fn worst(len: usize) -> usize {
    len + len / 6 + 32
}

pub(super) fn compress(
    context: &mut Option<Context>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    let Context(table) = context.get_or_insert_with(|| Context(Box::new(matches::table())));
    out[..HEADER.len()].copy_from_slice(&HEADER);
    let mut at = HEADER.len();
    for chunk in body.chunks(BLOCK) {
        let (prefix, out) = out[at..].split_at_mut(4);
        let mut elements = Elements::new(chunk.len(), out);
        matches::compress(chunk, table, &mut elements);
        let len = elements.0.len();
        prefix.copy_from_slice(&(len as u32).to_be_bytes());
        at += 4 + len;
    }
    Ok(at)
}

/// The length before compression; literals, and copies of what came before. The two low bits of a tag say which.
struct Elements<'o>(Out<'o>);

impl<'o> Elements<'o> {
    fn new(mut len: usize, out: &'o mut [u8]) -> Self {
        let mut out = Out::new(out);
        while len >= 0x80 {
            out.put([len as u8 | 0x80]);
            len >>= 7;
        }
        out.put([len as u8]);
        Self(out)
    }

    #[inline(always)]
    fn literal(&mut self, block: &[u8], from: usize, to: usize) {
        let len = to - from;
        match len - 1 {
            less @ ..60 => self.0.put([(less as u8) << 2]),
            less @ 60..0x100 => self.0.put([60 << 2, less as u8]),
            less => self.0.put([61 << 2, less as u8, (less >> 8) as u8]),
        }
        self.0.copy(block, from, len);
    }

    /// 1 to 64 bytes from up to 64 KiB before.
    #[inline(always)]
    fn far_copy(&mut self, offset: usize, len: usize) {
        let tag = (len - 1) << 2 | 0b10;
        self.0.put([tag as u8, offset as u8, (offset >> 8) as u8]);
    }

    /// 4 to 11 bytes from less than 2 KiB before.
    #[inline(always)]
    fn near_copy(&mut self, offset: usize, len: usize) {
        let tag = (offset >> 8) << 5 | (len - 4) << 2 | 0b01;
        self.0.put([tag as u8, offset as u8]);
    }
}

impl Format for Elements<'_> {
    const PLAIN_END: usize = 0;

    #[inline(always)]
    fn sequence(&mut self, block: &[u8], from: usize, to: usize, offset: usize, mut len: usize) {
        if from < to {
            self.literal(block, from, to);
        }
        // What remains is long enough for the shorter kind.
        while len >= 68 {
            self.far_copy(offset, 64);
            len -= 64;
        }
        if len > 64 {
            self.far_copy(offset, 60);
            len -= 60;
        }
        if len < 12 && offset < 2048 {
            self.near_copy(offset, len);
        } else {
            self.far_copy(offset, len);
        }
    }

    fn finish(&mut self, block: &[u8], from: usize) {
        if from < block.len() {
            self.literal(block, from, block.len());
        }
    }
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
