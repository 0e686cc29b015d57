//! Records over TCP to a cluster, and what lies in its logs afterwards.

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milena::{Acks, Compression, Header, Message, Producer, Record};
use milena_broker::{Act, ApiKey, ClusterConfig, Rule, Server, TopicConfig};
use support::{cluster, cluster_with, config, log, logs};

const PATIENCE: Duration = Duration::from_secs(20);

async fn started(brokers: usize, partitions: usize) -> (Server, Producer) {
    let server = cluster(brokers).await;
    server.cluster().create_topic("orders", partitions).unwrap();
    let producer = config(&server).connect().await.unwrap();
    (server, producer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_arrives_and_its_delivery_says_where() {
    let (server, producer) = started(1, 1).await;
    let record = Record::to("orders").key("k").value("hello").timestamp(77);
    let at = producer.send(record).await.unwrap().await.unwrap();
    assert_eq!(
        (at.topic(), at.partition(), at.offset()),
        ("orders", 0, Some(0))
    );
    assert_eq!(at.timestamp(), 77);
    assert_eq!(
        (at.serialized_key_size(), at.serialized_value_size()),
        (Some(1), Some(5))
    );
    assert_eq!(producer.close(PATIENCE).await.lost, 0);
    let stored = log(&server, "orders", 0);
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].text(), stored[0].timestamp), ("hello", 77));
}

#[tokio::test]
async fn a_loop_that_sends_leaves_its_thread_to_the_producer() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let topic = producer.topic("orders").await.unwrap();
    let value = [b'v'; 1000];
    // There is room for all of it, and one thread for everybody: 6 MB, of which 2 MiB may be ahead.
    for _ in 0..6000 {
        drop(topic.send(Message::new().value(&value)).await.unwrap());
    }
    let batches = || producer.snapshot().sent.batches;
    assert!(batches() > 0, "nothing was sent while the loop went on");
    producer.flush().await;
    let before = batches();
    let run = vec![Message::new().value(&value); 6000];
    drop(topic.send_many(&run).await.unwrap());
    assert!(batches() > before, "nor while it sent many at once");
}

#[tokio::test]
async fn a_broker_that_does_not_answer_holds_a_burst_back_for_a_moment_only() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let config = config(&server).max_block(Duration::from_secs(3600));
    let producer = config.connect().await.unwrap();
    let topic = producer.topic("orders").await.unwrap();
    let silent = Rule::on(ApiKey::PRODUCE).act(Act::Silence);
    server.cluster().add_rule(silent);
    let value = [b'v'; 1000];
    for _ in 0..20_000 {
        drop(topic.send(Message::new().value(&value)).await.unwrap());
    }
    assert_eq!(producer.snapshot().sent.records_acknowledged, 0);
    assert!(producer.snapshot().buffer.buffered() > 16 << 20);
}

