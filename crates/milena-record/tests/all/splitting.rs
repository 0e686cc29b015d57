//! Cutting a batch into smaller ones.

use std::borrow::Cow;

use crate::common::{Owned, Rng, body_of};
use milena_record::{BatchError, BatchHeader, Codec, Records, SplitPart, split};

fn read(part: &SplitPart) -> Vec<Owned> {
    let header = BatchHeader::new(
        Codec::None,
        part.record_count,
        part.base_timestamp,
        part.max_timestamp,
    );
    let records = Records::new(&header, Cow::Borrowed(&part.body)).expect("count is fine");
    let records = records.to_vec().expect("well-formed");
    for (offset, record) in records.iter().enumerate() {
        assert_eq!(record.offset, offset as i64);
    }
    records.iter().map(Owned::read).collect()
}

#[test]
fn all_records_are_kept_in_order_at_every_size() {
    let mut rng = Rng(1);
    for _ in 0..30 {
        let count = 1 + rng.below(60);
        let records: Vec<_> = (0..count).map(|_| Owned::random(&mut rng, 400)).collect();
        let body = body_of(&records);
        for size in [
            0,
            61,
            100,
            200,
            500,
            1000,
            5000,
            body.len() + 61,
            usize::MAX,
        ] {
            let parts = split(&body, records[0].timestamp, size).expect("well-formed");
            let back: Vec<_> = parts.iter().flat_map(read).collect();
            assert_eq!(back, records);
            let mut first = 0;
            for part in &parts {
                let its = &records[first..][..part.record_count as usize];
                assert!(part.record_count == 1 || part.body.len() + 61 <= size);
                assert_eq!(part.base_timestamp, its[0].timestamp);
                let max = its.iter().map(|record| record.timestamp).max();
                assert_eq!(Some(part.max_timestamp), max);
                assert_eq!(part.body, body_of(its));
                first += its.len();
            }
            if size >= body.len() + 61 {
                assert_eq!(parts.len(), 1);
            }
            // As full as they can be: the first record of a part had no room in the one before.
            for pair in parts.windows(2) {
                let its: Vec<_> = pair.iter().flat_map(read).collect();
                let with_next = body_of(&its[..pair[0].record_count as usize + 1]);
                assert!(with_next.len() + 61 > size);
            }
        }
    }
}

#[test]
fn what_is_not_records_is_refused() {
    assert_eq!(split(&[], 0, 100), Ok(Vec::new()));
    let mut body = body_of(&[Owned::default(), Owned::default()]);
    body.pop();
    assert!(matches!(
        split(&body, 0, 100),
        Err(BatchError::Record { index: 1, .. })
    ));
}
