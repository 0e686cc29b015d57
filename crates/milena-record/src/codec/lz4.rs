//! LZ4 frames, as Kafka's own client writes and reads them.
//!
//! A frame is a magic number, flags and the checksum of these; blocks with their length in front; and a length of 0.
//! Kafka knows independent blocks only, so each is the library's to read and write by itself.

use lz4_flex::block::{
    CompressTable, DecompressError as BlockError, compress_into_with_table, decompress_into,
    get_maximum_output_size,
};
use twox_hash::XxHash32;

use super::compressor::{CompressError, failed};
use super::{Codec, malformed};
use crate::DecompressError;

/// The library's larger table: it finds more than the one it would take for blocks below 64 KiB.
pub(super) struct Context(CompressTable);

const MAGIC: &[u8; 4] = &[0x04, 0x22, 0x4d, 0x18];

/// Magic; version 1 with independent blocks and nothing optional; blocks of up to 64 KiB; and the second byte of
/// xxHash32 of these two.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// Readers keep a buffer of this size. LZ4 looks back 64 KiB: larger blocks gain one per cent in large batches.
const BLOCK: usize = 64 * 1024;

/// The bit in a block's length that says it is stored as it is.
const STORED: u32 = 1 << 31;

pub(super) fn bound(len: usize) -> usize {
    let per_block = 4 + get_maximum_output_size(BLOCK.min(len));
    HEADER.len() + len.div_ceil(BLOCK) * per_block + 4
}

pub(super) fn compress(
    context: &mut Option<Context>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    let Context(table) = context.get_or_insert_with(|| Context(CompressTable::large()));
    out[..HEADER.len()].copy_from_slice(&HEADER);
    let mut at = HEADER.len();
    for block in body.chunks(BLOCK) {
        let (prefix, out) = out[at..].split_at_mut(4);
        let len = compress_into_with_table(block, out, table)
            .map_err(|error| failed(Codec::Lz4, error))?;
        let (len, flag) = if len < block.len() {
            (len, 0)
        } else {
            out[..block.len()].copy_from_slice(block);
            (block.len(), STORED)
        };
        prefix.copy_from_slice(&(len as u32 | flag).to_le_bytes());
        at += 4 + len;
    }
    out[at..at + 4].fill(0);
    Ok(at + 4)
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let (frame, mut rest) = Frame::read(body)?;
    let mut out = Vec::new();
    loop {
        let len = u32::from_le_bytes(*take(&mut rest)?);
        if len == 0 {
            break;
        }
        let stored = len & STORED != 0;
        let len = (len & !STORED) as usize;
        if len > frame.block_size {
            return Err(malformed(
                Codec::Lz4,
                "a block is larger than its frame allows",
            ));
        }
        let block = take_slice(&mut rest, len)?;
        if frame.block_checksums
            && XxHash32::oneshot(0, block) != u32::from_le_bytes(*take(&mut rest)?)
        {
            return Err(malformed(Codec::Lz4, "the checksum of a block is wrong"));
        }
        append(&mut out, block, stored, frame.block_size, limit)?;
    }
    if frame.content_checksum {
        // Kafka's reader skips it too: the checksum of the batch covers everything.
        let _: &[u8; 4] = take(&mut rest)?;
    }
    if !rest.is_empty() {
        return Err(malformed(Codec::Lz4, "bytes are left over at its end"));
    }
    Ok(out)
}

/// Decompresses one block behind what `out` has already.
fn append(
    out: &mut Vec<u8>,
    block: &[u8],
    stored: bool,
    block_size: usize,
    limit: usize,
) -> Result<(), DecompressError> {
    let room = limit - out.len();
    if stored {
        if block.len() > room {
            return Err(DecompressError::TooLarge { limit });
        }
        out.extend_from_slice(block);
        return Ok(());
    }
    // A byte of a block makes at most 255: small blocks do not make us clear a large buffer.
    let most = block_size.min(block.len().saturating_mul(255));
    let at = out.len();
    out.resize(at + most.min(room), 0);
    match decompress_into(block, &mut out[at..]) {
        Ok(len) => {
            out.truncate(at + len);
            Ok(())
        }
        Err(BlockError::OutputTooSmall { .. }) if room < most => {
            Err(DecompressError::TooLarge { limit })
        }
        Err(error) => Err(malformed(Codec::Lz4, error)),
    }
}

/// What the front of a frame says about the rest.
struct Frame {
    block_size: usize,
    block_checksums: bool,
    content_checksum: bool,
}

impl Frame {
    const VERSION_MASK: u8 = 0xc0;
    const VERSION: u8 = 0x40;
    const INDEPENDENT: u8 = 0x20;
    const BLOCK_CHECKSUMS: u8 = 0x10;
    const CONTENT_SIZE: u8 = 0x08;
    const CONTENT_CHECKSUM: u8 = 0x04;
    const RESERVED_OR_DICTIONARY: u8 = 0x03;

    fn read(body: &[u8]) -> Result<(Self, &[u8]), DecompressError> {
        let wrong = |why| malformed(Codec::Lz4, why);
        let mut rest = body;
        if take(&mut rest)? != MAGIC {
            return Err(wrong("it does not begin with an lz4 frame"));
        }
        let descriptor = rest;
        let [flags, block] = *take(&mut rest)?;
        if flags & Self::VERSION_MASK != Self::VERSION || flags & Self::RESERVED_OR_DICTIONARY != 0
        {
            return Err(wrong("its flags are unknown"));
        }
        if flags & Self::INDEPENDENT == 0 {
            return Err(wrong("its blocks depend on each other"));
        }
        if flags & Self::CONTENT_SIZE != 0 {
            let _: &[u8; 8] = take(&mut rest)?;
        }
        let descriptor = &descriptor[..descriptor.len() - rest.len()];
        let [checksum] = *take(&mut rest)?;
        if checksum != (XxHash32::oneshot(0, descriptor) >> 8) as u8 {
            return Err(wrong("the checksum of its header is wrong"));
        }
        // 4 to 7: 64 KiB, 256 KiB, 1 MiB, 4 MiB.
        let block_size = match block {
            0x40 | 0x50 | 0x60 | 0x70 => 1 << (8 + 2 * (block >> 4)),
            _ => return Err(wrong("its block size is unknown")),
        };
        let frame = Self {
            block_size,
            block_checksums: flags & Self::BLOCK_CHECKSUMS != 0,
            content_checksum: flags & Self::CONTENT_CHECKSUM != 0,
        };
        Ok((frame, rest))
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], DecompressError> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(cut_short)?;
    *rest = after;
    Ok(taken)
}

fn take_slice<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecompressError> {
    let (taken, after) = rest.split_at_checked(len).ok_or_else(cut_short)?;
    *rest = after;
    Ok(taken)
}

fn cut_short() -> DecompressError {
    malformed(Codec::Lz4, "it is cut short")
}
