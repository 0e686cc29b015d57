//! From a seed to a workload with faults, and its run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_broker::{Act, ApiKey, Change, ClusterConfig, Cut, ErrorCode, Rule, TopicConfig};
use milena_record::Compression;
use milena_sender::accumulator::{self, Record, Refused, Target, Value, Want};
use milena_sender::client::Rng;
use milena_sender::{Config, Counters};

use crate::law::{self, Broken, Sent};
use crate::world::{MOST_STEPS, World};

const TOPICS: [&str; 2] = ["orders", "payments"];
/// How long the producer may take to deliver everything once nothing is at fault any more. Less than the delivery
/// timeout of most plans, so that giving up is no way to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);
/// Records have one timestamp after the other, from here on.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;
/// Until then the world is at fault.
const TROUBLE: Duration = Duration::from_secs(3);

/// What a seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    cluster: ClusterConfig,
    sender: Config,
    accumulator: accumulator::Config,
    topics: usize,
    partitions: usize,
    records: usize,
    record_size: usize,
    rules: Vec<Rule>,
    changes: Vec<(Duration, Change)>,
    seal_time: Duration,
}

/// Runs the plan of a seed and checks the laws.
///
/// # Errors
///
/// The law that did not hold.
pub fn run(seed: u64) -> Result<(), Box<Broken>> {
    run_with(Plan::new(seed), false).map(|_| ())
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut pick = |least: usize, most: usize| least + rng.below(most - least + 1);
        let brokers = pick(1, 4);
        let partitions = pick(1, 6);
        let max_in_flight = [1, 2, 5, 5, 5][pick(0, 4)];
        let batch_size = pick(150, 1500);
        let record_size = pick(8, 200);
        let compression = [
            None,
            None,
            None,
            Compression::gzip(None).ok(),
            Compression::lz4(None).ok(),
        ][pick(0, 4)];
        let compression = compression.unwrap_or(Compression::none());
        let small_topic = pick(0, 7) == 0;
        let short_delivery = pick(0, 3) == 0;
        let ms = |n: usize| Duration::from_millis(n as u64);
        let linger = ms([0, 0, 2, 10][pick(0, 3)]);
        let request_timeout = ms(pick(100, 1200));
        let delivery_timeout = if short_delivery {
            request_timeout + linger + ms(pick(0, 1500))
        } else {
            ms(60_000)
        };
        let mut sender = Config {
            compression,
            batch_size,
            linger,
            request_timeout,
            delivery_timeout,
            max_in_flight,
            max_request_size: pick(2_000, 20_000),
            retry_backoff: ms(pick(5, 60)),
            retry_backoff_max: ms(200),
            ..Config::default()
        };
        sender.client.retry_backoff = milena_sender::client::Backoff::new(ms(20), ms(200));
        let max_message_bytes = if small_topic { pick(300, 900) } else { 1 << 20 };
        let topic = topic(max_message_bytes, pick(0, 5) == 0);
        let accumulator = accumulator::Config {
            batch_size,
            buffer_memory: pick(20_000, 200_000),
            max_request_size: sender.max_request_size,
            linger,
            compression,
            ..accumulator::Config::default()
        };
        let mut plan = Self {
            seed,
            cluster: ClusterConfig {
                brokers,
                auto_create: None,
                topic,
                ..ClusterConfig::default()
            },
            sender,
            accumulator,
            topics: pick(1, 2),
            partitions,
            records: pick(30, 300),
            record_size,
            rules: Vec::new(),
            changes: Vec::new(),
            seal_time: Duration::ZERO,
        };
        plan.add_faults(&mut rng);
        if rng.below(2) == 0 {
            plan.seal_time = ms(rng.below(80));
        }
        // Metadata that forgets a topic while it is in use elsewhere.
        if rng.below(4) == 0 {
            plan.sender.client.metadata_max_idle = ms(100 + rng.below(1000));
            plan.sender.client.metadata_max_age = ms(20 + rng.below(500));
        }
        plan
    }

    /// The same without the broker's deduplication: the laws must notice.
    #[must_use]
    pub fn without_dedupe(mut self) -> Self {
        self.cluster.dedupe = false;
        self
    }

    fn add_faults(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(5) {
            let act = produce_fault(rng);
            let mut rule = Rule::on(ApiKey::PRODUCE)
                .probability(0.02 + 0.3 * rng.unit())
                .act(act);
            if rng.below(3) == 0 {
                rule = rule.each_partition();
            }
            self.rules.push(rule);
        }
        for api in [
            ApiKey::METADATA,
            ApiKey::INIT_PRODUCER_ID,
            ApiKey::API_VERSIONS,
        ] {
            if rng.below(4) == 0 {
                let act = match rng.below(4) {
                    0 => Act::Cut(Cut::Before),
                    1 => Act::Cut(Cut::InAnswer),
                    2 => Act::DropAnswer,
                    _ => Act::Delay(200),
                };
                self.rules
                    .push(Rule::on(api).probability(0.3 * rng.unit()).act(act));
            }
        }
        for _ in 0..rng.below(8) {
            let at = TROUBLE.mul_f64(rng.unit());
            let change = self.change(rng);
            if let Change::BrokerDown(broker) = change {
                let back = at + Duration::from_millis(50 + rng.below(1000) as u64);
                self.changes.push((back, Change::BrokerUp(broker)));
            }
            self.changes.push((at, change));
        }
    }

    fn change(&self, rng: &mut Rng) -> Change {
        let topic = TOPICS[rng.below(self.topics)].to_owned();
        let partition = rng.below(self.partitions) as i32;
        let broker = 1 + rng.below(self.cluster.brokers) as i32;
        match rng.below(6) {
            0 => Change::HideTopic {
                topic,
                for_ms: 50 + rng.below(1000) as i64,
            },
            1 => Change::BrokerDown(broker),
            2 => Change::MoveLeader {
                topic,
                partition,
                to: None,
            },
            3 => Change::FreezeMetadata(broker),
            _ => Change::MoveLeader {
                topic,
                partition,
                to: Some(broker),
            },
        }
    }
}

