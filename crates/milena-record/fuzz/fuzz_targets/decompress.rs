//! Any bytes into each decompressor, and through each compressor and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_record::{Codec, Compression, Compressor, decompress};

const LIMIT: usize = 1 << 20;

fuzz_target!(|input: (u8, &[u8])| {
    let (codec, bytes) = input;
    let codec = Codec::ALL[usize::from(codec) % Codec::ALL.len()];
    if let Ok(out) = decompress(codec, bytes, LIMIT) {
        assert!(out.len() <= LIMIT);
    }
    let compression = Compression::new(codec).expect("all are built");
    let mut compressed = Vec::new();
    Compressor::new()
        .compress(compression, bytes.chunks(100), &mut compressed)
        .expect("memory suffices");
    let back = decompress(codec, &compressed, bytes.len());
    assert!(back.as_deref() == Ok(bytes));
});
