//! The cluster of an example: one that is running somewhere, or an embedded one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use milena_broker::{ClusterConfig, ServeOptions, Server, serve_in_thread};
use milena_wire::api::create_topics::CreatableTopic;
use milena_wire::api::metadata::MetadataRequestTopic;
use milena_wire::{CreateTopicsRequest, DeleteTopicsRequest, ErrorCode, MetadataRequest};

use crate::Connection;

/// A cluster to speak to.
#[derive(Debug)]
pub struct Cluster {
    servers: String,
    /// It runs as long as this lives.
    embedded: Option<Server>,
}

impl Cluster {
    /// The one at these servers; without any, an embedded one of three brokers.
    pub fn at(servers: Option<String>) -> Result<Self> {
        if let Some(servers) = servers {
            return Ok(Self {
                servers,
                embedded: None,
            });
        }
        let config = ClusterConfig {
            brokers: 3,
            ..ClusterConfig::default()
        };
        let server = serve_in_thread(milena_broker::Cluster::new(config), ServeOptions::default())?;
        Ok(Self {
            servers: server.bootstrap(),
            embedded: Some(server),
        })
    }

    /// What the command line says: nothing, or `--bootstrap-servers host:port,…`.
    pub fn from_args() -> Result<Self> {
        let mut arguments = lexopt::Parser::from_env();
        let mut servers = None;
        while let Some(argument) = arguments.next()? {
            match argument {
                lexopt::Arg::Long("bootstrap-servers") => {
                    servers = Some(arguments.value()?.to_string_lossy().into_owned());
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Self::at(servers)
    }

    /// For `bootstrap.servers`.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// Whether it lives in this process.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Creates a topic with the cluster's usual number of replicas, and waits until all its partitions have leaders.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let mut connection = Connection::open(&self.servers)?;
        let topic = CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: -1,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response = connection.ask(5, &request)?;
        let code = ErrorCode(
            response
                .topics
                .first()
                .context("no answer about the topic")?
                .error_code,
        );
        ensure!(
            code == ErrorCode::NONE,
            "the topic {name} cannot be created: {}",
            code.message()
        );
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.leaders(name)?.len() < usize::try_from(partitions)? {
            ensure!(
                Instant::now() < deadline,
                "the topic {name} has not all its leaders"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let request = DeleteTopicsRequest {
            topic_names: vec![name],
            timeout_ms: 30_000,
            ..Default::default()
        };
        Connection::open(&self.servers)?.ask(4, &request)?;
        Ok(())
    }

    /// The partitions of a topic that have a leader, and its address, in order.
    pub fn leaders(&self, topic: &str) -> Result<Vec<(i32, String)>> {
        let mut connection = Connection::open(&self.servers)?;
        let asked = MetadataRequestTopic {
            name: Some(topic),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let metadata = connection.ask(9, &request)?;
        let address = |id: i32| {
            let broker = metadata
                .brokers
                .iter()
                .find(|broker| broker.node_id == id)?;
            Some(format!("{}:{}", broker.host, broker.port))
        };
        let partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let mut leaders: Vec<_> = partitions
            .filter_map(|partition| {
                Some((partition.partition_index, address(partition.leader_id)?))
            })
            .collect();
        leaders.sort_unstable();
        Ok(leaders)
    }
}
