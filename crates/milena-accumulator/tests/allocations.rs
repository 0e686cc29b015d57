//! What the allocator is asked for: nothing for a record, nor for a batch either once there were some, and never for
//! much more than a record takes.

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::Poll;
use std::time::Instant;

use common::{TestClock, done, later, poll, put, value, with_topic};
use milena_accumulator::{Bin, Config, Deliveries, Delivery, News, Record, Refused, Want};

/// Counts how often a thread allocates, and keeps the most that it asks for at once.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn count(size: usize) {
    // A thread that ends has no counters any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and batches of 100,000 records, after as many to warm up.
fn measure(record: &Record<'_>, want: bool) -> (usize, u64) {
    let (accumulator, topic) = with_topic(Config::default(), 12);
    let mut news: Vec<News> = Vec::new();
    let mut bin = Bin::new();
    let mut deliveries: Vec<Delivery> = Vec::with_capacity(1000);
    let mut batches = 0;
    let mut before = (0, 0);
    for at in 0..200_000 {
        let want = if want { Want::Delivery } else { Want::Nothing };
        let appended = accumulator
            .append(&TestClock, &topic, record, want, None)
            .unwrap();
        deliveries.extend(appended.delivery);
        if at % 1000 == 999 {
            // A task that awaits the last one, as one does that sends and waits.
            let waits = deliveries
                .last_mut()
                .is_none_or(|last| poll(last).is_pending());
            assert!(waits);
            news.clear();
            accumulator.drain_news(&mut news);
            for news in &news {
                while let Some(taken) = accumulator.take(news.slot) {
                    batches += 1;
                    taken.batch.complete(done(0), &mut bin);
                }
            }
            assert_eq!(bin.run(), 0);
            for mut delivery in deliveries.drain(..) {
                let _ = poll(&mut delivery);
            }
        }
        if at == 99_999 {
            before = (CALLS.get(), batches);
        }
    }
    let after = (CALLS.get(), batches);
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn neither_a_record_nor_a_batch_allocates() {
    let small = [0; 100];
    let medium = [0; 5000];
    for (what, payload, want) in [
        ("100 B, nothing", &small[..], false),
        ("100 B, delivery", &small[..], true),
        ("5000 B, nothing", &medium[..], false),
        ("5000 B, delivery", &medium[..], true),
    ] {
        let (allocations, batches) = measure(&value(payload), want);
        println!("{what}: {allocations} allocations for {batches} batches");
        assert!(batches > 0);
        // A queue or a list may grow once more, a few times in a producer's life.
        let growth = 32;
        assert!(
            allocations <= growth,
            "{what}: {allocations} for {batches} batches"
        );
    }
}

/// Calls that are counted.
const MANY: usize = 1000;

#[test]
fn records_of_one_call_allocate_one_list() {
    let (accumulator, topic) = with_topic(Config::default(), 12);
    let payload = [0; 100];
    let records = vec![value(&payload); 64];
    let mut bin = Bin::new();
    let mut news: Vec<News> = Vec::new();
    let mut before = 0;
    for at in 0..2 * MANY {
        if at == MANY {
            before = CALLS.get();
        }
        let mut deliveries = Deliveries::with_capacity(records.len());
        let into = Some(&mut deliveries);
        let (appended, refused) = accumulator.append_many(&TestClock, &topic, &records, into, None);
        assert_eq!((appended, refused, deliveries.len()), (64, None, 64));
        drop(deliveries);
        news.clear();
        accumulator.drain_news(&mut news);
        for news in &news {
            while let Some(taken) = accumulator.take(news.slot) {
                taken.batch.complete(done(0), &mut bin);
            }
        }
        assert_eq!(bin.run(), 0);
    }
    let allocations = CALLS.get() - before;
    assert!(
        (MANY..MANY + 32).contains(&allocations),
        "{allocations} allocations for {MANY} calls"
    );
}

#[test]
fn whoever_waits_for_memory_gets_no_more_than_that() {
    let config = Config {
        batch_size: 0,
        buffer_memory: 1 << 20,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    let large = vec![b'x'; 1_000_000];
    put(&accumulator, &topic, &value(&large)).unwrap();
    let refused = accumulator.append(&TestClock, &topic, &value(&large), Want::Nothing, None);
    let Err(Refused::Full { bytes }) = refused else {
        panic!("it is full");
    };
    let mut wait = accumulator.wait_room(Instant::now(), bytes, later());
    assert!(poll(&mut wait).is_pending());
    LARGEST.set(0);
    drop(accumulator.take(topic.slot(0).unwrap()));
    let Poll::Ready(Ok(room)) = poll(&mut wait) else {
        panic!("memory is back");
    };
    accumulator
        .append(
            &TestClock,
            &topic,
            &value(&large),
            Want::Nothing,
            Some(room),
        )
        .unwrap();
    let largest = LARGEST.get();
    assert!(largest < 2_000_000, "{largest} bytes in one piece");
}
