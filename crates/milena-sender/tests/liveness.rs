//! Nothing waits for ever, nothing goes before its time, and nobody looks again and again for what is not there.

use std::sync::Arc;
use std::time::Duration;

use milena_broker::{Act, ApiKey, Change, ClusterConfig, Cut, ErrorCode, Rule};
use milena_record::Compression;
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
    world.sender.check(world.clock().now()).unwrap();
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
    let codecs = [Compression::none(), Compression::lz4(None).unwrap()];
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

#[test]
fn a_leader_that_went_while_its_topic_was_idle_is_replaced() {
    let (mut world, topic) = world(2, settings());
    let first = append(&world, &topic, Target::Partition(1), 10);
    assert!(settles(&mut world, secs(1), &first));
    // Nothing is sent for longer than metadata is kept: the topic is not asked about any more.
    run(&mut world, secs(700));
    assert!(!world.sender.client().is_tracked(TOPIC));
    world.change(Change::BrokerDown(2));
    world.change(Change::MoveLeader {
        topic: TOPIC.into(),
        partition: 1,
        to: Some(1),
    });
    run(&mut world, secs(1));
    let next = append(&world, &topic, Target::Partition(1), 10);
    assert!(
        settles(&mut world, secs(60), &next),
        "its leader is not looked for"
    );
    next.try_get().unwrap().unwrap();
}

#[test]
fn a_leader_that_cannot_be_reached_for_long_is_replaced() {
    let (mut config, records) = settings();
    config.delivery_timeout = secs(3600);
    let (mut world, topic) = world(2, (config, records));
    let first = append(&world, &topic, Target::Partition(1), 10);
    assert!(settles(&mut world, secs(1), &first));
    // Cannot be connected to, though the cluster lists it.
    let cut = Rule::on(ApiKey::API_VERSIONS)
        .broker(2)
        .act(Act::Cut(Cut::Before));
    world.cluster.add_rule(cut);
    let cut = Rule::on(ApiKey::PRODUCE)
        .broker(2)
        .act(Act::Cut(Cut::Before));
    world.cluster.add_rule(cut);
    let next = append(&world, &topic, Target::Partition(1), 10);
    assert!(!settles(&mut world, secs(700), &next));
    world.change(Change::MoveLeader {
        topic: TOPIC.into(),
        partition: 1,
        to: Some(1),
    });
    assert!(
        settles(&mut world, secs(600), &next),
        "its leader is not looked for"
    );
    next.try_get().unwrap().unwrap();
}

#[test]
fn what_waits_for_a_partition_that_is_gone_holds_up_no_other() {
    let (mut world, topic) = world(1, settings());
    world.change(Change::DeleteTopic(TOPIC.into()));
    world.cluster.create_topic(TOPIC, 2).unwrap();
    let kept = loop {
        run(&mut world, secs(1));
        if topic.partition_count() == 2 {
            break append(&world, &topic, Target::Partition(0), 10);
        }
        drop(append(&world, &topic, Target::Partition(0), 10));
    };
    assert!(settles(&mut world, secs(5), &kept));
    // Both have something when the topic is made anew with one partition only.
    let gone = append(&world, &topic, Target::Partition(1), 10);
    world.change(Change::DeleteTopic(TOPIC.into()));
    world.cluster.create_topic(TOPIC, 1).unwrap();
    run(&mut world, secs(5));
    let mut sent = std::collections::VecDeque::new();
    let mut late = 0;
    for _ in 0..20_000 {
        run(&mut world, Duration::from_micros(500));
        sent.push_back(append(&world, &topic, Target::Partition(0), 10));
        if sent.len() > 100 {
            // Handed over 50 ms ago: nothing is the matter with its partition.
            late += u32::from(sent.pop_front().unwrap().try_get().is_none());
        }
    }
    assert!(gone.try_get().is_none());
    assert_eq!(late, 0);
}

