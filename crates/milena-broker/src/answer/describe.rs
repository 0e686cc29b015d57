//! DescribeConfigs, DescribeProducers and DescribeTransactions: what tools and tests ask to look into a cluster.

use std::collections::BTreeSet;

use milena_wire::api::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use milena_wire::api::describe_producers::{PartitionResponse, ProducerState, TopicResponse};
use milena_wire::api::describe_transactions::TransactionState;
use milena_wire::{
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeProducersRequest,
    DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    ErrorCode,
};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::reply::Reply;
use crate::rule::{Effects, Target};

/// What a resource is, as requests say it.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// A property: its name, its value and whether that differs from the default.
type Property = (String, String, bool);

/// Where a value comes from, as answers say it: set for the topic, or a default.
pub(crate) fn source(changed: bool) -> i8 {
    if changed { 1 } else { 5 }
}

impl Cluster {
    pub(crate) fn describe_configs(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: DescribeConfigsRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| {
            let topics = request
                .resources
                .iter()
                .filter(|one| one.resource_type == TOPIC);
            topics
                .map(|one| Target::new(one.resource_name, None))
                .collect()
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let found: Vec<_> = request
            .resources
            .iter()
            .map(|one| self.properties(call.now, one, &effects))
            .collect();
        let results = request.resources.iter().zip(&found);
        let response = DescribeConfigsResponse {
            throttle_time_ms: effects.throttle_ms,
            results: results
                .map(|(asked, found)| described(asked, found))
                .collect(),
        };
        call.answer::<DescribeConfigsRequest<'_>>(&effects, &response)
    }

    fn properties(
        &self,
        now: i64,
        asked: &DescribeConfigsResource<'_>,
        effects: &Effects,
    ) -> Result<Vec<Property>, ErrorCode> {
        let name = asked.resource_name;
        if let Some(code) = effects.code_for(name, None) {
            return Err(code);
        }
        match asked.resource_type {
            TOPIC => {
                let topic = self.shape.known(now, name);
                topic
                    .map(|topic| topic.config.properties())
                    .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            BROKER => {
                let known = name
                    .parse()
                    .is_ok_and(|id| self.shape.brokers.contains_key(&id));
                if known {
                    Ok(self.broker_properties())
                } else {
                    Err(ErrorCode::INVALID_REQUEST)
                }
            }
            _ => Err(ErrorCode::INVALID_REQUEST),
        }
    }

    fn broker_properties(&self) -> Vec<Property> {
        let text = |value: usize| value.to_string();
        let topic = &self.config.topic;
        [
            (
                "auto.create.topics.enable",
                self.config.auto_create.is_some().to_string(),
            ),
            ("default.replication.factor", text(topic.replication_factor)),
            ("message.max.bytes", text(topic.max_message_bytes)),
            ("min.insync.replicas", text(topic.min_insync_replicas)),
            ("num.partitions", text(self.config.auto_create.unwrap_or(1))),
        ]
        .map(|(name, value)| (name.to_owned(), value, false))
        .into()
    }

    pub(crate) fn describe_producers(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: DescribeProducersRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| {
            let named = request.topics.iter().flat_map(|topic| {
                let indices = topic.partition_indexes.iter();
                indices.map(|index| Target::new(topic.name, Some(*index)))
            });
            named.collect()
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        // Each once: to ask takes four bytes, and the answer grows with the producers that there are.
        let mut seen = BTreeSet::new();
        let topics = request.topics.iter().map(|topic| {
            let indices = topic.partition_indexes.iter();
            let indices = indices.filter(|index| seen.insert((topic.name, **index)));
            let partition = |index: &i32| self.producers_of(call, topic.name, *index, &effects);
            TopicResponse {
                name: topic.name,
                partitions: indices.map(partition).collect(),
            }
        });
        let response = DescribeProducersResponse {
            throttle_time_ms: effects.throttle_ms,
            topics: topics.collect(),
        };
        call.answer::<DescribeProducersRequest<'_>>(&effects, &response)
    }

    fn producers_of(
        &self,
        call: &Call<'_>,
        name: &str,
        partition_index: i32,
        effects: &Effects,
    ) -> PartitionResponse<'static> {
        let refused = effects
            .code_for(name, Some(partition_index))
            .map_or(Ok(()), Err);
        let led = refused.and_then(|()| self.led(call, name, partition_index, -1));
        let mut response = PartitionResponse {
            partition_index,
            ..PartitionResponse::default()
        };
        match led {
            Err(code) => response.error_code = code.0,
            Ok((_, _, log)) => {
                let state = |(producer_id, entry): (i64, &crate::ProducerEntry)| ProducerState {
                    producer_id,
                    producer_epoch: i32::from(entry.epoch),
                    last_sequence: entry.last_sequence(),
                    last_timestamp: entry.last_timestamp(),
                    coordinator_epoch: -1,
                    current_txn_start_offset: -1,
                };
                response.active_producers = log.producers().iter().map(state).collect();
            }
        }
        response
    }

    pub(crate) fn describe_transactions(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: DescribeTransactionsRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| Vec::new());
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let ids = request.transactional_ids.iter();
        let response = DescribeTransactionsResponse {
            throttle_time_ms: effects.throttle_ms,
            transaction_states: ids.map(|id| self.transaction(call, id, &effects)).collect(),
        };
        call.answer::<DescribeTransactionsRequest<'_>>(&effects, &response)
    }

    /// What a transactional id is at: no transaction is ever begun here.
    fn transaction<'a>(
        &self,
        call: &Call<'_>,
        id: &'a str,
        effects: &Effects,
    ) -> TransactionState<'a> {
        let here = self
            .coordinator(id)
            .is_some_and(|broker| broker.id == call.broker);
        let found = match effects.code() {
            Some(code) => Err(code),
            None if !here => Err(ErrorCode::NOT_COORDINATOR),
            None => self
                .transactional
                .get(id)
                .ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND),
        };
        match found {
            Err(code) => TransactionState {
                error_code: code.0,
                transactional_id: id,
                ..TransactionState::default()
            },
            Ok(known) => TransactionState {
                transactional_id: id,
                transaction_state: "Empty",
                transaction_timeout_ms: known.timeout_ms,
                transaction_start_time_ms: -1,
                producer_id: known.producer_id,
                producer_epoch: known.epoch,
                ..TransactionState::default()
            },
        }
    }
}

fn described<'a>(
    asked: &DescribeConfigsResource<'a>,
    found: &'a Result<Vec<Property>, ErrorCode>,
) -> DescribeConfigsResult<'a> {
    let keys = asked.configuration_keys.as_deref();
    let wanted = |property: &&Property| keys.is_none_or(|keys| keys.contains(&property.0.as_str()));
    let configs = found.as_deref().unwrap_or_default().iter().filter(wanted);
    DescribeConfigsResult {
        error_code: found.as_ref().err().map_or(0, |code| code.0),
        error_message: None,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name,
        configs: configs
            .map(|(name, value, changed)| DescribeConfigsResourceResult {
                name,
                value: Some(value),
                config_source: source(*changed),
                documentation: None,
                ..DescribeConfigsResourceResult::default()
            })
            .collect(),
    }
}
