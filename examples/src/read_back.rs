//! Reads a partition from its beginning to its end, with `milena-wire` and `milena-record`.

use anyhow::{Context, Result, ensure};
use milena_record::{BatchError, RecordView, batches};
use milena_wire::api::fetch::{FetchPartition, FetchTopic};
use milena_wire::{ErrorCode, FetchRequest, Records};

use crate::Connection;

/// The most bytes that the records of one batch may decompress to.
const LIMIT: usize = 64 << 20;

/// Gives every record of a partition to `see`, in order.
pub fn read_partition(
    leader: &str,
    topic: &str,
    partition: i32,
    mut see: impl FnMut(&RecordView<'_>) -> Result<()>,
) -> Result<()> {
    let mut connection = Connection::open(leader)?;
    let mut next = 0;
    loop {
        let wanted = FetchPartition {
            partition,
            fetch_offset: next,
            partition_max_bytes: 8 << 20,
            ..Default::default()
        };
        let topics = vec![FetchTopic {
            topic,
            partitions: vec![wanted],
            ..Default::default()
        }];
        let request = FetchRequest {
            max_wait_ms: 100,
            max_bytes: 8 << 20,
            topics,
            ..Default::default()
        };
        let response = connection.ask(11, &request)?;
        let answer = response
            .responses
            .first()
            .and_then(|topic| topic.partitions.first());
        let answer = answer.context("no answer about the partition")?;
        let code = ErrorCode(answer.error_code);
        ensure!(
            code == ErrorCode::NONE,
            "{topic}-{partition} cannot be read: {}",
            code.message()
        );
        let begin = next;
        for batch in batches(
            answer
                .records
                .and_then(|records: Records<'_>| records.as_slice())
                .unwrap_or_default(),
        ) {
            let batch = match batch {
                Err(BatchError::Incomplete { .. }) => break,
                batch => batch?,
            };
            batch.verify_crc()?;
            for record in &batch.records(LIMIT)? {
                let record = record?;
                if record.offset >= begin {
                    see(&record)?;
                }
            }
            next = batch.last_offset() + 1;
        }
        if next >= answer.high_watermark {
            return Ok(());
        }
    }
}
