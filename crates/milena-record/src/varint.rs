//! Zigzag variable-length integers, as records use them.

/// Bytes that `value` takes, 1 to 5.
#[inline]
pub(crate) const fn size(value: i32) -> usize {
    size_unsigned(zigzag(value) as u64)
}

/// Bytes that `value` takes, 1 to 10.
#[inline]
pub(crate) const fn size_long(value: i64) -> usize {
    size_unsigned(zigzag_long(value))
}

/// Bytes that a length takes. Lengths are below 2^31 wherever a record is accepted.
#[inline]
pub(crate) const fn size_of_len(len: usize) -> usize {
    size_unsigned((len as u64) << 1)
}

#[inline]
const fn size_unsigned(value: u64) -> usize {
    // The index of the highest bit, times 9/64, is its place in groups of seven: exact for all 64.
    let highest = 63 - (value | 1).leading_zeros();
    ((highest * 9 + 73) / 64) as usize
}

#[inline]
const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
const fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Values below this take at most two bytes: nearly all there are.
const SHORT: u64 = 1 << 14;

/// Up to this they take one.
const ONE: u64 = 0x7f;

/// A short value encoded, that takes `two` bytes.
#[inline]
const fn two_bytes(value: u64, two: bool) -> u64 {
    // Adding the upper seven bits to themselves moves them up by one, into the second byte.
    value + (value & 0x3f80) + ((two as u64) << 7)
}

/// Whether a length takes at most two bytes.
#[inline]
pub(crate) const fn is_short_len(len: usize) -> bool {
    (len as u64) < SHORT / 2
}

/// Up to eight bytes of short numbers, encoded in a register.
///
/// Bytes written one by one and then copied as a whole stall the processor for longer than all the rest takes.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    pub(crate) bytes: u64,
    bits: u32,
}

impl Word {
    pub(crate) const EMPTY: Self = Self { bytes: 0, bits: 0 };

    /// Whether numbers are all short: those given, and every length up to `len`.
    #[inline]
    pub(crate) const fn fits(len: usize, timestamp_delta: i64, offset_delta: i32) -> bool {
        let all = ((len as u64) << 1) | zigzag_long(timestamp_delta) | zigzag(offset_delta) as u64;
        all < SHORT
    }

    /// A short length alone.
    #[inline]
    pub(crate) const fn count(count: usize) -> Self {
        Self::EMPTY.unsigned((count as u64) << 1)
    }

    #[inline]
    pub(crate) const fn byte(self, byte: u8) -> Self {
        self.push(byte as u64, 8)
    }

    /// The attributes of a record, its timestamp and its offset, which [fit](Self::fits).
    ///
    /// How long they are hardly changes from record to record, so that a branch costs less than shifts by what is known
    /// only then.
    #[inline(always)]
    pub(crate) const fn place(timestamp_delta: i64, offset_delta: i32) -> Self {
        let timestamp = zigzag_long(timestamp_delta);
        let offset = zigzag(offset_delta) as u64;
        if (timestamp | offset) <= ONE {
            return Self {
                bytes: timestamp << 8 | offset << 16,
                bits: 24,
            };
        }
        if timestamp <= ONE {
            return Self {
                bytes: timestamp << 8 | two_bytes(offset, true) << 16,
                bits: 32,
            };
        }
        Self::EMPTY.byte(0).unsigned(timestamp).unsigned(offset)
    }

    #[inline]
    const fn unsigned(self, value: u64) -> Self {
        debug_assert!(value < SHORT);
        let two = value > ONE;
        self.push(two_bytes(value, two), 8 + 8 * two as u32)
    }

    #[inline]
    const fn push(self, bytes: u64, bits: u32) -> Self {
        debug_assert!(self.bits + bits <= 64);
        Self {
            bytes: self.bytes | bytes << self.bits,
            bits: self.bits + bits,
        }
    }

    /// These bytes, then those of `next`.
    #[inline]
    pub(crate) const fn then(self, next: Self) -> Self {
        self.push(next.bytes, next.bits)
    }

    /// How many bytes there are.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        (self.bits / 8) as usize
    }
}

/// A few encoded numbers on the stack, put into a sink by one copy.
pub(crate) struct Piece<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Piece<N> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    pub(crate) fn int(&mut self, value: i32) {
        self.unsigned(zigzag(value) as u64);
    }

    #[inline]
    pub(crate) fn long(&mut self, value: i64) {
        self.unsigned(zigzag_long(value));
    }

    /// A length; `None` is -1.
    #[inline]
    pub(crate) fn len_of(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.unsigned((bytes.len() as u64) << 1),
            None => self.byte(1),
        }
    }

    #[inline]
    pub(crate) fn count(&mut self, count: usize) {
        self.unsigned((count as u64) << 1);
    }

    #[inline]
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Reads an `i32` off the front of `input`. `None` if it is cut short or longer than 5 bytes.
#[inline]
pub(crate) fn read(input: &mut &[u8]) -> Option<i32> {
    let value = read_unsigned(input, 5)? as u32;
    Some((value >> 1) as i32 ^ -((value & 1) as i32))
}

/// Reads an `i64` off the front of `input`. `None` if it is cut short or longer than 10 bytes.
#[inline]
pub(crate) fn read_long(input: &mut &[u8]) -> Option<i64> {
    let value = read_unsigned(input, 10)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[inline]
fn read_unsigned(input: &mut &[u8], most: usize) -> Option<u64> {
    let mut value = 0u64;
    for at in 0..most {
        let byte = *input.get(at)?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *input = &input[at + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_bytes_agree_at_every_power_of_two() {
        for shift in 0..64 {
            for value in [1i64 << shift, (1i64 << shift).wrapping_sub(1)] {
                for value in [value, value.wrapping_neg(), !value] {
                    let mut piece = Piece::<10>::new();
                    piece.long(value);
                    assert_eq!(piece.as_slice().len(), size_long(value), "{value}");
                    let mut rest = piece.as_slice();
                    assert_eq!(read_long(&mut rest), Some(value));
                    assert!(rest.is_empty());
                    let Ok(value) = i32::try_from(value) else {
                        continue;
                    };
                    let mut piece = Piece::<10>::new();
                    piece.int(value);
                    assert_eq!(piece.as_slice().len(), size(value), "{value}");
                    assert_eq!(read(&mut piece.as_slice()), Some(value));
                }
            }
        }
    }

    #[test]
    fn literal_bytes() {
        for (value, bytes) in [
            (0i64, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (-8192, &[0xff, 0x7f]),
            (8192, &[0x80, 0x80, 1]),
            (i64::MIN, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut piece = Piece::<10>::new();
            piece.long(value);
            assert_eq!(piece.as_slice(), bytes);
        }
        let mut piece = Piece::<10>::new();
        piece.int(i32::MIN);
        assert_eq!(piece.as_slice(), [255, 255, 255, 255, 15]);
    }

    #[test]
    fn cut_short_or_too_long_is_refused() {
        assert_eq!(read(&mut &[0x80, 0x80][..]), None);
        assert_eq!(read(&mut &[][..]), None);
        assert_eq!(read(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0][..]), None);
        assert_eq!(read_long(&mut &[0xff; 11][..]), None);
    }
}
