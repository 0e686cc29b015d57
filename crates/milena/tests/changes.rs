//! Clusters that change while they are written to, and brokers that refuse.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use milena::{Compression, Delivery, FailureReason, Fate, Message, Producer, Record, Topic};
use milena_broker::{Act, ApiKey, Change, ClusterConfig, ErrorCode, Rule, Server, TopicConfig};
use support::{cluster, cluster_with, config, log, logs};

async fn started(brokers: usize, partitions: usize) -> (Server, Producer, Topic) {
    let server = cluster(brokers).await;
    server.cluster().create_topic("orders", partitions).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let topic = producer.topic("orders").await.unwrap();
    (server, producer, topic)
}

/// Sends numbers from `from` on to a partition, a batch each 20.
async fn send(topic: &Topic, partition: i32, from: usize, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in from..from + count {
        let message = Message::new().partition(partition).value(n.to_string());
        deliveries.push(topic.send(message).await.unwrap());
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(6)).await;
        }
    }
    deliveries
}

async fn all_delivered(deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

fn numbers(server: &Server, partition: i32) -> Vec<usize> {
    log(server, "orders", partition)
        .iter()
        .map(|record| record.text().parse().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_moves_keeps_the_order() {
    let (server, producer, topic) = started(3, 1).await;
    let called = Arc::new(Mutex::new(Vec::new()));
    let mut deliveries = Vec::new();
    for round in 0..8 {
        for n in round * 60..(round + 1) * 60 {
            let called = Arc::clone(&called);
            let message = Message::new().partition(0).value(n.to_string());
            let callback = move |_: &Result<_, _>| called.lock().unwrap().push(n);
            topic.send_with(message, callback).await.unwrap();
        }
        deliveries.extend(send(&topic, 0, round * 60, 1).await);
        let to = Some(1 + round as i32 % 3);
        server
            .apply(Change::MoveLeader {
                topic: "orders".into(),
                partition: 0,
                to,
            })
            .unwrap();
    }
    all_delivered(deliveries).await;
    producer.flush().await;
    assert_eq!(*called.lock().unwrap(), (0..480).collect::<Vec<_>>());
    let rounds = (0..8).map(|round| round * 60);
    let sent: Vec<usize> = rounds
        .flat_map(|first| (first..first + 60).chain([first]))
        .collect();
    assert_eq!(numbers(&server, 0), sent);
    let sent = producer.snapshot().sent;
    assert!(
        sent.errors
            .contains_key(&ErrorCode::NOT_LEADER_OR_FOLLOWER.0),
        "{sent:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_without_a_leader_waits_for_one() {
    let (server, _producer, topic) = started(3, 1).await;
    all_delivered(send(&topic, 0, 0, 5).await).await;
    let lead = |to| Change::MoveLeader {
        topic: "orders".into(),
        partition: 0,
        to,
    };
    server.apply(lead(None)).unwrap();
    let deliveries = send(&topic, 0, 5, 40).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.apply(lead(Some(2))).unwrap();
    all_delivered(deliveries).await;
    assert_eq!(numbers(&server, 0), (0..45).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_unknown_for_a_moment_costs_nothing_but_time() {
    let (server, _producer, topic) = started(1, 1).await;
    all_delivered(send(&topic, 0, 0, 5).await).await;
    server
        .apply(Change::HideTopic {
            topic: "orders".into(),
            for_ms: 500,
        })
        .unwrap();
    all_delivered(send(&topic, 0, 5, 50).await).await;
    assert_eq!(numbers(&server, 0), (0..55).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_hidden_for_a_second_keeps_its_sequences() {
    let (server, producer, topic) = started(2, 2).await;
    all_delivered(send(&topic, 0, 0, 5).await).await;
    all_delivered(send(&topic, 1, 0, 5).await).await;
    server
        .apply(Change::HideTopic {
            topic: "orders".into(),
            for_ms: 1000,
        })
        .unwrap();
    let (zero, one) = tokio::join!(send(&topic, 0, 5, 400), send(&topic, 1, 5, 400));
    all_delivered(zero).await;
    all_delivered(one).await;
    for partition in 0..2 {
        assert_eq!(numbers(&server, partition), (0..405).collect::<Vec<_>>());
    }
    let sent = producer.snapshot().sent;
    assert!(sent.retries > 0, "{sent:?}");
    assert_eq!(sent.restarts, 0, "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_created_anew_under_load_goes_on() {
    let (server, _producer, topic) = started(2, 1).await;
    let sending = tokio::spawn(async move { send(&topic, 0, 0, 1500).await });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server
            .apply(Change::RecreateTopic("orders".into()))
            .unwrap();
    }
    let mut delivered = Vec::new();
    for (n, delivery) in sending.await.unwrap().into_iter().enumerate() {
        if let Ok(at) = delivery.await {
            delivered.push((n, at.offset()));
        }
    }
    // What is in the new log is there once and in order, at the offsets that were told, and the end is there.
    let stored = numbers(&server, 0);
    assert!(stored.is_sorted_by(|one, next| one < next), "{stored:?}");
    assert_eq!(stored.last(), Some(&1499));
    for (offset, n) in stored.iter().enumerate() {
        if let Ok(found) = delivered.binary_search_by_key(n, |(n, _)| *n) {
            let told = delivered[found].1;
            assert!(
                told.is_none() || told == Some(offset as i64),
                "{n}: {told:?}"
            );
        }
    }
    assert!(delivered.len() > 1400, "{}", delivered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_created_anew_can_be_written_to() {
    let (server, _producer, topic) = started(1, 1).await;
    all_delivered(send(&topic, 0, 0, 50).await).await;
    server
        .apply(Change::RecreateTopic("orders".into()))
        .unwrap();
    let at = send(&topic, 0, 0, 1).await.remove(0).await.unwrap();
    assert_eq!(at.offset(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_used() {
    let (server, producer, topic) = started(1, 1).await;
    server
        .apply(Change::AddPartitions {
            topic: "orders".into(),
            total: 4,
        })
        .unwrap();
    let at = producer
        .send(Record::to("orders").partition(3).value("1"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!((at.partition(), topic.partition_count()), (3, 4));
    for _ in 0..1000 {
        topic
            .enqueue(Message::new().value(&[0; 1000]))
            .await
            .unwrap();
    }
    producer.flush().await;
    assert!(logs(&server, "orders").iter().all(|log| !log.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_too_large_for_the_topic_are_split() {
    for codec in [Compression::None, Compression::Lz4] {
        let mut topic = TopicConfig::default();
        topic.set("max.message.bytes", "3000").unwrap();
        let server = cluster_with(ClusterConfig {
            topic,
            ..ClusterConfig::default()
        })
        .await;
        server.cluster().create_topic("orders", 1).unwrap();
        let producer = config(&server).compression(codec).connect().await.unwrap();
        let mut random = 1_u64;
        let mut deliveries = Vec::new();
        for n in 0..100_u32 {
            let mut value = n.to_string().into_bytes();
            value.push(b' ');
            // Nothing that could be compressed.
            for _ in 0..700 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                value.push((random >> 56) as u8);
            }
            deliveries.push(
                producer
                    .send(Record::to("orders").value(value))
                    .await
                    .unwrap(),
            );
        }
        for (n, delivery) in deliveries.into_iter().enumerate() {
            assert_eq!(delivery.await.unwrap().offset(), Some(n as i64));
        }
        let stored = log(&server, "orders", 0);
        for (n, record) in stored.iter().enumerate() {
            assert!(
                record
                    .value
                    .as_ref()
                    .unwrap()
                    .starts_with(format!("{n} ").as_bytes())
            );
        }
        assert!(producer.snapshot().sent.splits > 0);
        let delivery = producer
            .send(Record::to("orders").value(vec![7; 5000]))
            .await
            .unwrap();
        if codec == Compression::None {
            let error = delivery.await.unwrap_err();
            assert_eq!(
                (error.reason(), error.fate()),
                (FailureReason::TooLarge, Fate::NotWritten)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_to_blame_is_told_from_its_companions() {
    let (server, _producer, topic) = started(1, 1).await;
    all_delivered(send(&topic, 0, 1, 1).await).await;
    let blame = Act::RecordErrors(vec![(1, Some("no key".to_owned()))]);
    server
        .cluster()
        .add_rule(Rule::on(ApiKey::PRODUCE).times(1).act(blame));
    let mut deliveries = Vec::new();
    for n in 0..3 {
        deliveries.push(
            topic
                .send(Message::new().value(n.to_string()))
                .await
                .unwrap(),
        );
    }
    let mut errors = Vec::new();
    for delivery in deliveries {
        errors.push(delivery.await.unwrap_err());
    }
    let reasons: Vec<_> = errors.iter().map(|error| error.reason()).collect();
    assert_eq!(
        reasons,
        [
            FailureReason::Companion,
            FailureReason::InvalidRecord,
            FailureReason::Companion
        ]
    );
    assert_eq!(errors[1].message(), Some("no key"));
    assert!(errors.iter().all(|error| error.fate() == Fate::NotWritten));
    all_delivered(send(&topic, 0, 1, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pass_are_retried_and_others_told() {
    let (server, producer, topic) = started(1, 1).await;
    let rule = |code| Rule::on(ApiKey::PRODUCE).times(2).error(code);
    server
        .cluster()
        .add_rule(rule(ErrorCode::NOT_ENOUGH_REPLICAS));
    all_delivered(send(&topic, 0, 0, 30).await).await;
    assert_eq!(numbers(&server, 0), (0..30).collect::<Vec<_>>());
    assert!(producer.snapshot().sent.retries >= 2);

    server
        .cluster()
        .add_rule(rule(ErrorCode::TOPIC_AUTHORIZATION_FAILED).times(1));
    let error = topic
        .send(Message::new().value("v"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!((error.fate(), error.code()), (Fate::NotWritten, Some(29)));
    assert!(error.to_string().starts_with("orders-0: "), "{error}");
    all_delivered(send(&topic, 0, 30, 30).await).await;
    assert_eq!(numbers(&server, 0), (0..60).collect::<Vec<_>>());
}
