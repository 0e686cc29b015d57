//! A cluster behind real sockets.
#![cfg(feature = "tcp")]

mod common;

use std::time::{Duration, Instant};

use common::{NOBODY, batch, frame, produce, produced, read};
use milena_broker::{
    Act, ApiKey, Change, Cluster, ClusterConfig, Cut, Rule, ServeOptions, Server, Stop, serve,
};
use milena_wire::api::fetch::{FetchPartition, FetchTopic};
use milena_wire::{ApiVersionsRequest, FetchRequest, MetadataRequest, Request, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn server(brokers: usize) -> Server {
    let mut cluster = Cluster::new(ClusterConfig {
        brokers,
        ..ClusterConfig::default()
    });
    cluster.create_topic("t", brokers).expect("a topic");
    serve(cluster, ServeOptions::default())
        .await
        .expect("ports")
}

async fn connect(server: &Server, broker: i32) -> TcpStream {
    TcpStream::connect(server.address(broker).expect("a broker"))
        .await
        .expect("a connection")
}

/// The next answer without its length, or `None` if the connection was closed.
async fn next(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = stream.read_i32().await.ok()?;
    let mut frame = vec![0; len as usize];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn ask<Q: Request>(stream: &mut TcpStream, request: &Q, version: i16) -> Option<Vec<u8>> {
    stream.write_all(&frame(request, version)).await.ok()?;
    next(stream).await
}

fn versions() -> ApiVersionsRequest<'static> {
    ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
    }
}

#[tokio::test]
async fn brokers_are_advertised_where_they_listen() {
    let server = server(3).await;
    let mut stream = connect(&server, 2).await;
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let frame = ask(&mut stream, &request, 12).await.expect("an answer");
    let response = read::<MetadataRequest<'_>>(&frame, 12);
    let listed: Vec<_> = response
        .brokers
        .iter()
        .map(|broker| format!("{}:{}", broker.host, broker.port))
        .collect();
    assert_eq!(listed.join(","), server.bootstrap());
    assert_eq!(response.topics[0].partitions.len(), 3);
}

#[tokio::test]
async fn requests_in_one_write_and_in_single_bytes_are_answered() {
    let server = server(1).await;
    let mut stream = connect(&server, 1).await;
    let one = frame(&versions(), 3);
    stream.write_all(&one.repeat(5)).await.expect("written");
    for _ in 0..5 {
        assert!(next(&mut stream).await.is_some());
    }
    for byte in one {
        stream.write_all(&[byte]).await.expect("written");
        tokio::task::yield_now().await;
    }
    assert!(next(&mut stream).await.is_some());
    assert_eq!(server.cluster().journal().count(ApiKey::API_VERSIONS), 6);
}

#[tokio::test]
async fn a_batch_is_appended() {
    let server = server(1).await;
    let mut stream = connect(&server, 1).await;
    let batch = batch(NOBODY, &["a", "b"]);
    for offset in [0, 2] {
        let frame = ask(&mut stream, &produce("t", Uuid::ZERO, 0, &batch), 9).await;
        assert_eq!(produced(&frame.expect("an answer"), 9), (0, offset));
    }
    assert_eq!(
        server.cluster().log("t", 0).map(|log| log.records()),
        Some(4)
    );
}

#[tokio::test]
async fn latency_does_not_add_up_and_unanswered_requests_are_counted() {
    let server = server(1).await;
    let delay = Rule::on(ApiKey::API_VERSIONS).act(Act::Delay(150));
    server.cluster().add_rule(delay);
    let mut stream = connect(&server, 1).await;
    let begun = Instant::now();
    stream
        .write_all(&frame(&versions(), 3).repeat(5))
        .await
        .expect("written");
    for _ in 0..5 {
        assert!(next(&mut stream).await.is_some());
    }
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(150) && took < Duration::from_millis(700),
        "{took:?}"
    );
    let most = server
        .cluster()
        .journal()
        .lives()
        .map(|(_, life)| life.most_unanswered)
        .max();
    assert_eq!(most, Some(5));
}

