//! What the tests of this crate share: clocks, and a reader of batches.
#![allow(dead_code, unreachable_pub, clippy::disallowed_methods)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use milena_accumulator::{
    Accumulator, Batch, Bin, Clock, Config, Delivery, News, Record, Refused, Topic, Value, Verdict,
    Want,
};
use milena_record::{BatchHeader, Codec, Records};

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// A clock that goes with the real one, and a wall that stands.
pub struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn thread(&self) -> usize {
        THREAD.with(|number| *number)
    }
}

pub fn value(value: &[u8]) -> Record<'_> {
    Record {
        value: Value::Borrowed(value),
        ..Record::default()
    }
}

/// An accumulator with topic `t` of so many partitions, all led by node 1.
pub fn with_topic(config: Config, partitions: usize) -> (Arc<Accumulator>, Arc<Topic>) {
    let accumulator = Arc::new(Accumulator::new(config, 7));
    let mut bin = Bin::new();
    accumulator.put_topic("t", [0; 16], &vec![Some(1); partitions], &mut bin);
    let topic = accumulator.topic("t").unwrap();
    (accumulator, topic)
}

/// The values of a batch's records, each read back from its bytes.
pub fn values(batch: &Batch) -> Vec<Vec<u8>> {
    let header = BatchHeader::new(
        Codec::None,
        batch.records,
        batch.base_timestamp,
        batch.max_timestamp,
    );
    let body = batch.body.to_vec();
    assert_eq!(body.len(), batch.body.len());
    let records = Records::new(&header, body.into()).unwrap();
    let records = records.to_vec().unwrap();
    records
        .iter()
        .map(|r| r.value.unwrap_or_default().to_vec())
        .collect()
}

pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

pub fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub fn news(accumulator: &Accumulator) -> Vec<News> {
    let mut news = Vec::new();
    accumulator.drain_news(&mut news);
    news
}

pub fn done(base_offset: i64) -> Verdict {
    Verdict::Done {
        base_offset,
        log_append_time: -1,
    }
}

/// Appends with a delivery, without a room.
pub fn send(
    accumulator: &Accumulator,
    topic: &Topic,
    record: &Record<'_>,
) -> Result<Delivery, Refused> {
    let want = Want::Delivery;
    let appended = accumulator.append(&TestClock, topic, record, want, None)?;
    Ok(appended.delivery.unwrap())
}

/// Appends and forgets.
pub fn put(accumulator: &Accumulator, topic: &Topic, record: &Record<'_>) -> Result<i32, Refused> {
    let want = Want::Nothing;
    let appended = accumulator.append(&TestClock, topic, record, want, None)?;
    Ok(appended.partition)
}

/// SplitMix64, for workloads that can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}
