//! CreateTopics, DeleteTopics and CreatePartitions: any broker carries them out, as in Kafka since KRaft.

use std::collections::BTreeSet;

use milena_wire::api::create_partitions::{CreatePartitionsTopic, CreatePartitionsTopicResult};
use milena_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfigs, CreatableTopicResult,
};
use milena_wire::api::delete_topics::{DeletableTopicResult, DeleteTopicState};
use milena_wire::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, ErrorCode, Uuid,
};

use crate::answer::{Call, Hopeless};
use crate::cluster::{Cluster, MAX_PARTITIONS};
use crate::reply::Reply;
use crate::rule::{Effects, Target};
use crate::topic::{TopicConfig, is_legal_name};

/// A topic that was created, or would have been.
struct Created {
    id: Uuid,
    partitions: usize,
    replication_factor: usize,
    properties: Vec<(String, String, bool)>,
}

/// Where replicas are wanted, by partition.
type Wanted<'a> = Vec<&'a [i32]>;

impl Cluster {
    pub(crate) fn create_topics(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: CreateTopicsRequest<'_> = call.decode()?;
        let names = || request.topics.iter().map(|topic| topic.name);
        let mut effects = self.meet(call, |_| {
            names().map(|name| Target::new(name, None)).collect()
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let twice = repeated(names());
        let mut created = Vec::new();
        for topic in &request.topics {
            let once = !twice.contains(topic.name);
            created.push(effects.carry_out(Some(topic.name), || match once {
                true => self.create_one(topic, request.validate_only),
                false => Err(ErrorCode::INVALID_REQUEST),
            }));
        }
        let results = request.topics.iter().zip(&created);
        let response = CreateTopicsResponse {
            throttle_time_ms: effects.throttle_ms,
            topics: results
                .map(|(topic, created)| created_result(topic.name, created))
                .collect(),
        };
        call.answer::<CreateTopicsRequest<'_>>(&effects, &response)
    }

    fn create_one(
        &mut self,
        topic: &CreatableTopic<'_>,
        check: bool,
    ) -> Result<Created, ErrorCode> {
        if !is_legal_name(topic.name) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if self.shape.topics.contains_key(topic.name) {
            return Err(ErrorCode::TOPIC_ALREADY_EXISTS);
        }
        let mut config = self.config.topic.clone();
        for property in &topic.configs {
            let value = property.value.ok_or(ErrorCode::INVALID_CONFIG)?;
            config
                .set(property.name, value)
                .map_err(|_| ErrorCode::INVALID_CONFIG)?;
        }
        let wanted = self.assignments(topic)?;
        let (partitions, factor) = match wanted.first() {
            Some(replicas) => (wanted.len(), replicas.len()),
            None => self.counts(topic, &config)?,
        };
        config.replication_factor = factor;
        let properties = config.properties();
        let id = match check {
            true => Uuid::ZERO,
            false => self.create(topic.name, partitions, config)?,
        };
        if !check {
            self.assign(topic.name, 0, &wanted);
        }
        Ok(Created {
            id,
            partitions,
            replication_factor: factor,
            properties,
        })
    }

    /// How many partitions and replicas a topic gets whose replicas are not placed by hand.
    fn counts(
        &self,
        topic: &CreatableTopic<'_>,
        config: &TopicConfig,
    ) -> Result<(usize, usize), ErrorCode> {
        let brokers = self.shape.brokers.len();
        let partitions = match topic.num_partitions {
            -1 => self.config.auto_create.unwrap_or(1),
            count => usize::try_from(count).unwrap_or(0),
        };
        let factor = match topic.replication_factor {
            -1 => config.replication_factor.min(brokers),
            count => usize::try_from(count).unwrap_or(0),
        };
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(ErrorCode::INVALID_PARTITIONS);
        }
        if !(1..=brokers).contains(&factor) {
            return Err(ErrorCode::INVALID_REPLICATION_FACTOR);
        }
        Ok((partitions, factor))
    }

    /// The replicas of each partition, where they are placed by hand.
    fn assignments<'a>(&self, topic: &'a CreatableTopic<'_>) -> Result<Wanted<'a>, ErrorCode> {
        if topic.assignments.is_empty() {
            return Ok(Vec::new());
        }
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let mut by_index: Vec<&CreatableReplicaAssignment> = topic.assignments.iter().collect();
        by_index.sort_by_key(|one| one.partition_index);
        let dense = by_index
            .iter()
            .zip(0..)
            .all(|(one, index)| one.partition_index == index);
        let wanted: Vec<&[i32]> = by_index.iter().map(|one| &one.broker_ids[..]).collect();
        let factor = wanted.first().map_or(0, |first| first.len());
        if dense && self.can_place(&wanted, factor) {
            Ok(wanted)
        } else {
            Err(ErrorCode::INVALID_REPLICA_ASSIGNMENT)
        }
    }

    /// Whether every partition can have its replicas there: so many, on brokers that exist, each on another one.
    fn can_place(&self, wanted: &[&[i32]], factor: usize) -> bool {
        wanted.iter().all(|replicas| {
            let known = replicas
                .iter()
                .all(|id| self.shape.brokers.contains_key(id));
            let distinct: BTreeSet<&i32> = replicas.iter().collect();
            known && !replicas.is_empty() && replicas.len() == factor && distinct.len() == factor
        })
    }

    fn assign(&mut self, name: &str, from: usize, wanted: &[&[i32]]) {
        let Some(topic) = self.shape.topics.get_mut(name) else {
            return;
        };
        for (partition, replicas) in topic.partitions.iter_mut().skip(from).zip(wanted) {
            partition.replicas = replicas.to_vec();
            let up = |id: &i32| self.shape.brokers.get(id).is_some_and(|broker| broker.up);
            partition.leader = replicas.iter().copied().find(up);
        }
    }

    pub(crate) fn delete_topics(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: DeleteTopicsRequest<'_> = call.decode()?;
        let wanted: Vec<DeleteTopicState<'_>> = match call.version.number {
            ..=5 => {
                let names = request.topic_names.into_iter().map(Some);
                names
                    .map(|name| DeleteTopicState {
                        name,
                        topic_id: Uuid::ZERO,
                    })
                    .collect()
            }
            _ => request.topics,
        };
        let mut effects = self.meet(call, |_| {
            let names = wanted.iter().filter_map(|topic| topic.name);
            names.map(|name| Target::new(name, None)).collect()
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let named: Vec<(Option<String>, Uuid)> = wanted
            .iter()
            .map(|topic| {
                let by_id = || self.shape.name_of(call.now, topic.topic_id);
                (topic.name.or_else(by_id).map(str::to_owned), topic.topic_id)
            })
            .collect();
        // A topic can be meant by its name and by its id at once.
        let meant = || {
            named.iter().map(|(name, id)| match name {
                Some(name) => (Some(name.as_str()), Uuid::ZERO),
                None => (None, *id),
            })
        };
        let twice = repeated(meant());
        let mut responses = Vec::with_capacity(named.len());
        for (topic, (name, id)) in meant().zip(&named) {
            let once = !twice.contains(&topic);
            responses.push(self.delete_one(name.as_deref(), *id, once, &effects));
        }
        let response = DeleteTopicsResponse {
            throttle_time_ms: effects.throttle_ms,
            responses,
        };
        call.answer::<DeleteTopicsRequest<'_>>(&effects, &response)
    }

    fn delete_one<'a>(
        &mut self,
        name: Option<&'a str>,
        id: Uuid,
        once: bool,
        effects: &Effects,
    ) -> DeletableTopicResult<'a> {
        let deleted = effects.carry_out(name, || match name {
            _ if !once => Err(ErrorCode::INVALID_REQUEST),
            Some(name) => self.delete(name),
            None => Err(ErrorCode::UNKNOWN_TOPIC_ID),
        });
        DeletableTopicResult {
            name,
            topic_id: deleted.as_ref().map_or(id, |topic| topic.id),
            error_code: deleted.err().unwrap_or(ErrorCode::NONE).0,
            error_message: None,
        }
    }

