//! Produce: batches are checked, deduplicated and appended by the leaders of their partitions.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use milena_wire::api::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
    PartitionProduceResponse, TopicProduceData, TopicProduceResponse,
};
use milena_wire::{ErrorCode, ProduceRequest, ProduceResponse, Uuid};

use crate::answer::{Call, Hopeless};
use crate::check::Checks;
use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use crate::log::{Append, Appended, Log};
use crate::refusal::Refusal;
use crate::release::Release;
use crate::reply::Reply;
use crate::rule::{Act, Effects, Target};
use crate::shape::{Partition, Shape, Topic};

/// What became of the batch of one partition.
struct Outcome {
    index: i32,
    /// What was appended, and where the log begins.
    result: Result<(Appended, i64), Refusal>,
    /// The current leader and its epoch, where the broker asked is not the leader (KIP-951).
    leader: Option<(i32, i32)>,
}

/// What became of the batches of one topic.
struct Outcomes<'a> {
    /// As it was asked for.
    asked: &'a TopicProduceData<'a>,
    /// Its name, also where it was asked for by id; empty if that is not known.
    name: &'a str,
    partitions: Vec<Outcome>,
}

impl Cluster {
    pub(crate) fn produce(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: ProduceRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |shape| targets(shape, call, &request));
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let mut broker = Leader {
            call,
            acks: request.acks,
            shape: &self.shape,
            config: &self.config,
            logs: &mut self.logs,
            effects: &effects,
            appended: 0,
        };
        let topics: Vec<Outcomes<'_>> = request
            .topic_data
            .iter()
            .map(|topic| broker.topic(topic))
            .collect();
        self.appends += broker.appended;
        if request.acks == 0 {
            // Nobody waits for an answer, so an error is told by closing.
            let failed = topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .any(|one| one.result.is_err());
            return Ok(if failed {
                Reply::Close
            } else {
                effects.unanswered()
            });
        }
        let response = ProduceResponse {
            responses: topics.iter().map(|topic| topic.respond(&effects)).collect(),
            throttle_time_ms: effects.throttle_ms,
            node_endpoints: endpoints(&self.shape, &topics),
        };
        call.answer::<ProduceRequest<'_>>(&effects, &response)
    }
}

/// The name of a topic that is asked for by name or, from version 13 on, by id.
fn name_of<'a>(shape: &'a Shape, call: &Call<'_>, topic: &TopicProduceData<'a>) -> Option<&'a str> {
    match call.version.number {
        ..=12 => Some(topic.name),
        _ => shape.name_of(call.now, topic.topic_id),
    }
}

fn targets(shape: &Shape, call: &Call<'_>, request: &ProduceRequest<'_>) -> Vec<Target> {
    let named = request.topic_data.iter().filter_map(|topic| {
        let name = name_of(shape, call, topic)?;
        Some(
            topic
                .partition_data
                .iter()
                .map(move |one| Target::new(name, Some(one.index))),
        )
    });
    named.flatten().collect()
}

/// A broker that appends what it leads.
struct Leader<'a> {
    call: &'a Call<'a>,
    acks: i16,
    shape: &'a Shape,
    config: &'a ClusterConfig,
    logs: &'a mut BTreeMap<Uuid, Vec<Log>>,
    effects: &'a Effects,
    appended: u64,
}

