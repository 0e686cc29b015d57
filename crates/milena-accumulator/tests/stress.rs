//! Threads that append, and one that takes, splits and completes: every record comes out once and in order.

#![allow(clippy::disallowed_methods)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Random, TestClock, done, later, poll, values, with_topic};
use milena_accumulator::{
    Accumulator, Batch, Bin, Body, Config, Deliveries, Delivery, News, Record, Refused, Rest, Room,
    Slot, Target, Topic, Value, Verdict, Want, What,
};

const PARTITIONS: usize = 5;
const WRITERS: u64 = 4;
const RECORDS: u64 = 4000;

/// Who wrote a record, and as which.
type Id = (u64, u64);

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let begun = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(20));
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nobody woke this task"
        );
    }
}

/// Waits for room, and sometimes gives up and comes again.
fn room(accumulator: &Accumulator, bytes: usize, random: &mut Random) -> Room {
    loop {
        let mut wait = accumulator.wait_room(Instant::now(), bytes, later());
        match random.below(4) {
            0 => drop(wait),
            1 => {
                if let Poll::Ready(room) = poll(&mut wait) {
                    drop(room);
                }
            }
            _ => return block_on(wait).expect("the accumulator is open and the deadline far"),
        }
    }
}

fn payload(id: Id, len: usize) -> Vec<u8> {
    let mut payload = format!("{}:{}:", id.0, id.1).into_bytes();
    payload.resize(payload.len() + len, b'.');
    payload
}

fn id(payload: &[u8]) -> Id {
    let text = std::str::from_utf8(payload).unwrap();
    let mut parts = text.split(':');
    let mut next = || parts.next().unwrap().parse().unwrap();
    (next(), next())
}

/// What one thread sent: deliveries by id.
#[derive(Default)]
struct Sent {
    single: Vec<(Id, Delivery)>,
    many: Vec<(Vec<Id>, Deliveries)>,
    silent: Vec<Id>,
}

fn write(accumulator: &Accumulator, topic: &Topic, writer: u64, seed: u64) -> Sent {
    let mut random = Random(seed.wrapping_mul(31).wrapping_add(writer));
    let mut sent = Sent::default();
    let mut next = 0;
    while next < RECORDS {
        let scale = random.below(12);
        let len = random.below(1 << scale) as usize;
        if random.below(8) == 0 {
            let count = 1 + random.below(20);
            let payloads: Vec<Vec<u8>> = (next..next + count)
                .map(|at| payload((writer, at), len))
                .collect();
            let records: Vec<Record<'_>> = payloads.iter().map(|p| common::value(p)).collect();
            let mut deliveries = Deliveries::new();
            let (mut in_, mut granted) = (0, None);
            while in_ < records.len() {
                let into = Some(&mut deliveries);
                let (more, refused) = accumulator.append_many(
                    &TestClock,
                    topic,
                    &records[in_..],
                    into,
                    granted.take(),
                );
                in_ += more;
                match refused {
                    Some(Refused::Full { bytes }) => {
                        granted = Some(room(accumulator, bytes, &mut random));
                    }
                    other => assert_eq!(other, None),
                }
            }
            sent.many.push((
                (next..next + count).map(|at| (writer, at)).collect(),
                deliveries,
            ));
            next += count;
            continue;
        }
        let id = (writer, next);
        next += 1;
        let payload = payload(id, len);
        let key = (random.below(100) as u8).to_be_bytes();
        let record = Record {
            key: (random.below(2) == 0).then_some(&key[..]),
            value: Value::Borrowed(&payload),
            ..Record::default()
        };
        let target = match random.below(3) {
            0 => Target::Partition(random.below(PARTITIONS as u64) as i32),
            _ => Target::Any,
        };
        let silent = random.below(4) == 0;
        let mut granted = None;
        let appended = loop {
            let want = if silent {
                Want::Nothing
            } else {
                Want::Delivery
            };
            match accumulator.append(&TestClock, topic, &(target, record), want, granted.take()) {
                Ok(appended) => break appended,
                Err(Refused::Full { bytes }) => {
                    granted = Some(room(accumulator, bytes, &mut random));
                }
                Err(other) => panic!("{other}"),
            }
        };
        match appended.delivery {
            Some(delivery) => sent.single.push((id, delivery)),
            None => sent.silent.push(id),
        }
    }
    sent
}

/// A sender: knows only what it is told.
struct Fake {
    accumulator: Arc<Accumulator>,
    random: Random,
    news: Vec<News>,
    open: BTreeSet<Slot>,
    full: BTreeSet<Slot>,
    in_flight: Vec<(Batch, i64)>,
    logs: Vec<Vec<Id>>,
}

impl Fake {
    fn step(&mut self) {
        self.news.clear();
        self.accumulator.drain_news(&mut self.news);
        for news in &self.news {
            match news.what {
                What::Opened { .. } => self.open.insert(news.slot),
                What::Filled { .. } => self.full.insert(news.slot),
            };
        }
        let pressed = self.accumulator.pressed();
        let eager = self.random.below(8) == 0;
        let mut now: Vec<Slot> = self.full.iter().copied().collect();
        if pressed || eager {
            now.extend(&self.open);
        }
        for slot in now {
            self.take(slot);
        }
        while !self.in_flight.is_empty() && self.random.below(4) > 0 {
            let at = self.random.below(self.in_flight.len() as u64) as usize;
            let (batch, base) = self.in_flight.swap_remove(at);
            self.complete(batch, base);
        }
    }

