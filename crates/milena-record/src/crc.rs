//! CRC-32C, the checksum of batches.

use crc_fast::{CrcAlgorithm, Digest, checksum};

/// By the name that the catalogue of checksums has it under.
const CASTAGNOLI: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// The checksum of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CASTAGNOLI, bytes) as u32
}

/// The checksum of what `crc` is that of, and `bytes` behind it.
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CASTAGNOLI, u64::from(!crc));
    digest.update(bytes);
    digest.finalize() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_another_library() {
        let bytes: Vec<u8> = (0..70_000u32).map(|n| (n * 7 % 251) as u8).collect();
        // From RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        for len in (0..300).chain([4096, 16_383, 16_384, 16_385, 65_536, 70_000]) {
            let bytes = &bytes[..len];
            assert_eq!(crc32c(bytes), ::crc32c::crc32c(bytes), "{len}");
            for at in [0, 1, 40, len / 2, len].map(|at| at.min(len)) {
                let (front, rest) = bytes.split_at(at);
                assert_eq!(append(crc32c(front), rest), crc32c(bytes), "{at} of {len}");
            }
        }
    }
}
