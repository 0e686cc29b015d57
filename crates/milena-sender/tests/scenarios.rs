//! A sender and a model of a cluster, without sockets and in virtual time: single answers, and what comes of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use milena_broker::{Act, ApiKey, Change, ClusterConfig, ErrorCode, Rule, TopicConfig};
use milena_sender::Config;
use milena_sender::accumulator::{
    self, Clock, Delivery, DeliveryError, FailureReason, Fate, Record, RecordMetadata, Target,
    Topic, Value, Want,
};
use milena_sim::World;

const TOPIC: &str = "t";

/// A cluster with one topic of one partition, led by broker 1, whose producer is known there.
fn started(brokers: usize) -> World {
    let config = Config {
        linger: Duration::ZERO,
        ..Config::default()
    };
    let records = accumulator::Config {
        linger: Duration::ZERO,
        ..accumulator::Config::default()
    };
    let cluster = ClusterConfig {
        brokers,
        auto_create: None,
        ..ClusterConfig::default()
    };
    let mut world = World::new(7, cluster, config, records);
    world.cluster.create_topic(TOPIC, 1).unwrap();
    world.change(Change::MoveLeader {
        topic: TOPIC.into(),
        partition: 0,
        to: Some(1),
    });
    known(&mut world);
    let mut first = [send(&mut world, "first")];
    rest(&mut world, 5, &mut first)[0].as_ref().unwrap();
    world
}

/// Runs until the topic is known.
fn known(world: &mut World) -> Arc<Topic> {
    let now = world.clock().now();
    let deadline = now + secs(60);
    let wait = world.accumulator.wait_topic(now, TOPIC, None, deadline);
    assert!(world.run_until(secs(5), |world| world.accumulator.topic(TOPIC).is_some()));
    drop(wait);
    world.accumulator.topic(TOPIC).unwrap()
}