#[tokio::test]
async fn connections_are_cut_by_rule() {
    let server = server(1).await;
    let body = batch(NOBODY, &["a"]);
    let request = produce("t", Uuid::ZERO, 0, &body);
    for (cut, appended) in [
        (Cut::InRequest, 0),
        (Cut::Before, 0),
        (Cut::After, 1),
        (Cut::InAnswer, 2),
    ] {
        server
            .cluster()
            .add_rule(Rule::on(ApiKey::PRODUCE).times(1).act(Act::Cut(cut)));
        let mut stream = connect(&server, 1).await;
        assert_eq!(ask(&mut stream, &request, 9).await, None, "{cut:?}");
        assert_eq!(
            server.cluster().log("t", 0).map(|log| log.records()),
            Some(appended),
            "{cut:?}"
        );
    }
}

#[tokio::test]
async fn half_of_a_request_is_enough_to_be_cut() {
    let server = server(1).await;
    server
        .cluster()
        .add_rule(Rule::on(ApiKey::API_VERSIONS).act(Act::Cut(Cut::InRequest)));
    let mut stream = connect(&server, 1).await;
    let bytes = frame(&versions(), 3);
    stream
        .write_all(&bytes[..bytes.len() * 3 / 4])
        .await
        .expect("written");
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn a_silent_broker_keeps_the_connection() {
    let server = server(1).await;
    server
        .cluster()
        .add_rule(Rule::always().times(1).act(Act::Silence));
    let mut stream = connect(&server, 1).await;
    stream
        .write_all(&frame(&versions(), 3).repeat(2))
        .await
        .expect("written");
    let answer = tokio::time::timeout(Duration::from_millis(50), next(&mut stream)).await;
    assert!(answer.is_err(), "neither an answer nor a close: {answer:?}");
}

#[tokio::test]
async fn a_held_request_is_carried_out_late() {
    let server = server(1).await;
    server
        .cluster()
        .add_rule(Rule::on(ApiKey::PRODUCE).times(1).act(Act::Hold(400)));
    let mut stream = connect(&server, 1).await;
    let body = batch(NOBODY, &["a"]);
    stream
        .write_all(&frame(&produce("t", Uuid::ZERO, 0, &body), 9))
        .await
        .expect("written");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(
        server.cluster().log("t", 0).map(|log| log.records()),
        Some(0)
    );
    let answer = next(&mut stream).await.expect("an answer");
    assert_eq!(produced(&answer, 9), (0, 0));
}

fn fetch(max_wait_ms: i32) -> FetchRequest<'static> {
    let partition = FetchPartition {
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: "t",
        partitions: vec![partition],
        ..FetchTopic::default()
    };
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

#[tokio::test]
async fn a_reader_is_woken_by_a_writer() {
    let server = server(1).await;
    let mut reader = connect(&server, 1).await;
    let mut two = frame(&fetch(10_000), 11);
    two.extend(frame(&versions(), 3));
    reader.write_all(&two).await.expect("written");
    let nothing = tokio::time::timeout(Duration::from_millis(30), next(&mut reader)).await;
    assert!(nothing.is_err(), "it waits");
    let mut writer = connect(&server, 1).await;
    let body = batch(NOBODY, &["a"]);
    ask(&mut writer, &produce("t", Uuid::ZERO, 0, &body), 9)
        .await
        .expect("an answer");
    let begun = Instant::now();
    let answer = next(&mut reader).await.expect("an answer");
    let response = read::<FetchRequest<'_>>(&answer, 11);
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
    assert!(next(&mut reader).await.is_some(), "the request behind it");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_reader_that_nobody_wakes_is_answered_in_time_and_one_that_leaves_is_noticed() {
    let server = server(1).await;
    let mut reader = connect(&server, 1).await;
    let begun = Instant::now();
    assert!(ask(&mut reader, &fetch(50), 11).await.is_some());
    assert!(begun.elapsed() >= Duration::from_millis(50));
    reader
        .write_all(&frame(&fetch(60_000), 11))
        .await
        .expect("written");
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(reader);
    while server.connections(1) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_broker_stops_and_comes_back_at_its_port() {
    let server = server(2).await;
    let address = server.address(1);
    for how in [Stop::Graceful, Stop::Abrupt] {
        let mut stream = connect(&server, 1).await;
        assert!(ask(&mut stream, &versions(), 3).await.is_some());
        server.stop_broker(1, how).await;
        assert_eq!(next(&mut stream).await, None);
        assert!(TcpStream::connect(address.expect("known")).await.is_err());
        assert_eq!(server.connections(1), 0);
        assert_eq!(server.cluster().leader("t", 0), Some(2));
        server.start_broker(1).expect("its port");
        assert_eq!(server.address(1), address);
        let mut stream = connect(&server, 1).await;
        assert!(ask(&mut stream, &versions(), 3).await.is_some());
        assert_eq!(server.connections(1), 1);
        drop(stream);
        while server.connections(1) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server
            .apply(Change::MoveLeader {
                topic: "t".into(),
                partition: 0,
                to: Some(1),
            })
            .expect("moved");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_keep_a_broker_from_stopping() {
    let server = server(1).await;
    let body = batch(NOBODY, &[&"x".repeat(900_000)]);
    let mut stream = connect(&server, 1).await;
    ask(&mut stream, &produce("t", Uuid::ZERO, 0, &body), 9)
        .await
        .expect("an answer");
    stream
        .write_all(&frame(&fetch(0), 11).repeat(100))
        .await
        .expect("written");
    tokio::time::sleep(Duration::from_millis(20)).await;
    for how in [Stop::Abrupt, Stop::Graceful] {
        let stopped =
            tokio::time::timeout(Duration::from_secs(2), server.stop_broker(1, how)).await;
        assert!(stopped.is_ok(), "{how:?}");
        server.start_broker(1).expect("its port");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_given_answers_without_end() {
    for delay in [0, 1] {
        let server = server(1).await;
        let delay = Rule::on(ApiKey::FETCH).act(Act::Delay(delay));
        server.cluster().add_rule(delay);
        let body = batch(NOBODY, &[&"x".repeat(900_000)]);
        let mut stream = connect(&server, 1).await;
        ask(&mut stream, &produce("t", Uuid::ZERO, 0, &body), 9)
            .await
            .expect("an answer");
        let requests = frame(&fetch(0), 11).repeat(100);
        stream.write_all(&requests).await.expect("written");
        let carried_out = || server.cluster().journal().count(ApiKey::FETCH);
        let mut seen = 0;
        // It goes on until neither it nor the system holds more.
        while seen == 0 || seen != carried_out() {
            seen = carried_out();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(seen < 60, "{seen} answers of 900 KB");
        for _ in 0..100 {
            let answer = next(&mut stream).await.expect("an answer");
            assert!(answer.len() > 900_000);
        }
        assert_eq!(carried_out(), 100);
    }
}

#[tokio::test]
async fn an_answer_may_be_held_back_for_ever() {
    let cluster = Cluster::new(ClusterConfig::default());
    let options = ServeOptions {
        delay: Duration::MAX,
        ..ServeOptions::default()
    };
    let server = serve(cluster, options).await.expect("ports");
    let mut stream = connect(&server, 1).await;
    let bytes = frame(&versions(), 3);
    stream.write_all(&bytes).await.expect("written");
    let answer = tokio::time::timeout(Duration::from_millis(50), next(&mut stream)).await;
    assert!(answer.is_err(), "neither an answer nor a close: {answer:?}");
    server.stop_broker(1, Stop::Graceful).await;
    assert!(next(&mut stream).await.is_some(), "the last answers");
}

#[tokio::test]
async fn connections_of_a_running_broker_can_be_closed() {
    let server = server(1).await;
    let mut old = connect(&server, 1).await;
    assert!(ask(&mut old, &versions(), 3).await.is_some());
    server.disconnect(1, Stop::Graceful);
    assert_eq!(next(&mut old).await, None);
    let mut new = connect(&server, 1).await;
    assert!(ask(&mut new, &versions(), 3).await.is_some());
}

#[tokio::test]
async fn what_is_not_kafka_is_closed() {
    let server = server(1).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ] {
        let mut stream = connect(&server, 1).await;
        stream.write_all(bytes).await.expect("written");
        assert_eq!(next(&mut stream).await, None);
    }
    let mut stream = connect(&server, 1).await;
    assert!(ask(&mut stream, &versions(), 3).await.is_some());
}

#[test]
fn a_server_can_live_on_its_own_thread() {
    let cluster = Cluster::new(ClusterConfig::default());
    let server = milena_broker::serve_in_thread(cluster, ServeOptions::default()).expect("a port");
    let mut stream =
        std::net::TcpStream::connect(server.address(1).expect("a broker")).expect("up");
    std::io::Write::write_all(&mut stream, &frame(&versions(), 3)).expect("written");
    let mut length = [0; 4];
    std::io::Read::read_exact(&mut stream, &mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    std::io::Read::read_exact(&mut stream, &mut answer).expect("all of it");
    drop(server);
    let rest = std::io::Read::read(&mut stream, &mut length);
    assert!(!matches!(rest, Ok(1..)), "{rest:?}");
}
