//! What the reader accepts, and what it refuses.

use std::borrow::Cow;

use crate::common::{Owned, Rng, body_of, built, header_of};
use milena_record::{
    Attributes, BatchError, BatchHeader, Codec, Compression, Compressor, RecordFault, Records,
    batches,
};

const LIMIT: usize = 16 << 20;

/// A whole batch of these records.
fn batch_of(records: &[Owned], compression: Compression) -> Vec<u8> {
    let body = body_of(records);
    let mut compressed = Vec::new();
    Compressor::new()
        .compress(compression, [&body[..]], &mut compressed)
        .expect("memory suffices");
    let header = header_of(records, compression.codec());
    let mut batch = header.encode([&compressed[..]]).to_vec();
    batch.extend_from_slice(&compressed);
    batch
}

fn read(bytes: &[u8]) -> Result<Vec<Owned>, BatchError> {
    let mut out = Vec::new();
    for batch in batches(bytes) {
        let batch = batch?;
        batch.verify_crc()?;
        for record in &batch.records(LIMIT)? {
            out.push(Owned::read(&record?));
        }
    }
    Ok(out)
}

#[test]
fn random_batches_come_back_in_every_codec() {
    let mut rng = Rng(1);
    for compression in built() {
        for round in 0..60 {
            let count = 1 + rng.below(if round % 10 == 0 { 500 } else { 20 });
            let records: Vec<_> = (0..count).map(|_| Owned::random(&mut rng, 2000)).collect();
            let bytes = batch_of(&records, compression);
            assert!(read(&bytes) == Ok(records), "{compression} {round}");
        }
    }
}

#[test]
fn large_batches_come_back_in_every_codec() {
    let mut rng = Rng(2);
    for compression in built() {
        let records: Vec<_> = (0..40)
            .map(|_| Owned::random(&mut rng, 30_000))
            .chain([Owned {
                value: Some(vec![b'z'; 900_000]),
                ..Owned::default()
            }])
            .collect();
        let bytes = batch_of(&records, compression);
        assert!(read(&bytes) == Ok(records), "{compression}");
    }
}

#[test]
fn batches_follow_each_other() {
    let record = |value: &str| Owned {
        timestamp: 5,
        value: Some(value.into()),
        ..Owned::default()
    };
    let mut bytes = Vec::new();
    for value in ["a", "b", "c"] {
        bytes.extend(batch_of(&[record(value)], Compression::none()));
    }
    assert_eq!(read(&bytes), Ok(["a", "b", "c"].map(record).to_vec()));
    // The last one cut, as in a Fetch response: the others are there.
    let cut = &bytes[..bytes.len() - 1];
    let mut views = batches(cut);
    assert!(views.by_ref().take(2).all(|batch| batch.is_ok()));
    assert!(matches!(
        views.next(),
        Some(Err(BatchError::Incomplete { .. }))
    ));
    assert!(views.next().is_none());
}

#[test]
fn offsets_and_timestamps_count_from_the_base() {
    let records = [900, 1000, 800].map(|timestamp| Owned {
        timestamp,
        ..Owned::default()
    });
    let body = body_of(&records);
    let mut header = header_of(&records, Codec::None);
    header.base_offset = 40;
    assert_eq!((header.base_timestamp, header.max_timestamp), (900, 1000));
    let seen = |header: &BatchHeader| -> Vec<_> {
        let records = Records::new(header, Cow::Borrowed(&body)).expect("count is fine");
        let records = records.to_vec().expect("well-formed");
        records
            .iter()
            .map(|record| (record.offset, record.timestamp))
            .collect()
    };
    assert_eq!(seen(&header), [(40, 900), (41, 1000), (42, 800)]);
    header.attributes = Attributes::default().with_log_append_time(true);
    header.max_timestamp = 5555;
    assert_eq!(seen(&header), [(40, 5555), (41, 5555), (42, 5555)]);
}

