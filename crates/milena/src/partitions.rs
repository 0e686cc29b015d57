//! What a user may know of a topic's partitions.

use milena_tokio::sender::Sender;

/// One partition of a topic, as the metadata describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its number in the topic.
    pub partition: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<Node>,
    /// The ids of the brokers that should hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

/// A broker, as the cluster advertises it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Its id.
    pub id: i32,
    /// The host it listens on.
    pub host: String,
    /// The port it listens on.
    pub port: u16,
    /// The rack that it says it stands in.
    pub rack: Option<String>,
}

/// The partitions of a topic, unless the metadata does not know it.
pub(crate) fn of(sender: &Sender, topic: &str) -> Option<Vec<PartitionInfo>> {
    let cluster = sender.client().cluster();
    let topic = cluster.topic(topic)?;
    let node = |id| {
        cluster.broker(id).map(|broker| Node {
            id: broker.id.0,
            host: broker.address.host.clone(),
            port: broker.address.port,
            rack: broker.rack.clone(),
        })
    };
    let partitions = topic.partitions.iter().map(|partition| PartitionInfo {
        partition: partition.index,
        leader: partition.leader.and_then(node),
        replicas: partition.replicas.iter().map(|id| id.0).collect(),
        in_sync: partition.in_sync.iter().map(|id| id.0).collect(),
    });
    Some(partitions.collect())
}
