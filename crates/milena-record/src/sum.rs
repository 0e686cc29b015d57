//! The checksum of bytes whose beginning is not known yet: a body's, which is there before its header.

use crate::crc::append;

/// CRC-32C of the first bytes of a batch's body, taken while the body grows.
///
/// ```
/// use milena_record::{BatchHeader, Codec, Sum};
///
/// let header = BatchHeader::new(Codec::None, 1, 0, 0);
/// let mut sum = Sum::default();
/// sum.add(b"the first ");
/// assert_eq!(
///     header.encode_after(sum, [&b"and the rest"[..]]),
///     header.encode([&b"the first and the rest"[..]])
/// );
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    crc: u32,
    len: usize,
}

impl Sum {
    /// Takes in the bytes that follow.
    pub fn add(&mut self, bytes: &[u8]) {
        self.crc = append(self.crc, bytes);
        self.len += bytes.len();
    }

    /// How many bytes it is of.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// The checksum of what `front` is that of, and these bytes behind it.
    ///
    /// Appending zeros multiplies a sum by x⁸ each, and sums of equal lengths add up. `crc32c_combine` does the same,
    /// and takes longer than summing a batch anew.
    pub(crate) fn behind(self, mut front: u32) -> u32 {
        let mut zeros = self.len;
        for power in &POWERS {
            if zeros == 0 {
                break;
            }
            if zeros & 1 == 1 {
                front = product(front, *power);
            }
            zeros >>= 1;
        }
        front ^ self.crc
    }
}

/// x⁸ to the powers of two.
const POWERS: [u32; usize::BITS as usize] = {
    let mut powers = [1 << (31 - 8); usize::BITS as usize];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = product(powers[index - 1], powers[index - 1]);
        index += 1;
    }
    powers
};

/// The product of two polynomials over two elements modulo that of CRC-32C. The highest bit is the coefficient of x⁰.
const fn product(one: u32, mut other: u32) -> u32 {
    const MODULUS: u32 = 0x82f6_3b78;
    let mut product = 0;
    let mut bit = u32::BITS;
    while bit > 0 {
        bit -= 1;
        if (one >> bit) & 1 == 1 {
            product ^= other;
        }
        other = (other >> 1) ^ if other & 1 == 1 { MODULUS } else { 0 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_behind_another_is_that_of_both() {
        let bytes: Vec<u8> = (0..70_000u32).map(|n| (n * 7 % 251) as u8).collect();
        for len in [0, 1, 40, 4095, 16_384, 65_536, 69_999, 70_000] {
            let (front, body) = bytes.split_at(len);
            let mut sum = Sum::default();
            body.chunks(8192).for_each(|chunk| sum.add(chunk));
            assert_eq!(sum.len(), body.len());
            let both = sum.behind(crc32c::crc32c(front));
            assert_eq!(both, crc32c::crc32c(&bytes), "{len}");
            assert_eq!(
                both,
                crc32c::crc32c_combine(crc32c::crc32c(front), sum.crc, sum.len)
            );
        }
    }
}
