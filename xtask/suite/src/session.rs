//! Requests sent one by one to a cluster, and what it answered, written down so that two clusters can be compared.
//!
//! Ids differ from cluster to cluster: producers are written down in the order in which they were given out, and
//! leaders only as being the one that was asked or another.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use milena_record::batches;
use milena_wire::api::{describe_producers, fetch, list_offsets};
use milena_wire::api::{metadata, produce};
use milena_wire::{
    DescribeProducersRequest, ErrorCode, FetchRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, ProduceRequest, Records, Uuid,
};

use crate::raw::Raw;

/// A cluster, and the transcript of what was asked of it.
#[derive(Debug)]
pub(crate) struct Session {
    first: String,
    connections: BTreeMap<String, Raw>,
    producers: Vec<i64>,
    transcript: Vec<String>,
}

/// Where a partition is, and which topic it is of.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) leader: String,
    other: Option<String>,
    topic_id: Uuid,
}

impl Session {
    pub(crate) fn new(bootstrap_servers: &str) -> Result<Self> {
        let first = bootstrap_servers
            .split(',')
            .next()
            .context("no server")?
            .to_owned();
        Ok(Self {
            first,
            connections: BTreeMap::new(),
            producers: Vec::new(),
            transcript: Vec::new(),
        })
    }

    /// What was written down.
    pub(crate) fn into_transcript(self) -> Vec<String> {
        self.transcript
    }

