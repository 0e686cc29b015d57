//! Nothing waits for ever, nothing goes before its time, and nobody looks again and again for what is not there.

use std::sync::Arc;
use std::time::Duration;

use milena_broker::{Act, ApiKey, Change, ClusterConfig, Cut, ErrorCode, Rule};
use milena_sender::Config;
use milena_sender::accumulator::{
    self, BatchFailure, Bin, Clock, Delivery, FailureReason, Fate, Record, Slot, Target, Topic,
    Value, Verdict, Want,
};
use milena_sim::World;

const TOPIC: &str = "t";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What the sender and the accumulator are told, without lingering.
fn settings() -> (Config, accumulator::Config) {
    let config = Config {
        linger: Duration::ZERO,
        ..Config::default()
    };
    let records = accumulator::Config {
        linger: Duration::ZERO,
        ..accumulator::Config::default()
    };
    (config, records)
}

/// So many brokers and a topic of as many partitions, each led by a broker of its own.
fn fresh(brokers: usize, (config, records): (Config, accumulator::Config)) -> World {
    let cluster = ClusterConfig {
        brokers,
        auto_create: None,
        ..ClusterConfig::default()
    };
    let mut world = World::new(7, cluster, config, records);
    world.cluster.create_topic(TOPIC, brokers).unwrap();
    for partition in 0..brokers as i32 {
        world.change(Change::MoveLeader {
            topic: TOPIC.into(),
            partition,
            to: Some(partition + 1),
        });
    }
    world
}

/// The same, with a producer that knows the topic.
fn world(brokers: usize, settings: (Config, accumulator::Config)) -> (World, Arc<Topic>) {
    let mut world = fresh(brokers, settings);
    let topic = known(&mut world, TOPIC);
    (world, topic)
}

/// Runs until a topic is known.
fn known(world: &mut World, name: &str) -> Arc<Topic> {
    let now = world.clock().now();
    let deadline = now + secs(60);
    let wait = world.accumulator.wait_topic(now, name, None, deadline);
    assert!(world.run_until(secs(50), |world| world.accumulator.topic(name).is_some()));
    drop(wait);
    world.accumulator.topic(name).unwrap()
}

/// Hands a record over; nothing happens before the world goes on.
fn append(world: &World, topic: &Topic, target: Target, size: usize) -> Delivery {
    let value = vec![b'v'; size];
    let record = Record {
        value: Value::Borrowed(&value),
        ..Record::default()
    };
    let appended = world.accumulator.append(
        &world.clock(),
        topic,
        &(target, record),
        Want::Delivery,
        None,
    );
    appended.unwrap().delivery.unwrap()
}

/// Runs for so long.
fn run(world: &mut World, time: Duration) {
    let until = world.elapsed() + time;
    world.run_until(until, |_| false);
}

/// Runs for so long, or until the outcome is there; whether it is.
fn settles(world: &mut World, within: Duration, delivery: &Delivery) -> bool {
    let until = world.elapsed() + within;
    let done = world.run_until(until, |_| delivery.try_get().is_some());
    assert_eq!(world.stuck, None);
    world.sender.check().unwrap();
    done
}

/// Takes the oldest batch of the first partition from under the sender, which has yet to read that there is one: as
/// when it takes a batch of which another thread is about to tell.
fn take_unheard(world: &World) {
    let taken = world.accumulator.take(Slot(0)).unwrap();
    let failure = BatchFailure::new(FailureReason::Lost, Fate::NotWritten);
    let mut bin = Bin::new();
    taken
        .batch
        .complete(Verdict::Failed(Arc::new(failure)), &mut bin);
    bin.run();
}

