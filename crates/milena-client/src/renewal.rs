//! How an answer about the cluster becomes part of the view of it.
use std::sync::Arc;

use milena_wire::api::metadata::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_wire::{ErrorCode, Uuid};
use tracing::warn;

use crate::cluster::{Broker, Cluster, PartitionMetadata, TopicMetadata};
use crate::{Address, Few, LeaderHint, MetadataUpdate, NodeId};

/// The first version of Metadata whose leader epochs can be trusted: brokers that speak only older
/// ones may tell old epochs with new leaders.
const EPOCHS_TRUSTED_FROM: i16 = 9;

/// What an answer brought.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) update: MetadataUpdate,
    /// Anything about leaders or topic ids is news.
    pub(crate) learned: bool,
    /// Something in it shows that the broker did not know better yet: worth asking again.
    pub(crate) stale: bool,
    pub(crate) errors: Vec<(Arc<str>, ErrorCode)>,
}

impl Cluster {
    /// Takes an answer over, and the [`brokers_of`] it. Topics for which `track` gives no name are left out.
    pub(crate) fn apply(
        &mut self,
        answer: &MetadataResponse<'_>,
        brokers: Few<NodeId, Broker>,
        version: i16,
        mut track: impl FnMut(&str) -> Option<Arc<str>>,
    ) -> Applied {
        let mut applied = Applied::default();
        applied.update.brokers_changed = brokers != self.brokers;
        self.brokers = brokers;
        if self.id.as_deref() != answer.cluster_id {
            if let (Some(old), Some(new)) = (&self.id, answer.cluster_id) {
                warn!(old, new, "the cluster has another id than before");
            }
            self.id = answer.cluster_id.map(str::to_owned);
        }
        self.controller =
            Some(NodeId(answer.controller_id)).filter(|id| self.brokers.contains_key(id));
        for topic in &answer.topics {
            let Some(name) = topic.name.and_then(&mut track) else {
                continue;
            };
            self.apply_topic(name, topic, version >= EPOCHS_TRUSTED_FROM, &mut applied);
        }
        self.version += 1;
        applied.update.version = self.version;
        applied
    }

    fn apply_topic(
        &mut self,
        name: Arc<str>,
        new: &MetadataResponseTopic<'_>,
        trusted: bool,
        applied: &mut Applied,
    ) {
        let brokers = &self.brokers;
        let topic = self
            .topics
            .entry(Arc::clone(&name))
            .or_insert_with(TopicMetadata::unheard);
        let mut changed = false;
        let unlisted = topic.without_listener();
        let mut error = ErrorCode(new.error_code);
        if error == ErrorCode::NONE {
            match by_index(&new.partitions) {
                Some(partitions) => {
                    changed |= topic.apply(new, &partitions, brokers, trusted, applied)
                }
                None => error = ErrorCode::LEADER_NOT_AVAILABLE,
            }
        }
        if error != ErrorCode::NONE {
            applied.stale |= error.is_invalid_metadata();
            applied.errors.push((Arc::clone(&name), error));
        }
        if topic.error != error {
            changed = true;
            if error != ErrorCode::NONE {
                let error = error.name().unwrap_or("unknown");
                warn!(topic = &*name, error, "metadata has an error for a topic");
            }
        }
        topic.error = error;
        let (before, unlisted) = (unlisted, topic.without_listener());
        if unlisted > 0 && unlisted != before {
            warn!(
                topic = &*name,
                partitions = unlisted,
                "LISTENER_NOT_FOUND: the leaders of these partitions lack the listener that this client came by"
            );
        }
        if changed {
            applied.update.changed.push(Arc::clone(&name));
        }
        applied.update.mentioned.push(name);
    }

    /// Takes a leader over that a Produce answer tells of; the topic's name, if the hint was news.
    pub(crate) fn apply_hint(
        &mut self,
        hint: &LeaderHint<'_>,
        has_endpoint: bool,
    ) -> Option<Arc<str>> {
        if hint.leader.0 < 0
            || hint.leader_epoch < 0
            || !(has_endpoint || self.brokers.contains_key(&hint.leader))
        {
            return None;
        }
        let name = Arc::clone(self.topics.get_key_value(hint.topic)?.0);
        let topic = self.topics.get_mut(hint.topic)?;
        let partition = topic
            .partitions
            .get_mut(usize::try_from(hint.partition).ok()?)?;
        if hint.leader_epoch <= partition.leader_epoch {
            return None;
        }
        partition.leader = Some(hint.leader);
        partition.leader_epoch = hint.leader_epoch;
        Some(name)
    }

    /// Adds a broker or changes it; true if that is news.
    pub(crate) fn put_broker(&mut self, broker: &Broker) -> bool {
        let news = self
            .brokers
            .get(&broker.id)
            .is_none_or(|old| old.address != broker.address);
        if news {
            self.brokers.insert(broker.id, broker.clone());
        }
        news
    }

    pub(crate) fn remove_topic(&mut self, name: &str) {
        self.topics.remove(name);
    }

    /// Forgets all brokers. What is known of topics stays, for when they come back.
    pub(crate) fn forget_brokers(&mut self) {
        self.brokers.clear();
        self.controller = None;
        self.version += 1;
    }
}

