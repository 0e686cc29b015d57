//! Every length of every number in a record, against an encoder that knows nothing but the definition.

use milena_record::{
    Header, HeadersRef, RecordHead, RecordRef, encode_record, encode_record_head,
    encode_record_tail, parts_size, record_size,
};

/// A number as Kafka defines it: zigzag, seven bits at a time.
fn number(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn part(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    number(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}

fn simple(offset_delta: i32, timestamp_delta: i64, record: &RecordRef<'_>) -> Vec<u8> {
    let mut body = vec![0];
    number(&mut body, timestamp_delta);
    number(&mut body, offset_delta.into());
    part(&mut body, record.key);
    part(&mut body, record.value);
    number(&mut body, record.headers.len() as i64);
    for header in record.headers.iter() {
        part(&mut body, Some(header.key.as_bytes()));
        part(&mut body, header.value);
    }
    let mut whole = Vec::new();
    number(&mut whole, body.len() as i64);
    whole.append(&mut body);
    whole
}

fn check(offset_delta: i32, timestamp_delta: i64, record: &RecordRef<'_>) {
    let expected = simple(offset_delta, timestamp_delta, record);
    let about = || {
        let len = |bytes: Option<&[u8]>| bytes.map(<[u8]>::len);
        let (key, value) = (len(record.key), len(record.value));
        format!("offset {offset_delta}, timestamp {timestamp_delta}, key {key:?}, value {value:?}")
    };
    let mut grown = vec![7];
    encode_record(&mut grown, offset_delta, timestamp_delta, record);
    assert_eq!(grown[1..], expected, "{}", about());

    // To the last byte: the end of a chunk.
    let mut exact = Vec::with_capacity(expected.len());
    let head = RecordHead::new(offset_delta, timestamp_delta, parts_size(record));
    head.encode(&mut exact, record);
    assert_eq!(exact, expected, "{}", about());
    assert_eq!(head.record_size(), expected.len(), "{}", about());
    let size = record_size(offset_delta, timestamp_delta, record);
    assert_eq!(size, expected.len(), "{}", about());

    let mut pieces = Vec::new();
    encode_record_head(&mut pieces, offset_delta, timestamp_delta, record);
    pieces.extend_from_slice(record.value.unwrap_or_default());
    encode_record_tail(&mut pieces, record);
    assert_eq!(pieces, expected, "{}", about());
}

/// Around every power of two at which a number gets longer.
fn steps(most: u32) -> impl Iterator<Item = i64> {
    let edges = (6..most).step_by(7).map(|bits| 1_i64 << bits);
    let near = edges.flat_map(|edge| (-2..=2).map(move |by| edge + by));
    [0, 1].into_iter().chain(near)
}

#[test]
fn offsets_and_timestamps_of_every_length() {
    for value in [None, Some(&b"value"[..])] {
        let record = RecordRef {
            value,
            ..RecordRef::default()
        };
        for offset in steps(31).chain([i32::MAX.into()]) {
            for timestamp in steps(62).chain([i64::MAX, 1 << 62]) {
                for timestamp in [timestamp, -timestamp, !timestamp] {
                    check(offset as i32, timestamp, &record);
                }
            }
        }
    }
}

#[test]
fn keys_and_values_of_every_length() {
    let bytes = vec![b'x'; (1 << 20) + 100];
    let lengths: Vec<usize> = steps(21).map(|length| length as usize).collect();
    // The record as a whole gets longer at other lengths of its value than the value does.
    let around = [40..70, 8160..8200, (1 << 20) - 30..(1 << 20) - 10];
    for value in lengths.iter().copied().chain(around.into_iter().flatten()) {
        for key in [None, Some(0), Some(5)] {
            let record = RecordRef {
                key: key.map(|key| &bytes[..key]),
                value: Some(&bytes[..value]),
                ..RecordRef::default()
            };
            check(63, 0, &record);
            check(64, 64, &record);
        }
    }
    for key in lengths {
        for value in [None, Some(&b"value"[..])] {
            let record = RecordRef {
                key: Some(&bytes[..key]),
                value,
                ..RecordRef::default()
            };
            check(0, -1, &record);
        }
    }
}

#[test]
fn headers_of_every_length() {
    let text = "x".repeat((1 << 20) + 10);
    let many = vec![Header::new("k", b"v"); 8200];
    for length in steps(21) {
        let length = length as usize;
        let headers = [
            Header::new(&text[..length], b"v"),
            Header::new("", &text.as_bytes()[..length]),
            Header {
                key: "null",
                value: None,
            },
        ];
        let record = |headers| RecordRef {
            headers: HeadersRef::slice(headers),
            ..RecordRef::default()
        };
        check(0, 0, &record(&headers));
        check(0, 0, &record(&many[..length.min(many.len())]));
    }
}