#[expect(
    clippy::field_reassign_with_default,
    reason = "other crates cannot name all of its fields"
)]
fn topic(max_message_bytes: usize, log_append_time: bool) -> TopicConfig {
    let mut topic = TopicConfig::default();
    topic.max_message_bytes = max_message_bytes;
    topic.log_append_time = log_append_time;
    topic
}

fn produce_fault(rng: &mut Rng) -> Act {
    const BEFORE: [ErrorCode; 8] = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::PRODUCER_FENCED,
    ];
    const AFTER: [ErrorCode; 4] = [
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ];
    match rng.below(17) {
        0..=2 => Act::Error(BEFORE[rng.below(BEFORE.len())]),
        3 | 4 => Act::ErrorAfter(AFTER[rng.below(AFTER.len())]),
        5 => Act::Cut(Cut::InRequest),
        6 => Act::Cut(Cut::Before),
        7 => Act::Cut(Cut::After),
        8 => Act::Cut(Cut::InAnswer),
        9 => Act::DropAnswer,
        10 => Act::Hold(1 + rng.below(2000) as u64),
        11 => Act::Delay(1 + rng.below(500) as u64),
        12 => Act::OmitPartition,
        // The answer to a request that comes after it, or to none: as if answers were out of order.
        13 => Act::WrongCorrelation(1),
        14 => Act::Truncate(1 + rng.below(20)),
        15 => Act::RepeatPartition,
        _ => Act::Throttle(1 + rng.below(300) as i32),
    }
}

/// What a run that kept the laws has to tell.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What happened, if it was to be told.
    pub journal: Vec<String>,
    /// What the sender counted.
    pub counters: Counters,
}

/// Runs a plan and checks the laws; with `telling`, keeps a journal and returns it.
///
/// # Errors
///
/// The law that did not hold, with the journal if there is one.
pub fn run_with(plan: Plan, telling: bool) -> Result<Ran, Box<Broken>> {
    let seed = plan.seed;
    let mut world = World::new(
        seed,
        plan.cluster.clone(),
        plan.sender.clone(),
        plan.accumulator.clone(),
    );
    world.journal = telling.then(Vec::new);
    world.seal_time = plan.seal_time;
    let outcome = carry_out(&plan, &mut world);
    let journal = world.journal.take().unwrap_or_default();
    match outcome {
        Ok(()) => Ok(Ran {
            journal,
            counters: world.sender.counters().clone(),
        }),
        Err(what) => Err(Box::new(Broken {
            seed,
            what,
            journal,
        })),
    }
}

