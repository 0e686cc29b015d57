//! Metadata: who is there and who leads what.

use std::collections::BTreeSet;

use milena_wire::api::metadata::{
    MetadataRequestTopic, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_wire::{ErrorCode, MetadataRequest, MetadataResponse};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::reply::Reply;
use crate::rule::{Effects, Target, Told};
use crate::shape::{Broker, Partition, Shape, Topic};
use crate::topic::is_legal_name;

impl Cluster {
    pub(crate) fn metadata(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let mut request: MetadataRequest<'_> = call.decode()?;
        if let Some(topics) = &mut request.topics {
            keep_distinct(topics);
        }
        let wanted = request.topics.as_deref().unwrap_or_default();
        // Version 0 had no null and said «all» with an empty list.
        let all = request.topics.is_none() || (call.version.number == 0 && wanted.is_empty());
        let mut effects = self.meet(call, |shape| {
            let target = |name: &str| Target::new(name, None);
            match all {
                true => shape.topics.keys().map(|name| target(name)).collect(),
                false => wanted
                    .iter()
                    .filter_map(|topic| topic.name.map(target))
                    .collect(),
            }
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let create = request.allow_auto_topic_creation && !self.frozen.contains_key(&call.broker);
        let created = if create {
            self.create_missing(call.now, wanted, &effects)
        } else {
            BTreeSet::new()
        };
        let shape = self.frozen.get(&call.broker).unwrap_or(&self.shape);
        let view = View {
            shape,
            now: call.now,
            effects: &effects,
            created,
        };
        let topics = match all {
            true => view.all(),
            false => wanted.iter().map(|topic| view.find(topic)).collect(),
        };
        let rebootstrap = effects
            .told(None)
            .map(Told::code)
            .filter(|code| *code == ErrorCode::REBOOTSTRAP_REQUIRED);
        let response = MetadataResponse {
            throttle_time_ms: effects.throttle_ms,
            brokers: shape.live().map(broker).collect(),
            cluster_id: Some(&self.config.cluster_id),
            controller_id: shape.controller().unwrap_or(-1),
            topics,
            error_code: rebootstrap.map_or(0, |code| code.0),
            ..MetadataResponse::default()
        };
        call.answer::<MetadataRequest<'_>>(&effects, &response)
    }

    /// Creates the topics that are asked for and not there, where that is allowed. As in Kafka, the answer to the
    /// request that caused it does not know them yet.
    fn create_missing<'a>(
        &mut self,
        now: i64,
        wanted: &[MetadataRequestTopic<'a>],
        effects: &Effects,
    ) -> BTreeSet<&'a str> {
        let mut created = BTreeSet::new();
        let Some(partitions) = self.config.auto_create else {
            return created;
        };
        for name in wanted.iter().filter_map(|topic| topic.name) {
            let hidden =
                self.shape.topics.contains_key(name) && self.shape.known(now, name).is_none();
            let create = || self.create(name, partitions, self.config.topic.clone());
            if !hidden && effects.carry_out(Some(name), create).is_ok() {
                created.insert(name);
            }
        }
        created
    }
}

/// Topics as one broker sees them at one moment.
struct View<'a> {
    shape: &'a Shape,
    now: i64,
    effects: &'a Effects,
    created: BTreeSet<&'a str>,
}

impl<'a> View<'a> {
    fn all(&self) -> Vec<MetadataResponseTopic<'a>> {
        let names = self.shape.topics.keys();
        let known = names.filter_map(|name| Some((name, self.shape.known(self.now, name)?)));
        known.map(|(name, topic)| self.topic(name, topic)).collect()
    }

    fn find(&self, wanted: &MetadataRequestTopic<'a>) -> MetadataResponseTopic<'a> {
        let by_id = || self.shape.name_of(self.now, wanted.topic_id);
        let Some(name) = wanted.name.or_else(by_id) else {
            return MetadataResponseTopic {
                error_code: ErrorCode::UNKNOWN_TOPIC_ID.0,
                name: None,
                topic_id: wanted.topic_id,
                ..MetadataResponseTopic::default()
            };
        };
        match self.shape.known(self.now, name) {
            Some(topic) if !self.created.contains(name) => self.topic(name, topic),
            _ if is_legal_name(name) => self.refused(name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            _ => self.refused(name, ErrorCode::INVALID_TOPIC_EXCEPTION),
        }
    }

    fn refused(&self, name: &'a str, code: ErrorCode) -> MetadataResponseTopic<'a> {
        let told = self.effects.told(Some(name));
        let code = told.map_or(code, Told::code);
        MetadataResponseTopic {
            error_code: code.0,
            name: Some(name),
            ..MetadataResponseTopic::default()
        }
    }

    fn topic(&self, name: &'a str, topic: &Topic) -> MetadataResponseTopic<'a> {
        if let Some(told) = self.effects.told(Some(name)) {
            return self.refused(name, told.code());
        }
        let partitions = topic.partitions.iter().enumerate();
        MetadataResponseTopic {
            name: Some(name),
            topic_id: topic.id,
            partitions: partitions
                .map(|(index, one)| self.partition(index, one))
                .collect(),
            ..MetadataResponseTopic::default()
        }
    }

    fn partition(&self, index: usize, partition: &Partition) -> MetadataResponsePartition {
        let leader = partition.leader.filter(|id| self.shape.is_up(*id));
        let code = if leader.is_some() {
            ErrorCode::NONE
        } else {
            ErrorCode::LEADER_NOT_AVAILABLE
        };
        let offline = partition
            .replicas
            .iter()
            .filter(|id| !self.shape.is_up(**id));
        MetadataResponsePartition {
            error_code: code.0,
            partition_index: index as i32,
            leader_id: leader.unwrap_or(-1),
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: self.shape.in_sync(partition),
            offline_replicas: offline.copied().collect(),
        }
    }
}

/// Leaves each topic once, however often it is asked for, as Kafka does: to ask takes a few bytes, and the answer grows
/// with the topic's partitions.
fn keep_distinct(topics: &mut Vec<MetadataRequestTopic<'_>>) {
    let mut seen = BTreeSet::new();
    topics.retain(|topic| {
        // An id counts only where there is no name.
        let id = topic.name.is_none().then_some(topic.topic_id);
        seen.insert((topic.name, id))
    });
}

fn broker(broker: &Broker) -> MetadataResponseBroker<'_> {
    MetadataResponseBroker {
        node_id: broker.id,
        host: &broker.host,
        port: i32::from(broker.port),
        rack: broker.rack.as_deref(),
    }
}
