//! LZ4 frames, as Kafka's own client writes and reads them.
//!
//! Kafka's reader knows independent blocks only. The frame is written here, around the library's blocks: magic,
//! flags, header checksum; blocks with their length in front; a length of 0 at the end.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use lz4_flex::frame::FrameDecoder;

use super::compressor::{CompressError, failed};
use super::{Codec, read_all};
use crate::DecompressError;

/// The library's larger table: it finds more than the one it would take for blocks below 64 KiB.
pub(super) struct Context(CompressTable);

/// Magic; version 1 with independent blocks and nothing optional; blocks of up to 64 KiB; and the second byte of
/// xxHash32 of these two.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// Readers keep a buffer of this size. LZ4 looks back 64 KiB: larger blocks gain one per cent in large batches.
const BLOCK: usize = 64 * 1024;

/// The bit in a block's length that says it is stored as it is.
const STORED: u32 = 1 << 31;

pub(super) fn compress(
    context: &mut Option<Context>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let Context(table) = context.get_or_insert_with(|| Context(CompressTable::large()));
    let per_block = 4 + get_maximum_output_size(BLOCK.min(body.len()));
    out.reserve(HEADER.len() + body.len().div_ceil(BLOCK) * per_block + 4);
    out.extend_from_slice(&HEADER);
    for block in body.chunks(BLOCK) {
        let at = out.len();
        out.resize(at + 4 + get_maximum_output_size(block.len()), 0);
        let len = compress_into_with_table(block, &mut out[at + 4..], table)
            .map_err(|error| failed(Codec::Lz4, error))?;
        let (len, prefix) = if len < block.len() {
            (len, len as u32)
        } else {
            out[at + 4..at + 4 + block.len()].copy_from_slice(block);
            (block.len(), block.len() as u32 | STORED)
        };
        out[at..at + 4].copy_from_slice(&prefix.to_le_bytes());
        out.truncate(at + 4 + len);
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    read_all(Codec::Lz4, FrameDecoder::new(body), body.len(), limit)
}
