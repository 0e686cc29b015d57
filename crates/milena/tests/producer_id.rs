//! Brokers that grant no producer id, without which an idempotent producer cannot begin.

mod support;

use std::time::{Duration, Instant};

use milena::{DeliveryError, FailureReason, Fate, Producer, Record};
use milena_broker::{Act, ApiKey, ErrorCode, Rule, Server};
use support::{cluster, config, log};

async fn started(rule: Rule) -> (Server, Producer) {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    server.cluster().add_rule(rule);
    let producer = config(&server)
        .request_timeout(Duration::from_secs(1))
        .delivery_timeout(Duration::from_secs(2))
        // A broker that is silent about the id is silent about the topic behind it, until it is asked anew.
        .max_block(Duration::from_secs(30))
        .connect()
        .await
        .unwrap();
    (server, producer)
}

fn init() -> Rule {
    Rule::on(ApiKey::INIT_PRODUCER_ID)
}

fn asked(server: &Server) -> u64 {
    server.cluster().journal().count(ApiKey::INIT_PRODUCER_ID)
}

async fn send(producer: &Producer) -> Result<(), DeliveryError> {
    let delivery = producer.send(Record::to("orders").value("v")).await;
    delivery.unwrap().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_fails_what_waits_and_says_so() {
    let (server, producer) = started(init().error(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)).await;
    for _ in 0..2 {
        let begin = Instant::now();
        let error = send(&producer).await.unwrap_err();
        assert!(begin.elapsed() < Duration::from_millis(1500));
        assert_eq!(
            (error.reason(), error.fate(), error.code()),
            (FailureReason::Refused, Fate::NotWritten, Some(31))
        );
        let text = error.to_string();
        for part in [
            "CLUSTER_AUTHORIZATION_FAILED",
            "InitProducerId",
            "IdempotentWrite",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    // Nobody asks for what nobody needs.
    let before = asked(&server);
    assert!((2..=4).contains(&before), "{before}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(asked(&server), before);
    // Rights are granted: the same producer goes on.
    server.cluster().clear_rules();
    send(&producer).await.unwrap();
    assert_eq!(log(&server, "orders", 0).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_may_pass_is_waited_for_and_named_in_the_end() {
    let loading = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    let (server, producer) = started(init().error(loading)).await;
    let error = send(&producer).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.fate()),
        (FailureReason::Expired, Fate::NotWritten)
    );
    let text = error.to_string();
    assert!(
        text.contains("InitProducerId") && text.contains("COORDINATOR_LOAD_IN_PROGRESS"),
        "{text}"
    );
    // 100, 200, 400, 800 ms between them.
    let asked = asked(&server);
    assert!((3..=8).contains(&asked), "{asked}");
    server.cluster().clear_rules();
    send(&producer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_told_apart_from_a_leader_that_takes_nothing() {
    let (_server, producer) = started(init().act(Act::Silence)).await;
    let text = send(&producer).await.unwrap_err().to_string();
    assert!(text.contains("producer id"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_know_the_request_is_named() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    #[allow(clippy::reversed_empty_ranges)]
    server
        .cluster()
        .versions_mut()
        .limit(ApiKey::INIT_PRODUCER_ID, 1..=0);
    let producer = config(&server).connect().await.unwrap();
    for _ in 0..2 {
        let error = send(&producer).await.unwrap_err();
        assert_eq!(error.fate(), Fate::NotWritten);
        let text = error.to_string();
        assert!(
            text.contains("InitProducerId") && text.contains("enable.idempotence"),
            "{text}"
        );
    }
    let plain = config(&server).idempotence(false).connect().await.unwrap();
    send(&plain).await.unwrap();
}
