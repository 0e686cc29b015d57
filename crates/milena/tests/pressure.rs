//! What happens when memory is used up, and to those who do not wait.

mod support;

use std::time::{Duration, Instant};

use milena::{Message, Producer, Record, SendError};
use milena_broker::{Act, ApiKey, Rule, Server};
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
        (450..1500).contains(&begin.elapsed().as_millis()),
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
