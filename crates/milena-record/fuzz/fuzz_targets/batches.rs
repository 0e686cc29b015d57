//! Any bytes as a sequence of batches, read to the last header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_record::batches;

const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut read = 0;
    for batch in batches(bytes).flatten() {
        read += batch.bytes().len();
        let _ = batch.verify_crc();
        let Ok(records) = batch.records(LIMIT) else {
            continue;
        };
        for record in records.iter().flatten() {
            assert_eq!(record.headers().iter().count(), record.headers().len());
        }
    }
    assert!(read <= bytes.len());
});
