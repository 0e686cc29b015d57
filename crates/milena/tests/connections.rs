//! Which connections there are, counted on the brokers' side and in the system's own table.

mod support;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use milena::{BoxFuture, Compression, Connector, Message, Producer, Record, Resolver, Stream};
use milena_broker::{
    Act, ApiKey, Cluster, ClusterConfig, Rule, ServeOptions, Server, Stop, serve, serve_in_thread,
};
use support::{closed, cluster, config, logs};
use tokio::io::BufWriter;
use tokio::net::{TcpListener, TcpStream};

/// Waits until `is_so`, and says whether it came to be.
async fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

fn open(server: &Server) -> usize {
    server.cluster().journal().connections().open
}

async fn send(producer: &Producer, topic: &str, partition: i32) {
    let record = Record::to(topic).partition(partition).value("v");
    producer.send(record).await.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_at_start_and_one_to_each_leader_we_write_to() {
    let server = cluster(5).await;
    server.cluster().create_topic("one", 1).unwrap();
    server.cluster().create_topic("five", 5).unwrap();
    let producer = config(&server).connect().await.unwrap();
    assert!(soon(|| open(&server) == 1).await);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(open(&server), 1, "nothing was asked for yet");

    send(&producer, "one", 0).await;
    let leader = server.cluster().leader("one", 0).unwrap();
    assert!(soon(|| server.connections(leader) == 1).await);
    assert!(
        open(&server) <= 3,
        "the leader, who was asked first, who gave the producer id: {}",
        open(&server)
    );

    for partition in 0..5 {
        send(&producer, "five", partition).await;
    }
    for broker in 1..=5 {
        assert_eq!(
            server.connections(broker),
            1,
            "one and no more to broker {broker}"
        );
    }
    producer.close(Duration::from_secs(5)).await;
    assert!(soon(|| open(&server) == 0).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_brokers_two_are_connected_to() {
    let server = cluster(100).await;
    server.cluster().create_topic("one", 1).unwrap();
    let leader = server.cluster().leader("one", 0).unwrap();
    let other = server.address(if leader == 50 { 51 } else { 50 }).unwrap();
    let producer = Producer::builder()
        .bootstrap_servers(other.to_string())
        .connect()
        .await
        .unwrap();
    for _ in 0..100 {
        send(&producer, "one", 0).await;
    }
    let connections = server.cluster().journal().connections();
    assert_eq!((connections.most, connections.total), (2, 2));
    assert_eq!(server.connections(leader), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_first_server_costs_a_fraction_of_a_second() {
    let server = cluster(1).await;
    let closed = closed().await;
    // Accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = format!(
        "{closed},{},{}",
        silent.local_addr().unwrap(),
        server.bootstrap()
    );
    let mut took = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let config = Producer::builder().bootstrap_servers(&servers);
        let producer = config.connect().await.unwrap();
        took.push(begin.elapsed());
        producer.close(Duration::ZERO).await;
    }
    // The one that is silent would cost the whole of the set-up timeout, ten seconds. A machine that is busy with
    // something else may hold one of them up, and not most of them.
    took.sort();
    assert!(took[2] < Duration::from_secs(1), "{took:?}");
    assert!(took[4] < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_closed_and_opened_again() {
    let server = cluster(3).await;
    server.cluster().create_topic("orders", 3).unwrap();
    let idle = config(&server).connections_max_idle(Some(Duration::from_millis(200)));
    let producer = idle.connect().await.unwrap();
    for partition in 0..3 {
        send(&producer, "orders", partition).await;
    }
    assert!(soon(|| open(&server) == 0).await, "{}", open(&server));
    send(&producer, "orders", 1).await;
    producer.close(Duration::ZERO).await;

    let producer = config(&server)
        .connections_max_idle(None)
        .connect()
        .await
        .unwrap();
    for partition in 0..3 {
        send(&producer, "orders", partition).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(open(&server) >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_closed_by_its_broker_is_closed_by_us_at_once() {
    let server = cluster(20).await;
    server.cluster().create_topic("orders", 20).unwrap();
    let producer = config(&server).connect().await.unwrap();
    for partition in 0..20 {
        send(&producer, "orders", partition).await;
    }
    assert!(open(&server) >= 20);
    let before = server.cluster().journal().connections().total;
    let ports: Vec<u16> = (1..=20)
        .filter_map(|broker| Some(server.address(broker)?.port()))
        .collect();
    for broker in 1..=20 {
        server.disconnect(broker, Stop::Graceful);
    }
    let begin = Instant::now();
    assert!(soon(|| open(&server) <= 1 && half_closed(&ports) == Some(0)).await);
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    // Nothing was to be sent, so at most the one for metadata was opened again.
    assert!(server.cluster().journal().connections().total <= before + 2);
    send(&producer, "orders", 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_outlive_the_connection_that_they_are_compressed_for() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server)
        .compression(Compression::Zstd)
        .batch_size(1 << 20)
        .delivery_timeout(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    // Texts of little repetition: most of the time goes into compressing.
    let mut state = 1_u64;
    let mut value = || -> Vec<u8> {
        let letters = (0..4096).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            b'a' + (state >> 60) as u8
        });
        letters.collect()
    };
    let values: Vec<_> = (0..64).map(|_| value()).collect();
    let mut deliveries = Vec::new();
    for cut in 0..8 {
        for n in 0..500 {
            let record = Record::to("orders").value(&values[n % values.len()]);
            deliveries.push(producer.send(record).await.unwrap());
        }
        let how = [Stop::Abrupt, Stop::Graceful][cut % 2];
        server.disconnect(1, how);
    }
    for (offset, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap().offset(), Some(offset as i64));
    }
}

/// Connections to these ports that the peer has closed and we have not: CLOSE_WAIT.
#[cfg(target_os = "linux")]
fn half_closed(ports: &[u16]) -> Option<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let to_ours = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        let port = fields.next().and_then(|address| address.rsplit_once(':'));
        let port = port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        fields.next() == Some("08") && port.is_some_and(|port| ports.contains(&port))
    };
    Some(table.lines().filter(to_ours).count())
}

#[cfg(not(target_os = "linux"))]
fn half_closed(_: &[u16]) -> Option<usize> {
    Some(0)
}

#[expect(
    clippy::field_reassign_with_default,
    reason = "the options may get more fields"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_requests_are_in_flight_on_one_connection_and_no_more() {
    let mut options = ServeOptions::default();
    options.delay = Duration::from_millis(20);
    let server = serve(Cluster::new(ClusterConfig::default()), options)
        .await
        .unwrap();
    server.cluster().create_topic("orders", 4).unwrap();
    let producer = config(&server)
        .linger(Duration::ZERO)
        .connect()
        .await
        .unwrap();
    let topic = producer.topic("orders").await.unwrap();
    let value = vec![0; 12_000];
    for n in 0..200 {
        topic
            .enqueue(Message::new().value(&value).partition(n % 4))
            .await
            .unwrap();
        if n % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    producer.flush().await;
    assert_eq!(
        logs(&server, "orders").iter().map(Vec::len).sum::<usize>(),
        200
    );
    let most = server
        .cluster()
        .journal()
        .lives()
        .map(|(_, life)| life.most_unanswered)
        .max();
    assert_eq!(most, Some(5));
    assert_eq!(server.connections(1), 1);
    assert_eq!(producer.snapshot().sent.max_in_flight_of_a_partition, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_renewed_when_it_is_old() {
    let server = cluster(1).await;
    let config = config(&server).metadata_max_age(Duration::from_millis(200));
    let _producer = config.connect().await.unwrap();
    let asked = || server.cluster().journal().count(ApiKey::METADATA);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (before, begin) = (asked(), Instant::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let renewals = asked() - before;
    // A slow machine asks later, never sooner.
    let due = begin.elapsed().as_millis() as u64 / 200;
    assert!((3..=due + 1).contains(&renewals), "{renewals} of {due}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_comes_from_the_least_loaded_of_three_brokers() {
    let server = cluster(3).await;
    server.cluster().create_topic("orders", 9).unwrap();
    let config = config(&server)
        .linger(Duration::ZERO)
        .request_timeout(Duration::from_secs(60))
        .delivery_timeout(Duration::from_secs(120))
        .metadata_max_age(Duration::from_millis(100));
    let producer = config.connect().await.unwrap();
    for partition in 0..9 {
        send(&producer, "orders", partition).await;
    }
    let seen = |api, broker| server.cluster().journal().count_at(broker, api);
    // Three requests stay unanswered at one broker, one at another, none at the third.
    let led = |broker: i32| -> Vec<i32> {
        let led = |partition: &i32| server.cluster().leader("orders", *partition) == Some(broker);
        (0..9).filter(led).collect()
    };
    let mut unanswered = Vec::new();
    for (broker, requests) in [(1, 3), (2, 1)] {
        let silent = Rule::on(ApiKey::PRODUCE).broker(broker);
        server.cluster().add_rule(silent.act(Act::DropAnswer));
        let produced = || seen(ApiKey::PRODUCE, broker);
        for partition in &led(broker)[..requests] {
            let before = produced();
            let record = Record::to("orders").partition(*partition).value("v");
            unanswered.push(producer.send(record).await.unwrap());
            assert!(soon(|| produced() > before).await);
        }
    }
    let asked = |broker| seen(ApiKey::METADATA, broker);
    // What was asked before the loads were as they are is answered by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = [asked(1), asked(2), asked(3)];
    assert!(soon(|| asked(3) >= before[2] + 5).await);
    assert_eq!([asked(1), asked(2)], before[..2]);
    producer.close(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_ends_the_connection_and_not_the_record() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    server
        .cluster()
        .add_rule(Rule::on(ApiKey::PRODUCE).times(1).act(Act::Silence));
    let config = config(&server).request_timeout(Duration::from_millis(500));
    let producer = config.connect().await.unwrap();
    let begin = Instant::now();
    send(&producer, "orders", 0).await;
    assert!(
        (450..10_000).contains(&begin.elapsed().as_millis()),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(producer.snapshot().sent.lost, 1);
    assert_eq!(server.cluster().journal().connections().total, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_producer_asks_nobody_anything() {
    let server = cluster(3).await;
    server.cluster().create_topic("orders", 3).unwrap();
    let producer = config(&server).connect().await.unwrap();
    for partition in 0..3 {
        send(&producer, "orders", partition).await;
    }
    let seen = || server.cluster().journal().requests().count();
    let before = seen();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(seen(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_handle_outlives_what_is_known_of_the_topic() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let config = config(&server)
        .metadata_max_idle(Duration::from_secs(5))
        .metadata_max_age(Duration::from_millis(500));
    let producer = config.connect().await.unwrap();
    let topic = producer.topic("orders").await.unwrap();
    tokio::time::sleep(Duration::from_millis(6500)).await;
    let at = topic
        .send(Message::new().value("v"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(at.offset(), Some(0));
    send(&producer, "orders", 0).await;
}

/// Sends every name to one address.
struct Everywhere(SocketAddr);

impl Resolver for Everywhere {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        // The first address is dead: the second one serves.
        Box::pin(async { Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1)), self.0]) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_can_be_looked_up_elsewhere_and_all_their_addresses_are_tried() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let address = server.address(1).unwrap();
    let config = Producer::builder()
        .bootstrap_servers("kafka.example:9092")
        .resolver(Everywhere(address));
    let producer = config.connect().await.unwrap();
    send(&producer, "orders", 0).await;
}

/// A name with two addresses.
struct Two([SocketAddr; 2]);

impl Resolver for Two {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Ok(self.0.to_vec()) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_takes_connections_and_is_no_broker_is_passed_over() {
    let server = cluster(1).await;
    // As a proxy does when nobody listens behind it.
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wrong = proxy.local_addr().unwrap();
    tokio::spawn(async move { while proxy.accept().await.is_ok() {} });
    let producer = Producer::builder()
        .bootstrap_servers("kafka.example:9092")
        .resolver(Two([wrong, server.address(1).unwrap()]))
        .build()
        .unwrap();
    assert!(soon(|| server.connections(1) > 0).await);
    producer.close(Duration::ZERO).await;
}

/// Streams that keep what is written until they are flushed, as those that encrypt may.
struct Buffered;

impl Connector for Buffered {
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let stream: Box<dyn Stream> = Box::new(BufWriter::new(stream));
            Ok(stream)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_flushed() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let config = config(&server).connector(Buffered);
    let connected = tokio::time::timeout(Duration::from_secs(5), config.connect()).await;
    let producer = connected.expect("nothing arrives at the broker").unwrap();
    send(&producer, "orders", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_begin_anew_at_once_is_not_to_begin_without_end() {
    let server = cluster(1).await;
    let config = config(&server).rebootstrap_trigger(Duration::ZERO);
    let producer = config.build().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let total = server.cluster().journal().connections().total;
    producer.close(Duration::ZERO).await;
    assert!(total < 10, "{total} connections in 2 s");
}

#[test]
fn closing_leaves_none_of_many_sockets_open() {
    let cluster = Cluster::new(ClusterConfig {
        brokers: 100,
        auto_create: None,
        ..ClusterConfig::default()
    });
    let server = serve_in_thread(cluster, ServeOptions::default()).unwrap();
    server.cluster().create_topic("orders", 100).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let producer = config(&server).connect().await.unwrap();
        for partition in 0..100 {
            send(&producer, "orders", partition).await;
        }
        producer.close(Duration::from_secs(5)).await;
    });
    // The runtime lives, and nobody drives it.
    let begun = Instant::now();
    while open(&server) > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{} are open",
            open(&server)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