/// Runs until connections have caught up as far as somebody who keeps to the pace waits for them.
fn keep_pace(world: &mut World) {
    if world.accumulator.is_ahead() {
        let mut pace = world.accumulator.wait_pace(world.clock().now());
        let until = world.elapsed() + secs(1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(world.run_until(until, |_| Pin::new(&mut pace).poll(&mut cx).is_ready()));
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Hands a record over; it is on its way, as a batch of its own, when this returns.
fn send(world: &mut World, value: &str) -> Delivery {
    let topic = world.accumulator.topic(TOPIC).unwrap();
    let record = Record {
        value: Value::Borrowed(value.as_bytes()),
        ..Record::default()
    };
    let (clock, target) = (world.clock(), Target::Partition(0));
    let appended =
        world
            .accumulator
            .append(&clock, &topic, &(target, record), Want::Delivery, None);
    let soon = world.elapsed() + Duration::from_micros(20);
    world.run_until(soon, |_| false);
    appended.unwrap().delivery.unwrap()
}

/// Runs until all outcomes are there, which must not take longer than so many seconds.
fn rest(
    world: &mut World,
    within: u64,
    deliveries: &mut [Delivery],
) -> Vec<Result<RecordMetadata, DeliveryError>> {
    let until = world.elapsed() + secs(within);
    let done = world.run_until(until, |_| {
        deliveries.iter().all(|one| one.try_get().is_some())
    });
    assert!(done, "outcomes are open");
    assert_eq!(world.stuck, None);
    world.sender.check(world.clock().now()).unwrap();
    deliveries
        .iter_mut()
        .map(|delivery| delivery.try_get().unwrap())
        .collect()
}

fn stored(world: &World) -> Vec<String> {
    let log = world.cluster.log(TOPIC, 0).unwrap();
    let mut values = Vec::new();
    for stored in log.batches() {
        for batch in milena_record::batches(&stored.bytes) {
            let records = batch.unwrap();
            for record in &records.records(1 << 20).unwrap() {
                let value = record.unwrap().value.unwrap_or_default().to_vec();
                values.push(String::from_utf8(value).unwrap());
            }
        }
    }
    values
}

fn produce() -> Rule {
    Rule::on(ApiKey::PRODUCE).times(1)
}

#[test]
fn an_open_batch_comes_along_unless_somebody_goes_on_to_fill_it() {
    let config = Config {
        linger: secs(1),
        ..Config::default()
    };
    let records = accumulator::Config {
        linger: secs(1),
        ..accumulator::Config::default()
    };
    let mut world = World::new(7, ClusterConfig::default(), config, records);
    world.cluster.create_topic(TOPIC, 2).unwrap();
    let topic = known(&mut world);
    let put = |world: &World, partition, size| {
        put(
            world,
            &topic,
            Target::Partition(partition),
            &vec![b'v'; size],
        );
    };
    for paced in [false, true] {
        let end = |world: &World| world.cluster.log(TOPIC, 1).unwrap().end_offset();
        let before = end(&world);
        put(&world, 1, 10);
        while !world.accumulator.is_ahead() {
            put(&world, 0, 10_000);
        }
        let pace = paced.then(|| world.accumulator.wait_pace(world.clock().now()));
        let soon = world.elapsed() + Duration::from_millis(500);
        world.run_until(soon, |_| false);
        assert!(!world.accumulator.is_ahead());
        assert_eq!(end(&world) - before, i64::from(!paced));
        // It lingers no longer than any other.
        world.run_until(soon + secs(1), |_| false);
        assert_eq!(end(&world) - before, 1);
        drop(pace);
    }
}

#[test]
fn thousands_of_batches_go_in_several_requests() {
    let (mut world, topic) = roomy(1, 2500, 16 << 10);
    for partition in 0..2500 {
        put(&world, &topic, Target::Partition(partition), b"v");
    }
    let sent = |world: &World| world.sender.counters().records_acknowledged == 2500;
    let until = world.elapsed() + secs(1);
    assert!(world.run_until(until, |world| sent(world)));
    let counters = world.sender.counters();
    assert_eq!((counters.requests, counters.batches), (3, 2500));
}

/// A world where much is sent: 64 MiB of memory, batches of so many bytes, answers after 5 ms from brokers that forget
/// what they get.
fn roomy(brokers: usize, partitions: usize, batch_size: usize) -> (World, Arc<Topic>) {
    let cluster = ClusterConfig {
        brokers,
        ..ClusterConfig::default()
    };
    let records = accumulator::Config {
        buffer_memory: 64 << 20,
        batch_size,
        ..accumulator::Config::default()
    };
    let mut world = World::new(7, cluster, Config::default(), records);
    world.latency = (Duration::from_micros(2500), Duration::from_micros(2500));
    let discarding = TopicConfig {
        discard: true,
        ..TopicConfig::default()
    };
    world
        .cluster
        .create_topic_with(TOPIC, partitions, discarding)
        .unwrap();
    let topic = known(&mut world);
    (world, topic)
}

/// Appends a record that nobody waits for.
fn put(world: &World, topic: &Topic, target: Target, value: &[u8]) {
    let record = Record {
        value: Value::Borrowed(value),
        ..Record::default()
    };
    world
        .accumulator
        .append(
            &world.clock(),
            topic,
            &(target, record),
            Want::Nothing,
            None,
        )
        .unwrap();
}

/// How long the last part takes of much that is sent, with answers after 5 ms, by somebody who does this before each record.
fn long_pipe(mut before_each: impl FnMut(&mut World)) -> Duration {
    const PARTITIONS: i32 = 50;
    let batch_size = accumulator::Config::default().batch_size;
    let (mut world, topic) = roomy(1, PARTITIONS as usize, batch_size);
    let value = vec![b'v'; 15_000];
    let mut since = Duration::ZERO;
    for number in 0..12_000 {
        if number == 10_000 {
            since = world.elapsed();
        }
        before_each(&mut world);
        let target = Target::Partition(number % PARTITIONS);
        put(&world, &topic, target, &value);
    }
    world.elapsed() - since
}

#[test]
fn whoever_keeps_to_the_pace_fills_a_long_pipe() {
    let paced = long_pipe(keep_pace);
    let full = long_pipe(|world| {
        let until = world.elapsed() + secs(1);
        let room = |world: &mut World| world.accumulator.snapshot().buffered() < 60 << 20;
        assert!(room(world) || world.run_until(until, room));
    });
    assert!(paced < full * 5 / 4, "{paced:?} and {full:?}");
}

/// Records that the first two of three brokers have after a while of sending flat out, answers taking 5 ms.
fn at_two_of_three(rule: Option<Rule>) -> i64 {
    let (mut world, topic) = roomy(3, 6, 64 << 10);
    if let Some(rule) = rule {
        world.cluster.add_rule(rule);
    }
    let value = vec![b'v'; 60_000];
    let end = world.elapsed() + Duration::from_millis(500);
    while world.elapsed() < end {
        keep_pace(&mut world);
        put(&world, &topic, Target::Any, &value);
    }
    let at = |partition| world.cluster.leader(TOPIC, partition).unwrap();
    (0..6)
        .filter(|partition| at(*partition) != 3)
        .map(|partition| world.cluster.log(TOPIC, partition).unwrap().end_offset())
        .sum()
}

#[test]
fn a_slow_broker_does_not_hold_up_the_others() {
    let slow = Rule::on(ApiKey::PRODUCE).broker(3).act(Act::Delay(200));
    let (alone, beside) = (at_two_of_three(None), at_two_of_three(Some(slow)));
    assert!(beside > alone * 9 / 10, "{beside} of {alone}");
}

#[test]
fn of_a_thousand_brokers_two_are_connected_to() {
    let mut world = started(1000);
    let values: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    for value in &values {
        let mut deliveries = [send(&mut world, value)];
        rest(&mut world, 5, &mut deliveries)[0].as_ref().unwrap();
    }
    let later = world.elapsed() + secs(700);
    world.run_until(later, |_| false);
    let connections = world.cluster.journal().connections();
    // The one for bootstrap, metadata and the producer id, and the leader's; idle ones were closed since.
    assert!(connections.most <= 2, "{connections:?}");
    assert_eq!(world.cluster.journal().connections_of(1).total, 1);
    assert_eq!(stored(&world).len(), 51);
}

#[test]
fn a_fenced_epoch_fails_its_batch_and_begins_anew() {
    for code in [
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::PRODUCER_FENCED,
    ] {
        let mut world = started(1);
        world.cluster.add_rule(produce().error(code));
        let mut deliveries = [send(&mut world, "refused")];
        let outcome = rest(&mut world, 5, &mut deliveries).remove(0);
        let error = outcome.unwrap_err();
        assert_eq!(
            (error.reason(), error.fate(), error.code()),
            (FailureReason::Refused, Fate::NotWritten, Some(code.0))
        );
        let mut deliveries = [send(&mut world, "second"), send(&mut world, "third")];
        for outcome in rest(&mut world, 5, &mut deliveries) {
            outcome.unwrap();
        }
        assert_eq!(stored(&world), ["first", "second", "third"]);
        assert_eq!(world.sender.counters().restarts, 1);
    }
}

#[test]
fn batches_behind_a_fenced_one_keep_their_order() {
    let mut world = started(1);
    world
        .cluster
        .add_rule(produce().error(ErrorCode::INVALID_PRODUCER_EPOCH));
    let values = ["refused", "a", "b", "c", "d"];
    let mut deliveries = values.map(|value| send(&mut world, value));
    let outcomes = rest(&mut world, 10, &mut deliveries);
    assert!(outcomes[0].is_err());
    assert!(outcomes[1..].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(stored(&world), ["first", "a", "b", "c", "d"]);
}

#[test]
fn a_gap_with_batches_in_doubt_behind_it_is_brought_to_rest() {
    let mut world = started(1);
    for (skip, code) in [
        (0, ErrorCode::NOT_ENOUGH_REPLICAS),
        (1, ErrorCode::REQUEST_TIMED_OUT),
        (2, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
    ] {
        world.cluster.add_rule(produce().skip(skip).error(code));
    }
    let mut deliveries = [send(&mut world, "oldest"), send(&mut world, "in doubt")];
    // Long before the delivery timeout.
    let outcomes = rest(&mut world, 5, &mut deliveries);
    outcomes[0].as_ref().unwrap();
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!(error.fate(), Fate::PossiblyWritten);
    let mut deliveries = [send(&mut world, "next")];
    rest(&mut world, 5, &mut deliveries)[0].as_ref().unwrap();
    assert_eq!(stored(&world), ["first", "oldest", "next"]);
}

#[test]
fn a_leader_that_the_list_of_brokers_lacks_is_found_when_it_is_listed() {
    let mut world = started(2);
    world.change(Change::BrokerDown(2));
    // So that the next question about the cluster need not wait, and is answered before broker 2 is connected to.
    let later = world.elapsed() + secs(2);
    world.run_until(later, |_| false);
    world.change(Change::FreezeMetadata(1));
    world.change(Change::BrokerUp(2));
    world.change(Change::MoveLeader {
        topic: TOPIC.into(),
        partition: 0,
        to: Some(2),
    });
    let mut deliveries = [send(&mut world, "moved")];
    let until = world.elapsed() + secs(3);
    world.run_until(until, |_| false);
    assert!(deliveries[0].try_get().is_none());
    world.sender.check(world.clock().now()).unwrap();
    world.change(Change::ThawMetadata(1));
    let outcome = rest(&mut world, 5, &mut deliveries).remove(0);
    outcome.unwrap();
    assert_eq!(stored(&world), ["first", "moved"]);
}

#[test]
fn a_partition_without_a_leader_is_served_when_it_has_one() {
    let mut world = started(2);
    let lead = |to| Change::MoveLeader {
        topic: TOPIC.into(),
        partition: 0,
        to,
    };
    world.change(lead(None));
    let mut deliveries = [send(&mut world, "a"), send(&mut world, "b")];
    let until = world.elapsed() + secs(3);
    world.run_until(until, |_| false);
    assert!(deliveries[0].try_get().is_none());
    assert_eq!(world.stuck, None);
    world.change(lead(Some(2)));
    for outcome in rest(&mut world, 5, &mut deliveries) {
        outcome.unwrap();
    }
    assert_eq!(stored(&world), ["first", "a", "b"]);
}

#[test]
fn whatever_a_broker_answers_no_partition_waits_for_nothing() {
    for code in ErrorCode::all().filter(|code| !code.is_ok()) {
        for act in [Act::Error(code), Act::ErrorAfter(code)] {
            let mut world = started(1);
            world.cluster.add_rule(produce().act(act.clone()));
            let mut deliveries = ["a", "b", "c"].map(|value| send(&mut world, value));
            let outcomes = rest(&mut world, 30, &mut deliveries);
            // What is delivered is there once, in order; what is surely not written is not there.
            let log = stored(&world);
            for (value, outcome) in ["a", "b", "c"].into_iter().zip(&outcomes) {
                let copies = log.iter().filter(|stored| *stored == value).count();
                let right = match outcome {
                    // Nor one that says it has what it has not.
                    Ok(_) => copies == 1 || act == Act::Error(ErrorCode::DUPLICATE_SEQUENCE_NUMBER),
                    Err(error) if error.fate() == Fate::NotWritten => {
                        // A broker that appends and then says it refused cannot be seen through.
                        copies == 0 || matches!(act, Act::ErrorAfter(_))
                    }
                    Err(_) => copies <= 1,
                };
                assert!(right, "{act:?}: {value}: {outcome:?}, {log:?}");
            }
            assert!(log.is_sorted_by_key(|value| (value != "first", value.clone())));
        }
    }
}
