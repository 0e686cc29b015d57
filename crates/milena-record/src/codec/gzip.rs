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
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
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

    out.reserve(bound(body.len()));
    let mut input = body;
    loop {
        let before = stream.total_in();
        let status = stream
            .compress_vec(input, out, FlushCompress::Finish)
            .map_err(|error| failed(Codec::Gzip, error))?;
        if status == Status::StreamEnd {
            return Ok(());
        }
        input = &input[(stream.total_in() - before) as usize..];
        out.reserve(body.len() / 8 + 64);
    }
}

/// What stored blocks and the frame add at most, so that one call does it.
const fn bound(len: usize) -> usize {
    len + len / 1000 + 64
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    read_all(Codec::Gzip, MultiGzDecoder::new(body), body.len(), limit)
}
