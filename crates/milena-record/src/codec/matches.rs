//! Finding what was there before: the part that LZ4 and snappy have in common. Each writes it down in its own way.

/// A block is no longer than a format looks back, so that a position takes 16 bits.
pub(super) const BLOCK: usize = 64 * 1024;

/// The shortest match that both formats have.
const SHORTEST: usize = 4;

/// How many bytes a position is found by. In records, four or five alike are mostly chance: taking them costs more
/// than it gains, in time and in bytes.
const HASHED: u32 = 6;

const BITS: u32 = 13;

/// After so many misses, as a power of two, one more byte is skipped at a time.
const PATIENCE: u32 = 5;

/// Where the bytes with each hash were seen last. 16 KiB: more would find one per cent more and not fit the first
/// cache together with the block.
pub(super) type Table = [u16; 1 << BITS];

pub(super) const fn table() -> Table {
    [0; 1 << BITS]
}

/// A format of compressed blocks.
pub(super) trait Format {
    /// How many bytes at the end of a block must not be part of a match.
    const PLAIN_END: usize;

    /// Takes `block[from..to]` as it is, then `len` bytes, at least 4, as they were `offset` bytes before.
    fn sequence(&mut self, block: &[u8], from: usize, to: usize, offset: usize, len: usize);

    /// Takes the rest as it is.
    fn finish(&mut self, block: &[u8], from: usize);
}

/// Writes a block of at most [`BLOCK`] bytes in a format.
#[inline(always)]
pub(super) fn compress(block: &[u8], table: &mut Table, format: &mut impl Format) {
    debug_assert!(block.len() <= BLOCK);
    let mut done = 0;
    if block.len() > 2 * size_of::<u128>() {
        table.fill(0);
        done = search(block, table, format);
    }
    format.finish(block, done);
}

/// Up to where the block was written.
#[inline(always)]
fn search<F: Format>(block: &[u8], table: &mut Table, format: &mut F) -> usize {
    // Matches begin so early that eight bytes can be read wherever one is looked for.
    let last = block.len() - size_of::<u128>();
    let end = block.len() - F::PLAIN_END;
    let mut done = 0;
    let mut at = 1;
    loop {
        let mut misses = 1 << PATIENCE;
        let mut before = swap(block, at, table);
        while !alike(block, before, at) {
            at += misses >> PATIENCE;
            misses += 1;
            if at > last {
                return done;
            }
            before = swap(block, at, table);
        }
        while at > done && before > 0 && block[at - 1] == block[before - 1] {
            at -= 1;
            before -= 1;
        }
        loop {
            let len = SHORTEST + common(block, before + SHORTEST, at + SHORTEST, end);
            format.sequence(block, done, at, at - before, len);
            at += len;
            done = at;
            if at > last {
                return done;
            }
            swap(block, at - 2, table);
            before = swap(block, at, table);
            if !alike(block, before, at) {
                break;
            }
        }
        at += 1;
        if at > last {
            return done;
        }
    }
}

/// Notes a position, and says where bytes with the same hash were before.
#[inline(always)]
fn swap(block: &[u8], at: usize, table: &mut Table) -> usize {
    const MULTIPLIER: u64 = 0x9E37_79B1_85EB_CA87;
    let hashed = word(block, at) << (u64::BITS - 8 * HASHED);
    let hash = hashed.wrapping_mul(MULTIPLIER) >> (u64::BITS - BITS);
    let before = std::mem::replace(&mut table[hash as usize], at as u16);
    usize::from(before)
}

#[inline(always)]
fn alike(block: &[u8], one: usize, other: usize) -> bool {
    word(block, one) as u32 == word(block, other) as u32
}

/// How many bytes are the same from both positions on, up to the end for the later one.
#[inline(always)]
fn common(block: &[u8], mut before: usize, from: usize, end: usize) -> usize {
    let mut at = from;
    while at + 8 <= end {
        let differing = word(block, before) ^ word(block, at);
        if differing != 0 {
            return at - from + (differing.trailing_zeros() / 8) as usize;
        }
        at += 8;
        before += 8;
    }
    while at < end && block[at] == block[before] {
        at += 1;
        before += 1;
    }
    at - from
}

#[inline(always)]
fn word(block: &[u8], at: usize) -> u64 {
    let bytes = block[at..].first_chunk();
    u64::from_le_bytes(*bytes.expect("positions keep away from the end"))
}

/// Where a format is in its output, which has room for the worst case.
pub(super) struct Out<'o> {
    bytes: &'o mut [u8],
    len: usize,
}

impl<'o> Out<'o> {
    pub(super) fn new(bytes: &'o mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    /// Copies `len` bytes of a block. Most are few: a copy of 16, whatever they are, needs no call.
    #[inline(always)]
    pub(super) fn copy(&mut self, block: &[u8], from: usize, len: usize) {
        let (to, from) = (&mut self.bytes[self.len..], &block[from..]);
        match (to.first_chunk_mut::<16>(), from.first_chunk()) {
            (Some(to), Some(from)) if len <= 16 => *to = *from,
            _ => to[..len].copy_from_slice(&from[..len]),
        }
        self.len += len;
    }
}
