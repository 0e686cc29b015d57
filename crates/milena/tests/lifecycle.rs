//! Beginnings and ends: with and without a runtime, dropped, closed, cancelled at every await.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use milena::{
    BuildError, CloseReason, Compression, Delivery, FailureReason, Fate, Message, Producer, Record,
    SendError,
};
use milena_broker::{Act, ApiKey, Cut, Rule, ServeOptions, Server, Stop, serve_in_thread};
use support::{cluster, config, logs};

const PATIENCE: Duration = Duration::from_secs(20);

async fn started() -> (Server, Producer) {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 1).unwrap();
    let producer = config(&server).connect().await.unwrap();
    (server, producer)
}

/// The same with a broker that does not answer Produce requests.
async fn started_silent() -> (Server, Producer) {
    let (server, producer) = started().await;
    let silence = Rule::on(ApiKey::PRODUCE).act(Act::Silence);
    server.cluster().add_rule(silence);
    (server, producer)
}

/// Hands a record over, and gives its delivery.
async fn sent(producer: &Producer) -> Delivery {
    let sent = producer.send(Record::to("orders").value("v")).await;
    sent.unwrap()
}

/// A cluster with a runtime of its own, for tests that end theirs.
fn started_elsewhere() -> Server {
    let config = milena_broker::ClusterConfig {
        auto_create: None,
        ..Default::default()
    };
    let cluster = milena_broker::Cluster::new(config);
    let server = serve_in_thread(cluster, ServeOptions::default()).unwrap();
    server.cluster().create_topic("orders", 1).unwrap();
    server
}

fn stored(server: &Server) -> usize {
    logs(server, "orders").iter().map(Vec::len).sum()
}

#[test]
fn without_a_runtime_there_is_an_error() {
    let error = Producer::builder()
        .bootstrap_servers("localhost:1")
        .build()
        .unwrap_err();
    assert!(matches!(error, BuildError::NoRuntime(_)));
    assert!(error.to_string().contains("no tokio runtime"));
}

#[tokio::test]
async fn a_wrong_configuration_is_an_error_before_anything_runs() {
    let error = Producer::builder().build().unwrap_err();
    assert_eq!(error.to_string(), "bootstrap.servers is not set");
}