#[tokio::test]
async fn a_current_thread_runtime_is_enough() {
    let (server, producer) = started(3, 6).await;
    let mut deliveries = Vec::new();
    for n in 0..1000 {
        deliveries.push(
            producer
                .send(Record::to("orders").value(n.to_string()))
                .await
                .unwrap(),
        );
    }
    for delivery in deliveries {
        assert!(delivery.await.unwrap().offset().is_some());
    }
    assert_eq!(
        logs(&server, "orders").iter().map(Vec::len).sum::<usize>(),
        1000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_delivery_names_the_place_of_its_record() {
    let (server, producer) = started(3, 6).await;
    let mut sent = Vec::new();
    for n in 0..3000 {
        let record = Record::to("orders")
            .key(format!("key {}", n % 50))
            .value(n.to_string());
        sent.push((n, producer.send(record).await.unwrap()));
    }
    producer.flush().await;
    let logs = logs(&server, "orders");
    for (n, delivery) in sent {
        let at = delivery
            .try_get()
            .expect("the flush waited for it")
            .unwrap();
        let record = &logs[at.partition() as usize][at.offset().unwrap() as usize];
        assert_eq!(record.text(), n.to_string());
        let key = format!("key {}", n % 50);
        assert_eq!(record.key.as_deref(), Some(key.as_bytes()));
        assert_eq!(at.partition(), milena_partitioner(&key, 6));
    }
    // One partition holds its records in the order they were sent.
    for log in &logs {
        let numbers: Vec<u32> = log
            .iter()
            .map(|record| record.text().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted());
    }
}

/// Kafka's choice for a key, computed apart from the producer.
fn milena_partitioner(key: &str, count: u32) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let bytes = key.as_bytes();
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let chunks = bytes.chunks_exact(4);
    let tail = chunks.remainder();
    for chunk in chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    for (i, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    ((hash ^ (hash >> 15)) & 0x7fff_ffff).rem_euclid(count) as i32
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_without_a_key_reach_every_partition() {
    let (server, producer) = started(3, 6).await;
    let orders = producer.topic("orders").await.unwrap();
    let value = [7_u8; 1000];
    for _ in 0..1000 {
        orders.enqueue(Message::new().value(&value)).await.unwrap();
        let record = Record::to("orders").value(&value);
        producer.enqueue(record).await.unwrap();
    }
    producer.flush().await;
    let counts: Vec<usize> = logs(&server, "orders").iter().map(Vec::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 2000);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_a_record_may_have_is_kept() {
    let (server, producer) = started(1, 3).await;
    let kept = [Header::new("trace", b"1"), Header::new("trace", b"2")];
    for record in [
        Record::to("orders").partition(2).key("k"),
        Record::to("orders").partition(2).key("").value(""),
        Record::to("orders")
            .partition(2)
            .value("v")
            .header("a", "x")
            .null_header("b")
            .header("a", ""),
        Record::to("orders")
            .partition(2)
            .headers(&kept)
            .timestamp(0),
    ] {
        let at = producer.send(record).await.unwrap().await.unwrap();
        assert_eq!(at.partition(), 2);
    }
    let stored = log(&server, "orders", 2);
    assert_eq!(
        (stored[0].key.as_deref(), stored[0].value.as_deref()),
        (Some(&b"k"[..]), None)
    );
    assert_eq!(
        (stored[1].key.as_deref(), stored[1].value.as_deref()),
        (Some(&b""[..]), Some(&b""[..]))
    );
    let named =
        |name: &str, value: Option<&str>| (name.to_owned(), value.map(|v| v.as_bytes().to_vec()));
    assert_eq!(stored[2].key, None);
    assert_eq!(
        stored[2].headers,
        [
            named("a", Some("x")),
            named("b", None),
            named("a", Some(""))
        ]
    );
    assert_eq!(
        stored[3].headers,
        [named("trace", Some("1")), named("trace", Some("2"))]
    );
    assert_eq!(stored[3].timestamp, 0);
    // A record without a timestamp gets the time of its sending.
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_millis() as i64;
    assert!((now - stored[0].timestamp).abs() < 60_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acks_and_codec_is_understood() {
    let server = cluster(3).await;
    for (n, acks) in [Acks::None, Acks::Leader, Acks::All]
        .into_iter()
        .enumerate()
    {
        for codec in Compression::ALL {
            let topic = format!("t-{n}-{}", codec.name());
            server.cluster().create_topic(&topic, 3).unwrap();
            let producer = config(&server)
                .acks(acks)
                .compression(codec)
                .connect()
                .await
                .unwrap();
            let mut deliveries = Vec::new();
            for i in 0..500 {
                let record = Record::to(&*topic)
                    .key(format!("{i}"))
                    .value(vec![b'x'; 200]);
                deliveries.push(producer.send(record).await.unwrap());
            }
            for delivery in deliveries {
                let at = delivery.await.unwrap();
                assert_eq!(at.offset().is_some(), acks != Acks::None);
            }
            assert_eq!(producer.close(PATIENCE).await.lost, 0);
            // Without an acknowledgement the broker may be a moment behind.
            let count = || logs(&server, &topic).iter().map(Vec::len).sum::<usize>();
            for _ in 0..200 {
                if count() == 500 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(count(), 500, "{topic}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brokers_time_counts_where_the_topic_says_so() {
    let mut topic = TopicConfig::default();
    topic
        .set("message.timestamp.type", "LogAppendTime")
        .unwrap();
    let config_ = ClusterConfig {
        topic,
        ..ClusterConfig::default()
    };
    let server = cluster_with(config_).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let at = producer
        .send(Record::to("orders").value("v").timestamp(5))
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(at.timestamp() > 1_000_000_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_share_one_future() {
    let (server, producer) = started(3, 6).await;
    server.cluster().create_topic("other", 2).unwrap();
    let texts: Vec<String> = (0..2000).map(|n: i32| n.to_string()).collect();
    let records: Vec<Record<'_>> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| {
            Record::to(if n % 700 < 600 { "orders" } else { "other" })
                .key(text)
                .value(text)
        })
        .collect();
    let deliveries = producer.send_many(&records).await.unwrap();
    assert_eq!(deliveries.len(), 2000);
    let (orders, other) = {
        let results = deliveries.await;
        let mut seen = BTreeSet::new();
        for (record, at) in records.iter().zip(&results) {
            let at = at.as_ref().unwrap();
            assert_eq!(at.topic(), record.topic());
            assert!(seen.insert((at.topic().to_owned(), at.partition(), at.offset())));
        }
        (logs(&server, "orders"), logs(&server, "other"))
    };
    assert_eq!(
        orders.iter().chain(&other).map(Vec::len).sum::<usize>(),
        2000
    );

    let topic = producer.topic("other").await.unwrap();
    let messages: Vec<Message<'_>> = texts
        .iter()
        .map(|text| Message::new().value(text))
        .collect();
    let results = topic.send_many(&messages).await.unwrap().await;
    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_come_in_the_order_of_records() {
    let (_server, producer) = started(1, 1).await;
    let called = Arc::new(Mutex::new(Vec::new()));
    for n in 0..500 {
        let called = Arc::clone(&called);
        let callback = move |result: &Result<milena::RecordMetadata, milena::DeliveryError>| {
            assert_eq!(result.as_ref().unwrap().offset(), Some(n));
            called.lock().unwrap().push(n);
            assert!(n != 250, "a callback that panics harms no other");
        };
        producer
            .send_with(Record::to("orders").value("v"), callback)
            .await
            .unwrap();
    }
    producer.flush().await;
    assert_eq!(*called.lock().unwrap(), (0..500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_and_their_leaders_are_told() {
    let (server, producer) = started(3, 6).await;
    let partitions = producer.partitions_for("orders").await.unwrap();
    assert_eq!(partitions.len(), 6);
    for (n, partition) in partitions.iter().enumerate() {
        assert_eq!(partition.partition, n as i32);
        let leader = partition.leader.as_ref().unwrap();
        assert_eq!(Some(leader.id), server.cluster().leader("orders", n as i32));
        assert_eq!(
            server.address(leader.id).map(|a| a.port()),
            Some(leader.port)
        );
        assert_eq!(partition.replicas.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_share_a_producer() {
    let (server, producer) = started(3, 6).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let producer = producer.clone();
            tokio::spawn(async move {
                for n in 0..500 {
                    let record = Record::to("orders")
                        .key(format!("{task}"))
                        .value(format!("{n}"));
                    let delivery = producer.send(record).await.unwrap();
                    if n % 100 == 0 {
                        delivery.await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    producer.flush().await;
    let logs = logs(&server, "orders");
    assert_eq!(logs.iter().map(Vec::len).sum::<usize>(), 4000);
    for task in 0..8 {
        let key = task.to_string();
        let own = logs
            .iter()
            .flatten()
            .filter(|record| record.key.as_deref() == Some(key.as_bytes()));
        let numbers: Vec<u32> = own.map(|record| record.text().parse().unwrap()).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_shared_values_are_sent_from_where_they_are() {
    let (server, producer) = started(1, 1).await;
    let value = bytes::Bytes::from((0..900_000_u32).map(|n| n as u8).collect::<Vec<_>>());
    let mut deliveries = Vec::new();
    for _ in 0..5 {
        deliveries.push(
            producer
                .send(Record::to("orders").value(value.clone()).header("h", "x"))
                .await
                .unwrap(),
        );
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    let stored = log(&server, "orders", 0);
    assert_eq!(stored.len(), 5);
    assert!(
        stored
            .iter()
            .all(|record| record.value.as_deref() == Some(&value[..]))
    );
}
