//! Deliveries, callbacks and flushes, through splits of splits.

#![allow(clippy::disallowed_methods)]

mod common;

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use common::{Random, TestClock, done, poll, put, send, value, with_topic};
use milena_accumulator::{
    Accumulator, Batch, BatchFailure, Bin, Body, BrokerError, Callback, Config, Deliveries,
    Delivery, FailureReason, Fate, Record, RecordFailure, Refused, Slot, Topic, Verdict, Want,
};

/// Splits a batch by count, without looking at its bytes.
fn split(batch: Batch, counts: &[i32], bin: &mut Bin) -> Vec<Batch> {
    assert_eq!(counts.iter().sum::<i32>(), batch.records);
    let part = |records: &i32| {
        let body = Body::from_vec(vec![0; *records as usize]);
        batch.part(*records, 0, 0, body, *records as usize)
    };
    let parts: Vec<Batch> = counts.iter().map(part).collect();
    let mut first = 0;
    let moved = parts.iter().map(|part| {
        let at = first;
        first += part.records as u32;
        (at, Arc::clone(&part.outcome))
    });
    let moved = Verdict::Moved(moved.collect());
    batch.complete(moved, bin);
    parts
}

fn take(accumulator: &Accumulator, topic: &Topic) -> Batch {
    accumulator.take(topic.slot(0).unwrap()).unwrap().batch
}

fn offset(delivery: &mut Delivery) -> Option<i64> {
    match poll(delivery) {
        Poll::Ready(result) => result.unwrap().offset(),
        Poll::Pending => None,
    }
}

#[test]
fn an_outcome_is_used_again_only_when_nobody_can_ask_for_it() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let mut bin = Bin::new();
    let mut kept: Vec<(Delivery, i64)> = Vec::new();
    for base in 0..100 {
        let mut delivery = send(&accumulator, &topic, &value(b"x")).unwrap();
        assert!(poll(&mut delivery).is_pending(), "its batch is a new one");
        take(&accumulator, &topic).complete(done(base), &mut bin);
        bin.run();
        // Every other one is asked late, when many batches have ended since.
        if base % 2 == 0 {
            kept.push((delivery, base));
        } else {
            assert_eq!(offset(&mut delivery), Some(base));
        }
    }
    for (delivery, base) in &mut kept {
        assert_eq!(offset(delivery), Some(*base));
    }
}

#[test]
fn a_delivery_gives_its_result_once_and_shows_it_before() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let mut delivery = send(&accumulator, &topic, &value(b"x")).unwrap();
    assert!(delivery.try_get().is_none());
    let mut bin = Bin::new();
    take(&accumulator, &topic).complete(done(70), &mut bin);
    for _ in 0..2 {
        let shown = delivery.try_get().expect("it is known").unwrap();
        assert_eq!((shown.partition(), shown.offset()), (0, Some(70)));
    }
    let Poll::Ready(Ok(metadata)) = poll(&mut delivery) else {
        panic!("it is known");
    };
    assert!(delivery.try_get().is_none());
    let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut delivery)));
    assert!(again.is_err(), "it was given away");
    // What was given stays as it is while other batches come and go.
    for base in 71..80 {
        let mut delivery = send(&accumulator, &topic, &value(b"x")).unwrap();
        take(&accumulator, &topic).complete(done(base), &mut bin);
        assert_eq!(offset(&mut delivery), Some(base));
    }
    assert_eq!(metadata.topic(), topic.name());
    assert_eq!((metadata.partition(), metadata.offset()), (0, Some(70)));
}

#[test]
fn deliveries_follow_splits_of_splits() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let mut deliveries: Vec<Delivery> = (0..10)
        .map(|_| send(&accumulator, &topic, &value(b"x")).unwrap())
        .collect();
    let mut flush = accumulator.flush();
    for delivery in &mut deliveries[..5] {
        assert!(poll(delivery).is_pending());
    }
    let mut bin = Bin::new();
    let mut parts = split(take(&accumulator, &topic), &[3, 6, 1], &mut bin);
    let last = parts.remove(2);
    let inner = split(parts.remove(1), &[2, 4], &mut bin);
    last.complete(done(900), &mut bin);
    bin.run();
    assert!(poll(&mut flush).is_pending());
    assert_eq!(deliveries.pop().as_mut().and_then(offset), Some(900));
    assert_eq!(offset(&mut deliveries[8]), None);
    for (batch, base) in parts.into_iter().chain(inner).zip([100, 200, 300]) {
        batch.complete(done(base), &mut bin);
    }
    bin.run();
    let offsets: Vec<_> = deliveries.iter_mut().filter_map(offset).collect();
    assert_eq!(offsets, [100, 101, 102, 200, 201, 300, 301, 302, 303]);
    assert!(poll(&mut flush).is_ready());
    assert_eq!(accumulator.snapshot().incomplete_batches, 0);
}

