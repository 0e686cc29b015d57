//! What panics of users' code may do to others: nothing.

#![allow(clippy::disallowed_methods, reason = "tests have a clock")]

mod common;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use common::{done, put, send, value, with_topic};
use milena_accumulator::{Bin, Config, Record, Value};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

struct Notes(AtomicBool);

impl Wake for Notes {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_that_panics_leaves_nobody_asleep() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let mut one = send(&accumulator, &topic, &value(b"1")).unwrap();
    let mut two = send(&accumulator, &topic, &value(b"2")).unwrap();
    let notes = Arc::new(Notes(AtomicBool::new(false)));
    let (panics, wakes) = (
        Waker::from(Arc::new(Panics)),
        Waker::from(Arc::clone(&notes)),
    );
    assert!(
        Pin::new(&mut one)
            .poll(&mut Context::from_waker(&panics))
            .is_pending()
    );
    assert!(
        Pin::new(&mut two)
            .poll(&mut Context::from_waker(&wakes))
            .is_pending()
    );
    let mut bin = Bin::new();
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    batch.complete(done(0), &mut bin);
    bin.run();
    assert!(
        notes.0.load(Ordering::SeqCst),
        "the other one sleeps for ever"
    );
}

/// Bytes whose owner panics when they are dropped.
struct Owner(Vec<u8>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        panic!("in an owner");
    }
}

#[test]
fn memory_comes_back_when_the_owner_of_a_value_panics() {
    let (accumulator, topic) = with_topic(Config::default(), 1);
    let value = Bytes::from_owner(Owner(vec![1; 10_000]));
    let record = Record {
        value: Value::Shared(&value),
        ..Record::default()
    };
    put(&accumulator, &topic, &record).unwrap();
    drop(value);
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    let mut bin = Bin::new();
    let _ = catch_unwind(AssertUnwindSafe(|| {
        batch.complete(done(0), &mut bin);
        bin.run();
    }));
    assert_eq!(accumulator.snapshot().buffered(), 0);
}
