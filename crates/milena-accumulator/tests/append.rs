//! Appending, taking, completing: one thread, everything in sight.

#![allow(clippy::disallowed_methods)]

mod common;

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Random, TestClock, done, news, poll, put, send, value, values, with_topic};
use milena_accumulator::{
    Batch, BatchFailure, Bin, Body, CloseReason, Config, FailureReason, Fate, News, Record,
    Refused, Rest, Target, Urgency, Value, Verdict, Wake, Want, What,
};
use milena_record::{BatchHeader, Codec, Compression, Header, HeadersRef, Records};

#[test]
fn a_record_goes_in_and_its_delivery_says_where_it_is() {
    let (accumulator, topic) = with_topic(Config::default(), 3);
    let record = Record {
        key: Some(b"key"),
        timestamp: Some(5),
        ..value(b"value")
    };
    let mut delivery = send(&accumulator, &topic, &record).unwrap();
    assert!(poll(&mut delivery).is_pending());
    let [
        News {
            slot,
            what: What::Opened { at },
        },
    ] = news(&accumulator)[..]
    else {
        panic!("one batch opened");
    };
    let partition = milena_partitioner::partition_for_key(b"key", 3);
    assert_eq!(topic.slot(partition), Some(slot));
    assert_eq!(accumulator.waiting(slot), Rest::Open { since: at });
    let taken = accumulator.take(slot).unwrap();
    assert_eq!(taken.rest, Rest::Nothing);
    assert_eq!(values(&taken.batch), [b"value"]);
    let mut bin = Bin::new();
    taken.batch.complete(done(40), &mut bin);
    drop(bin);
    let Poll::Ready(Ok(at)) = poll(&mut delivery) else {
        panic!("it is done");
    };
    assert_eq!((at.topic(), at.partition()), ("t", partition));
    assert_eq!((at.offset(), at.timestamp()), (Some(40), 5));
    assert_eq!(at.serialized_key_size(), Some(3));
    assert_eq!(at.serialized_value_size(), Some(5));
    let snapshot = accumulator.snapshot();
    assert_eq!(snapshot.buffered(), 0);
    assert_eq!(snapshot.incomplete_batches, 0);
}

#[test]
fn offsets_and_timestamps_are_what_the_broker_said() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let mut ends = Vec::new();
    for (base, append_time) in [(-1, -1), (7, 99)] {
        let mut delivery = send(&accumulator, &topic, &value(b"")).unwrap();
        let verdict = Verdict::Done {
            base_offset: base,
            log_append_time: append_time,
        };
        let slot = topic.slot(0).unwrap();
        accumulator
            .take(slot)
            .unwrap()
            .batch
            .complete(verdict, &mut Bin::new());
        let Poll::Ready(Ok(at)) = poll(&mut delivery) else {
            panic!("it is done");
        };
        ends.push((
            at.offset(),
            at.timestamp(),
            at.serialized_key_size(),
            at.serialized_value_size(),
        ));
    }
    assert_eq!(ends[0], (None, 1_700_000_000_000, None, Some(0)));
    assert_eq!(ends[1], (Some(7), 99, None, Some(0)));
}

/// Records of all shapes over chunk borders: what comes out is what went in.
#[test]
fn what_comes_out_is_what_went_in() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let config = Config {
            batch_size: 1 << (8 + random.below(8)),
            ..Config::default()
        };
        let batch_size = config.batch_size;
        let (accumulator, topic) = with_topic(config, 1);
        let shared = Bytes::from(vec![b's'; 20_000]);
        let bytes = vec![b'v'; 20_000];
        let mut sent = Vec::new();
        for _ in 0..500 {
            let scale = 1 + random.below(13);
            let len = random.below(1 << scale) as usize;
            let part = shared.slice(..len + random.below(10_000) as usize);
            let headers = [
                Header::new("h", b"1"),
                Header {
                    key: "",
                    value: None,
                },
            ];
            let record = Record {
                timestamp: Some(random.below(1 << 40) as i64),
                key: [None, Some(&bytes[..len / 2])][random.below(2) as usize],
                value: match random.below(4) {
                    0 => Value::Null,
                    1 => Value::Shared(&part),
                    _ => Value::Borrowed(&bytes[..len]),
                },
                headers: HeadersRef::slice(&headers[..random.below(3) as usize]),
            };
            let want = Want::Nothing;
            accumulator
                .append(&TestClock, &topic, &record, want, None)
                .unwrap();
            let length = match record.value {
                Value::Null => None,
                Value::Borrowed(value) => Some(value.len()),
                Value::Shared(value) => Some(value.len()),
            };
            sent.push((
                record.timestamp,
                record.key.map(<[u8]>::len),
                length,
                record.headers.len(),
            ));
        }
        let mut sent = sent.into_iter();
        while let Some(taken) = accumulator.take(topic.slot(0).unwrap()) {
            let batch = taken.batch;
            assert!(batch.body.len() + 61 <= batch_size || batch.records == 1);
            assert_eq!(batch.body.len(), batch.raw_len);
            let (base, max) = (batch.base_timestamp, batch.max_timestamp);
            let header = BatchHeader::new(Codec::None, batch.records, base, max);
            let records = Records::new(&header, batch.body.to_vec().into()).unwrap();
            let mut greatest = i64::MIN;
            for record in records.to_vec().unwrap() {
                let len = |bytes: Option<&[u8]>| bytes.map(<[u8]>::len);
                let came = (
                    Some(record.timestamp),
                    len(record.key),
                    len(record.value),
                    record.headers().len(),
                );
                assert_eq!(Some(came), sent.next());
                greatest = greatest.max(record.timestamp);
            }
            assert_eq!(greatest, max);
            batch.complete(done(0), &mut Bin::new());
        }
        assert_eq!(sent.next(), None);
        let snapshot = accumulator.snapshot();
        assert_eq!((snapshot.buffered(), snapshot.incomplete_batches), (0, 0));
    }
}