fn carry_out(plan: &Plan, world: &mut World) -> Result<(), String> {
    for topic in &TOPICS[..plan.topics] {
        world
            .cluster
            .create_topic(topic, plan.partitions)
            .map_err(|code| format!("create: {code:?}"))?;
    }
    for rule in &plan.rules {
        world.cluster.add_rule(rule.clone());
    }
    for (at, change) in &plan.changes {
        world.change_at(*at, change.clone());
    }
    let sent = send(plan, world);
    heal(plan, world);
    // Where nothing may expire, a world that is healed comes to rest by itself, and soon.
    let quiet = world.elapsed().max(TROUBLE) + PATIENCE;
    let done = world.run_until(quiet, |world| {
        world.accumulator.snapshot().incomplete_batches == 0
    });
    if world.steps() > MOST_STEPS {
        return Err(format!(
            "it spins: {} steps in {:?}",
            world.steps(),
            world.elapsed()
        ));
    }
    law::check(&world.cluster, &sent, true)?;
    let outcomes = sent.iter().filter(|one| one.delivery.try_get().is_some());
    let (told, counters) = (outcomes.count() as u64, world.sender.counters());
    if counters.records_acknowledged + counters.records_failed != told {
        return Err(format!(
            "{} and {} records of {told} are counted",
            counters.records_acknowledged, counters.records_failed
        ));
    }
    if let Some(stuck) = &world.stuck {
        return Err(format!("a partition waits for nothing: {stuck}"));
    }
    if !done {
        return Err(format!(
            "it has not come to rest {PATIENCE:?} after the world was healed"
        ));
    }
    // A request whose outcome came early (a connection lost, a late answer) may still be being written.
    let settled = world.elapsed() + Duration::from_secs(5);
    world.run_until(settled, |world| {
        world.accumulator.snapshot().buffered() == 0
    });
    let left = world.accumulator.snapshot();
    if left.buffered() != 0 {
        return Err(format!(
            "{} bytes of memory did not come back",
            left.buffered()
        ));
    }
    Ok(())
}

/// Hands records over in bursts, while the trouble lasts and a little longer.
fn send(plan: &Plan, world: &mut World) -> Vec<Sent> {
    let now = accumulator::Clock::now(&world.clock());
    let deadline = now + Duration::from_secs(3600);
    let wait = |topic: &str| world.accumulator.wait_topic(now, topic, None, deadline);
    let waits: Vec<_> = TOPICS[..plan.topics]
        .iter()
        .map(|topic| wait(topic))
        .collect();
    let mut sent: Vec<Sent> = Vec::new();
    let mut rng = Rng::new(plan.seed ^ 0x5eed);
    let mut handles = BTreeMap::new();
    let mut at = Duration::ZERO;
    while sent.len() < plan.records && at < Duration::from_secs(30) {
        at += Duration::from_micros(rng.below(40_000) as u64);
        world.run_until(at, |_| false);
        for _ in 0..1 + rng.below(40) {
            let topic = TOPICS[rng.below(plan.topics)];
            let target = match rng.below(3) {
                0 => Target::Any,
                _ => Target::Partition(rng.below(plan.partitions) as i32),
            };
            // A handle is for ever, also where metadata forgets the topic.
            let handle = match handles.get(topic) {
                Some(handle) => Arc::clone(handle),
                None => {
                    let Some(found) = world.accumulator.topic(topic) else {
                        break;
                    };
                    Arc::clone(handles.entry(topic).or_insert(found))
                }
            };
            match hand_over(plan, world, (topic, &handle), target, sent.len() as u64) {
                Some(record) => sent.push(record),
                None => break,
            }
        }
    }
    drop(waits);
    world.run_until(TROUBLE, |_| false);
    sent
}

fn hand_over(
    plan: &Plan,
    world: &World,
    (topic, handle): (&'static str, &accumulator::Topic),
    target: Target,
    id: u64,
) -> Option<Sent> {
    let mut value = id.to_be_bytes().to_vec();
    value.resize(plan.record_size.max(8), b'.');
    let timestamp = FIRST_TIMESTAMP + id as i64;
    let record = Record {
        timestamp: Some(timestamp),
        value: Value::Borrowed(&value),
        ..Record::default()
    };
    match world.accumulator.append(
        &world.clock(),
        handle,
        &(target, record),
        Want::Delivery,
        None,
    ) {
        Ok(appended) => Some(Sent {
            topic,
            partition: appended.partition,
            id,
            timestamp,
            size: value.len(),
            delivery: appended.delivery?,
        }),
        // Out of memory for now, or metadata does not know the partition.
        Err(Refused::Full { .. } | Refused::NoSuchPartition { .. }) | Err(_) => None,
    }
}

/// Ends the trouble: no more faults, all brokers up, every partition led.
fn heal(plan: &Plan, world: &mut World) {
    world.cluster.clear_rules();
    for broker in 1..=plan.cluster.brokers as i32 {
        world.change(Change::ThawMetadata(broker));
        world.change(Change::BrokerUp(broker));
    }
    for topic in &TOPICS[..plan.topics] {
        for partition in 0..plan.partitions as i32 {
            if world.cluster.leader(topic, partition).is_none() {
                world.change(Change::MoveLeader {
                    topic: (*topic).to_owned(),
                    partition,
                    to: Some(1),
                });
            }
        }
    }
}