    /// Writes down a line of its own.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.transcript.push(line.into());
    }

    fn to(&mut self, address: &str) -> Result<&mut Raw> {
        if !self.connections.contains_key(address) {
            self.connections
                .insert(address.to_owned(), Raw::connect(address)?);
        }
        self.connections.get_mut(address).context("it was inserted")
    }

    pub(crate) fn any(&mut self) -> Result<&mut Raw> {
        let first = self.first.clone();
        self.to(&first)
    }

    /// Forgets a connection that was cut.
    pub(crate) fn hang_up(&mut self) {
        self.connections.clear();
    }

    pub(crate) fn place(&mut self, topic: &str, partition: i32) -> Result<Option<Place>> {
        let asked = metadata::MetadataRequestTopic {
            name: Some(topic),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let response = self.any()?.ask(12, &request)?;
        let address = |id: i32| {
            let broker = response
                .brokers
                .iter()
                .find(|broker| broker.node_id == id)?;
            Some(format!("{}:{}", broker.host, broker.port))
        };
        let Some(topic) = response.topics.first() else {
            return Ok(None);
        };
        let partition = topic
            .partitions
            .iter()
            .find(|there| there.partition_index == partition);
        let Some(leader) = partition.and_then(|there| address(there.leader_id)) else {
            return Ok(None);
        };
        let other = response
            .brokers
            .iter()
            .find_map(|broker| address(broker.node_id).filter(|other| *other != leader));
        Ok(Some(Place {
            leader,
            other,
            topic_id: topic.topic_id,
        }))
    }

    /// Gets a producer id, or a new epoch of `of`; gives the id and epoch.
    pub(crate) fn init_producer(&mut self, of: Option<(i64, i16)>) -> Result<(i64, i16)> {
        let (producer_id, producer_epoch) = of.unwrap_or((-1, -1));
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        // A young cluster has no producer ids for a moment.
        let (error, given) = retry(|| {
            let response = self.any()?.ask(4, &request)?;
            let error = ErrorCode(response.error_code);
            ensure!(error != ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, "it loads");
            Ok((error.0, (response.producer_id, response.producer_epoch)))
        })?;
        let name = self.name_of(given.0);
        self.note(format!(
            "init producer: {}, {name}, epoch {}",
            code(error),
            given.1
        ));
        Ok(given)
    }

    fn name_of(&mut self, producer: i64) -> String {
        if producer < 0 {
            return "no producer".to_owned();
        }
        let at = self
            .producers
            .iter()
            .position(|known| *known == producer)
            .unwrap_or_else(|| {
                self.producers.push(producer);
                self.producers.len() - 1
            });
        format!("producer {at}")
    }

    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &[u8],
        how: How,
    ) -> Result<()> {
        let place = self.place(topic, partition)?;
        let leader = place
            .as_ref()
            .map_or_else(|| self.first.clone(), |place| place.leader.clone());
        let address = if how.elsewhere {
            place
                .as_ref()
                .and_then(|place| place.other.clone())
                .context("there is one broker only")?
        } else {
            leader
        };
        let topic_id = place.map_or(Uuid([7; 16]), |place| place.topic_id);
        let data = produce::PartitionProduceData {
            index: partition,
            records: Some(Records::Slice(batch)),
        };
        let data = produce::TopicProduceData {
            name: if how.version < 13 { topic } else { "" },
            topic_id: if how.version < 13 {
                Uuid::ZERO
            } else {
                topic_id
            },
            partition_data: vec![data],
        };
        let request = ProduceRequest {
            transactional_id: None,
            acks: how.acks,
            timeout_ms: 10_000,
            topic_data: vec![data],
        };
        let raw = self.to(&address)?;
        let line = if how.acks == 0 {
            raw.tell(how.version, &request)?;
            "not answered".to_owned()
        } else {
            match raw.ask(how.version, &request) {
                Ok(response) => produced(&response),
                Err(error) => {
                    self.hang_up();
                    format!(
                        "cut ({})",
                        if error.to_string().contains("cut") {
                            "by the broker"
                        } else {
                            "otherwise"
                        }
                    )
                }
            }
        };
        self.note(format!(
            "produce v{} acks {}: {line}",
            how.version, how.acks
        ));
        Ok(())
    }

    /// The earliest (-2) or latest (-1) offset, or that of a time.
    pub(crate) fn offset(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
        version: i16,
    ) -> Result<()> {
        self.offsets(topic, &[partition], timestamp, version)
    }

    /// The same of several partitions, asked of the leader of the first one.
    pub(crate) fn offsets(
        &mut self,
        topic: &str,
        partitions: &[i32],
        timestamp: i64,
        version: i16,
    ) -> Result<()> {
        let place = self.place(topic, partitions[0])?;
        let address = place.map_or_else(|| self.first.clone(), |place| place.leader);
        let line = self.list_offsets(&address, topic, partitions, timestamp, version)?;
        let what = match timestamp {
            -1 => "latest",
            -2 => "earliest",
            _ => "by time",
        };
        self.note(format!("offset, {what}, v{version}: {line}"));
        Ok(())
    }

    pub(crate) fn list_offsets(
        &mut self,
        address: &str,
        topic: &str,
        partitions: &[i32],
        timestamp: i64,
        version: i16,
    ) -> Result<String> {
        let partitions =
            partitions
                .iter()
                .map(|&partition_index| list_offsets::ListOffsetsPartition {
                    partition_index,
                    timestamp,
                    ..Default::default()
                });
        let listed = list_offsets::ListOffsetsTopic {
            name: topic,
            partitions: partitions.collect(),
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![listed],
            ..Default::default()
        };
        let response = self.to(address)?.ask(version, &request)?;
        let there = response.topics.iter().flat_map(|topic| &topic.partitions);
        let mut there: Vec<_> = there.collect();
        // Kafka answers in the order of a hash.
        there.sort_by_key(|there| there.partition_index);
        let lines: Vec<_> = there
            .iter()
            .map(|there| format!("{} {}", code(there.error_code), there.offset))
            .collect();
        Ok(lines.join(", "))
    }

    /// What is read from an offset: batches by base offset, count and sequence.
    pub(crate) fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        version: i16,
    ) -> Result<()> {
        let place = self.place(topic, partition)?;
        let address = place
            .as_ref()
            .map_or_else(|| self.first.clone(), |place| place.leader.clone());
        let partition = fetch::FetchPartition {
            partition,
            fetch_offset: from,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let fetched = fetch::FetchTopic {
            topic: if version < 13 { topic } else { "" },
            topic_id: if version < 13 {
                Uuid::ZERO
            } else {
                place.map_or(Uuid([7; 16]), |place| place.topic_id)
            },
            partitions: vec![partition],
        };
        let request = FetchRequest {
            max_wait_ms: 100,
            max_bytes: 1 << 20,
            topics: vec![fetched],
            ..Default::default()
        };
        let response = self.to(&address)?.ask(version, &request)?;
        let mut lines = vec![code(response.error_code)];
        for there in response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
        {
            lines.push(format!(
                "{} up to {}",
                code(there.error_code),
                there.high_watermark
            ));
            let records = there
                .records
                .and_then(|records| records.as_slice())
                .unwrap_or_default();
            for batch in batches(records) {
                let batch = batch?;
                batch.verify_crc()?;
                let header = batch.header();
                lines.push(format!(
                    "{} records at {} of sequence {}",
                    header.record_count, header.base_offset, header.base_sequence
                ));
            }
        }
        self.note(format!(
            "fetch from {from} v{version}: {}",
            lines.join(", ")
        ));
        Ok(())
    }

    /// The producers that a partition remembers.
    pub(crate) fn producers(&mut self, topic: &str, partition: i32) -> Result<()> {
        let address = self
            .place(topic, partition)?
            .map_or_else(|| self.first.clone(), |place| place.leader);
        let asked = describe_producers::TopicRequest {
            name: topic,
            partition_indexes: vec![partition],
        };
        let request = DescribeProducersRequest {
            topics: vec![asked],
        };
        let response = self.to(&address)?.ask(0, &request)?;
        let mut found = Vec::new();
        let mut lines = Vec::new();
        for there in response.topics.iter().flat_map(|topic| &topic.partitions) {
            lines.push(code(there.error_code));
            for state in &there.active_producers {
                found.push((state.producer_id, state.producer_epoch, state.last_sequence));
            }
        }
        found.sort_unstable();
        for (id, epoch, last) in found {
            let name = self.name_of(id);
            lines.push(format!("{name} epoch {epoch} last sequence {last}"));
        }
        self.note(format!("producers: {}", lines.join(", ")));
        Ok(())
    }
}

/// How a batch is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) version: i16,
    pub(crate) acks: i16,
    /// To a broker that does not lead the partition.
    pub(crate) elsewhere: bool,
}

impl Default for How {
    fn default() -> Self {
        Self {
            version: 9,
            acks: -1,
            elsewhere: false,
        }
    }
}

/// Tries for ten seconds.
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..200 {
        if let Ok(done) = attempt() {
            return Ok(done);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    attempt()
}

fn produced(response: &milena_wire::ProduceResponse<'_>) -> String {
    let mut lines = Vec::new();
    for there in response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
    {
        let mut line = format!("{} at {}", code(there.error_code), there.base_offset);
        if there.log_append_time_ms != -1 {
            line.push_str(", stamped by the broker");
        }
        for fault in &there.record_errors {
            line.push_str(&format!(", record {} at fault", fault.batch_index));
        }
        if there.current_leader.leader_id >= 0 {
            line.push_str(", names the leader");
        }
        lines.push(line);
    }
    if !response.node_endpoints.is_empty() {
        lines.push(format!("{} endpoints", response.node_endpoints.len()));
    }
    lines.join("; ")
}

pub(crate) fn code(code: i16) -> String {
    ErrorCode(code)
        .name()
        .map_or_else(|| code.to_string(), str::to_owned)
}
