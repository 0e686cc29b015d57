//! What the tests of this crate share: clocks, and a reader of batches.
#![allow(dead_code, unreachable_pub, clippy::disallowed_methods)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use milena_accumulator::{Accumulator, Batch, Bin, Clock, Config, Record, Topic, Value};
use milena_record::{BatchHeader, Codec, Records};

/// A clock that goes with the real one, and a wall that stands.
pub struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000
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
