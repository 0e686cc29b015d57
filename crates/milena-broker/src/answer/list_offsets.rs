//! ListOffsets: where a log begins and ends, and where a time is in it.

use std::collections::BTreeMap;

use milena_record::{BatchHeader, batches};
use milena_wire::api::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use milena_wire::{ErrorCode, ListOffsetsRequest, ListOffsetsResponse};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::log::{Log, StoredBatch};
use crate::reply::Reply;
use crate::rule::{Effects, Target};

/// Times that mean something else.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const LARGEST_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

/// A batch that does not fit into this much memory decompressed is found by its first offset only.
const DECOMPRESSED_LIMIT: usize = 32 << 20;

/// Timestamp, offset and leader epoch; -1 each where there is none.
type Found = (i64, i64, i32);

const NOWHERE: Found = (-1, -1, -1);

impl Cluster {
    pub(crate) fn list_offsets(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: ListOffsetsRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| {
            let named = request.topics.iter().flat_map(|topic| {
                let indices = topic.partitions.iter().map(|one| one.partition_index);
                indices.map(|index| Target::new(topic.name, Some(index)))
            });
            named.collect()
        });
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let mut times = BTreeMap::new();
        for topic in &request.topics {
            for wanted in &topic.partitions {
                *times
                    .entry((topic.name, wanted.partition_index))
                    .or_insert(0) += 1;
            }
        }
        let mut topics = BTreeMap::new();
        for topic in &request.topics {
            for wanted in &topic.partitions {
                // Who is named several times is answered once, and refused, as Kafka has it: each may take much to
                // decompress.
                let found = match times.remove(&(topic.name, wanted.partition_index)) {
                    None => continue,
                    Some(1) => self.find(call, topic.name, wanted, &effects),
                    Some(_) => Err(ErrorCode::INVALID_REQUEST),
                };
                let partitions: &mut Vec<_> = topics.entry(topic.name).or_default();
                partitions.push(listed(call, wanted, found));
            }
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| ListOffsetsTopicResponse { name, partitions });
        let response = ListOffsetsResponse {
            throttle_time_ms: effects.throttle_ms,
            topics: topics.collect(),
        };
        call.answer::<ListOffsetsRequest<'_>>(&effects, &response)
    }

    fn find(
        &self,
        call: &Call<'_>,
        name: &str,
        wanted: &ListOffsetsPartition,
        effects: &Effects,
    ) -> Result<Found, ErrorCode> {
        let index = wanted.partition_index;
        effects.code_for(name, Some(index)).map_or(Ok(()), Err)?;
        let (_, partition, log) = self.led(call, name, index, wanted.current_leader_epoch)?;
        Ok(find(log, wanted.timestamp, partition.leader_epoch))
    }
}

fn listed(
    call: &Call<'_>,
    wanted: &ListOffsetsPartition,
    found: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let code = found.err().unwrap_or(ErrorCode::NONE);
    let (timestamp, offset, epoch) = found.unwrap_or(NOWHERE);
    ListOffsetsPartitionResponse {
        partition_index: wanted.partition_index,
        error_code: code.0,
        timestamp,
        offset,
        leader_epoch: if call.version.number >= 4 { epoch } else { -1 },
    }
}

fn find(log: &Log, timestamp: i64, leader_epoch: i32) -> Found {
    match timestamp {
        LATEST => (-1, log.end_offset(), leader_epoch),
        EARLIEST | EARLIEST_LOCAL => {
            let first = log.batches().next().map(epoch_of);
            (-1, log.start_offset(), first.unwrap_or(leader_epoch))
        }
        LARGEST_TIMESTAMP => log
            .latest()
            .map_or(NOWHERE, |batch| within(batch, batch.max_timestamp)),
        // Others that are negative are about tiered storage, of which there is none.
        ..0 => NOWHERE,
        _ => log
            .first_since(timestamp)
            .map_or(NOWHERE, |batch| within(batch, timestamp)),
    }
}

fn epoch_of(batch: &StoredBatch) -> i32 {
    BatchHeader::decode(&batch.bytes).map_or(-1, |header| header.partition_leader_epoch)
}

/// The first record of a batch that is not older than this time.
fn within(batch: &StoredBatch, timestamp: i64) -> Found {
    let first = (batch.max_timestamp, batch.base_offset, epoch_of(batch));
    let Some(Ok(view)) = batches(&batch.bytes).next() else {
        return first;
    };
    if view.header().attributes.is_log_append_time() {
        return first;
    }
    let Ok(records) = view.records(DECOMPRESSED_LIMIT) else {
        return first;
    };
    let found = records
        .iter()
        .flatten()
        .find(|record| record.timestamp >= timestamp);
    found.map_or(first, |record| (record.timestamp, record.offset, first.2))
}
