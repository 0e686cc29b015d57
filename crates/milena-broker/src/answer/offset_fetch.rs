//! OffsetFetch: groups that have committed nothing, because this cluster has no consumers' groups.

use milena_wire::api::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use milena_wire::{ErrorCode, OffsetFetchRequest, OffsetFetchResponse};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::reply::Reply;
use crate::rule::Effects;

/// The version from which several groups can be asked about.
const GROUPS: i16 = 8;
/// The version from which topics go by id.
const TOPIC_IDS: i16 = 10;
/// No offset is committed.
const NONE: i64 = -1;

impl Cluster {
    pub(crate) fn offset_fetch(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: OffsetFetchRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| Vec::new());
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let mut response = OffsetFetchResponse {
            throttle_time_ms: effects.throttle_ms,
            ..OffsetFetchResponse::default()
        };
        if call.version.number >= GROUPS {
            let groups = request.groups.iter();
            response.groups = groups
                .map(|group| self.offsets_of(call, group, &effects))
                .collect();
        } else {
            let code = self.refusal(call, request.group_id, &effects);
            response.error_code = code.0;
            // Before there was a place for the whole answer's error, each partition had it.
            if code == ErrorCode::NONE || call.version.number < 2 {
                let topics = request.topics.iter().flatten();
                response.topics = topics.map(|topic| nothing(topic, code)).collect();
            }
        }
        call.answer::<OffsetFetchRequest<'_>>(&effects, &response)
    }

    /// Why a group's offsets are not told by this broker.
    fn refusal(&self, call: &Call<'_>, group: &str, effects: &Effects) -> ErrorCode {
        if let Some(code) = effects.code() {
            return code;
        }
        if !self.config.group_coordinators {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        match self.coordinator(group) {
            Some(broker) if broker.id == call.broker => ErrorCode::NONE,
            _ => ErrorCode::NOT_COORDINATOR,
        }
    }

    fn offsets_of<'a>(
        &self,
        call: &Call<'_>,
        group: &OffsetFetchRequestGroup<'a>,
        effects: &Effects,
    ) -> OffsetFetchResponseGroup<'a> {
        let code = self.refusal(call, group.group_id, effects);
        let mut response = OffsetFetchResponseGroup {
            group_id: group.group_id,
            error_code: code.0,
            ..OffsetFetchResponseGroup::default()
        };
        if code == ErrorCode::NONE {
            let topics = group.topics.iter().flatten();
            response.topics = topics.map(|topic| self.nothing_of(call, topic)).collect();
        }
        response
    }

    fn nothing_of<'a>(
        &self,
        call: &Call<'_>,
        topic: &OffsetFetchRequestTopics<'a>,
    ) -> OffsetFetchResponseTopics<'a> {
        let unknown = call.version.number >= TOPIC_IDS
            && self.shape.name_of(call.now, topic.topic_id).is_none();
        let code = if unknown {
            ErrorCode::UNKNOWN_TOPIC_ID
        } else {
            ErrorCode::NONE
        };
        let partition = |index: &i32| OffsetFetchResponsePartitions {
            partition_index: *index,
            committed_offset: NONE,
            error_code: code.0,
            ..OffsetFetchResponsePartitions::default()
        };
        OffsetFetchResponseTopics {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions: topic.partition_indexes.iter().map(partition).collect(),
        }
    }
}

fn nothing<'a>(
    topic: &OffsetFetchRequestTopic<'a>,
    code: ErrorCode,
) -> OffsetFetchResponseTopic<'a> {
    let partition = |index: &i32| OffsetFetchResponsePartition {
        partition_index: *index,
        committed_offset: NONE,
        error_code: code.0,
        ..OffsetFetchResponsePartition::default()
    };
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    }
}