#[test]
fn a_record_larger_than_a_batch_has_memory_of_its_own() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let large = vec![1; 100_000];
    put(&accumulator, &topic, &value(b"small")).unwrap();
    put(&accumulator, &topic, &value(&large)).unwrap();
    put(&accumulator, &topic, &value(b"small")).unwrap();
    let slot = topic.slot(0).unwrap();
    let [small, big, last] = [(); 3].map(|()| accumulator.take(slot).unwrap().batch);
    assert_eq!(small.body.charged(), 2048 + Batch::UPKEEP);
    assert_eq!(big.body.charged(), big.body.len() + Batch::UPKEEP);
    let all = 2 * 2048 + big.body.len() + 3 * Batch::UPKEEP;
    assert_eq!(accumulator.snapshot().buffered(), all);
    assert_eq!(values(&big)[0].len(), 100_000);
    drop(big);
    assert_eq!(accumulator.snapshot().free_chunks, 0);
    drop((small, last));
    assert_eq!(accumulator.snapshot().free_chunks, 2);
    assert_eq!(accumulator.snapshot().buffered(), 0);
}

#[test]
fn a_large_value_by_reference_has_no_crumbs_beside_it_however_small_batches_are() {
    let shared = Bytes::from(vec![b'x'; 9000]);
    for batch_size in [0, 1, 61, 100, 500] {
        let config = Config {
            batch_size,
            ..Config::default()
        };
        let (accumulator, topic) = with_topic(config, 1);
        let record = Record {
            key: Some(&[b'k'; 5000]),
            value: Value::Shared(&shared),
            ..Record::default()
        };
        put(&accumulator, &topic, &record).unwrap();
        let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
        assert_eq!(values(&batch), [&shared[..]]);
        let segments = batch.body.segments().count();
        assert!(segments <= 3, "{segments} with batches of {batch_size}");
    }
}

