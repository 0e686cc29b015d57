//! Fetch, without sessions: every answer says that there is none, so clients name all partitions each time (KIP-227).

use std::collections::BTreeSet;

use bytes::Bytes;
use milena_wire::api::fetch::{
    FetchPartition, FetchTopic, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use milena_wire::{ErrorCode, FetchRequest, FetchResponse, Records};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::reply::{Reply, Wait};
use crate::rule::{Effects, Target};
use crate::shape::Shape;

/// What was read of one partition.
struct Read {
    index: i32,
    code: ErrorCode,
    start: i64,
    end: i64,
    batches: Vec<Bytes>,
    /// The current leader and its epoch, where the broker asked is not the leader (KIP-951).
    leader: Option<(i32, i32)>,
}

impl Cluster {
    pub(crate) fn fetch(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: FetchRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |shape| targets(shape, call, &request));
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let session = request.session_id != 0;
        let reads: Vec<Vec<Read>> = match session {
            true => Vec::new(),
            false => self.read_all(call, &request, &effects),
        };
        let found: usize = reads
            .iter()
            .flatten()
            .flat_map(|read| &read.batches)
            .map(Bytes::len)
            .sum();
        let failed = reads
            .iter()
            .flatten()
            .any(|read| read.code != ErrorCode::NONE);
        let enough = found as i64 >= i64::from(request.min_bytes);
        if !session && !failed && !enough && !reads.is_empty() {
            let arrived = call.now.saturating_add(i64::from(request.max_wait_ms));
            // One that was resumed keeps the time it was to wait for, unless it was held before that.
            let waited = call.waited.as_ref().filter(|wait| wait.on_append);
            let until_ms = waited.map_or(arrived, |wait| wait.until_ms);
            if call.now < until_ms {
                return Ok(Reply::Wait(Wait {
                    until_ms,
                    on_append: true,
                    effects: effects.into(),
                }));
            }
        }
        let code = if session {
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
        } else {
            ErrorCode::NONE
        };
        let topics = request.topics.iter().zip(&reads);
        let response = FetchResponse {
            throttle_time_ms: effects.throttle_ms,
            error_code: code.0,
            responses: topics.map(|(topic, reads)| respond(topic, reads)).collect(),
            node_endpoints: endpoints(&self.shape, call, &reads),
            ..FetchResponse::default()
        };
        call.answer::<FetchRequest<'_>>(&effects, &response)
    }

    fn read_all(
        &self,
        call: &Call<'_>,
        request: &FetchRequest<'_>,
        effects: &Effects,
    ) -> Vec<Vec<Read>> {
        let asked = usize::try_from(request.max_bytes).unwrap_or(0);
        let mut budget = asked.min(self.config.fetch_max_bytes);
        // A first batch is answered with even if it is larger than allowed, or nobody could ever read it.
        let mut first = true;
        let mut read = |topic: &FetchTopic<'_>| {
            let name = name_of(&self.shape, call, topic);
            let one = |wanted: &FetchPartition| {
                let read = self.read(call, name, wanted, effects, (budget, first));
                let len: usize = read.batches.iter().map(Bytes::len).sum();
                first &= len == 0;
                budget = budget.saturating_sub(len);
                read
            };
            topic.partitions.iter().map(one).collect()
        };
        request.topics.iter().map(&mut read).collect()
    }

    fn read(
        &self,
        call: &Call<'_>,
        name: Option<&str>,
        wanted: &FetchPartition,
        effects: &Effects,
        (budget, first): (usize, bool),
    ) -> Read {
        let index = wanted.partition;
        let epoch = wanted.current_leader_epoch;
        let found = name.ok_or(ErrorCode::UNKNOWN_TOPIC_ID).and_then(|name| {
            let refused = effects.code_for(name, Some(index)).map_or(Ok(()), Err);
            refused.and_then(|()| self.led(call, name, index, epoch))
        });
        let mut read = Read {
            index,
            code: ErrorCode::NONE,
            start: -1,
            end: -1,
            batches: Vec::new(),
            leader: None,
        };
        let log = match found {
            Ok((_, _, log)) => log,
            Err(code) => {
                read.code = code;
                let moved = [
                    ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    ErrorCode::FENCED_LEADER_EPOCH,
                ];
                if moved.contains(&code) && call.version.number >= 12 {
                    read.leader = name.and_then(|name| self.current_leader(call, name, index));
                }
                return read;
            }
        };
        if !(log.start_offset()..=log.end_offset()).contains(&wanted.fetch_offset) {
            read.code = ErrorCode::OFFSET_OUT_OF_RANGE;
            return read;
        }
        (read.start, read.end) = (log.start_offset(), log.end_offset());
        let most = usize::try_from(wanted.partition_max_bytes)
            .unwrap_or(0)
            .min(budget);
        read.batches = log.read(wanted.fetch_offset, most, first);
        read
    }

    fn current_leader(&self, call: &Call<'_>, name: &str, index: i32) -> Option<(i32, i32)> {
        let topic = self.shape.known(call.now, name)?;
        let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
        Some((partition.leader?, partition.leader_epoch))
    }
}

/// The name of a topic that is asked for by name or, from version 13 on, by id.
fn name_of<'a>(shape: &'a Shape, call: &Call<'_>, topic: &FetchTopic<'a>) -> Option<&'a str> {
    match call.version.number {
        ..=12 => Some(topic.topic),
        _ => shape.name_of(call.now, topic.topic_id),
    }
}

fn targets(shape: &Shape, call: &Call<'_>, request: &FetchRequest<'_>) -> Vec<Target> {
    let named = request.topics.iter().filter_map(|topic| {
        let name = name_of(shape, call, topic)?;
        Some(
            topic
                .partitions
                .iter()
                .map(move |one| Target::new(name, Some(one.partition))),
        )
    });
    named.flatten().collect()
}

fn respond<'a>(topic: &FetchTopic<'a>, reads: &'a [Read]) -> FetchableTopicResponse<'a> {
    let partition = |read: &'a Read| {
        let (leader_id, leader_epoch) = read.leader.unwrap_or((-1, -1));
        PartitionData {
            partition_index: read.index,
            error_code: read.code.0,
            high_watermark: read.end,
            last_stable_offset: read.end,
            log_start_offset: read.start,
            aborted_transactions: None,
            records: Some(Records::Shared(&read.batches)),
            current_leader: LeaderIdAndEpoch {
                leader_id,
                leader_epoch,
            },
            preferred_read_replica: -1,
            ..PartitionData::default()
        }
    };
    FetchableTopicResponse {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: reads.iter().map(partition).collect(),
    }
}

/// Where the leaders are reached that the answer names.
fn endpoints<'a>(shape: &'a Shape, call: &Call<'_>, reads: &[Vec<Read>]) -> Vec<NodeEndpoint<'a>> {
    if call.version.number < 16 {
        return Vec::new();
    }
    let leaders: BTreeSet<i32> = reads
        .iter()
        .flatten()
        .filter_map(|read| Some(read.leader?.0))
        .collect();
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