#[test]
fn a_batch_that_backs_off_expires_in_time() {
    let (mut config, records) = settings();
    (config.retry_backoff, config.retry_backoff_max) = (secs(100), secs(100));
    let timeout = secs(60);
    config.delivery_timeout = timeout;
    let (mut world, topic) = world(1, (config, records));
    let first = append(&world, &topic, Target::Partition(0), 10);
    assert!(settles(&mut world, secs(1), &first));
    let refused = Rule::on(ApiKey::PRODUCE).error(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.add_rule(refused);
    // It backs off when the first one's time is over.
    run(&mut world, timeout / 2);
    let second = append(&world, &topic, Target::Partition(0), 10);
    assert!(
        settles(&mut world, timeout + millis(10), &second),
        "it is late"
    );
    let error = second.try_get().unwrap().unwrap_err();
    assert_eq!(error.reason(), FailureReason::Expired);
}

#[test]
fn a_batch_that_was_being_compressed_when_another_expired_expires_in_time() {
    let (mut config, mut records) = settings();
    let timeout = secs(60);
    (config.linger, config.delivery_timeout) = (millis(29_980), timeout);
    (records.linger, records.compression) = (config.linger, Compression::lz4(None).unwrap());
    config.compression = records.compression;
    let (mut world, topic) = world(1, (config, records));
    world.latency = (millis(2), millis(2));
    let start = world.elapsed();
    let until = |world: &mut World, micros| {
        let at = start + Duration::from_micros(micros);
        world.run_until(at, |_| false);
    };
    let first = append(&world, &topic, Target::Partition(0), 10);
    until(&mut world, 30_019_000);
    first.try_get().unwrap().unwrap();
    let second = append(&world, &topic, Target::Partition(0), 10);
    // It goes to the compressor a millisecond before the first one's timer, and has no connection when it comes back.
    world.change_at(start + millis(59_998), Change::BrokerDown(1));
    until(&mut world, 59_999_500);
    drop(append(&world, &topic, Target::Partition(0), 10));
    until(&mut world, 90_018_000);
    assert!(second.try_get().is_none());
    until(&mut world, 90_020_000);
    let error = second.try_get().expect("it is late").unwrap_err();
    assert_eq!(error.reason(), FailureReason::Expired);
}

#[test]
fn a_broker_is_left_alone_once_nothing_waits_for_it() {
    for listed in [false, true] {
        let (mut config, records) = settings();
        config.client.metadata_max_age = secs(10);
        let (mut world, topic) = world(2, (config, records));
        let first = append(&world, &topic, Target::Partition(1), 10);
        assert!(settles(&mut world, secs(1), &first));
        for api in [ApiKey::PRODUCE, ApiKey::API_VERSIONS] {
            let cut = Rule::on(api).broker(2).act(Act::Cut(Cut::Before));
            world.cluster.add_rule(cut);
        }
        // It is ready for a broker that cannot be reached.
        let next = append(&world, &topic, Target::Partition(1), 10);
        assert!(!settles(&mut world, secs(3), &next));
        world.change(Change::MoveLeader {
            topic: TOPIC.into(),
            partition: 1,
            to: Some(1),
        });
        assert!(settles(&mut world, secs(15), &next));
        next.try_get().unwrap().unwrap();
        if !listed {
            world.change(Change::BrokerDown(2));
        }
        run(&mut world, secs(15));
        let asked = |world: &World| {
            let journal = world.cluster.journal();
            (
                journal.count(ApiKey::METADATA),
                journal.connections_of(2).total,
            )
        };
        let before = asked(&world);
        run(&mut world, secs(60));
        let after = asked(&world);
        assert!(
            after.0 - before.0 < 8,
            "{} requests for metadata",
            after.0 - before.0
        );
        assert_eq!(after.1, before.1, "connections");
    }
}

#[test]
fn a_batch_that_has_lingered_goes_however_much_else_is_ready() {
    const BUSY: i32 = 200;
    for compression in [Compression::lz4(None).unwrap(), Compression::none()] {
        // Half a dozen batches make a request, and compressing takes a dozen at a time.
        let config = Config {
            compression,
            batch_size: 4_000,
            max_request_size: 25_000,
            ..Config::default()
        };
        let records = accumulator::Config {
            compression,
            batch_size: config.batch_size,
            max_request_size: config.max_request_size,
            buffer_memory: 4 << 20,
            ..accumulator::Config::default()
        };
        let cluster = ClusterConfig {
            auto_create: None,
            ..ClusterConfig::default()
        };
        let mut world = World::new(7, cluster, config, records);
        let partitions = BUSY as usize + 1;
        world.cluster.create_topic(TOPIC, partitions).unwrap();
        let topic = known(&mut world, TOPIC);
        let mut number = 0;
        let mut fill = |world: &mut World| {
            while world.accumulator.snapshot().buffered() < 3 << 20 {
                let target = Target::Partition(number % BUSY);
                drop(append(world, &topic, target, 3_950));
                number += 1;
            }
        };
        fill(&mut world);
        run(&mut world, millis(100));
        fill(&mut world);
        let lingers = append(&world, &topic, Target::Partition(BUSY), 10);
        for _ in 0..500 {
            run(&mut world, millis(1));
            fill(&mut world);
        }
        let lingers = lingers.try_get();
        assert!(
            lingers.is_some(),
            "{compression:?}: it waits for half a second"
        );
    }
}

#[test]
fn a_batch_that_is_always_out_of_order_uses_up_its_retries() {
    let (mut config, records) = settings();
    config.retries = 2;
    let (mut world, topic) = world(1, (config, records));
    let first = append(&world, &topic, Target::Partition(0), 10);
    assert!(settles(&mut world, secs(1), &first));
    let refused = Rule::on(ApiKey::PRODUCE).error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.cluster.add_rule(refused);
    let before = world.sender.counters().batches;
    let next = append(&world, &topic, Target::Partition(0), 10);
    assert!(settles(&mut world, secs(10), &next), "it is tried for ever");
    let error = next.try_get().unwrap().unwrap_err();
    assert_eq!(error.reason(), FailureReason::RetriesExhausted);
    assert_eq!(world.sender.counters().batches - before, 3);
}