    pub(crate) fn create_partitions(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: CreatePartitionsRequest<'_> = call.decode()?;
        let names = || request.topics.iter().map(|topic| topic.name);
        let mut effects = self.meet(call, |_| {
            names().map(|name| Target::new(name, None)).collect()
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let twice = repeated(names());
        let mut results = Vec::new();
        for topic in &request.topics {
            let once = !twice.contains(topic.name);
            let done = effects.carry_out(Some(topic.name), || match once {
                true => self.extend_one(topic, request.validate_only),
                false => Err(ErrorCode::INVALID_REQUEST),
            });
            results.push(CreatePartitionsTopicResult {
                name: topic.name,
                error_code: done.err().unwrap_or(ErrorCode::NONE).0,
                error_message: None,
            });
        }
        let response = CreatePartitionsResponse {
            throttle_time_ms: effects.throttle_ms,
            results,
        };
        call.answer::<CreatePartitionsRequest<'_>>(&effects, &response)
    }

    fn extend_one(
        &mut self,
        topic: &CreatePartitionsTopic<'_>,
        check: bool,
    ) -> Result<(), ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let there = &self.shape.topics.get(topic.name).ok_or(unknown)?.partitions;
        let before = there.len();
        let factor = there.first().map_or(0, |first| first.replicas.len());
        let total = usize::try_from(topic.count).unwrap_or(0);
        if !(before + 1..=MAX_PARTITIONS).contains(&total) {
            return Err(ErrorCode::INVALID_PARTITIONS);
        }
        let assignments = topic.assignments.as_deref().unwrap_or_default();
        let wanted: Vec<&[i32]> = assignments.iter().map(|one| &one.broker_ids[..]).collect();
        let fits = topic.assignments.is_none() || wanted.len() == total - before;
        if !fits || !self.can_place(&wanted, factor) {
            return Err(ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        }
        if !check {
            self.add_partitions(topic.name, total)?;
            self.assign(topic.name, before, &wanted);
        }
        Ok(())
    }
}

/// What is in the list more than once: of that nothing is carried out, since it cannot be meant.
fn repeated<T: Copy + Ord>(list: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut once = BTreeSet::new();
    list.filter(|one| !once.insert(*one)).collect()
}

fn created_result<'a>(
    name: &'a str,
    created: &'a Result<Created, ErrorCode>,
) -> CreatableTopicResult<'a> {
    let result = CreatableTopicResult {
        name,
        error_message: None,
        ..CreatableTopicResult::default()
    };
    match created {
        Err(code) => CreatableTopicResult {
            error_code: code.0,
            ..result
        },
        Ok(created) => CreatableTopicResult {
            topic_id: created.id,
            num_partitions: created.partitions as i32,
            replication_factor: created.replication_factor as i16,
            configs: Some(created.properties.iter().map(property).collect()),
            ..result
        },
    }
}

fn property((name, value, changed): &(String, String, bool)) -> CreatableTopicConfigs<'_> {
    CreatableTopicConfigs {
        name,
        value: Some(value),
        read_only: false,
        config_source: super::describe::source(*changed),
        is_sensitive: false,
    }
}
