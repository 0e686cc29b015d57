//! Topics created, grown, deleted and described, as part of a session.

use anyhow::{Context, Result, ensure};
use milena_wire::api::{create_partitions, create_topics, metadata};
use milena_wire::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
};

use crate::session::{Session, code, retry};

impl Session {
    pub(crate) fn create(
        &mut self,
        topic: &str,
        partitions: i32,
        replicas: i16,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let configs: Vec<_> = configs
            .iter()
            .map(|&(name, value)| create_topics::CreatableTopicConfig {
                name,
                value: Some(value),
            })
            .collect();
        let creatable = create_topics::CreatableTopic {
            name: topic,
            num_partitions: partitions,
            replication_factor: replicas,
            configs,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![creatable],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response = self.any()?.ask(7, &request)?;
        let line: Vec<_> = response
            .topics
            .iter()
            .map(|topic| {
                format!(
                    "{} with {} partitions",
                    code(topic.error_code),
                    topic.num_partitions
                )
            })
            .collect();
        self.note(format!(
            "create {partitions} partitions, {replicas} replicas: {}",
            line.join(", ")
        ));
        Ok(())
    }

    pub(crate) fn grow(&mut self, topic: &str, count: i32) -> Result<()> {
        let grown = create_partitions::CreatePartitionsTopic {
            name: topic,
            count,
            assignments: None,
        };
        let request = CreatePartitionsRequest {
            topics: vec![grown],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response = self.any()?.ask(3, &request)?;
        let line: Vec<_> = response
            .results
            .iter()
            .map(|result| code(result.error_code))
            .collect();
        self.note(format!("grow to {count}: {}", line.join(", ")));
        Ok(())
    }

    pub(crate) fn delete(&mut self, topic: &str) -> Result<()> {
        let request = DeleteTopicsRequest {
            topic_names: vec![topic],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response = self.any()?.ask(5, &request)?;
        let line: Vec<_> = response
            .responses
            .iter()
            .map(|result| code(result.error_code))
            .collect();
        self.note(format!("delete: {}", line.join(", ")));
        Ok(())
    }

    /// Waits until every partition has a leader that knows it, by asking; that is not written down.
    pub(crate) fn settle(&mut self, topic: &str, partitions: i32) -> Result<()> {
        for partition in 0..partitions {
            retry(|| {
                let place = self.place(topic, partition)?.context("no leader")?;
                let listed = self.list_offsets(&place.leader, topic, &[partition], -1, 5)?;
                ensure!(listed.starts_with("NONE"), "{topic}-{partition}: {listed}");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What Metadata says of a topic.
    pub(crate) fn describe(&mut self, topic: &str, version: i16) -> Result<()> {
        let asked = metadata::MetadataRequestTopic {
            name: Some(topic),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: version < 4,
            ..Default::default()
        };
        let response = self.any()?.ask(version, &request)?;
        let line: Vec<_> = response
            .topics
            .iter()
            .map(|topic| {
                format!(
                    "{} with {} partitions",
                    code(topic.error_code),
                    topic.partitions.len()
                )
            })
            .collect();
        self.note(format!("metadata v{version}: {}", line.join(", ")));
        Ok(())
    }
}
