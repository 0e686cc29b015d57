//! The cluster: brokers, topics and logs, and what can be done to them from outside.

use std::collections::{BTreeMap, BTreeSet};

use milena_wire::{ErrorCode, Uuid};

use crate::change::Change;
use crate::config::ClusterConfig;
use crate::journal::Journal;
use crate::log::Log;
use crate::release::Versions;
use crate::rng::Rng;
use crate::rule::{Rule, RuleId, Rules};
use crate::shape::{Broker, Partition, Shape, Topic};
use crate::topic::{TopicConfig, is_legal_name};

/// The most partitions a topic can have.
pub(crate) const MAX_PARTITIONS: usize = 100_000;

/// The most partitions that all topics together can have.
const MAX_PARTITIONS_IN_ALL: usize = 1_000_000;

/// A Kafka cluster as a pure model: no clock, no sockets, no threads.
///
/// Its methods are of four kinds:
/// - what clients do: [`handle`](Self::handle), [`resume`](Self::resume), [`connected`](Self::connected),
///   [`disconnected`](Self::disconnected);
/// - what happens to it: [`apply`](Self::apply) a [`Change`], [`add_rule`](Self::add_rule);
/// - questions about what it holds: [`topic`](Self::topic), [`log`](Self::log);
/// - questions about what it saw: [`journal`](Self::journal).
///
/// `now` is the wall clock in milliseconds since 1970, or any other clock that does not go back; it becomes the
/// timestamp of topics with `LogAppendTime`.
///
/// Nothing that a client sends makes it panic. What it allocates for a request is bounded by the request's size, by
/// [`ClusterConfig::fetch_max_bytes`] and, for requests that create or ask for topics, by the number of partitions:
/// 100,000 for a topic and 1,000,000 in all.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(crate) config: ClusterConfig,
    pub(crate) shape: Shape,
    pub(crate) logs: BTreeMap<Uuid, Vec<Log>>,
    pub(crate) frozen: BTreeMap<i32, Shape>,
    pub(crate) rules: Rules,
    pub(crate) rng: Rng,
    pub(crate) journal: Journal,
    pub(crate) versions: Versions,
    pub(crate) producer_ids: i64,
    pub(crate) transactional: BTreeMap<String, Transactional>,
    pub(crate) appends: u64,
    /// Connections of whose arriving request half was judged already.
    pub(crate) judged: BTreeSet<u64>,
}

/// A producer with a transactional id: who it is now, and how long its transactions may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transactional {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) timeout_ms: i32,
}

impl Cluster {
    /// A cluster whose brokers all run, without topics.
    pub fn new(config: ClusterConfig) -> Self {
        let brokers = (1..=config.brokers.clamp(1, 1000)).map(|number| {
            let broker = Broker {
                id: number as i32,
                host: config.host.clone(),
                port: config.port.wrapping_add(number as u16 - 1),
                rack: None,
                up: true,
            };
            (broker.id, broker)
        });
        Self {
            shape: Shape {
                brokers: brokers.collect(),
                ..Shape::default()
            },
            logs: BTreeMap::new(),
            frozen: BTreeMap::new(),
            rules: Rules::default(),
            rng: Rng::new(config.seed),
            journal: Journal::new(config.journal),
            versions: Versions::of(config.release, crate::answer::IMPLEMENTED),
            producer_ids: 1000,
            transactional: BTreeMap::new(),
            appends: 0,
            judged: BTreeSet::new(),
            config,
        }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Creates a topic as [`ClusterConfig::topic`] says.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn create_topic(&mut self, name: &str, partitions: usize) -> Result<Uuid, ErrorCode> {
        self.create(name, partitions, self.config.topic.clone())
    }

    /// Creates a topic with a configuration of its own.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn create_topic_with(
        &mut self,
        name: &str,
        partitions: usize,
        config: TopicConfig,
    ) -> Result<Uuid, ErrorCode> {
        self.create(name, partitions, config)
    }

