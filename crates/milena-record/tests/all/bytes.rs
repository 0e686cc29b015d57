//! The very bytes of records and headers.

use crate::common::{Owned, body_of};
use milena_record::{
    Attributes, BatchError, BatchHeader, Codec, Header, HeadersRef, RecordRef, batches,
    encode_record, encode_record_head, encode_record_tail, parts_size, record_size,
    record_size_from, sequence_after, size_upper_bound,
};

#[test]
fn a_record_with_everything() {
    let headers = [
        Header::new("h", b"v"),
        Header {
            key: "",
            value: None,
        },
        Header::new("h", b""),
    ];
    let record = RecordRef {
        timestamp: 995,
        key: Some(b"key"),
        value: Some(b"value"),
        headers: HeadersRef::slice(&headers),
    };
    let mut body = Vec::new();
    encode_record(&mut body, 3, -5, &record);
    assert_eq!(
        body,
        [
            46, // length 23
            0, 9, 6, // attributes, timestamp delta -5, offset delta 3
            6, b'k', b'e', b'y', //
            10, b'v', b'a', b'l', b'u', b'e', //
            6,    // three headers
            2, b'h', 2, b'v', // with a value
            0, 1, // empty key, null value
            2, b'h', 0, // the first one's key again, empty value
        ]
    );
    assert_eq!(record_size(3, -5, &record), 24);
    assert_eq!(record_size_from(3, -5, parts_size(&record)), 24);
    assert_eq!(size_upper_bound(&record), 61 + 21 + 20);
}

#[test]
fn null_empty_and_one_byte_differ() {
    for (key, value, bytes) in [
        (None, None, &[12, 0, 0, 0, 1, 1, 0][..]),
        (Some(&b""[..]), None, &[12, 0, 0, 0, 0, 1, 0]),
        (None, Some(&b""[..]), &[12, 0, 0, 0, 1, 0, 0]),
        (Some(b"k"), Some(b"v"), &[16, 0, 0, 0, 2, b'k', 2, b'v', 0]),
    ] {
        let record = RecordRef {
            timestamp: 0,
            key,
            value,
            headers: HeadersRef::EMPTY,
        };
        let mut body = Vec::new();
        encode_record(&mut body, 0, 0, &record);
        assert_eq!(body, bytes);
    }
}

#[test]
fn numbers_of_every_length_have_the_announced_size() {
    let value = vec![7; 1 << 21];
    let lens = [0, 1, 50, 63, 64, 100, 8190, 8192, 1 << 20, (1 << 21) - 1];
    for offset in [0, 63, 64, 8191, 8192, 1 << 20, i32::MAX] {
        for timestamp in [0, -1, 64, -8193, 1 << 20, -(1 << 34), i64::MAX, i64::MIN] {
            for len in lens {
                let record = Owned {
                    timestamp,
                    value: Some(value[..len].to_vec()),
                    ..Owned::default()
                };
                // The size is checked inside, in vectors with and without spare room.
                let mut body = Vec::new();
                record.encode(&mut body, offset, 0);
                body.shrink_to_fit();
                record.encode(&mut body, offset, 0);
                let (first, second) = body.split_at(body.len() / 2);
                assert_eq!(first, second);
            }
        }
    }
}

#[test]
fn cut_before_the_value_it_is_the_same() {
    let headers = [Header::new("h", b"v")];
    for (key, value) in [
        (None, Some(&b"value"[..])),
        (Some(&b"k"[..]), None),
        (Some(b"k"), Some(b"")),
    ] {
        let record = RecordRef {
            timestamp: 0,
            key,
            value,
            headers: HeadersRef::slice(&headers),
        };
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        encode_record(&mut whole, 70, 900_000_000, &record);
        encode_record_head(&mut pieces, 70, 900_000_000, &record);
        pieces.extend_from_slice(value.unwrap_or_default());
        encode_record_tail(&mut pieces, &record);
        assert_eq!(whole, pieces);
    }
}

