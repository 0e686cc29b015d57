//! The embedded broker, set up as the real clusters of the suite are.

use anyhow::{Result, anyhow};
use milena_broker::{
    Cluster, ClusterConfig, Release, ServeOptions, Server, TopicConfig, serve_in_thread,
};

/// A served model of a cluster.
#[derive(Debug)]
pub(crate) struct Model(Server);

impl Model {
    pub(crate) fn start(brokers: usize) -> Result<Self> {
        Self::start_as(brokers, Release::default())
    }

    /// A model that speaks as this release of Kafka does.
    pub(crate) fn start_as(brokers: usize, release: Release) -> Result<Self> {
        let mut topic = TopicConfig::default();
        let in_sync = brokers.min(3).saturating_sub(1).max(1);
        topic.set("min.insync.replicas", &in_sync.to_string())?;
        topic.set("message.timestamp.after.max.ms", "3600000")?;
        let config = ClusterConfig {
            brokers,
            auto_create: None,
            release,
            verify_records: true,
            topic,
            ..ClusterConfig::default()
        };
        Ok(Self(serve_in_thread(
            Cluster::new(config),
            ServeOptions::default(),
        )?))
    }

    /// What a client is given as `bootstrap.servers`.
    pub(crate) fn servers(&self) -> String {
        self.0.bootstrap()
    }

    /// Creates a topic without asking a client to do it.
    pub(crate) fn create(&self, topic: &str, partitions: usize) -> Result<()> {
        let created = self.0.cluster().create_topic(topic, partitions);
        created
            .map(drop)
            .map_err(|code| anyhow!("{topic} was not created: {code:?}"))
    }
}