#[test]
fn a_record_that_fills_the_memory_is_not_refused_for_what_its_batch_takes_besides() {
    let config = Config {
        buffer_memory: 20_000,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    put(&accumulator, &topic, &value(&[1; 19_900])).unwrap();
    assert_eq!(accumulator.snapshot().buffered(), 20_000);
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    assert_eq!(values(&batch)[0].len(), 19_900);
    drop(batch);
    assert_eq!(accumulator.snapshot().buffered(), 0);
}

#[test]
fn large_shared_values_stay_where_they_are() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let shared = Bytes::from(vec![b'x'; 9000]);
    let small = Bytes::from(vec![b'x'; 100]);
    let headers = [Header::new("k", b"v")];
    for value in [&small, &shared, &small] {
        let record = Record {
            value: Value::Shared(value),
            headers: HeadersRef::slice(&headers),
            ..Record::default()
        };
        put(&accumulator, &topic, &record).unwrap();
    }
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    assert_eq!(batch.records, 3);
    assert_eq!(batch.body.charged(), 2048 + 9000 + Batch::UPKEEP);
    let here = |segment: &[u8]| segment.as_ptr() == shared.as_ptr() && segment.len() == 9000;
    assert!(batch.body.segments().any(here));
    assert_eq!(batch.body.segments().count(), 3);
    assert!(values(&batch).iter().eq([&small, &shared, &small]));
    // One that leaves no memory for a chunk beside it is copied into an allocation of just its size.
    let config = Config {
        buffer_memory: 10_000,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    let record = Record {
        value: Value::Shared(&shared),
        ..Record::default()
    };
    put(&accumulator, &topic, &record).unwrap();
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    assert!(!batch.body.segments().any(here));
    assert!(values(&batch).iter().eq([&shared]));
    let all = batch.body.len() + Batch::UPKEEP;
    assert_eq!(accumulator.snapshot().buffered(), all);
    // A compressor wants bytes that are close together: with a codec they are copied.
    let config = Config {
        compression: Compression::new(Codec::Lz4).unwrap(),
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    let record = Record {
        value: Value::Shared(&shared),
        ..Record::default()
    };
    put(&accumulator, &topic, &record).unwrap();
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    assert!(!batch.body.segments().any(here));
}

#[test]
fn news_come_once_until_the_partition_is_taken_from() {
    #[derive(Default)]
    struct Log(Mutex<Vec<(i32, bool)>>);
    impl Wake for Log {
        fn wake(&self, leader: i32, urgency: Urgency) {
            self.0
                .lock()
                .unwrap()
                .push((leader, urgency == Urgency::Now));
        }
    }
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let log = Arc::new(Log::default());
    let wake: Arc<dyn Wake> = Arc::clone(&log) as _;
    accumulator.set_wake(wake);
    let slot = topic.slot(0).unwrap();
    let payload = [0; 1000];
    for _ in 0..60 {
        put(&accumulator, &topic, &value(&payload)).unwrap();
    }
    let what = |news: &News| matches!(news.what, What::Filled { .. });
    let told: Vec<bool> = news(&accumulator).iter().map(what).collect();
    assert_eq!(told, [false, true]);
    assert_eq!(*log.0.lock().unwrap(), [(1, false), (1, true)]);
    let rests: Vec<bool> = std::iter::from_fn(|| accumulator.take(slot))
        .map(|taken| matches!(taken.rest, Rest::Full { .. }))
        .collect();
    assert_eq!(rests, [true, true, false, false]);
    assert!(news(&accumulator).is_empty());
    put(&accumulator, &topic, &value(&payload)).unwrap();
    assert_eq!(news(&accumulator).len(), 1);
    assert_eq!(log.0.lock().unwrap().len(), 3);
}

#[test]
fn an_open_batch_that_was_left_is_news_again_when_it_fills() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let slot = topic.slot(0).unwrap();
    let payload = [0; 1000];
    for _ in 0..20 {
        put(&accumulator, &topic, &value(&payload)).unwrap();
    }
    assert_eq!(news(&accumulator).len(), 2);
    let Rest::Open { since } = accumulator.take(slot).unwrap().rest else {
        panic!("a second batch is open");
    };
    for _ in 0..20 {
        put(&accumulator, &topic, &value(&payload)).unwrap();
    }
    let filled = News {
        slot,
        what: What::Filled { at: since },
    };
    assert_eq!(news(&accumulator), [filled]);
}

#[test]
fn refusals_leave_nothing_behind() {
    let config = Config {
        max_request_size: 5000,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 2);
    let append = |target, record: &Record<'_>| {
        let want = Want::Nothing;
        accumulator
            .append(&TestClock, &topic, &(target, *record), want, None)
            .err()
    };
    let large = vec![0; 5000];
    let refused = append(Target::Any, &value(&large));
    assert_eq!(
        refused,
        Some(Refused::TooLarge {
            size: 5086,
            limit: 5000
        })
    );
    assert_eq!(append(Target::Any, &value(&large[..4914])), None);
    for partition in [2, -1] {
        let refused = append(Target::Partition(partition), &value(b""));
        assert_eq!(
            refused,
            Some(Refused::NoSuchPartition {
                partition,
                count: 2
            })
        );
    }
    let mut bin = Bin::new();
    accumulator.close(CloseReason::Closed, &mut bin);
    let mut callback: Option<milena_accumulator::Callback> = Some(Box::new(|_| ()));
    let want = Want::Callback(&mut callback);
    let refused = accumulator.append(&TestClock, &topic, &value(b""), want, None);
    assert_eq!(refused.err(), Some(Refused::Closed(CloseReason::Closed)));
    assert!(callback.is_some());
    assert!(accumulator.pressed());
    assert_eq!(accumulator.snapshot().incomplete_batches, 1);
}