#[test]
fn a_header_field_by_field() {
    let header = BatchHeader {
        base_offset: 0x0102_0304_0506_0708,
        partition_leader_epoch: 0x1112_1314,
        attributes: Attributes::new(Codec::Zstd).with_transactional(true),
        last_offset_delta: 0x2122_2324,
        base_timestamp: 0x3132_3334_3536_3738,
        max_timestamp: 0x4142_4344_4546_4748,
        producer_id: 0x5152_5354_5556_5758,
        producer_epoch: 0x6162,
        base_sequence: 0x7172_7374,
        record_count: 0x2122_2325,
    };
    let bytes = header.encode([]);
    assert_eq!(bytes[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[8..12], [0, 0, 0, 49]);
    assert_eq!(bytes[12..17], [0x11, 0x12, 0x13, 0x14, 2]);
    assert_eq!(bytes[17..21], crc32c::crc32c(&bytes[21..]).to_be_bytes());
    assert_eq!(bytes[21..23], [0, 0b1_0100]);
    assert_eq!(bytes[23..27], [0x21, 0x22, 0x23, 0x24]);
    assert_eq!(
        bytes[27..35],
        [0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38]
    );
    assert_eq!(
        bytes[35..43],
        [0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48]
    );
    assert_eq!(
        bytes[43..51],
        [0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58]
    );
    assert_eq!(bytes[51..57], [0x61, 0x62, 0x71, 0x72, 0x73, 0x74]);
    assert_eq!(bytes[57..], [0x21, 0x22, 0x23, 0x25]);
    assert_eq!(BatchHeader::decode(&bytes), Ok(header));
}

#[test]
fn a_producers_defaults() {
    let header = BatchHeader::new(Codec::None, 5, 1000, 1200);
    assert_eq!(header.base_offset, 0);
    assert_eq!(header.partition_leader_epoch, -1);
    assert_eq!(header.attributes, Attributes(0));
    assert_eq!(header.last_offset_delta, 4);
    assert_eq!((header.producer_id, header.producer_epoch), (-1, -1));
    assert_eq!((header.base_sequence, header.last_sequence()), (-1, -1));
}

#[test]
fn a_new_header_for_the_same_body_changes_nothing_else() {
    let body = body_of(&vec![Owned::default(); 10]);
    let mut header = BatchHeader::new(Codec::None, 10, 0, 0);
    let first = header.encode([&body[..]]);
    header.producer_id = 9;
    header.producer_epoch = 1;
    header.base_sequence = i32::MAX - 3;
    assert_eq!(header.last_sequence(), 5);
    // However the body is cut.
    let cut = header.encode(body.chunks(7));
    let second = header.encode([&body[..4], &body[4..]]);
    assert_eq!(cut, second);
    assert_eq!(first[..17], second[..17]);
    assert_eq!(first[21..43], second[21..43]);

    let bytes = [&second[..], &body].concat();
    let batch = batches(&bytes).next().expect("one").expect("is whole");
    assert_eq!(batch.header(), &header);
    batch.verify_crc().expect("the checksum is the new one");
}

#[test]
fn headers_of_other_formats_are_named() {
    let mut bytes = BatchHeader::new(Codec::None, 0, -1, -1).encode([]);
    for magic in [0, 1, 3, -1i8] {
        bytes[16] = magic as u8;
        assert_eq!(BatchHeader::decode(&bytes), Err(BatchError::Magic(magic)));
        assert_eq!(
            batches(&bytes[..40]).next().map(Result::err),
            Some(Some(BatchError::Magic(magic)))
        );
    }
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(sequence_after(5, 3), 8);
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 4), 2);
    assert_eq!(sequence_after(0, -1), i32::MAX);
    assert_eq!(sequence_after(2, -4), i32::MAX - 1);
}

#[test]
fn attributes_are_independent() {
    let all = Attributes::new(Codec::Lz4)
        .with_log_append_time(true)
        .with_transactional(true)
        .with_control(true);
    assert_eq!(all, Attributes(0b11_1011));
    assert_eq!(all.codec(), Ok(Codec::Lz4));
    assert_eq!(
        all.with_codec(Codec::None).with_control(false),
        Attributes(0b1_1000)
    );
    assert!(Attributes(1 << 6).has_delete_horizon());
    for id in 5..8 {
        assert_eq!(
            Attributes(id).codec(),
            Err(BatchError::UnknownCodec(id as u8))
        );
    }
}
