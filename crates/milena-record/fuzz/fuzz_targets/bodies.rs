//! Any bytes as a body: what can be read can be split, and says the same afterwards.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use milena_record::{BatchHeader, Codec, RecordView, Records, split};

type Seen = (i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

fn see(record: &RecordView<'_>) -> Seen {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let (key, value) = (owned(record.key), owned(record.value));
    (record.timestamp, key, value, record.headers().len())
}

fn read(body: &[u8], count: i32, base_timestamp: i64) -> Option<Vec<Seen>> {
    let header = BatchHeader::new(Codec::None, count, base_timestamp, base_timestamp);
    let records = Records::new(&header, Cow::Borrowed(body)).ok()?;
    let records = records.to_vec().ok()?;
    Some(records.iter().map(see).collect())
}

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (count, size, body) = input;
    let parts = split(body, 1000, usize::from(size));
    let Some(records) = read(body, i32::from(count), 1000) else {
        return;
    };
    let parts = parts.expect("what can be read can be split");
    let mut back = Vec::new();
    for part in parts {
        assert!(part.record_count == 1 || part.body.len() + BatchHeader::LEN <= usize::from(size));
        let records = read(&part.body, part.record_count, part.base_timestamp);
        back.extend(records.expect("a part is well-formed"));
    }
    assert_eq!(back, records);
});
