//! The client's view of the cluster: brokers, topics, and who leads what.
use std::collections::BTreeMap;
use std::sync::Arc;

use milena_wire::{ErrorCode, Uuid};

use crate::{Address, Few, NodeId};

/// What is known of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The id of the cluster, if it told one.
    pub id: Option<String>,
    /// The controller, or the broker that forwards to it.
    pub controller: Option<NodeId>,
    pub(crate) brokers: Few<NodeId, Broker>,
    pub(crate) topics: BTreeMap<Arc<str>, TopicMetadata>,
    pub(crate) version: u64,
}

/// A broker as the cluster advertises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: NodeId,
    /// Where it listens.
    pub address: Address,
    /// The rack it says it stands in.
    pub rack: Option<String>,
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its id, or zero if brokers are too old to tell one. A topic that was deleted and created
    /// anew has another.
    pub id: Uuid,
    /// What the last answer said of the topic; `NONE` if it is well.
    ///
    /// With an error, `partitions` is what was known before: a broker that has just started may
    /// deny a topic for a moment.
    pub error: ErrorCode,
    /// Whether it is one of Kafka's own.
    pub internal: bool,
    /// Its partitions, each at the place of its index.
    pub partitions: Vec<PartitionMetadata>,
}

/// What is known of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number in the topic.
    pub index: i32,
    /// What the last answer said of it; `NONE` if it is well.
    pub error: ErrorCode,
    /// The broker that leads it, if there is one and its address is known.
    pub leader: Option<NodeId>,
    /// The epoch of its leader, or -1 if brokers are too old to be trusted with it.
    pub leader_epoch: i32,
    /// The brokers that should hold it.
    pub replicas: Arc<[NodeId]>,
    /// Those of them that are in sync; most of the time all of them, in one allocation with these.
    pub in_sync: Arc<[NodeId]>,
    /// Those of them that are offline.
    pub offline: Arc<[NodeId]>,
}

impl Cluster {
    /// All brokers, by id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Broker> {
        self.brokers.values()
    }

    /// One broker.
    pub fn broker(&self, id: NodeId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// All topics of which something was heard, by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &TopicMetadata)> {
        self.topics.iter()
    }

    /// One topic, if something was heard of it.
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(name)
    }

    /// How many times the view was renewed.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl TopicMetadata {
    /// One partition.
    pub fn partition(&self, index: i32) -> Option<&PartitionMetadata> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}