#[test]
fn news_of_a_batch_that_is_gone_is_looked_into_once() {
    let codecs = [
        milena_record::Compression::none(),
        milena_record::Compression::lz4(None).unwrap(),
    ];
    for compression in codecs {
        let (mut config, mut records) = settings();
        config.compression = compression;
        (records.compression, records.batch_size) = (compression, 200);
        let (mut world, topic) = world(1, (config, records));
        let first = append(&world, &topic, Target::Partition(0), 10);
        assert!(settles(&mut world, secs(1), &first));
        drop(append(&world, &topic, Target::Partition(0), 1000));
        take_unheard(&world);
        let before = world.steps();
        run(&mut world, secs(1));
        let steps = world.steps() - before;
        assert!(steps < 100, "{steps} steps with nothing to do");
        let next = append(&world, &topic, Target::Partition(0), 10);
        assert!(settles(&mut world, secs(1), &next));
        next.try_get().unwrap().unwrap();
    }
}

#[test]
fn news_of_a_batch_that_is_gone_does_not_age_the_next_one() {
    let (mut world, topic) = world(1, settings());
    let timeout = Config::default().delivery_timeout;
    world.change(Change::BrokerDown(1));
    run(&mut world, secs(1));
    drop(append(&world, &topic, Target::Partition(0), 20_000));
    take_unheard(&world);
    run(&mut world, timeout / 2);
    let next = append(&world, &topic, Target::Partition(0), 10);
    assert!(!settles(&mut world, timeout * 3 / 4, &next));
    assert!(settles(&mut world, timeout / 2, &next));
    let error = next.try_get().unwrap().unwrap_err();
    assert_eq!(error.reason(), FailureReason::Expired);
}

/// A world of three brokers in which leaders that took nothing for 200 ms are passed over. Answers are waited for two
/// seconds, deliveries for three.
fn watched() -> (World, Arc<Topic>) {
    let (mut config, mut records) = settings();
    (config.request_timeout, config.delivery_timeout) = (secs(2), secs(3));
    records.availability_timeout = Some(millis(200));
    world(3, (config, records))
}

/// How many of the records of so much time go to each partition: unkeyed ones, each a batch of its own.
fn spread(world: &mut World, topic: &Topic, time: Duration) -> [u32; 3] {
    let until = world.elapsed() + time;
    let mut counts = [0; 3];
    let value = vec![b'v'; 17_000];
    while world.elapsed() < until {
        let record = Record {
            value: Value::Borrowed(&value),
            ..Record::default()
        };
        let target = Target::Any;
        let clock = world.clock();
        let appended =
            world
                .accumulator
                .append(&clock, topic, &(target, record), Want::Nothing, None);
        counts[appended.unwrap().partition as usize] += 1;
        run(world, millis(5));
    }
    counts
}

/// Heals the cluster, after which every partition gets its share again.
fn comes_back(world: &mut World, topic: &Topic) {
    world.cluster.clear_rules();
    // A connection that was silent is given up first.
    spread(world, topic, secs(2));
    let counts = spread(world, topic, secs(1));
    assert!(counts.iter().all(|count| *count > 30), "{counts:?}");
}

#[test]
fn a_leader_that_does_not_answer_is_passed_over_until_it_does() {
    let (mut world, topic) = watched();
    let silent = Rule::on(ApiKey::PRODUCE).broker(3).act(Act::DropAnswer);
    world.cluster.add_rule(silent);
    let before = spread(&mut world, &topic, millis(500));
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
    let counts = spread(&mut world, &topic, secs(1));
    assert_eq!(counts[2], 0, "{counts:?}");
    comes_back(&mut world, &topic);
}

#[test]
fn a_leader_that_cannot_be_reached_is_passed_over_until_it_can() {
    let (mut world, topic) = watched();
    spread(&mut world, &topic, millis(500));
    for api in [ApiKey::PRODUCE, ApiKey::API_VERSIONS] {
        let cut = Rule::on(api).broker(3).act(Act::Cut(Cut::Before));
        world.cluster.add_rule(cut);
    }
    spread(&mut world, &topic, millis(500));
    // Long after what waits for it has expired.
    let counts = spread(&mut world, &topic, secs(6));
    assert_eq!(counts[2], 0, "{counts:?}");
    comes_back(&mut world, &topic);
}

