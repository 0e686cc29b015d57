//! Codecs: their frames, levels, limits and their behaviour on hostile bytes.

use crate::common::{Rng, built};
use milena_record::{
    Codec, Compression, CompressionError, Compressor, DecompressError, decompress,
};

fn compress(compression: Compression, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new()
        .compress(compression, [body], &mut out)
        .expect("memory suffices");
    out
}

/// Lines that look like a log, `len` bytes of them.
fn log(len: usize) -> Vec<u8> {
    let mut rng = Rng(9);
    let mut out = Vec::new();
    while out.len() < len {
        let line = format!(
            "{{\"ts\":{},\"level\":\"info\",\"user\":{},\"took\":{}}}\n",
            1_700_000_000_000 + out.len(),
            rng.below(100_000),
            rng.below(500)
        );
        out.extend_from_slice(line.as_bytes());
    }
    out.truncate(len);
    out
}

fn noise(len: usize) -> Vec<u8> {
    let mut rng = Rng(10);
    (0..len).map(|_| rng.next() as u8).collect()
}

const SIZES: [usize; 10] = [
    0, 1, 100, 32_768, 65_534, 65_535, 65_536, 65_537, 131_072, 300_001,
];

#[test]
fn all_sizes_come_back_with_one_compressor() {
    let mut compressor = Compressor::new();
    let mut out = Vec::new();
    for len in SIZES {
        for body in [log(len), noise(len), vec![0; len]] {
            for compression in built() {
                compressor
                    .compress(compression, [&body[..]], &mut out)
                    .expect("memory suffices");
                let back = decompress(compression.codec(), &out, len);
                assert!(back.as_ref() == Ok(&body), "{compression} {len}");
                // A context that was used gives the same bytes as a new one, and so does a body in pieces.
                assert!(out == compress(compression, &body), "{compression} {len}");
                let whole = out.clone();
                compressor
                    .compress(compression, body.chunks(1000), &mut out)
                    .expect("memory suffices");
                assert!(out == whole, "{compression} {len}");
            }
        }
    }
}

#[test]
fn repetitions_of_all_lengths_and_distances_come_back() {
    let mut rng = Rng(11);
    let mut compressor = Compressor::new();
    let mut out = Vec::new();
    for round in 0..600 {
        let letters = 1 + rng.below(1 << (round % 8));
        let len = rng.below([40, 300, 3000][round % 3]);
        let mut body: Vec<u8> = (0..len).map(|_| rng.below(letters) as u8).collect();
        for _ in 0..rng.below(20) {
            let from = rng.below(body.len() as u64 + 1) as usize;
            let len = rng.below((body.len() - from) as u64 + 1) as usize;
            body.extend_from_within(from..from + len);
            body.truncate(150_000);
        }
        for compression in built() {
            compressor
                .compress(compression, [&body[..]], &mut out)
                .expect("memory suffices");
            let back = decompress(compression.codec(), &out, body.len());
            assert!(back.as_ref() == Ok(&body), "{compression} {round}");
        }
    }
}