    /// Lets something happen to the cluster.
    ///
    /// # Errors
    /// With the code that Kafka has for it: a topic exists or does not exist, its name is not legal, or the number of
    /// partitions cannot be. A change that names an unknown broker is `INVALID_REQUEST`.
    pub fn apply(&mut self, now: i64, change: Change) -> Result<(), ErrorCode> {
        match change {
            Change::CreateTopic {
                topic,
                partitions,
                config,
            } => self.create(&topic, partitions, config).map(drop),
            Change::DeleteTopic(topic) => self.delete(&topic).map(drop),
            Change::RecreateTopic(topic) => self.recreate(&topic),
            Change::AddPartitions { topic, total } => self.add_partitions(&topic, total),
            Change::HideTopic { topic, for_ms } => {
                self.topic_mut(&topic)?.hidden_until = now.saturating_add(for_ms);
                Ok(())
            }
            Change::MoveLeader {
                topic,
                partition,
                to,
            } => self.move_leader(&topic, partition, to),
            Change::SetInSync {
                topic,
                partition,
                replicas,
            } => {
                self.partition_mut(&topic, partition)?.in_sync = replicas;
                Ok(())
            }
            Change::BrokerDown(id) => {
                self.broker_mut(id)?;
                self.shape.take_down(id);
                Ok(())
            }
            Change::BrokerUp(id) => {
                self.broker_mut(id)?;
                self.shape.bring_up(id);
                Ok(())
            }
            Change::FreezeMetadata(id) => {
                self.broker_mut(id)?;
                self.frozen.insert(id, self.shape.clone());
                Ok(())
            }
            Change::ThawMetadata(id) => {
                self.frozen.remove(&id);
                Ok(())
            }
            Change::SetAddress { broker, host, port } => {
                let broker = self.broker_mut(broker)?;
                (broker.host, broker.port) = (host, port);
                Ok(())
            }
        }
    }

    /// Puts a rule into force. It stays until it is removed, also when it acts no more.
    pub fn add_rule(&mut self, rule: Rule) -> RuleId {
        self.rules.add(rule)
    }

    /// Takes a rule away.
    pub fn remove_rule(&mut self, rule: RuleId) {
        self.rules.remove(rule);
    }

    /// Takes all rules away.
    pub fn clear_rules(&mut self) {
        self.rules.clear();
    }

    /// How often a rule has acted.
    pub fn fired(&self, rule: RuleId) -> u64 {
        self.rules.fired(rule)
    }

    /// The versions that are spoken, to limit them.
    pub fn versions_mut(&mut self) -> &mut Versions {
        &mut self.versions
    }

