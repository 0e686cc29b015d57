//! What can happen to a cluster while clients use it.

use crate::topic::TopicConfig;

/// Something that happens to a cluster: by hand with [`Cluster::apply`](crate::Cluster::apply), or by a rule with
/// [`Act::Change`](crate::Act).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A topic is created with so many partitions.
    CreateTopic {
        /// Its name.
        topic: String,
        /// How many partitions it has.
        partitions: usize,
        /// How it treats what is produced to it.
        config: TopicConfig,
    },
    /// A topic is deleted with all that is in it.
    DeleteTopic(String),
    /// A topic is deleted and created again: empty, with another id, and otherwise the same.
    RecreateTopic(String),
    /// A topic gets more partitions.
    AddPartitions {
        /// The topic.
        topic: String,
        /// How many it has afterwards.
        total: usize,
    },
    /// Brokers say for a while that they do not know a topic, as one does that has just been started.
    HideTopic {
        /// The topic.
        topic: String,
        /// For how long, in milliseconds.
        for_ms: i64,
    },
    /// A partition gets another leader, or none, and a new leader epoch.
    MoveLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The new leader; it becomes a replica if it is not one.
        to: Option<i32>,
    },
    /// Only so many replicas of a partition are in sync; `None` for all that are up.
    SetInSync {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many, the leader included.
        replicas: Option<usize>,
    },
    /// A broker goes down: others take over what it leads, and it answers nothing.
    BrokerDown(i32),
    /// A broker comes back.
    BrokerUp(i32),
    /// A broker goes on answering Metadata as the cluster is now, whatever happens.
    FreezeMetadata(i32),
    /// A broker answers Metadata as the cluster is again.
    ThawMetadata(i32),
    /// A broker is advertised somewhere else.
    SetAddress {
        /// The broker.
        broker: i32,
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
}
