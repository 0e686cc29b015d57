//! Zstd, RFC 8878, by its C library.

use zstd_safe::{CCtx, CParameter, DCtx, get_error_name};

use super::compressor::{CompressError, failed};
use super::{Codec, malformed};
use crate::DecompressError;

pub(super) struct Context {
    level: i32,
    search: Search,
    inner: CCtx<'static>,
}

/// How to look for what is repeated; 0 leaves it to the level.
#[derive(Clone, Copy, PartialEq)]
struct Search {
    /// The shortest match.
    min_match: u32,
    /// The size of the table of short matches, as a power of two.
    chain_log: u32,
}

const DEFAULT_LEVEL: i32 = 3;

impl Search {
    const BY_LEVEL: Self = Self {
        min_match: 0,
        chain_log: 0,
    };

    /// For so many bytes.
    ///
    /// At its default level the library looks for 5 bytes in 16 to 128 KiB and again beyond 256 KiB, but for 4 between,
    /// where most batches are that become 64 KiB. With 5, JSON and logs come out 3 to 4 % smaller there, source code and
    /// programs 1 to 2 % larger, and all of them sooner.
    ///
    /// Its table of short matches has 2 or 4 times as many entries in what is this long. With the smaller one, which
    /// leaves more of the processor's cache to others, it takes 3 to 9 % less time; JSON comes out up to 1 % smaller,
    /// text and programs up to 1.5 % larger.
    const fn of(level: i32, len: usize) -> Self {
        match (level, len >> 10) {
            (DEFAULT_LEVEL, 0..64) => Self::BY_LEVEL,
            (DEFAULT_LEVEL, kib) => Self {
                min_match: if kib >= 128 && kib <= 256 { 5 } else { 0 },
                chain_log: 14,
            },
            _ => Self::BY_LEVEL,
        }
    }
}

pub(super) fn bound(len: usize) -> usize {
    zstd_safe::compress_bound(len)
}

pub(super) fn compress(
    context: &mut Option<Context>,
    level: Option<i32>,
    body: &[u8],
    out: &mut [u8],
) -> Result<usize, CompressError> {
    let level = level.unwrap_or(DEFAULT_LEVEL);
    let failed = |code| failed(Codec::Zstd, get_error_name(code));
    let context = match context {
        Some(context) => context,
        None => context.insert(Context::new()?),
    };
    if context.level != level {
        context
            .inner
            .set_parameter(CParameter::CompressionLevel(level))
            .map_err(failed)?;
        context.level = level;
    }
    let search = Search::of(level, body.len());
    if context.search != search {
        let Search {
            min_match,
            chain_log,
        } = search;
        for parameter in [
            CParameter::MinMatch(min_match),
            CParameter::ChainLog(chain_log),
        ] {
            context.inner.set_parameter(parameter).map_err(failed)?;
        }
        context.search = search;
    }
    context.inner.compress2(out, body).map_err(failed)
}

impl Context {
    /// One with the library's defaults.
    fn new() -> Result<Self, CompressError> {
        let inner = CCtx::try_create().ok_or_else(|| failed(Codec::Zstd, NO_MEMORY))?;
        Ok(Self {
            level: DEFAULT_LEVEL,
            search: Search::BY_LEVEL,
            inner,
        })
    }
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let malformed = |why| malformed(Codec::Zstd, why);
    let mut context = DCtx::try_create().ok_or_else(|| malformed(NO_MEMORY))?;
    // In one shot into enough room no window is kept, however large a one the frame asks for. Java's frames do not
    // say how large their content is: try, and double.
    let mut room = body.len().saturating_mul(4).max(64 * 1024).min(limit);
    let mut out = Vec::new();
    loop {
        out.reserve_exact(room);
        match context.decompress(&mut out, body).map_err(get_error_name) {
            Ok(_) if out.len() > limit => return Err(DecompressError::TooLarge { limit }),
            Ok(_) => return Ok(out),
            Err(why) if why != TOO_SMALL => return Err(malformed(why)),
            Err(_) if room >= limit => return Err(DecompressError::TooLarge { limit }),
            Err(_) => room = room.saturating_mul(2).min(limit),
        }
        out.clear();
    }
}

const NO_MEMORY: &str = "there is no memory for its context";

/// What the library says when it wants more room for its output, rather than finding fault with its input.
const TOO_SMALL: &str = "Destination buffer is too small";