#[test]
fn many_deliveries_are_one_future_in_order() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let payload = [7; 1000];
    let records = vec![value(&payload); 40];
    let mut all = Deliveries::new();
    let appended = accumulator.append_many(&TestClock, &topic, &records, Some(&mut all), None);
    assert_eq!(appended, (40, None));
    assert_eq!(all.len(), 40);
    assert!(poll(&mut all).is_pending());
    let mut bin = Bin::new();
    let (first, second, third) = (
        take(&accumulator, &topic),
        take(&accumulator, &topic),
        take(&accumulator, &topic),
    );
    assert_eq!((first.records, second.records, third.records), (16, 16, 8));
    second.complete(done(200), &mut bin);
    let mut parts = split(first, &[1, 15], &mut bin);
    let big = parts.remove(1);
    let inner = split(big, &[5, 5, 5], &mut bin);
    bin.run();
    assert!(poll(&mut all).is_pending());
    for (batch, base) in inner.into_iter().chain(parts).zip([10, 20, 30, 40]) {
        assert!(poll(&mut all).is_pending());
        batch.complete(done(base), &mut bin);
        bin.run();
    }
    assert!(all.try_get().is_none());
    third.complete(done(300), &mut bin);
    bin.run();
    let Poll::Ready(results) = poll(&mut all) else {
        panic!("all are done");
    };
    let offsets: Vec<i64> = results
        .into_iter()
        .map(|result| result.unwrap().offset().unwrap())
        .collect();
    let expected: Vec<i64> = [40..41, 10..15, 20..25, 30..35, 200..216, 300..308]
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(offsets, expected);
}

#[test]
fn many_stop_at_the_first_that_is_refused_and_go_on_with_room() {
    let config = Config {
        buffer_memory: 4096 + Batch::UPKEEP,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    let payload = [7; 1000];
    let records = vec![value(&payload); 6];
    let mut all = Deliveries::new();
    let (in_, refused) =
        accumulator.append_many(&TestClock, &topic, &records, Some(&mut all), None);
    let bytes = 2048 + Batch::UPKEEP;
    assert_eq!((in_, refused), (4, Some(Refused::Full { bytes })));
    let now = common::later();
    let mut room = accumulator.wait_room(std::time::Instant::now(), bytes, now);
    assert!(poll(&mut room).is_pending());
    let mut bin = Bin::new();
    take(&accumulator, &topic).complete(done(0), &mut bin);
    bin.run();
    let Poll::Ready(Ok(room)) = poll(&mut room) else {
        panic!("memory is back");
    };
    let rest = accumulator.append_many(
        &TestClock,
        &topic,
        &records[in_..],
        Some(&mut all),
        Some(room),
    );
    assert_eq!(rest, (2, None));
    take(&accumulator, &topic).complete(done(4), &mut bin);
    bin.run();
    let Poll::Ready(results) = poll(&mut all) else {
        panic!("all are done");
    };
    let offsets: Vec<_> = results.into_iter().map(|r| r.unwrap().offset()).collect();
    assert_eq!(offsets, (0..6).map(Some).collect::<Vec<_>>());
    assert_eq!(accumulator.snapshot().buffered(), 0);
}

#[test]
fn runs_of_records_go_where_their_keys_say() {
    let (accumulator, topic) = with_topic(Config::default(), 5);
    let mut random = Random(3);
    let keys: Vec<[u8; 2]> = (0..500)
        .map(|_| (random.below(300) as u16).to_be_bytes())
        .collect();
    let record = |key: &'static [u8; 2]| Record {
        key: (!key[1].is_multiple_of(7)).then_some(&key[..]),
        ..value(key)
    };
    let keys: &'static [[u8; 2]] = keys.leak();
    let records: Vec<Record<'_>> = keys.iter().map(record).collect();
    let mut all = Deliveries::with_capacity(500);
    let appended = accumulator.append_many(&TestClock, &topic, &records, Some(&mut all), None);
    assert_eq!(appended, (500, None));
    let mut logs = vec![Vec::new(); 5];
    let mut bin = Bin::new();
    for slot in 0..5 {
        while let Some(taken) = accumulator.take(Slot(slot)) {
            let log = &mut logs[slot as usize];
            let base = log.len() as i64;
            log.extend(common::values(&taken.batch));
            taken.batch.complete(done(base), &mut bin);
        }
    }
    bin.run();
    let Poll::Ready(results) = poll(&mut all) else {
        panic!("all are done");
    };
    for (key, result) in keys.iter().zip(results) {
        let at = result.unwrap();
        assert_eq!(
            logs[at.partition() as usize][at.offset().unwrap() as usize],
            key
        );
        if !key[1].is_multiple_of(7) {
            assert_eq!(
                at.partition(),
                milena_partitioner::partition_for_key(key, 5)
            );
        }
    }
}