impl<'a> Leader<'a> {
    fn topic(&mut self, asked: &'a TopicProduceData<'a>) -> Outcomes<'a> {
        let name = name_of(self.shape, self.call, asked);
        let partitions = asked
            .partition_data
            .iter()
            .map(|one| self.partition(name, one))
            .collect();
        Outcomes {
            asked,
            name: name.unwrap_or_default(),
            partitions,
        }
    }

    fn partition(&mut self, name: Option<&str>, data: &PartitionProduceData<'_>) -> Outcome {
        let index = data.index;
        let Some(name) = name else {
            let refusal = Refusal::new(ErrorCode::UNKNOWN_TOPIC_ID);
            return Outcome {
                index,
                result: Err(refusal),
                leader: None,
            };
        };
        let found = self.shape.known(self.call.now, name).and_then(|topic| {
            let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
            Some((topic, partition))
        });
        let result = match self.effects.error_for(name, index) {
            Some(Act::Error(code)) => Err(Refusal::new(*code)),
            Some(Act::RecordErrors(records)) => Err(Refusal {
                records: records
                    .iter()
                    .map(|(at, why)| (*at, why.clone().map(Cow::Owned)))
                    .collect(),
                ..Refusal::because(
                    ErrorCode::INVALID_RECORD,
                    "one or more records were rejected",
                )
            }),
            Some(Act::ErrorAfter(code)) => {
                let _ = self.append(found, data);
                Err(Refusal::new(*code))
            }
            _ => self.append(found, data),
        };
        let moved = result
            .as_ref()
            .is_err_and(|refusal| refusal.code == ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let leader = found
            .filter(|_| moved && self.call.version.number >= 10)
            .map(|(_, partition)| (partition.leader.unwrap_or(-1), partition.leader_epoch));
        Outcome {
            index,
            result,
            leader,
        }
    }

    /// Checks in Kafka's order, then appends.
    fn append(
        &mut self,
        found: Option<(&Topic, &Partition)>,
        data: &PartitionProduceData<'_>,
    ) -> Result<(Appended, i64), Refusal> {
        let unknown = Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let (topic, partition) = found.ok_or(unknown)?;
        let checks = Checks {
            version: self.call.version.number,
            topic: &topic.config,
            crc: self.config.verify_crc,
            records: self.config.verify_records,
            now: self.call.now,
        };
        let batch = checks.form(data.records)?;
        if !(-1..=1).contains(&self.acks) {
            return Err(Refusal::new(ErrorCode::INVALID_REQUIRED_ACKS));
        }
        if partition.leader != Some(self.call.broker) {
            return Err(Refusal::new(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        }
        let enough = || self.shape.in_sync(partition).len() >= topic.config.min_insync_replicas;
        if self.acks == -1 && topic.config.min_insync_replicas > 1 && !enough() {
            return Err(Refusal::new(ErrorCode::NOT_ENOUGH_REPLICAS));
        }
        let header = checks.content(batch)?;
        let log = self
            .logs
            .get_mut(&topic.id)
            .and_then(|logs| logs.get_mut(data.index as usize));
        let log = log.ok_or_else(|| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        let how = Append {
            leader_epoch: partition.leader_epoch,
            log_append_time: topic.config.log_append_time.then_some(self.call.now),
            keep: !topic.config.discard,
            dedupe: self.config.dedupe,
            begin_with_zero: self.config.release <= Release::V2_4,
        };
        let appended = log.append(batch, &header, how)?;
        self.appended += 1;
        Ok((appended, log.start_offset()))
    }
}

impl Outcomes<'_> {
    fn respond(&self, effects: &Effects) -> TopicProduceResponse<'_> {
        let mut responses = Vec::with_capacity(self.partitions.len());
        for outcome in &self.partitions {
            if effects.omits(self.name, outcome.index) {
                continue;
            }
            let response = outcome.respond();
            if effects.repeats(self.name, outcome.index) {
                responses.push(response.clone());
            }
            responses.push(response);
        }
        let extra = effects
            .add_partitions
            .iter()
            .map(|index| PartitionProduceResponse {
                index: *index,
                ..PartitionProduceResponse::default()
            });
        responses.extend(extra);
        TopicProduceResponse {
            name: self.asked.name,
            topic_id: self.asked.topic_id,
            partition_responses: responses,
        }
    }
}

impl Outcome {
    fn respond(&self) -> PartitionProduceResponse<'_> {
        let (leader_id, leader_epoch) = self.leader.unwrap_or((-1, -1));
        let response = PartitionProduceResponse {
            index: self.index,
            current_leader: LeaderIdAndEpoch {
                leader_id,
                leader_epoch,
            },
            ..PartitionProduceResponse::default()
        };
        match &self.result {
            Ok((appended, log_start_offset)) => PartitionProduceResponse {
                base_offset: appended.base_offset,
                log_append_time_ms: appended.log_append_time,
                log_start_offset: *log_start_offset,
                ..response
            },
            Err(refusal) => PartitionProduceResponse {
                error_code: refusal.code.0,
                base_offset: -1,
                log_start_offset: refusal.log_start_offset,
                error_message: refusal.message.as_deref(),
                record_errors: refusal
                    .records
                    .iter()
                    .map(|(index, message)| BatchIndexAndErrorMessage {
                        batch_index: *index,
                        batch_index_error_message: message.as_deref(),
                    })
                    .collect(),
                ..response
            },
        }
    }
}

/// Where the leaders are reached that the answer names.
fn endpoints<'a>(shape: &'a Shape, topics: &[Outcomes<'_>]) -> Vec<NodeEndpoint<'a>> {
    let outcomes = topics.iter().flat_map(|topic| &topic.partitions);
    let leaders: BTreeSet<i32> = outcomes.filter_map(|one| Some(one.leader?.0)).collect();
    let live = leaders
        .iter()
        .filter(|id| shape.is_up(**id))
        .filter_map(|id| shape.brokers.get(id));
    live.map(|broker| NodeEndpoint {
        node_id: broker.id,
        host: &broker.host,
        port: i32::from(broker.port),
        rack: broker.rack.as_deref(),
    })
    .collect()
}