#[test]
fn unkeyed_records_fill_batches_and_use_all_partitions() {
    let (accumulator, topic) = with_topic(Config::default(), 4);
    let payload = [0; 1000];
    let mut used = [0; 4];
    let mut sizes = Vec::new();
    for at in 0..4000 {
        put(&accumulator, &topic, &value(&payload)).unwrap();
        if at % 100 == 0 {
            for news in news(&accumulator) {
                while let Rest::Full { .. } = accumulator.waiting(news.slot) {
                    let batch = accumulator.take(news.slot).unwrap().batch;
                    used[batch.partition as usize] += 1;
                    sizes.push(batch.records);
                }
            }
        }
    }
    assert!(used.iter().all(|used| *used > 20), "{used:?}");
    assert!(sizes.iter().all(|records| *records == 16), "full ones only");
}

#[test]
fn unkeyed_records_avoid_partitions_without_leader_and_long_queues() {
    let config = Config {
        batch_size: 1000,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 3);
    accumulator.set_leader(topic.slot(1).unwrap(), None);
    let payload = [0; 100];
    let send_to = |target| {
        let want = Want::Nothing;
        let record = value(&payload);
        accumulator
            .append(&TestClock, &topic, &(target, record), want, None)
            .unwrap()
            .partition
    };
    for _ in 0..10_000 {
        send_to(Target::Partition(2));
    }
    let mut used = [0; 3];
    for at in 0..2000 {
        used[send_to(Target::Sticky) as usize] += 1;
        if at % 10 == 0 {
            while accumulator.take(topic.slot(0).unwrap()).is_some() {}
        }
        if at % 500 == 0 {
            // The picture of the queues is a few milliseconds old at most.
            std::thread::sleep(Duration::from_millis(6));
        }
    }
    assert!(used[1] <= 30, "only until the first change: {used:?}");
    assert!(used[2] < used[0] / 4, "{used:?}");
}

#[test]
fn records_that_compress_to_less_than_a_byte_still_move_the_sticky_choice_on() {
    let config = Config {
        compression: Compression::new(Codec::Lz4).unwrap(),
        batch_size: 1000,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 3);
    for _ in 0..200 {
        topic.ratios().observe(Codec::Lz4, 1000, 20);
    }
    let (mut taken, mut moves, mut last) = (0, 0, None);
    for _ in 0..200_000 {
        put(&accumulator, &topic, &value(b"a heartbeat!")).unwrap();
        for News { slot, what } in news(&accumulator) {
            if let What::Opened { .. } = what {
                moves += usize::from(last != Some(slot));
                last = Some(slot);
            }
            while matches!(accumulator.waiting(slot), Rest::Full { .. }) {
                accumulator.take(slot).unwrap();
                taken += 1;
            }
        }
    }
    // A stay is one batch, or two: the choice may fall on the same partition again.
    assert!(taken > 20 && 3 * moves > taken, "{moves} of {taken}");
}

#[test]
fn compressed_batches_are_filled_by_estimate_and_capped() {
    let config = Config {
        compression: Compression::new(Codec::Lz4).unwrap(),
        max_request_size: 100_000,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    let payload = [0; 1000];
    let slot = topic.slot(0).unwrap();
    let first_full = || {
        while !matches!(accumulator.waiting(slot), Rest::Full { .. }) {
            put(&accumulator, &topic, &value(&payload)).unwrap();
        }
        let batch = accumulator.take(slot).unwrap().batch;
        while accumulator.take(slot).is_some() {}
        batch.raw_len
    };
    let plain = first_full();
    assert!((14_500..16_384).contains(&plain), "{plain}");
    for _ in 0..200 {
        topic.ratios().observe(Codec::Lz4, 1000, 250);
    }
    let ratio = topic.ratios().ratio(Codec::Lz4);
    let quarter = first_full();
    let estimate = quarter as f32 * ratio * 1.05;
    assert!(
        (15_000.0..16_384.0).contains(&estimate),
        "{quarter} {estimate}"
    );
    for _ in 0..200 {
        topic.ratios().observe(Codec::Lz4, 1000, 1);
    }
    let tiny = first_full();
    assert!((98_000..100_000).contains(&tiny), "{tiny}");
}

#[test]
fn batches_expire_from_the_oldest_on() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let slot = topic.slot(0).unwrap();
    let payload = [0; 1000];
    for _ in 0..20 {
        put(&accumulator, &topic, &value(&payload)).unwrap();
    }
    let Rest::Full { since } = accumulator.waiting(slot) else {
        panic!("one is full");
    };
    assert!(accumulator.expire(slot, since).is_empty());
    assert_eq!(
        accumulator
            .expire(slot, since + Duration::from_nanos(1))
            .len(),
        1
    );
    assert_eq!(accumulator.expire(slot, Instant::now()).len(), 1);
    assert_eq!(accumulator.waiting(slot), Rest::Nothing);
    assert_eq!(accumulator.snapshot().buffered(), 0);
}