#[test]
fn every_truncation_is_an_error() {
    let mut rng = Rng(3);
    let records: Vec<_> = (0..5).map(|_| Owned::random(&mut rng, 60)).collect();
    for compression in built() {
        let bytes = batch_of(&records, compression);
        for len in 1..bytes.len() {
            let error = read(&bytes[..len]).expect_err("it is cut short");
            assert!(matches!(error, BatchError::Incomplete { have, .. } if have == len));
        }
    }
    // The body alone, with a header that does not notice.
    let body = body_of(&records);
    let header = header_of(&records, Codec::None);
    for len in 0..body.len() {
        let cut = Records::new(&header, Cow::Borrowed(&body[..len])).expect("count is fine");
        assert!(cut.to_vec().is_err(), "{len} of {}", body.len());
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let mut rng = Rng(4);
    let records: Vec<_> = (0..3).map(|_| Owned::random(&mut rng, 40)).collect();
    for compression in built() {
        let bytes = batch_of(&records, compression);
        for at in 0..bytes.len() {
            // Base offset and leader epoch are the broker's, outside the checksum.
            if at < 8 || (12..16).contains(&at) {
                continue;
            }
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(read(&bytes).is_err(), "{compression} {at} {bit}");
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_shown() {
    let mut bytes = batch_of(&[Owned::default()], Compression::none());
    bytes[17..21].copy_from_slice(&[0, 0, 0, 7]);
    assert!(matches!(
        read(&bytes),
        Err(BatchError::Crc { stored: 7, .. })
    ));
}

#[test]
fn lengths_below_a_header_are_corrupt() {
    let mut bytes = batch_of(&[Owned::default()], Compression::none());
    for len in [48, 0, -1, i32::MIN] {
        bytes[8..12].copy_from_slice(&i32::to_be_bytes(len));
        assert_eq!(read(&bytes), Err(BatchError::Length(len)));
    }
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(read(&bytes), Err(BatchError::Incomplete { .. })));
}

fn fault_of(body: &[u8]) -> Result<(), RecordFault> {
    let header = BatchHeader::new(Codec::None, 1, 0, 0);
    let records = Records::new(&header, Cow::Borrowed(body)).expect("count is fine");
    let result = records.to_vec();
    match result {
        Ok(_) => Ok(()),
        Err(BatchError::Record { index: 0, fault }) => Err(fault),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn faults_of_records_are_named() {
    use RecordFault as Fault;
    assert_eq!(fault_of(&[12, 0, 0, 0, 1, 1, 0]), Ok(()));
    assert_eq!(fault_of(&[]), Err(Fault::CutShort));
    assert_eq!(fault_of(&[12, 0, 0, 0, 1, 1]), Err(Fault::CutShort));
    assert_eq!(fault_of(&[1]), Err(Fault::NegativeLength));
    assert_eq!(fault_of(&[0x80; 8]), Err(Fault::Number));
    assert_eq!(fault_of(&[0]), Err(Fault::Overrun));
    assert_eq!(fault_of(&[2, 0]), Err(Fault::Number));
    // A key of -2, and one longer than the record.
    assert_eq!(
        fault_of(&[12, 0, 0, 0, 3, 1, 0]),
        Err(Fault::NegativeLength)
    );
    assert_eq!(fault_of(&[12, 0, 0, 0, 8, 1, 0]), Err(Fault::Overrun));
    assert_eq!(fault_of(&[12, 0, 0, 0, 1, 8, 0]), Err(Fault::Overrun));
    // Headers: minus one, more than can be, a null key, a negative length.
    assert_eq!(fault_of(&[12, 0, 0, 0, 1, 1, 1]), Err(Fault::HeaderCount));
    assert_eq!(
        fault_of(&[14, 0, 0, 0, 1, 1, 2, 0]),
        Err(Fault::HeaderCount)
    );
    assert_eq!(
        fault_of(&[16, 0, 0, 0, 1, 1, 2, 1, 0]),
        Err(Fault::NullHeaderKey)
    );
    assert_eq!(
        fault_of(&[16, 0, 0, 0, 1, 1, 2, 0, 3]),
        Err(Fault::NegativeLength)
    );
    assert_eq!(fault_of(&[16, 0, 0, 0, 1, 1, 2, 0, 4]), Err(Fault::Overrun));
    assert_eq!(fault_of(&[14, 0, 0, 0, 1, 1, 0, 9]), Err(Fault::LeftOver));
}

#[test]
fn counts_must_fit_the_body() {
    let body = body_of(&vec![Owned::default(); 3]);
    for (count, expected) in [
        (
            2,
            BatchError::RecordCount {
                records: 2,
                extra: 7,
            },
        ),
        (
            4,
            BatchError::Record {
                index: 3,
                fault: RecordFault::CutShort,
            },
        ),
    ] {
        let header = BatchHeader::new(Codec::None, count, 0, 0);
        let records = Records::new(&header, Cow::Borrowed(&body)).expect("not negative");
        assert_eq!(records.to_vec().err(), Some(expected));
    }
    let header = BatchHeader::new(Codec::None, -1, 0, 0);
    assert!(Records::new(&header, Cow::Borrowed(&body)).is_err());
}

#[test]
fn keys_of_headers_need_not_be_text() {
    let body = [20, 0, 0, 0, 1, 1, 2, 4, 0xff, b'k', 0];
    let header = BatchHeader::new(Codec::None, 1, 0, 0);
    let records = Records::new(&header, Cow::Borrowed(&body)).expect("count is fine");
    let records = records.to_vec().expect("well-formed");
    let headers = records[0].headers();
    assert_eq!((headers.len(), headers.is_empty()), (1, false));
    let header = headers.iter().next().expect("one");
    assert_eq!(
        (header.key, header.value),
        (&[0xff, b'k'][..], Some(&b""[..]))
    );
    assert_eq!(header.key_str(), "\u{fffd}k");
}

#[test]
fn noise_never_panics() {
    let mut rng = Rng(5);
    let records: Vec<_> = (0..4).map(|_| Owned::random(&mut rng, 60)).collect();
    for compression in built() {
        let bytes = batch_of(&records, compression);
        for _ in 0..3000 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + rng.below(4) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.next() as u8;
            }
            for batch in batches(&bytes).flatten() {
                if let Ok(records) = batch.records(1 << 16) {
                    for record in records.iter().flatten() {
                        assert_eq!(record.headers().iter().count(), record.headers().len());
                    }
                }
            }
        }
    }
}
