//! Partitions for keys: 32-bit murmur2, as every Kafka client has to compute it.

const SEED: u32 = 0x9747_b28c;
const MIX: u32 = 0x5bd1_e995;

/// The 32-bit murmur2 hash with Kafka's seed. Java shows the same bits as a signed number.
#[inline]
pub fn murmur2(key: &[u8]) -> u32 {
    let mut hash = SEED ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !tail.is_empty() {
        for (at, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    hash ^ hash >> 15
}

/// The partition of a key among `partition_count`, whether they have leaders or not. An empty key is a key.
///
/// A count below 1 gives 0.
#[inline]
pub fn partition_for_key(key: &[u8], partition_count: i32) -> i32 {
    let positive = (murmur2(key) & i32::MAX as u32) as i32;
    positive % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_kafkas_own_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn hashes_of_every_tail_with_bytes_above_127() {
        let key: Vec<_> = (0..64u32).map(|at| (at * 37 + 200) as u8).collect();
        for (len, hash) in [
            (0, 275_646_681),
            (1, 425_050_138),
            (2, -1_606_385_903),
            (3, -108_754_803),
            (4, 1_386_831_423),
            (5, 580_644_288),
            (7, -532_381_679),
            (8, 1_482_585_343),
            (13, -1_260_287_053),
            (31, 285_033_068),
            (64, 1_919_917_692),
        ] {
            assert_eq!(murmur2(&key[..len]) as i32, hash, "{len}");
        }
    }

    #[test]
    fn partitions_are_in_range() {
        for count in [1, 2, 7, 12, i32::MAX] {
            for key in 0..1000u32 {
                let partition = partition_for_key(&key.to_be_bytes(), count);
                assert!((0..count).contains(&partition));
            }
        }
        assert_eq!(partition_for_key(b"", 1), 0);
        assert_eq!(partition_for_key(b"x", 0), 0);
    }
}