#[test]
fn every_level_comes_back() {
    let body = log(50_000);
    let levels = [-1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        .into_iter()
        .map(|level| Compression::gzip(Some(level)))
        .chain(
            (-7..=22)
                .chain([-131_072])
                .map(|level| Compression::zstd(Some(level))),
        )
        .chain([Compression::lz4(Some(9))]);
    let mut compressor = Compressor::new();
    let mut out = Vec::new();
    for compression in levels.filter(|level| !matches!(level, Err(CompressionError::NotBuilt(_)))) {
        let compression = compression.expect("the level exists");
        compressor
            .compress(compression, [&body[..]], &mut out)
            .expect("memory suffices");
        let back = decompress(compression.codec(), &out, body.len());
        assert!(back.as_ref() == Ok(&body), "{compression}");
        assert_eq!(compression.to_string().parse(), Ok(compression));
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let body = vec![0; 8 << 20];
    for compression in built() {
        let bomb = compress(compression, &body);
        assert!(compression == Compression::none() || bomb.len() < body.len() / 20);
        for limit in [0, 1, 1000, 1 << 20, body.len() - 1] {
            let result = decompress(compression.codec(), &bomb, limit);
            let expected = Err(DecompressError::TooLarge { limit });
            assert!(result == expected, "{compression} {limit}");
        }
        assert!(decompress(compression.codec(), &bomb, body.len()).is_ok());
    }
}

#[test]
fn truncations_and_noise_never_panic() {
    let mut rng = Rng(6);
    let body = log(5000);
    for compression in built().filter(|compression| compression.codec() != Codec::None) {
        let whole = compress(compression, &body);
        for len in
            (0..whole.len()).filter(|len| len % 7 == 0 || *len < 40 || whole.len() - len < 20)
        {
            let result = decompress(compression.codec(), &whole[..len], 1 << 20);
            assert!(result != Ok(body.clone()), "{compression} {len}");
        }
        for round in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + rng.below(3) {
                let at = rng.below(bytes.len() as u64) as usize;
                // The front of a frame holds most of what can go wrong.
                let at = if round % 2 == 0 { at % 32 } else { at };
                bytes[at] = rng.next() as u8;
            }
            if let Ok(back) = decompress(compression.codec(), &bytes, 10_000) {
                assert!(back.len() <= 10_000);
            }
        }
    }
}

#[test]
fn levels_that_do_not_exist_are_refused_by_name() {
    let message = |result: Result<Compression, CompressionError>| {
        result.expect_err("there is no such level").to_string()
    };
    if Codec::Gzip.is_built() {
        for level in [0, 10, -2] {
            assert_eq!(
                message(Compression::gzip(Some(level))),
                format!("compression gzip has no level {level}, use -1 or 1 to 9")
            );
        }
    }
    if Codec::Lz4.is_built() {
        for level in [1, 8, 10, 17] {
            let message = message(Compression::lz4(Some(level)));
            assert!(message.starts_with(&format!("lz4 level {level} is one of the high-com")));
        }
        assert!(message(Compression::lz4(Some(18))).contains("use 9 only"));
    }
    if Codec::Zstd.is_built() {
        for level in [-131_073, 23] {
            assert!(message(Compression::zstd(Some(level))).contains("-131072 to 22"));
        }
    }
    if Codec::Snappy.is_built() {
        let result = Compression::with_level(Codec::Snappy, Some(1));
        assert!(message(result).contains("has no levels"));
    }
    assert!(message("brotli".parse()).contains("\"brotli\" is unknown"));
    assert!(message("zstd:x".parse()).contains("is unknown"));
}

#[test]
fn codecs_that_are_not_built_are_refused_by_name() {
    for codec in Codec::ALL.into_iter().filter(|codec| !codec.is_built()) {
        let error = Compression::new(codec).expect_err("it is not built");
        assert!(error.to_string().contains(&format!("feature `{codec}`")));
        let error = decompress(codec, b"", 0).expect_err("it is not built");
        assert!(error.to_string().contains(&format!("feature `{codec}`")));
    }
}

#[cfg(feature = "lz4")]
#[test]
fn the_lz4_frame_is_what_kafkas_reader_knows() {
    let lz4 = Compression::new(Codec::Lz4).expect("built");
    // One block that shrinks, and one that does not.
    let shrunk = compress(lz4, &[b'x'; 1000]);
    assert_eq!(shrunk[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    let len = u32::from_le_bytes([shrunk[7], shrunk[8], shrunk[9], shrunk[10]]) as usize;
    assert_eq!(shrunk.len(), 7 + 4 + len + 4);
    assert_eq!(shrunk[shrunk.len() - 4..], [0; 4]);
    let stored = compress(lz4, b"abc");
    assert_eq!(stored[7..], [3, 0, 0, 0x80, b'a', b'b', b'c', 0, 0, 0, 0]);
    assert_eq!(compress(lz4, b"").len(), 11);
    // A block of 64 KiB of noise is stored, not stretched.
    assert_eq!(compress(lz4, &noise(65_536)).len(), 7 + 4 + 65_536 + 4);
    // A wrong header checksum is refused, as Kafka does.
    let mut wrong = stored;
    wrong[6] ^= 1;
    assert!(decompress(Codec::Lz4, &wrong, 100).is_err());
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_is_framed_as_xerial_does_and_read_bare_too() {
    let snappy = Compression::new(Codec::Snappy).expect("built");
    let framed = compress(snappy, b"abc");
    assert_eq!(framed[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    assert_eq!(framed[16..], [0, 0, 0, 5, 3, 2 << 2, b'a', b'b', b'c']);
    let bare = [3, 2 << 2, b'a', b'b', b'c'];
    assert_eq!(decompress(Codec::Snappy, &bare, 3), Ok(b"abc".to_vec()));
    // A claim that no block of this size can keep is not believed, whatever the limit.
    let lie = [0xff, 0xff, 0xff, 0x7f, 2 << 2, b'a', b'b', b'c'];
    assert!(matches!(
        decompress(Codec::Snappy, &lie, usize::MAX),
        Err(DecompressError::Malformed { .. })
    ));
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_is_one_member_with_its_trailer() {
    let gzip = Compression::new(Codec::Gzip).expect("built");
    let bytes = compress(gzip, b"abc");
    assert_eq!(bytes[..4], [0x1f, 0x8b, 8, 0]);
    assert_eq!(bytes[bytes.len() - 4..], [3, 0, 0, 0]);
    let malformed = |bytes: &[u8], limit| {
        let result = decompress(Codec::Gzip, bytes, limit);
        matches!(result, Err(DecompressError::Malformed { .. }))
    };
    // Nothing is left over behind it, neither another one nor anything else.
    let two = [&bytes[..], &compress(gzip, b"defg")].concat();
    assert!(malformed(&two, 100));
    assert!(malformed(&[&bytes[..], &[3, 0, 0]].concat(), 1000));
    // A claim that no member of this size can keep is not believed, whatever the limit.
    let lie = [&bytes[..bytes.len() - 4], &[0xff; 4]].concat();
    assert!(malformed(&lie, usize::MAX));
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_frame_cannot_ask_for_a_large_window() {
    let zstd = Compression::new(Codec::Zstd).expect("built");
    assert_eq!(compress(zstd, b"abc")[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    // A frame with a window of 2 GiB and one stored block: read in one shot, it needs no window.
    let frame = [
        0x28,
        0xb5,
        0x2f,
        0xfd,
        0x00,
        21 << 3,
        0x19,
        0,
        0,
        b'a',
        b'b',
        b'c',
    ];
    if let Ok(back) = decompress(Codec::Zstd, &frame, 1000) {
        assert_eq!(back, b"abc");
    }
}

#[test]
fn a_compressor_can_move_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Compressor>();
}