#[test]
fn a_runtime_that_is_shut_down_fails_what_is_open() {
    for threads in [0, 2] {
        let server = started_elsewhere();
        server
            .cluster()
            .add_rule(Rule::on(ApiKey::PRODUCE).act(Act::Silence));
        let runtime = match threads {
            0 => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            n => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(n)
                .enable_all()
                .build()
                .unwrap(),
        };
        let (producer, sent, waiting) = runtime.block_on(async {
            let producer = config(&server)
                .linger(Duration::ZERO)
                .connect()
                .await
                .unwrap();
            let sent = producer
                .send(Record::to("orders").value("on the wire"))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let waiting = producer
                .send(Record::to("orders").value("in the buffer"))
                .await
                .unwrap();
            (producer, sent, waiting)
        });
        let begin = Instant::now();
        drop(runtime);
        let other = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        other.block_on(async {
            let sent = sent.await.unwrap_err();
            assert_eq!(sent.fate(), Fate::PossiblyWritten, "{sent}");
            let waiting = waiting.await.unwrap_err();
            assert_eq!(waiting.fate(), Fate::NotWritten, "{waiting}");
            let error = producer
                .send(Record::to("orders").value("too late"))
                .await
                .unwrap_err();
            assert_eq!(error, SendError::Closed(CloseReason::Aborted));
            let error = producer
                .send(Record::to("unknown").value("too late"))
                .await
                .unwrap_err();
            assert_eq!(error, SendError::Closed(CloseReason::Aborted));
            producer.flush().await;
            assert_eq!(producer.close(PATIENCE).await.lost, 2);
        });
        drop(producer);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn those_who_wait_hear_of_the_end_of_the_runtime() {
    let server = started_elsewhere();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let producer = runtime.block_on(async {
        config(&server)
            .max_block(Duration::from_secs(60))
            .build()
            .unwrap()
    });
    let (told, tell) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            told.send(()).unwrap();
            let error = other
                .block_on(producer.partitions_for("missing"))
                .unwrap_err();
            assert_eq!(error, SendError::Closed(CloseReason::Aborted));
        });
        tell.recv().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        drop(runtime);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_without_close_everything_is_still_sent() {
    let (server, producer) = started().await;
    let topic = producer.topic("orders").await.unwrap();
    for n in 0..1000 {
        topic
            .enqueue(Message::new().value(n.to_string()))
            .await
            .unwrap();
    }
    drop(producer);
    drop(topic);
    for _ in 0..1000 {
        if stored(&server) == 1000 && server.connections(1) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "{} records, {} connections",
        stored(&server),
        server.connections(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_delivers_what_was_accepted_and_leaves_no_connection() {
    let (server, producer) = started().await;
    let mut deliveries = Vec::new();
    for n in 0..500 {
        deliveries.push(
            producer
                .send(Record::to("orders").value(n.to_string()))
                .await
                .unwrap(),
        );
    }
    let other = producer.clone();
    let (one, two) = tokio::join!(producer.close(PATIENCE), other.close(PATIENCE));
    assert_eq!((one.lost, two.lost), (0, 0));
    assert_eq!(stored(&server), 500);
    for delivery in deliveries {
        assert!(delivery.try_get().unwrap().is_ok());
    }
    let error = producer
        .send(Record::to("orders").value("v"))
        .await
        .unwrap_err();
    assert_eq!(error, SendError::Closed(CloseReason::Closed));
    assert_eq!(error.to_string(), "the producer is closed (it was closed)");
    assert_eq!(producer.close(PATIENCE).await.lost, 0);
    producer.flush().await;
    assert_eq!(producer.snapshot().sent.records_acknowledged, 500);
    for _ in 0..100 {
        if server.connections(1) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a connection stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_at_once_fails_what_is_not_delivered() {
    let (_server, producer) = started_silent().await;
    let on_the_wire = sent(&producer).await;
    while producer.snapshot().sent.batches == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let buffered = sent(&producer).await;
    let begin = Instant::now();
    let report = producer.close(Duration::ZERO).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(report.lost, 2);
    let error = on_the_wire.await.unwrap_err();
    assert_eq!(
        (error.fate(), error.reason()),
        (Fate::PossiblyWritten, FailureReason::Closed)
    );
    let error = buffered.await.unwrap_err();
    assert_eq!(
        (error.fate(), error.reason()),
        (Fate::NotWritten, FailureReason::Closed)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_at_once_fails_what_is_being_compressed() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 4).unwrap();
    let producer = config(&server)
        .compression(Compression::Zstd)
        .compression_level(19)
        .batch_size(256 << 10)
        .max_request_size(4 << 20)
        .linger(Duration::ZERO)
        .connect()
        .await
        .unwrap();
    let topic = producer.topic("orders").await.unwrap();
    let mut state = 1_u64;
    let mut deliveries = Vec::new();
    for n in 0..400 {
        let value: Vec<u8> = (0..8192)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                b'a' + (state >> 60) as u8
            })
            .collect();
        let message = Message::new().partition(n % 4).value(value);
        deliveries.push(topic.send(message).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let begin = Instant::now();
    let report = producer.close(Duration::ZERO).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    // Every outcome is there when the close is over, and the report has counted it.
    let outcomes: Vec<_> = deliveries.iter().map(|one| one.try_get()).collect();
    assert!(outcomes.iter().all(Option::is_some), "some are open");
    let failed = outcomes.iter().flatten().filter(|one| one.is_err()).count();
    assert!(failed > 0, "the test came too late");
    assert_eq!(report.lost, failed as u64);
    // Nothing changes when the compressor comes back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(producer.snapshot().sent.records_failed, failed as u64);
    assert!(stored(&server) >= 400 - failed);
}

#[test]
fn a_runtime_that_ends_leaves_nothing_open_that_is_being_compressed() {
    let server = started_elsewhere();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (producer, deliveries) = runtime.block_on(async {
        let producer = config(&server)
            .compression(Compression::Zstd)
            .compression_level(19)
            .batch_size(256 << 10)
            .linger(Duration::ZERO)
            .connect()
            .await
            .unwrap();
        let mut deliveries = Vec::new();
        let value: Vec<u8> = (0..100_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect();
        for _ in 0..20 {
            let record = Record::to("orders").value(&value);
            deliveries.push(producer.send(record).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        (producer, deliveries)
    });
    runtime.shutdown_background();
    let begin = Instant::now();
    while deliveries.iter().any(|one| one.try_get().is_none()) {
        assert!(begin.elapsed() < PATIENCE, "outcomes are open");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(deliveries.iter().any(|one| one.try_get().unwrap().is_err()));
    drop(producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_gives_up_after_its_time() {
    let (_server, producer) = started_silent().await;
    let delivery = sent(&producer).await;
    let begin = Instant::now();
    let report = producer.close(Duration::from_millis(300)).await;
    assert!((300..10_000).contains(&begin.elapsed().as_millis()));
    assert_eq!(report.lost, 1);
    assert!(delivery.await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closing_that_is_dropped_goes_on() {
    let (server, producer) = started().await;
    // Closing cannot be over before it is looked at.
    server
        .cluster()
        .add_rule(Rule::on(ApiKey::PRODUCE).act(Act::Delay(500)));
    let delivery = sent(&producer).await;
    assert!(poll_once(producer.close(PATIENCE)).is_pending());
    assert!(delivery.await.is_ok());
    assert_eq!(stored(&server), 1);
    assert!(
        producer
            .send(Record::to("orders").value("v"))
            .await
            .is_err()
    );
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_dropped_at_any_await_do_no_harm() {
    let (server, producer) = started().await;
    // Waiting for a topic.
    assert!(poll_once(producer.send(Record::to("unheard-of").value("v"))).is_pending());
    assert!(poll_once(producer.topic("unheard-of")).is_pending());
    assert!(poll_once(producer.partitions_for("unheard-of")).is_pending());
    assert!(
        poll_once(producer.send_with(Record::to("unheard-of").value("v"), |_| panic!()))
            .is_pending()
    );
    assert!(poll_once(producer.send_many(&[Record::to("unheard-of").value("v")])).is_pending());
    // Waiting for a delivery, also after having been polled.
    drop(
        producer
            .send(Record::to("orders").value("1"))
            .await
            .unwrap(),
    );
    let mut polled = producer
        .send(Record::to("orders").value("2"))
        .await
        .unwrap();
    let _ = poll_once(&mut polled);
    drop(polled);
    // Waiting for a flush.
    producer
        .send(Record::to("orders").value("3"))
        .await
        .map(drop)
        .unwrap();
    let _ = poll_once(producer.flush());
    let deliveries = producer
        .send_many(&[Record::to("orders").value("4")])
        .await
        .unwrap();
    let _ = poll_once(deliveries);
    producer.flush().await;
    assert_eq!(stored(&server), 4);
    assert_eq!(producer.snapshot().buffer.topic_waiters, 0);
    let at = producer
        .send(Record::to("orders").value("5"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(at.offset(), Some(4));
    // Connecting.
    let before = server.cluster().journal().connections_of(1).open;
    for _ in 0..10 {
        let _ = poll_once(config(&server).connect());
    }
    for _ in 0..500 {
        if server.connections(1) == before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("connections stay open");
}

/// Counts how often it is polled, and gives up at that number.
struct Polls<F> {
    inner: Pin<Box<F>>,
    left: u32,
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // Somebody else may wake it rarely: every poll is one more place to be dropped at.
            Poll::Pending => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

#[tokio::test]
async fn connecting_can_be_dropped_after_each_poll() {
    let server = cluster(3).await;
    let mut polls = 0;
    loop {
        let config = config(&server);
        let connecting = Polls {
            inner: Box::pin(config.connect()),
            left: polls,
        };
        let connected = connecting.await;
        let ready = connected.is_some();
        drop(connected);
        let begin = Instant::now();
        while server.cluster().journal().connections().open > 0 {
            assert!(begin.elapsed() < PATIENCE, "a connection stays open");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if ready {
            assert!(polls > 1);
            return;
        }
        polls += 1 + polls / 16;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_restarted_costs_nothing_but_time() {
    let server = cluster(3).await;
    server.cluster().create_topic("orders", 3).unwrap();
    let producer = config(&server).connect().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..2000 {
        let record = Record::to("orders")
            .key(format!("{n}"))
            .value(format!("{n}"));
        deliveries.push(producer.send(record).await.unwrap());
        if n % 500 == 250 {
            let broker = 1 + n / 500 % 3;
            server.stop_broker(broker, Stop::Abrupt).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            server.start_broker(broker).unwrap();
        }
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    assert_eq!(stored(&server), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_before_the_answer_store_nothing_twice() {
    let server = cluster(1).await;
    server.cluster().create_topic("orders", 2).unwrap();
    for (skip, cut) in [
        (1, Cut::After),
        (3, Cut::InAnswer),
        (5, Cut::InRequest),
        (7, Cut::Before),
    ] {
        let rule = Rule::on(ApiKey::PRODUCE).skip(skip).times(1);
        server.cluster().add_rule(rule.act(Act::Cut(cut)));
    }
    let producer = config(&server).connect().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..300 {
        let record = Record::to("orders").partition(n % 2).value(n.to_string());
        deliveries.push(producer.send(record).await.unwrap());
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    for (partition, log) in logs(&server, "orders").iter().enumerate() {
        let numbers: Vec<usize> = log
            .iter()
            .map(|record| record.text().parse().unwrap())
            .collect();
        assert_eq!(
            numbers,
            (0..150).map(|n| 2 * n + partition).collect::<Vec<_>>()
        );
    }
    let sent = producer.snapshot().sent;
    assert!(sent.retries >= 4 && sent.lost >= 4, "{sent:?}");
}

#[test]
fn a_runtime_without_drivers_is_an_error_and_no_hang() {
    let server = started_elsewhere();
    let begin = Instant::now();
    let bare = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    bare.block_on(async {
        let error = config(&server).build().unwrap_err();
        assert!(matches!(error, BuildError::NoRuntime(_)), "{error}");
        assert!(error.to_string().contains("without timers"), "{error}");
    });
    let time_only = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    time_only.block_on(async {
        let error = config(&server).connect().await.unwrap_err();
        assert!(error.to_string().contains(&server.bootstrap()), "{error}");
        assert!(error.to_string().contains("net driver"), "{error}");
    });
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_runtime_that_is_gone_already_is_an_error_and_no_hang() {
    let server = started_elsewhere();
    let gone = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let handle = gone.handle().clone();
    drop(gone);
    let producer = {
        let _entered = handle.enter();
        config(&server).build().unwrap()
    };
    let other = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    other.block_on(async {
        let error = producer
            .send(Record::to("orders").value("v"))
            .await
            .unwrap_err();
        assert_eq!(error, SendError::Closed(CloseReason::Aborted));
        assert_eq!(producer.close(PATIENCE).await.lost, 0);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_never_waits_for_a_broker() {
    let (_server, producer) = started_silent().await;
    let delivery = sent(&producer).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begin = Instant::now();
    drop(producer);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(delivery.try_get().is_none(), "it is still being sent");
}
