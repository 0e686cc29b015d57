//! Gzip, RFC 1952, by zlib-rs.

use flate2::{Compress, FlushCompress, Status, read::MultiGzDecoder};

use super::compressor::{CompressError, failed};
use super::{Codec, read_all};
use crate::DecompressError;

pub(super) struct Context {
    level: u32,
    stream: Compress,
}

/// A window of 32 KiB, the format's largest.
const WINDOW_BITS: u8 = 15;

const DEFAULT_LEVEL: u32 = 6;

pub(super) fn compress(
    context: &mut Option<Context>,
    level: Option<i32>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    // -1 means the default too.
    let level = level.and_then(|level| u32::try_from(level).ok());
    let level = level.unwrap_or(DEFAULT_LEVEL);
    let stream = match context {
        Some(context) if context.level == level => {
            context.stream.reset();
            &mut context.stream
        }
        _ => {
            let stream = Compress::new_gzip(flate2::Compression::new(level), WINDOW_BITS);
            &mut context.insert(Context { level, stream }).stream
        }
    };

    let status = stream
        .compress(body, out, FlushCompress::Finish)
        .map_err(|error| failed(Codec::Gzip, error))?;
    match status {
        Status::StreamEnd => Ok(stream.total_out() as usize),
        _ => Err(failed(Codec::Gzip, "it grows beyond its bound")),
    }
}

/// Level 1 writes 9 bits for a byte at worst; the frame and the heads of blocks come on top.
pub(super) const fn bound(len: usize) -> usize {
    len + len / 8 + len / 1000 + 64
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    read_all(Codec::Gzip, MultiGzDecoder::new(body), body.len(), limit)
}