#[test]
fn an_abort_completes_what_was_not_taken() {
    let (accumulator, topic) = with_topic(Config::default(), 2);
    let mut taken = send(&accumulator, &topic, &value(b"1")).unwrap();
    let batch = (0..2)
        .find_map(|p| accumulator.take(topic.slot(p).unwrap()))
        .unwrap()
        .batch;
    let mut waiting = send(&accumulator, &topic, &value(b"2")).unwrap();
    let mut flush = accumulator.flush();
    let failure = Arc::new(BatchFailure::new(FailureReason::Closed, Fate::NotWritten));
    let mut bin = Bin::new();
    assert_eq!(
        accumulator.abort(CloseReason::Aborted, &failure, &mut bin),
        1
    );
    let Poll::Ready(Err(error)) = poll(&mut waiting) else {
        panic!("it is over");
    };
    assert_eq!(
        (error.fate(), error.reason()),
        (Fate::NotWritten, FailureReason::Closed)
    );
    assert!(poll(&mut taken).is_pending());
    assert!(poll(&mut flush).is_pending());
    drop(batch);
    let Poll::Ready(Err(error)) = poll(&mut taken) else {
        panic!("it was dropped");
    };
    assert_eq!(
        (error.fate(), error.reason()),
        (Fate::PossiblyWritten, FailureReason::Lost)
    );
    assert!(poll(&mut flush).is_ready());
}

#[test]
fn dropping_the_accumulator_completes_everything() {
    let (accumulator, topic) = with_topic(Config::default(), 2);
    let mut delivery = send(&accumulator, &topic, &value(b"1")).unwrap();
    let mut room = accumulator.wait_room(Instant::now(), 64 << 20, common::later());
    let mut flush = accumulator.flush();
    drop(accumulator);
    assert!(matches!(poll(&mut delivery), Poll::Ready(Err(_))));
    assert!(matches!(poll(&mut room), Poll::Ready(Err(_))));
    assert!(poll(&mut flush).is_ready());
}

#[test]
fn a_failed_transaction_closes_until_it_is_aborted() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    put(&accumulator, &topic, &value(b"1")).unwrap();
    accumulator.close(CloseReason::Transaction, &mut Bin::new());
    assert_eq!(accumulator.closed(), Some(CloseReason::Transaction));
    assert!(send(&accumulator, &topic, &value(b"2")).is_err());
    assert_eq!(accumulator.reopen(), Ok(1));
    put(&accumulator, &topic, &value(b"3")).unwrap();
    let slot = topic.slot(0).unwrap();
    let generations: Vec<u32> = std::iter::from_fn(|| accumulator.take(slot))
        .map(|taken| taken.batch.generation)
        .collect();
    assert_eq!(generations, [0, 1]);
}

#[test]
fn a_compressed_body_keeps_only_what_it_needs() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    put(&accumulator, &topic, &value(&[0; 5000])).unwrap();
    let mut batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    let buffered = || accumulator.snapshot().buffered();
    assert_eq!(buffered(), 3 * 2048 + Batch::UPKEEP);
    let raw = std::mem::replace(&mut batch.body, Body::from_vec(Vec::new()));
    batch.body = raw.compressed(&[1; 2500]);
    assert_eq!(batch.body.to_vec(), [1; 2500]);
    assert_eq!(buffered(), 2 * 2048 + Batch::UPKEEP);
    let shared = batch.body.clone();
    let raw = std::mem::replace(&mut batch.body, Body::from_vec(Vec::new()));
    assert_eq!(raw.compressed(&[2; 300]).to_vec(), [2; 300]);
    assert_eq!(shared.to_vec(), [1; 2500]);
    batch.body = shared.compressed(&[3; 10_000]);
    assert_eq!(batch.body.to_vec(), [3; 10_000]);
    assert_eq!(buffered(), 2 * 2048 + Batch::UPKEEP);
    batch.complete(done(0), &mut Bin::new());
    assert_eq!(accumulator.snapshot().buffered(), 0);
}

#[test]
fn a_topic_made_anew_with_fewer_partitions_is_still_written_to() {
    let (accumulator, topic) = with_topic(Config::default(), 50);
    let mut bin = Bin::new();
    assert!(
        accumulator
            .put_topic("t", [1; 16], &[Some(1); 2], &mut bin)
            .is_empty()
    );
    for _ in 0..100 {
        assert!(put(&accumulator, &topic, &value(&[0; 1000])).unwrap() < 2);
    }
}