impl TopicMetadata {
    /// How many of its partitions have a leader that cannot be reached the way the others are.
    fn without_listener(&self) -> usize {
        let errors = self.partitions.iter().map(|partition| partition.error);
        errors
            .filter(|error| *error == ErrorCode::LISTENER_NOT_FOUND)
            .count()
    }

    fn unheard() -> Self {
        Self {
            id: Uuid::ZERO,
            error: ErrorCode::NONE,
            internal: false,
            partitions: Vec::new(),
        }
    }

    /// Takes over what the answer says of the partitions, `new` being in order; true if anything
    /// changed.
    fn apply(
        &mut self,
        topic: &MetadataResponseTopic<'_>,
        new: &[&MetadataResponsePartition],
        brokers: &Few<NodeId, Broker>,
        trusted: bool,
        applied: &mut Applied,
    ) -> bool {
        let recreated = !topic.topic_id.is_zero() && topic.topic_id != self.id;
        let mut changed = topic.topic_id != self.id || topic.is_internal != self.internal;
        self.id = topic.topic_id;
        self.internal = topic.is_internal;
        // The same topic never loses partitions: a broker that knows fewer is behind.
        let same = !recreated && !self.id.is_zero();
        if new.len() < self.partitions.len() && !same {
            self.partitions.truncate(new.len());
            changed = true;
        }
        // Of many partitions at once there is no room for twice as many.
        self.partitions
            .reserve(new.len().saturating_sub(self.partitions.len()));
        for (at, new) in new.iter().enumerate() {
            let error = ErrorCode(new.error_code);
            applied.stale |= error.is_invalid_metadata();
            let epoch = if trusted {
                new.leader_epoch.max(-1)
            } else {
                -1
            };
            let old = self.partitions.get_mut(at);
            let known = old.as_ref().map_or(-1, |old| old.leader_epoch);
            applied.learned |= epoch < 0 || epoch > known || recreated;
            if epoch >= 0 && epoch < known && !recreated {
                continue;
            }
            let leader = Some(NodeId(new.leader_id)).filter(|id| brokers.contains_key(id));
            match old {
                Some(old) => changed |= old.renew(new, leader, epoch),
                None => {
                    self.partitions
                        .push(PartitionMetadata::first(new, leader, epoch));
                    changed = true;
                }
            }
        }
        changed
    }
}

impl PartitionMetadata {
    fn first(new: &MetadataResponsePartition, leader: Option<NodeId>, leader_epoch: i32) -> Self {
        let mut first = Self {
            index: new.partition_index,
            error: ErrorCode::NONE,
            leader: None,
            leader_epoch,
            replicas: Arc::default(),
            in_sync: Arc::default(),
            offline: Arc::default(),
        };
        first.renew(new, leader, leader_epoch);
        first
    }

    /// Takes the news over in place; true if there are any.
    fn renew(
        &mut self,
        new: &MetadataResponsePartition,
        leader: Option<NodeId>,
        leader_epoch: i32,
    ) -> bool {
        let error = ErrorCode(new.error_code);
        let mut changed =
            (self.error, self.leader, self.leader_epoch) != (error, leader, leader_epoch);
        (self.error, self.leader, self.leader_epoch) = (error, leader, leader_epoch);
        let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect::<Arc<[_]>>();
        let differ = |known: &[NodeId], ids: &[i32]| !known.iter().map(|id| &id.0).eq(ids);
        if differ(&self.replicas, &new.replica_nodes) {
            self.replicas = nodes(&new.replica_nodes);
            changed = true;
        }
        if differ(&self.in_sync, &new.isr_nodes) {
            self.in_sync = match differ(&self.replicas, &new.isr_nodes) {
                true => nodes(&new.isr_nodes),
                false => Arc::clone(&self.replicas),
            };
            changed = true;
        }
        if differ(&self.offline, &new.offline_replicas) {
            self.offline = nodes(&new.offline_replicas);
            changed = true;
        }
        changed
    }
}

/// The brokers of an answer; entries without a usable address are left out. There may be none: a broker that has just
/// started may name none.
pub(crate) fn brokers_of(answer: &MetadataResponse<'_>) -> Few<NodeId, Broker> {
    let mut brokers = Few::new();
    for broker in &answer.brokers {
        let id = NodeId(broker.node_id);
        match u16::try_from(broker.port) {
            Ok(port @ 1..) if id.0 >= 0 && !broker.host.is_empty() => {
                let address = Address::new(broker.host, port);
                brokers.insert(
                    id,
                    Broker {
                        id,
                        address,
                        rack: broker.rack.map(str::to_owned),
                    },
                );
            }
            _ => warn!(
                node = id.0,
                host = broker.host,
                port = broker.port,
                "a broker without a usable address"
            ),
        }
    }
    brokers
}

/// The partitions in order of their indices, if these are 0, 1, 2, … without a gap, and there are any.
fn by_index(partitions: &[MetadataResponsePartition]) -> Option<Vec<&MetadataResponsePartition>> {
    if partitions.is_empty() {
        return None;
    }
    let mut ordered = vec![None; partitions.len()];
    for partition in partitions {
        let place = ordered.get_mut(usize::try_from(partition.partition_index).ok()?)?;
        if place.replace(partition).is_some() {
            return None;
        }
    }
    ordered.into_iter().collect()
}