    /// The versions that are spoken.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The brokers, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.shape.brokers.values()
    }

    /// The topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &Topic)> {
        self.shape
            .topics
            .iter()
            .map(|(name, topic)| (name.as_str(), topic))
    }

    /// A topic.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.shape.topics.get(name)
    }

    /// The leader of a partition, if it has one.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let topic = self.shape.topics.get(topic)?;
        topic
            .partitions
            .get(usize::try_from(partition).ok()?)?
            .leader
    }

    /// The log of a partition.
    pub fn log(&self, topic: &str, partition: i32) -> Option<&Log> {
        let id = self.shape.topics.get(topic)?.id;
        self.logs.get(&id)?.get(usize::try_from(partition).ok()?)
    }

    /// The log of a partition, to delete from it or to make it forget producers.
    pub fn log_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Log> {
        let id = self.shape.topics.get(topic)?.id;
        self.logs
            .get_mut(&id)?
            .get_mut(usize::try_from(partition).ok()?)
    }

    /// The logs of all partitions of a topic, by partition.
    pub fn logs(&self, topic: &str) -> impl Iterator<Item = &Log> {
        let id = self.shape.topics.get(topic).map(|topic| topic.id);
        id.and_then(|id| self.logs.get(&id)).into_iter().flatten()
    }

    /// How many batches were appended to all logs. Grows while something waits for [`Wait::on_append`](crate::Wait).
    pub fn appends(&self) -> u64 {
        self.appends
    }

    /// What clients did.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What clients did, to forget it.
    pub fn journal_mut(&mut self) -> &mut Journal {
        &mut self.journal
    }

    fn partitions_in_all(&self) -> usize {
        self.shape
            .topics
            .values()
            .map(|topic| topic.partitions.len())
            .sum()
    }

    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: usize,
        config: TopicConfig,
    ) -> Result<Uuid, ErrorCode> {
        if !is_legal_name(name) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if self.shape.topics.contains_key(name) {
            return Err(ErrorCode::TOPIC_ALREADY_EXISTS);
        }
        self.check_count(partitions, 0)?;
        let id = Uuid(self.rng.uuid());
        let first = self.shape.topics.len();
        let topic = Topic {
            id,
            partitions: self
                .shape
                .place(0..partitions, config.replication_factor, first),
            config,
            hidden_until: i64::MIN,
        };
        self.logs.insert(id, vec![Log::default(); partitions]);
        self.shape.names.insert(id, name.to_owned());
        self.shape.topics.insert(name.to_owned(), topic);
        Ok(id)
    }

    fn check_count(&self, partitions: usize, before: usize) -> Result<(), ErrorCode> {
        let all = self
            .partitions_in_all()
            .saturating_add(partitions.saturating_sub(before));
        let possible = (1..=MAX_PARTITIONS).contains(&partitions) && all <= MAX_PARTITIONS_IN_ALL;
        if possible {
            Ok(())
        } else {
            Err(ErrorCode::INVALID_PARTITIONS)
        }
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<Topic, ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let topic = self.shape.topics.remove(name).ok_or(unknown)?;
        self.shape.names.remove(&topic.id);
        self.logs.remove(&topic.id);
        Ok(topic)
    }

    fn recreate(&mut self, name: &str) -> Result<(), ErrorCode> {
        let old = self.delete(name)?;
        self.create(name, old.partitions.len(), old.config)
            .map(drop)
    }

    pub(crate) fn add_partitions(&mut self, name: &str, total: usize) -> Result<(), ErrorCode> {
        let before = self.topic_mut(name)?.partitions.len();
        self.check_count(total, before)?;
        if total <= before {
            return Err(ErrorCode::INVALID_PARTITIONS);
        }
        let factor = self.topic_mut(name)?.config.replication_factor;
        let first = self
            .topic_mut(name)?
            .partitions
            .first()
            .and_then(|p| p.replicas.first().copied());
        let first = self
            .shape
            .brokers
            .keys()
            .position(|id| Some(*id) == first)
            .unwrap_or(0);
        let added = self.shape.place(before..total, factor, first);
        let topic = self.topic_mut(name)?;
        topic.partitions.extend(added);
        let id = topic.id;
        if let Some(logs) = self.logs.get_mut(&id) {
            logs.resize(total, Log::default());
        }
        Ok(())
    }

    fn move_leader(
        &mut self,
        topic: &str,
        partition: i32,
        to: Option<i32>,
    ) -> Result<(), ErrorCode> {
        if let Some(id) = to {
            self.broker_mut(id)?;
        }
        let partition = self.partition_mut(topic, partition)?;
        partition.leader = to;
        partition.leader_epoch += 1;
        if let Some(id) = to.filter(|id| !partition.replicas.contains(id)) {
            partition.replicas.push(id);
        }
        Ok(())
    }

    fn broker_mut(&mut self, id: i32) -> Result<&mut Broker, ErrorCode> {
        self.shape
            .brokers
            .get_mut(&id)
            .ok_or(ErrorCode::INVALID_REQUEST)
    }

    fn topic_mut(&mut self, name: &str) -> Result<&mut Topic, ErrorCode> {
        self.shape
            .topics
            .get_mut(name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    fn partition_mut(&mut self, name: &str, partition: i32) -> Result<&mut Partition, ErrorCode> {
        let index =
            usize::try_from(partition).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let partition = self.topic_mut(name)?.partitions.get_mut(index);
        partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}