#[test]
fn a_producer_id_is_asked_for_again_when_silence_ends() {
    for (brokers, within) in [(1, 22), (2, 2)] {
        let mut world = fresh(brokers, settings());
        // Longer than any back-off.
        let refused = Rule::on(ApiKey::INIT_PRODUCER_ID)
            .times(1)
            .error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
            .act(Act::Throttle(20_000));
        world.cluster.add_rule(refused);
        let topic = known(&mut world, TOPIC);
        let delivery = append(&world, &topic, Target::Partition(0), 10);
        assert!(settles(&mut world, secs(within), &delivery));
        delivery.try_get().unwrap().unwrap();
    }
}

#[test]
fn a_batch_that_waits_to_be_cut_is_cut_by_another_connection_or_expires() {
    for back in [false, true] {
        let (mut world, topic) = world(1, settings());
        world.cluster.create_topic("other", 1).unwrap();
        let other = known(&mut world, "other");
        for topic in [&topic, &other] {
            let first = append(&world, topic, Target::Partition(0), 10);
            assert!(settles(&mut world, secs(1), &first));
        }
        world.latency = (millis(2), millis(2));
        let too_large = Rule::on(ApiKey::PRODUCE)
            .times(1)
            .error(ErrorCode::MESSAGE_TOO_LARGE);
        world.cluster.add_rule(too_large);
        let batch = [10, 10].map(|size| append(&world, &topic, Target::Partition(0), size));
        // The answer comes while another request is being written, and the end of the connection before that is done.
        let sent = world.elapsed();
        world.change_at(sent + Duration::from_micros(2100), Change::BrokerDown(1));
        run(&mut world, Duration::from_micros(3800));
        let beside = append(&world, &other, Target::Partition(0), 10);
        run(&mut world, millis(10));
        assert_eq!(world.sender.counters().splits, 1);
        assert_eq!(world.sender.client().connections().len(), 0);
        let timeout = Config::default().delivery_timeout;
        if back {
            world.change(Change::BrokerUp(1));
        }
        for delivery in batch.iter().chain([&beside]) {
            let within = if back { secs(5) } else { timeout + secs(1) };
            assert!(settles(&mut world, within, delivery));
        }
        for delivery in batch {
            let outcome = delivery.try_get().unwrap();
            match outcome {
                Ok(_) => assert!(back),
                Err(error) => {
                    assert!(!back);
                    let told = (error.reason(), error.fate());
                    assert_eq!(told, (FailureReason::Expired, Fate::NotWritten));
                }
            }
        }
        assert!(world.sender.is_drained());
    }
}

#[test]
fn durations_without_end_are_endured() {
    let records = accumulator::Config {
        linger: Duration::MAX,
        availability_timeout: Some(Duration::MAX),
        ..accumulator::Config::default()
    };
    let mut config = Config {
        linger: Duration::MAX,
        delivery_timeout: Duration::MAX,
        request_timeout: Duration::MAX,
        retry_backoff: Duration::MAX,
        retry_backoff_max: Duration::MAX,
        ..Config::default()
    };
    config.client.metadata_max_age = Duration::MAX;
    config.client.metadata_max_idle = Duration::MAX;
    let (mut world, topic) = world(1, (config, records));
    let lingers = append(&world, &topic, Target::Partition(0), 10);
    assert!(!settles(&mut world, secs(1_000_000), &lingers));
    let flush = world.accumulator.flush();
    assert!(settles(&mut world, secs(1), &lingers));
    let refused = Rule::on(ApiKey::PRODUCE)
        .times(1)
        .error(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.add_rule(refused);
    let backs_off = append(&world, &topic, Target::Partition(0), 10);
    assert!(!settles(&mut world, secs(1_000_000), &backs_off));
    drop(flush);
}
