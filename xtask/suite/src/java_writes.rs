//! What Java's producer writes, read by `milena-record` from what the broker serves.

use anyhow::{Context, Result, ensure};
use milena_record::batches;
use milena_wire::api::fetch;
use milena_wire::{FetchRequest, Records};
use xtask::kafka::cluster::Cluster;
use xtask::kafka::dump::{self, Record};
use xtask::kafka::java::Helper;

use crate::cells::Cells;
use crate::content::Shape;
use crate::raw::Raw;

pub(crate) const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

/// A cell for each codec.
pub(crate) fn run(cells: &mut Cells, cluster: &Cluster, helper: &mut Helper, replicas: i32) {
    let version = &cluster.kafka().version;
    for codec in CODECS {
        let name = format!("{version}: Java writes {codec}, milena-record reads");
        cells.run(&name, || cell(cluster, helper, replicas, codec));
    }
}

fn cell(cluster: &Cluster, helper: &mut Helper, replicas: i32, codec: &str) -> Result<String> {
    let topic = format!("java-writes-{codec}");
    helper.create(&topic, 1, replicas, &[])?;
    let shape = Shape {
        seed: 7,
        keyed: true,
        headers: true,
    };
    let lengths = [0, 1, 100, 1_024, 16_384, 300_000];
    let records: Vec<_> = (0..300_u64)
        .map(|index| shape.record(index, lengths[index as usize % lengths.len()]))
        .collect();
    let file = cluster.dir().join(format!("{topic}.dump"));
    dump::write_all(&file, &records)?;
    let compression = format!("compression.type={codec}");
    let places = helper.produce(
        &topic,
        &file,
        &[&compression, "linger.ms=20", "batch.size=65536"],
    )?;
    ensure!(
        places.len() == records.len(),
        "{} of {} records were written",
        places.len(),
        records.len()
    );
    let (batches, read) = read_all(&cluster.bootstrap_servers(), &topic)?;
    ensure!(
        read.len() == records.len(),
        "{} of {} records were read",
        read.len(),
        records.len()
    );
    for ((record, place), read) in records.iter().zip(places).zip(&read) {
        let timestamp = if record.timestamp < 0 {
            read.timestamp
        } else {
            record.timestamp
        };
        let expected = Record {
            partition: 0,
            offset: place.1,
            timestamp,
            ..record.clone()
        };
        ensure!(
            expected == *read,
            "offset {}: {expected:?} became {read:?}",
            place.1
        );
    }
    std::fs::remove_file(file)?;
    helper.delete(&topic)?;
    Ok(format!("{} records in {batches} batches", read.len()))
}

/// All records of the only partition, by our own Fetch; and how many batches they lay in.
fn read_all(servers: &str, topic: &str) -> Result<(usize, Vec<Record>)> {
    let mut raw = Raw::connect(servers.split(',').next().context("no server")?)?;
    let (mut count, mut read) = (0, Vec::new());
    loop {
        let partition = fetch::FetchPartition {
            fetch_offset: read.last().map_or(0, |record: &Record| record.offset + 1),
            partition_max_bytes: 4 << 20,
            ..Default::default()
        };
        let fetched = fetch::FetchTopic {
            topic,
            partitions: vec![partition],
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: 100,
            max_bytes: 8 << 20,
            topics: vec![fetched],
            ..Default::default()
        };
        let response = raw.ask(11, &request)?;
        let there = response
            .responses
            .first()
            .and_then(|topic| topic.partitions.first())
            .context("no partition")?;
        ensure!(
            there.error_code == 0,
            "Fetch was refused with {}",
            there.error_code
        );
        let before = read.len();
        for batch in batches(
            there
                .records
                .and_then(|records: Records<'_>| records.as_slice())
                .unwrap_or_default(),
        ) {
            let Ok(batch) = batch else { break };
            batch.verify_crc()?;
            count += 1;
            for record in &batch.records(16 << 20)? {
                let record = record?;
                read.push(Record {
                    partition: 0,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    log_append_time: batch.header().attributes.is_log_append_time(),
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record
                        .headers()
                        .iter()
                        .map(|header| {
                            (
                                header.key_str().into_owned(),
                                header.value.map(<[u8]>::to_vec),
                            )
                        })
                        .collect(),
                });
            }
        }
        if read.len() == before {
            return Ok((count, read));
        }
    }
}
