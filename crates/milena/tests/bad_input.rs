//! Servers that are not there, are not Kafka, or do not have what is asked for; records that cannot be sent.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use milena::{
    ConnectError, FailureReason, Fate, NotConnected, Producer, ProducerConfig, Record,
    RecordMetadata, SendError,
};
use milena_broker::{Act, ApiKey, Change, ClusterConfig, ErrorCode, Release, Rule};
use support::{closed, cluster, cluster_with, config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn to(server: impl ToString) -> ProducerConfig {
    Producer::builder()
        .bootstrap_servers(server.to_string())
        .max_block(Duration::from_secs(1))
        .connection_setup_timeout(Duration::from_secs(1), Duration::from_secs(1))
        .request_timeout(Duration::from_secs(2))
}

/// What `connect` says, which must be soon.
async fn refusal(config: ProducerConfig) -> String {
    let begin = Instant::now();
    let error = config.connect().await.unwrap_err();
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert!(matches!(
        error,
        ConnectError::NotConnected(NotConnected::Unreachable(_))
    ));
    error.to_string()
}

/// A server that says these bytes, once it was spoken to, and nothing more.
async fn says(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                while let Ok(1..) = stream.read(&mut asked).await {
                    if stream.write_all(bytes).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// What `send` says of a record to this topic.
async fn refused(producer: &Producer, topic: &str) -> SendError {
    let sent = producer.send(Record::to(topic).value("v")).await;
    sent.unwrap_err()
}

/// Sends a record to this topic, and awaits its outcome.
async fn delivered(producer: &Producer, topic: &str) -> RecordMetadata {
    let sent = producer.send(Record::to(topic).value("v")).await;
    sent.unwrap().await.unwrap()
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let text = refusal(to("no-such-host.invalid:9092")).await;
    assert!(
        text.contains("no-such-host.invalid:9092") && text.contains("resolve"),
        "{text}"
    );
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_named() {
    let closed = closed().await;
    let text = refusal(to(closed)).await;
    assert!(
        text.contains(&closed.to_string()) && text.contains("refused"),
        "{text}"
    );
}

#[tokio::test]
async fn every_server_is_named_with_its_reason() {
    let closed = closed().await;
    let http = says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let text = refusal(to(format!("{closed},{http},no-such-host.invalid:1"))).await;
    for part in [
        &*closed.to_string(),
        &*http.to_string(),
        "no-such-host.invalid:1",
        "refused",
        "HTTP",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn other_protocols_are_recognised() {
    let text = refusal(to(says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await)).await;
    assert!(text.contains("HTTP"), "{text}");
    let text = refusal(to(says(&[0x15, 3, 3, 0, 2, 2, 10]).await)).await;
    assert!(text.contains("TLS"), "{text}");
    let text = refusal(to(says(b"\x7f\xff\xff\xffgarbage").await)).await;
    assert!(text.contains("2147483647"), "{text}");
    let text = refusal(to(says(b"\xff\xff\xff\xff").await)).await;
    assert!(text.contains("-1"), "{text}");
    let text = refusal(to(says(b"\0\0\0\x0dsome garbage!").await)).await;
    assert!(text.contains("Kafka") || text.contains("answer"), "{text}");
}

#[tokio::test]
async fn a_server_that_closes_or_stays_silent_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let text = refusal(to(address)).await;
    assert!(text.contains("closed the connection"), "{text}");
    let text = refusal(to(says(b"").await)).await;
    assert!(text.contains("versions"), "{text}");
}

#[tokio::test]
async fn without_a_broker_build_succeeds_and_send_says_why_not() {
    let closed = closed().await;
    let producer = to(closed).build().unwrap();
    let begin = Instant::now();
    let error = refused(&producer, "orders").await;
    assert!(
        (900..10_000).contains(&begin.elapsed().as_millis()),
        "{:?}",
        begin.elapsed()
    );
    assert!(matches!(error, SendError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("orders") && text.contains(&closed.to_string()) && text.contains("refused"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_a_broker_advertises_in_vain_is_named() {
    let server = cluster_with(ClusterConfig {
        brokers: 1,
        ..ClusterConfig::default()
    })
    .await;
    let bootstrap = server.bootstrap();
    server.cluster().create_topic("orders", 1).unwrap();
    server
        .apply(Change::SetAddress {
            broker: 1,
            host: "kafka-internal.invalid".into(),
            port: 9092,
        })
        .unwrap();
    let producer = to(&bootstrap)
        .delivery_timeout(Duration::from_secs(3))
        .connect()
        .await
        .unwrap();
    let delivery = producer
        .send(Record::to("orders").value("v"))
        .await
        .unwrap();
    let error = delivery.await.unwrap_err();
    assert_eq!(
        (error.reason(), error.fate()),
        (FailureReason::Expired, Fate::NotWritten)
    );
    let text = error.to_string();
    assert!(
        text.contains("kafka-internal.invalid:9092") && text.contains("advertised.listeners"),
        "{text}"
    );
    // Mended, it serves the same producer.
    let address = server.address(1).unwrap();
    server
        .apply(Change::SetAddress {
            broker: 1,
            host: address.ip().to_string(),
            port: address.port(),
        })
        .unwrap();
    assert_eq!(delivered(&producer, "orders").await.offset(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_nobody_creates_is_named() {
    let server = cluster(1).await;
    let producer = to(server.bootstrap()).connect().await.unwrap();
    let begin = Instant::now();
    let error = refused(&producer, "missing").await;
    assert!(
        (900..10_000).contains(&begin.elapsed().as_millis()),
        "{:?}",
        begin.elapsed()
    );
    assert!(error.is_temporary());
    let text = error.to_string();
    assert!(
        text.contains("missing")
            && text.contains("max.block.ms")
            && text.contains("UNKNOWN_TOPIC_OR_PARTITION"),
        "{text}"
    );
    // The producer is none the worse for it.
    server.cluster().create_topic("missing", 1).unwrap();
    delivered(&producer, "missing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_name_that_cannot_be_fails_at_once() {
    let server = cluster(1).await;
    let producer = to(server.bootstrap())
        .max_block(Duration::from_secs(30))
        .connect()
        .await
        .unwrap();
    let begin = Instant::now();
    let error = refused(&producer, "no such topic!").await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(error.to_string().contains("no such topic!"), "{error}");
    // And so it does every time.
    for _ in 0..2 {
        let error = refused(&producer, "no such topic!").await;
        assert!(error.to_string().contains("is not valid"), "{error}");
    }
    loop {
        let refused = producer.try_send(Record::to("no such topic!").value("v"));
        match refused.unwrap_err().into_parts().1 {
            SendError::UnknownYet { .. } => tokio::time::sleep(Duration::from_millis(5)).await,
            error => break assert!(error.to_string().contains("is not valid"), "{error}"),
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_no_topic_can_have_does_no_harm_to_others() {
    // Its requests cannot have the longest of these names.
    let server = cluster_with(ClusterConfig {
        brokers: 1,
        release: Release::V2_1,
        ..ClusterConfig::default()
    })
    .await;
    for topic in ["orders", "later"] {
        server.cluster().create_topic(topic, 1).unwrap();
    }
    let producer = to(server.bootstrap())
        .max_block(Duration::from_secs(30))
        .connect()
        .await
        .unwrap();
    delivered(&producer, "orders").await;
    let connections = server.cluster().journal().connections().total;
    let begin = Instant::now();
    for name in ["", "..", "a/b", &"x".repeat(250), &"x".repeat(40_000)] {
        let error = refused(&producer, name).await;
        assert!(error.to_string().contains("is not valid"), "{error}");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    delivered(&producer, "later").await;
    assert_eq!(server.cluster().journal().connections().total, connections);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_rights_are_mended_can_be_written_to() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let forbidden = server.cluster().add_rule(
        Rule::on(ApiKey::METADATA)
            .topic("orders")
            .error(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    );
    let producer = to(server.bootstrap())
        .max_block(Duration::from_secs(30))
        .connect()
        .await
        .unwrap();
    let begin = Instant::now();
    for _ in 0..2 {
        let error = refused(&producer, "orders").await;
        assert!(error.to_string().contains("not authorized"), "{error}");
    }
    server.cluster().remove_rule(forbidden);
    delivered(&producer, "orders").await;
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_failed_before_fails_with_what_was_said_of_it() {
    let server = cluster(1).await;
    let forbidden = server.cluster().add_rule(
        Rule::on(ApiKey::METADATA)
            .topic("orders")
            .error(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    );
    let producer = to(server.bootstrap())
        .max_block(Duration::from_millis(1000))
        .connect()
        .await
        .unwrap();
    let error = refused(&producer, "orders").await;
    assert!(error.to_string().contains("not authorized"), "{error}");
    server.cluster().remove_rule(forbidden);
    // From now on nobody answers.
    let silent = Rule::on(ApiKey::METADATA).act(Act::Silence);
    server.cluster().add_rule(silent);
    let error = refused(&producer, "orders").await;
    let text = error.to_string();
    assert!(
        text.contains("max.block.ms") && text.contains("TOPIC_AUTHORIZATION_FAILED"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_not_there_is_waited_for_and_named() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 2).unwrap();
    let producer = to(server.bootstrap()).connect().await.unwrap();
    let error = producer
        .send(Record::to("orders").partition(2).value("v"))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("orders") && text.contains("partition 2"),
        "{text}"
    );
    server
        .apply(Change::AddPartitions {
            topic: "orders".into(),
            total: 3,
        })
        .unwrap();
    let at = producer
        .send(Record::to("orders").partition(2).value("v"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(at.partition(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_is_refused_with_its_size() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let value = vec![0; 1 << 20];
    let error = producer
        .send(Record::to("orders").value(&value))
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        SendError::TooLarge {
            limit: 1_048_576,
            ..
        }
    ));
    assert!(error.to_string().contains("max.request.size"), "{error}");
    let error = producer
        .try_send(Record::to("orders").value(&value))
        .unwrap_err();
    assert!(matches!(error.reason(), SendError::TooLarge { .. }));
    producer
        .send(Record::to("orders").value("small"))
        .await
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn negative_numbers_are_refused() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    for record in [
        Record::to("orders").partition(-1),
        Record::to("orders").timestamp(-1),
    ] {
        let error = producer.send(record.clone()).await.unwrap_err();
        assert!(matches!(error, SendError::Invalid(_)) && error.to_string().contains("negative"));
        assert!(producer.try_send(record.clone()).is_err());
        assert_eq!(producer.send_many(&[record]).await.unwrap_err().accepted, 0);
    }
}

#[tokio::test]
async fn times_that_cannot_be_kept_are_refused_before_anything_runs() {
    let config = to("localhost:9092").delivery_timeout(Duration::from_millis(1500));
    let text = config.build().unwrap_err().to_string();
    assert!(
        text.contains("delivery.timeout.ms (1500)") && text.contains("request.timeout.ms (2000)"),
        "{text}"
    );
}