#[test]
fn what_a_callback_panics_with_ends_no_others_when_it_is_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let called = Arc::new(Mutex::new(Vec::new()));
    for at in 0..3 {
        let called = Arc::clone(&called);
        let call: Callback = Box::new(move |_| {
            called.lock().unwrap().push(at);
            std::panic::panic_any(Bomb);
        });
        let mut call = Some(call);
        let want = Want::Callback(&mut call);
        accumulator
            .append(&TestClock, &topic, &value(b""), want, None)
            .unwrap();
    }
    let mut flush = accumulator.flush();
    let mut bin = Bin::new();
    take(&accumulator, &topic).complete(done(0), &mut bin);
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bin.run()));
    assert_eq!(run.ok(), Some(3));
    assert_eq!(*called.lock().unwrap(), [0, 1, 2]);
    assert!(poll(&mut flush).is_ready(), "nothing is left to wait for");
}

#[test]
fn each_callback_is_told_of_its_own_record() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    // By the record's own time, and by the broker's.
    for told in [-1, 77] {
        let kept = Arc::new(Mutex::new(Vec::new()));
        for at in 0..5 {
            let into = Arc::clone(&kept);
            let mut call: Option<Callback> = Some(Box::new(move |result| {
                into.lock().unwrap().push(result.clone().unwrap());
            }));
            let key = [b'k'; 10];
            let record = Record {
                timestamp: Some(1000 + at as i64),
                key: (at != 2).then_some(&key[..at]),
                ..value(&[b'v'; 20][..20 - at])
            };
            let want = Want::Callback(&mut call);
            accumulator
                .append(&TestClock, &topic, &record, want, None)
                .unwrap();
        }
        let mut bin = Bin::new();
        let verdict = Verdict::Done {
            base_offset: 30,
            log_append_time: told,
        };
        take(&accumulator, &topic).complete(verdict, &mut bin);
        assert_eq!(bin.run(), 0);
        for (at, metadata) in kept.lock().unwrap().iter().enumerate() {
            let own = 1000 + at as i64;
            let time = if told == -1 { own } else { told };
            assert_eq!(metadata.offset(), Some(30 + at as i64));
            assert_eq!(metadata.timestamp(), time);
            assert_eq!(metadata.serialized_key_size(), (at != 2).then_some(at));
            assert_eq!(metadata.serialized_value_size(), Some(20 - at));
        }
        assert_eq!(kept.lock().unwrap().len(), 5);
    }
}

#[test]
fn callbacks_run_in_order_and_panics_end_only_their_own() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let log = Arc::new(Mutex::new(Vec::new()));
    for at in 0..8 {
        let log = Arc::clone(&log);
        let call: Callback = Box::new(move |result| {
            log.lock()
                .unwrap()
                .push((at, result.as_ref().ok().and_then(|r| r.offset())));
            assert_ne!(at, 3, "a callback that panics");
        });
        let mut call = Some(call);
        let want = Want::Callback(&mut call);
        accumulator
            .append(&TestClock, &topic, &value(b""), want, None)
            .unwrap();
        assert!(call.is_none());
    }
    let mut flush = accumulator.flush();
    let mut bin = Bin::new();
    let mut parts = split(take(&accumulator, &topic), &[2, 6], &mut bin);
    let inner = split(parts.remove(1), &[3, 3], &mut bin);
    assert_eq!(bin.run(), 0);
    assert!(log.lock().unwrap().is_empty());
    let failure = Arc::new(BatchFailure::new(FailureReason::Expired, Fate::NotWritten));
    let mut inner = inner.into_iter();
    inner.next().unwrap().complete(done(50), &mut bin);
    inner
        .next()
        .unwrap()
        .complete(Verdict::Failed(failure), &mut bin);
    parts.remove(0).complete(done(10), &mut bin);
    assert!(poll(&mut flush).is_pending(), "callbacks have not run");
    std::panic::set_hook(Box::new(|_| ()));
    assert_eq!(bin.run(), 1);
    let _ = std::panic::take_hook();
    let offsets = [
        Some(50),
        Some(51),
        Some(52),
        None,
        None,
        None,
        Some(10),
        Some(11),
    ];
    let expected: Vec<_> = [2, 3, 4, 5, 6, 7, 0, 1].into_iter().zip(offsets).collect();
    assert_eq!(*log.lock().unwrap(), expected);
    assert!(poll(&mut flush).is_ready());
}

