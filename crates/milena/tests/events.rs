//! What the producer tells by `tracing`: never one event a record.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena::Message;
use support::{cluster, config, log};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Events of all levels by this workspace's crates.
static EVENTS: AtomicU64 = AtomicU64::new(0);

struct Count;

impl Subscriber for Count {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("milena")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        EVENTS.fetch_add(1, Ordering::Relaxed);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        EVENTS.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Events, batches and records of a producer that writes so many records in each of 50 batches.
async fn run(records: usize) -> (u64, u64, usize) {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let before = EVENTS.load(Ordering::Relaxed);
    let producer = config(&server)
        .linger(Duration::from_secs(60))
        .delivery_timeout(Duration::from_secs(120))
        .connect()
        .await
        .unwrap();
    let topic = producer.topic("orders").await.unwrap();
    for _ in 0..50 {
        for _ in 0..records {
            topic.enqueue(Message::new().value("v")).await.unwrap();
        }
        producer.flush().await;
    }
    let batches = producer.snapshot().sent.batches;
    producer.close(Duration::from_secs(5)).await;
    let events = EVENTS.load(Ordering::Relaxed) - before;
    (events, batches, log(&server, "orders", 0).len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_records_are_no_more_events() {
    tracing::subscriber::set_global_default(Count).unwrap();
    let few = run(1).await;
    let many = run(10).await;
    assert_eq!((few.1, few.2), (50, 50));
    assert_eq!((many.1, many.2), (50, 500));
    assert!(few.0 > 0);
    assert!(many.0 <= few.0 + 10, "{few:?}, {many:?}");
}
