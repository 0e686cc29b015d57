//! What happens when memory is used up, and to those who do not wait.

mod support;

use std::future::Future;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use milena::{Message, Producer, Record, SendError, TopicError};
use milena_broker::{Act, ApiKey, Change, Rule, Server};
use support::{cluster, config, log};

/// A producer with room for about eight records of 4 KiB, and a broker that does not take any.
async fn stuck(max_block: Duration) -> (Server, Producer) {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    server
        .cluster()
        .add_rule(Rule::on(ApiKey::PRODUCE).act(Act::DropAnswer));
    let producer = config(&server)
        .buffer_memory(40 * 1024)
        .max_block(max_block)
        .retry_backoff(Duration::from_millis(100), Duration::from_millis(100))
        .request_timeout(Duration::from_secs(2))
        .delivery_timeout(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    producer.topic("orders").await.unwrap();
    (server, producer)
}

async fn fill(producer: &Producer, value: &[u8]) -> usize {
    for n in 0.. {
        let error = match producer.try_send(Record::to("orders").value(value)) {
            Ok(delivery) => {
                drop(delivery);
                continue;
            }
            Err(error) => error,
        };
        assert!(matches!(error.reason(), SendError::Full { .. }), "{error}");
        let record = error.into_record();
        assert_eq!(record.message().value_bytes(), Some(value));
        return n;
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_buffer_hands_records_back_and_lets_others_wait() {
    let (server, producer) = stuck(Duration::from_millis(500)).await;
    let value = vec![b'v'; 4000];
    let accepted = fill(&producer, &value).await;
    assert!((7..=10).contains(&accepted), "{accepted}");
    let snapshot = producer.snapshot();
    assert!(snapshot.buffer.buffered() <= 40 * 1024);

    let begin = Instant::now();
    let error = producer
        .send(Record::to("orders").value(&value))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::NoRoom { .. }), "{error}");
    assert!(error.is_temporary());
    assert!(
        (450..10_000).contains(&begin.elapsed().as_millis()),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(producer.snapshot().buffer.memory_waiters, 0);

    // A future that waits for memory and is dropped leaves no trace.
    let waiting = producer.send(Record::to("orders").value(&value));
    tokio::time::timeout(Duration::from_millis(50), waiting)
        .await
        .unwrap_err();
    assert_eq!(producer.snapshot().buffer.memory_waiters, 0);

    // Once the broker answers, everything goes its way.
    server.cluster().clear_rules();
    let mut sent = accepted;
    let deadline = Instant::now() + Duration::from_secs(20);
    while sent < accepted + 50 {
        match producer.send(Record::to("orders").value(&value)).await {
            Ok(delivery) => {
                sent += 1;
                drop(delivery);
            }
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
    producer.flush().await;
    assert_eq!(log(&server, "orders", 0).len(), sent);
    let buffer = producer.snapshot().buffer;
    assert_eq!((buffer.buffered(), buffer.incomplete_batches), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_the_topic_and_for_memory_share_one_max_block() {
    let limit = Duration::from_secs(3);
    let (server, producer) = stuck(limit).await;
    fill(&producer, &vec![b'v'; 4000]).await;
    let server = std::sync::Arc::new(server);
    let creator = std::sync::Arc::clone(&server);
    let creating = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        creator.cluster().create_topic("late", 1).unwrap();
    });
    let begin = Instant::now();
    let error = producer
        .send(Record::to("late").value(vec![b'v'; 4000]))
        .await
        .unwrap_err();
    let took = begin.elapsed();
    creating.await.unwrap();
    // It found the topic, and had only the rest of the time for memory: a limit for each would be five seconds.
    assert!(matches!(error, SendError::NoRoom { .. }), "{error}");
    assert!(
        took >= limit && took < limit + Duration::from_millis(1900),
        "{took:?}"
    );
}

/// Drops what waits for memory: at once, after a while, and out of a task that never looks again.
async fn drop_while_waiting<F: Future>(producer: &Producer, make: impl Fn() -> F) {
    let waiters = || producer.snapshot().buffer.memory_waiters;
    for patience in [Duration::ZERO, Duration::from_millis(20)] {
        let waiting = make();
        assert!(tokio::time::timeout(patience, waiting).await.is_err());
        assert_eq!(waiters(), 0);
    }
    let mut waiting = Box::pin(make());
    let polled = waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert_eq!(waiters(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_waits_for_memory_can_be_dropped() {
    let (server, producer) = stuck(Duration::from_secs(30)).await;
    let topic = producer.topic("orders").await.unwrap();
    let value = vec![b'v'; 4000];
    let accepted = fill(&producer, &value).await;
    let before = producer.snapshot().buffer.buffered();
    let record = || Record::to("orders").value(&value);
    let message = || Message::new().value(&value);
    drop_while_waiting(&producer, || producer.send(record())).await;
    drop_while_waiting(&producer, || topic.send(message())).await;
    drop_while_waiting(&producer, || topic.enqueue(message())).await;
    drop_while_waiting(&producer, || producer.send_with(record(), |_| panic!())).await;
    drop_while_waiting(&producer, || topic.send_with(message(), |_| panic!())).await;
    let (records, messages) = ([record(), record()], [message(), message()]);
    drop_while_waiting(&producer, || producer.send_many(&records)).await;
    drop_while_waiting(&producer, || topic.send_many(&messages)).await;
    assert_eq!(producer.snapshot().buffer.buffered(), before);
    server.cluster().clear_rules();
    producer.flush().await;
    assert_eq!(log(&server, "orders", 0).len(), accepted);
    let at = topic.send(message()).await.unwrap().await.unwrap();
    assert_eq!(at.offset(), Some(accepted as i64));
    producer.flush().await;
    assert_eq!(producer.snapshot().buffer.buffered(), 0);
}

// On one thread, where those who were served also run in that order.
#[tokio::test]
async fn those_who_wait_are_served_in_their_order() {
    let (server, producer) = stuck(Duration::from_secs(30)).await;
    let value = vec![b'v'; 4000];
    let accepted = fill(&producer, &value).await;
    let mut waiting = Vec::new();
    for n in 0..20_u32 {
        let other = producer.clone();
        waiting.push(tokio::spawn(async move {
            let mut value = vec![b'v'; 4000];
            value[..4].copy_from_slice(&n.to_be_bytes());
            other
                .send(Record::to("orders").value(value))
                .await
                .unwrap()
                .await
                .unwrap()
                .offset()
                .unwrap()
        }));
        while producer.snapshot().buffer.memory_waiters < n as usize + 1 {
            tokio::task::yield_now().await;
        }
    }
    server.cluster().clear_rules();
    let mut offsets = Vec::new();
    for task in waiting {
        offsets.push(task.await.unwrap());
    }
    let expected: Vec<i64> = (0..20).map(|n| accepted as i64 + n).collect();
    assert_eq!(offsets, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_for_memory_fail_when_the_producer_closes() {
    let (_server, producer) = stuck(Duration::from_secs(30)).await;
    let value = vec![b'v'; 4000];
    fill(&producer, &value).await;
    let other = producer.clone();
    let waiting = tokio::spawn(async move {
        other
            .send(Record::to("orders").value(vec![0; 4000]))
            .await
            .map(drop)
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    producer.close(Duration::ZERO).await;
    assert!(matches!(waiting.await.unwrap(), Err(SendError::Closed(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn try_send_asks_for_a_topic_it_does_not_know() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).build().unwrap();
    let mut record = Record::to("orders").key("k").value("v");
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut refused = 0;
    let delivery = loop {
        assert!(Instant::now() < deadline);
        record = match producer.try_send(record) {
            Ok(delivery) => break delivery,
            Err(error) => {
                assert!(
                    matches!(error.reason(), SendError::UnknownYet { .. }),
                    "{error}"
                );
                refused += 1;
                error.into_record()
            }
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(refused > 0);
    assert_eq!(delivery.await.unwrap().offset(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn try_send_asks_for_many_topics_at_once() {
    let server = cluster(1).await;
    let producer = config(&server).build().unwrap();
    // In no order, half of them there.
    let mut open: Vec<_> = (0..400).map(|n| format!("t{}", n * 37 % 400)).collect();
    for name in &open[..200] {
        server.cluster().create_topic(name, 1).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut deliveries = Vec::new();
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "{} are open", open.len());
        open.retain(
            |name| match producer.try_send(Record::to(name).value("v")) {
                Ok(delivery) => {
                    deliveries.push(delivery);
                    false
                }
                Err(error) => {
                    let reason = error.reason();
                    let expected =
                        matches!(reason, SendError::UnknownYet { topic, .. } if **topic == **name);
                    assert!(expected, "{name}: {reason}");
                    true
                }
            },
        );
        if deliveries.len() == 200 {
            for name in &open {
                let _ = server.cluster().create_topic(name, 1);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for delivery in deliveries {
        assert_eq!(delivery.await.unwrap().offset(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn try_send_asks_for_a_partition_it_does_not_know() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let topic = producer.topic("orders").await.unwrap();
    let grown = Change::AddPartitions {
        topic: "orders".into(),
        total: 3,
    };
    server.apply(grown).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let delivery = loop {
        assert!(Instant::now() < deadline);
        match topic.try_send(Message::new().partition(2).value("v")) {
            Ok(delivery) => break delivery,
            Err(error) => assert_eq!(
                error.reason().to_string(),
                "partition 2 of the topic orders is not known yet: try again in a moment, or use send, which waits"
            ),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(delivery.await.unwrap().partition(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_time_to_wait_a_topic_is_found_for_a_later_call() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let config = config(&server).max_block(Duration::ZERO);
    let producer = config.connect().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut refused = 0;
    let delivery = loop {
        assert!(Instant::now() < deadline);
        match producer.send(Record::to("orders").value("v")).await {
            Ok(delivery) => break delivery,
            Err(error) => assert!(
                matches!(error, SendError::Topic(TopicError::TimedOut { .. })),
                "{error}"
            ),
        }
        refused += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(refused > 0);
    assert_eq!(delivery.await.unwrap().offset(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_handle_hands_messages_back_too() {
    let (_server, producer) = stuck(Duration::from_millis(100)).await;
    let topic = producer.topic("orders").await.unwrap();
    let value = vec![b'v'; 4000];
    let error = loop {
        match topic.try_send(Message::new().key("k").value(&value)) {
            Ok(delivery) => drop(delivery),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.reason(), SendError::Full { .. }));
    assert_eq!(error.into_record().key_bytes(), Some(&b"k"[..]));
    assert!(matches!(
        topic.enqueue(Message::new().value(&value)).await,
        Err(SendError::NoRoom { .. })
    ));
    let many = [
        Message::new().value("small"),
        Message::new().value(&value),
        Message::new().value(&value),
    ];
    let error = topic.send_many(&many).await.unwrap_err();
    assert!(matches!(error.reason, SendError::NoRoom { .. }));
    assert_eq!(error.accepted, error.deliveries.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_larger_than_a_batch_takes_memory_that_is_not_pooled() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let at = producer
        .send(Record::to("orders").value(vec![1; 500_000]))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(at.offset(), Some(0));
    let buffer = producer.snapshot().buffer;
    assert_eq!(buffer.buffered(), 0);
    assert!(buffer.free_chunks * buffer.chunk_size < 100_000);
}
