//! Topics that metadata forgets, and leaders that an answer leaves out.

mod support;

use std::time::Duration;

use milena::{Delivery, Producer, ProducerConfig, Record};
use milena_broker::{Act, ApiKey, Change, Rule, Server};
use support::{cluster, config};

/// The least that there may be.
const IDLE: Duration = Duration::from_secs(5);

fn lead(topic: &str, to: i32) -> Change {
    Change::MoveLeader {
        topic: topic.into(),
        partition: 0,
        to: Some(to),
    }
}

async fn send(producer: &Producer, topic: &str) -> Delivery {
    let record = Record::to(topic).value("v");
    producer.send(record).await.unwrap()
}

fn forgetful(server: &Server) -> ProducerConfig {
    config(server)
        .metadata_max_idle(IDLE)
        .metadata_max_age(Duration::from_secs(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_topic_is_told_also_after_the_idle_time() {
    let server = cluster(1).await;
    let config = forgetful(&server).max_block(Duration::from_secs(20));
    let producer = config.connect().await.unwrap();
    let waits = tokio::spawn(async move { send(&producer, "late").await.await });
    tokio::time::sleep(IDLE + Duration::from_secs(3)).await;
    server.cluster().create_topic("late", 1).unwrap();
    let told = tokio::time::timeout(Duration::from_secs(6), waits).await;
    let told = told.expect("nobody asks for the topic any more");
    told.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_of_a_topic_that_is_forgotten_meanwhile_are_asked_for() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let slow = Rule::on(ApiKey::METADATA).act(Act::Delay(100));
    server.cluster().add_rule(slow);
    let config = forgetful(&server).max_block(Duration::from_secs(20));
    let producer = config.connect().await.unwrap();
    // Somebody waits for a partition that there is not.
    let waiting = producer.clone();
    let waits = tokio::spawn(async move {
        let record = Record::to("orders").partition(1).value("v");
        waiting.send(record).await.map(drop)
    });
    let asked = || server.cluster().journal().count(ApiKey::METADATA);
    let begun = tokio::time::Instant::now();
    let mut told = 0;
    while begun.elapsed() < IDLE + Duration::from_secs(3) {
        let partitions = producer.partitions_for("orders").await.unwrap();
        assert_eq!(partitions.len(), 1, "after {:?}", begun.elapsed());
        told += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(told > 100 && asked() > 5);
    assert!(!waits.is_finished());
    waits.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_one_answer_leaves_out_while_it_is_busy_is_asked_for() {
    let server = cluster(2).await;
    for topic in ["orders", "more", "others", "news"] {
        server.cluster().create_topic(topic, 1).unwrap();
    }
    // Broker 1 has not heard yet that broker 2 is back.
    server.apply(Change::BrokerDown(2)).unwrap();
    server.apply(Change::FreezeMetadata(1)).unwrap();
    server.apply(Change::BrokerUp(2)).unwrap();
    for (topic, to) in [("orders", 2), ("more", 2), ("others", 1), ("news", 1)] {
        server.apply(lead(topic, to)).unwrap();
    }
    let config = Producer::builder().bootstrap_servers(server.address(2).unwrap().to_string());
    let producer = config.connect().await.unwrap();
    for topic in ["orders", "more", "others"] {
        send(&producer, topic).await.await.unwrap();
    }
    // While a request is on its way to broker 2, broker 1 is asked about a new topic.
    let slow = Rule::on(ApiKey::PRODUCE).broker(2).times(1);
    server.cluster().add_rule(slow.act(Act::Delay(1000)));
    let first = send(&producer, "orders").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    send(&producer, "news").await.await.unwrap();
    let second = send(&producer, "more").await;
    server.apply(Change::ThawMetadata(1)).unwrap();
    first.await.unwrap();
    let second = tokio::time::timeout(Duration::from_secs(10), second).await;
    second.expect("nobody asks for the leader").unwrap();
}