    fn take(&mut self, slot: Slot) {
        self.full.remove(&slot);
        self.open.remove(&slot);
        let Some(taken) = self.accumulator.take(slot) else {
            return;
        };
        match taken.rest {
            Rest::Nothing => false,
            Rest::Open { .. } => self.open.insert(slot),
            Rest::Full { .. } => self.full.insert(slot),
        };
        let log = &mut self.logs[taken.batch.partition as usize];
        let base = log.len() as i64;
        log.extend(values(&taken.batch).iter().map(|value| id(value)));
        self.in_flight.push((taken.batch, base));
    }

    /// Completes a batch, or splits it and puts the parts back in flight.
    fn complete(&mut self, batch: Batch, base: i64) {
        let mut bin = Bin::new();
        if batch.records == 1 || self.random.below(4) > 0 {
            batch.complete(done(base), &mut bin);
            return;
        }
        let half = batch.body.len() / 2 + 61;
        let cut = milena_record::split(&batch.body.to_vec(), batch.base_timestamp, half).unwrap();
        let mut first = 0;
        let mut moved = Vec::new();
        for part in cut {
            let (records, len) = (part.record_count, part.body.len());
            let body = Body::from_vec(part.body);
            let part = batch.part(records, part.base_timestamp, part.max_timestamp, body, len);
            moved.push((first, Arc::clone(&part.outcome)));
            self.in_flight.push((part, base + i64::from(first)));
            first += records as u32;
        }
        batch.complete(Verdict::Moved(moved), &mut bin);
    }
}

fn run(seed: u64) {
    let config = Config {
        batch_size: 4096,
        buffer_memory: 48 << 10,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, PARTITIONS);
    let over = Arc::new(AtomicBool::new(false));
    let mut fake = Fake {
        accumulator: Arc::clone(&accumulator),
        random: Random(seed),
        news: Vec::new(),
        open: BTreeSet::new(),
        full: BTreeSet::new(),
        in_flight: Vec::new(),
        logs: vec![Vec::new(); PARTITIONS],
    };
    let sender = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::SeqCst) {
                fake.step();
                thread::yield_now();
            }
            fake.logs
        }
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (accumulator, topic) = (Arc::clone(&accumulator), Arc::clone(&topic));
            thread::spawn(move || {
                let sent = write(&accumulator, &topic, writer, seed);
                block_on(accumulator.flush());
                sent
            })
        })
        .collect();
    let sent: Vec<Sent> = writers
        .into_iter()
        .map(|writer| writer.join().unwrap())
        .collect();
    block_on(accumulator.flush());
    over.store(true, Ordering::SeqCst);
    let logs = sender.join().unwrap();
    check(&logs, sent);
    let snapshot = accumulator.snapshot();
    assert_eq!((snapshot.buffered(), snapshot.incomplete_batches), (0, 0));
    assert_eq!((snapshot.memory_waiters, snapshot.memory_exhausted), (0, 0));
}

fn check(logs: &[Vec<Id>], sent: Vec<Sent>) {
    let mut places = BTreeMap::new();
    for (partition, log) in logs.iter().enumerate() {
        let mut last = BTreeMap::new();
        for (offset, id) in log.iter().enumerate() {
            let place = (partition as i32, Some(offset as i64));
            assert_eq!(places.insert(*id, place), None, "{id:?} came twice");
            let before = last.insert(id.0, id.1);
            assert!(before < Some(id.1), "{id:?} came after {before:?}");
        }
    }
    let mut known = 0;
    for sent in sent {
        for (id, mut delivery) in sent.single {
            let Poll::Ready(Ok(at)) = poll(&mut delivery) else {
                panic!("{id:?} is flushed");
            };
            assert_eq!(places.get(&id), Some(&(at.partition(), at.offset())));
            known += 1;
        }
        for (ids, mut deliveries) in sent.many {
            let Poll::Ready(results) = poll(&mut deliveries) else {
                panic!("{ids:?} are flushed");
            };
            assert_eq!(results.len(), ids.len());
            for (id, result) in ids.iter().zip(results) {
                let at = result.unwrap();
                assert_eq!(places.get(id), Some(&(at.partition(), at.offset())));
                known += 1;
            }
        }
        for id in sent.silent {
            assert!(places.contains_key(&id), "{id:?} is missing");
            known += 1;
        }
    }
    assert_eq!(known, places.len());
}

#[test]
fn every_record_is_out_once_and_in_order() {
    for seed in 0..6 {
        run(seed);
    }
}

/// Waiters of many threads are served in the order in which they came.
#[test]
fn waiters_are_served_in_order_across_threads() {
    let config = Config {
        buffer_memory: 8 << 10,
        ..Config::default()
    };
    let (accumulator, _) = with_topic(config, 1);
    let hold = block_on(accumulator.wait_room(Instant::now(), 8 << 10, later())).unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let waiters: Vec<_> = (0..16)
        .map(|at| {
            let wait = accumulator.wait_room(Instant::now(), 8 << 10, later());
            let order = Arc::clone(&order);
            thread::spawn(move || {
                let room = block_on(wait).unwrap();
                order.lock().unwrap().push(at);
                drop(room);
            })
        })
        .collect();
    drop(hold);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert!(order.lock().unwrap().is_sorted());
    assert_eq!(accumulator.snapshot().buffered(), 0);
}