#[test]
fn records_of_a_refused_batch_know_who_was_to_blame() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let mut deliveries: Vec<Delivery> = (0..3)
        .map(|_| send(&accumulator, &topic, &value(b"x")).unwrap())
        .collect();
    let error = BrokerError {
        code: 87,
        name: None,
    };
    let mut failure = BatchFailure::refused(FailureReason::InvalidRecord, error, None);
    failure.records.push(RecordFailure {
        index: 1,
        message: Some("no key".into()),
    });
    let verdict = Verdict::Failed(Arc::new(failure));
    take(&accumulator, &topic).complete(verdict, &mut Bin::new());
    let errors: Vec<_> = deliveries
        .iter_mut()
        .map(|delivery| match poll(delivery) {
            Poll::Ready(Err(error)) => (error.reason(), error.message().map(str::to_owned)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(errors[0], (FailureReason::Companion, None));
    assert_eq!(
        errors[1],
        (FailureReason::InvalidRecord, Some("no key".to_owned()))
    );
}

#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn every_waiting_task_is_woken_once_and_dropped_ones_are_not() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let counts: Vec<Arc<Count>> = (0..6).map(|_| Arc::default()).collect();
    let mut deliveries: Vec<Option<Delivery>> = (0..6)
        .map(|_| Some(send(&accumulator, &topic, &value(b"x")).unwrap()))
        .collect();
    for round in 0..3 {
        for (delivery, count) in deliveries.iter_mut().zip(&counts) {
            let waker = Waker::from(Arc::clone(count));
            let mut cx = Context::from_waker(&waker);
            let delivery = delivery.as_mut().unwrap();
            assert!(std::pin::Pin::new(delivery).poll(&mut cx).is_pending());
        }
        if round == 1 {
            // A seat given up is taken by the next.
            deliveries[2] = Some(send(&accumulator, &topic, &value(b"x")).unwrap());
        }
    }
    deliveries[0] = None;
    deliveries[4] = None;
    assert_eq!(Arc::strong_count(&counts[4]), 1, "its waker is gone");
    let mut bin = Bin::new();
    take(&accumulator, &topic).complete(done(0), &mut bin);
    let woken = || {
        counts
            .iter()
            .map(|c| c.0.load(std::sync::atomic::Ordering::SeqCst))
    };
    assert_eq!(woken().sum::<usize>(), 0, "outside the locks only");
    drop(bin);
    assert_eq!(woken().collect::<Vec<_>>(), [0, 1, 1, 1, 0, 1]);
    assert_eq!(offset(deliveries[5].as_mut().unwrap()), Some(5));
}

#[test]
fn a_flush_waits_for_what_was_appended_before_and_not_for_more() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    put(&accumulator, &topic, &value(b"before")).unwrap();
    assert!(!accumulator.pressed());
    let mut flush = accumulator.flush();
    assert!(accumulator.pressed());
    let before = take(&accumulator, &topic);
    put(&accumulator, &topic, &value(b"after")).unwrap();
    assert!(poll(&mut flush).is_pending());
    before.complete(done(0), &mut Bin::new());
    assert!(poll(&mut flush).is_ready());
    assert!(!accumulator.pressed());
    let flush = accumulator.flush();
    drop(flush);
    assert!(!accumulator.pressed());
}

#[test]
fn futures_dropped_while_they_wait_leave_nothing_behind() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let count: Arc<Count> = Arc::default();
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let mut delivery = send(&accumulator, &topic, &value(b"x")).unwrap();
    let mut many = Deliveries::new();
    let records = [value(b"y"), value(b"z")];
    let appended = accumulator.append_many(&TestClock, &topic, &records, Some(&mut many), None);
    assert_eq!(appended, (2, None));
    let mut flush = accumulator.flush();
    let now = std::time::Instant::now();
    let mut room = accumulator.wait_room(now, 32 << 20, common::later());
    let mut unknown = accumulator.wait_topic(now, "unknown", None, common::later());
    for _ in 0..2 {
        assert!(std::pin::Pin::new(&mut delivery).poll(&mut cx).is_pending());
        assert!(std::pin::Pin::new(&mut many).poll(&mut cx).is_pending());
        assert!(std::pin::Pin::new(&mut flush).poll(&mut cx).is_pending());
        assert!(std::pin::Pin::new(&mut room).poll(&mut cx).is_pending());
        assert!(std::pin::Pin::new(&mut unknown).poll(&mut cx).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 2 + 5);
    drop((delivery, many, flush, room, unknown));
    assert_eq!(Arc::strong_count(&count), 2);
    take(&accumulator, &topic).complete(done(0), &mut Bin::new());
    assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 0);
    let snapshot = accumulator.snapshot();
    assert_eq!(
        (
            snapshot.buffered(),
            snapshot.memory_waiters,
            snapshot.topic_waiters
        ),
        (0, 0, 0)
    );
    assert!(!accumulator.pressed());
}
