//! What must hold when a run is over.

use std::collections::BTreeMap;
use std::fmt;

use milena_broker::Cluster;
use milena_sender::accumulator::{Delivery, Fate};

/// A record that was handed over, as the laws want to know it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    /// Names the record, and is its value.
    pub(crate) id: u64,
    /// What it was handed over with.
    pub(crate) timestamp: i64,
    pub(crate) size: usize,
    pub(crate) delivery: Delivery,
}

/// A law that did not hold.
#[derive(Debug)]
pub struct Broken {
    /// The seed that shows it.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// What happened until then.
    pub journal: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}; replay: cargo xtask sim --seed {}",
            self.seed, self.what, self.seed
        )
    }
}

impl std::error::Error for Broken {}

/// Where in its partition's log a record stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: i64,
    copies: usize,
}

/// What is written, is written as it was handed over, also by a retry. Every record acknowledged is in the log exactly
/// once, at its offset; what failed as not written is not there, what failed as possibly written at most once; every
/// record has an outcome; and in each partition the log's order is the order in which records were handed over.
///
/// `ordered` is off where order is not promised (retries without idempotence).
pub(crate) fn check(cluster: &Cluster, sent: &[Sent], ordered: bool) -> Result<(), String> {
    let logs = read(cluster, sent)?;
    let mut last: BTreeMap<(&str, i32), (i64, u64)> = BTreeMap::new();
    for record in sent {
        let at = format!(
            "record {} of {}-{}",
            record.id, record.topic, record.partition
        );
        let place = logs.get(&(record.topic, record.partition, record.id));
        let copies = place.map_or(0, |place| place.copies);
        match record.delivery.try_get() {
            None => return Err(format!("{at} has no outcome")),
            Some(Ok(metadata)) => {
                let Some(place) = place else {
                    return Err(format!("{at} was acknowledged and is not in the log"));
                };
                if copies != 1 {
                    return Err(format!(
                        "{at} was acknowledged and is {copies} times in the log"
                    ));
                }
                if metadata
                    .offset()
                    .is_some_and(|offset| offset != place.offset)
                {
                    return Err(format!(
                        "{at} is at {} and not at {:?}",
                        place.offset,
                        metadata.offset()
                    ));
                }
            }
            Some(Err(error)) if error.fate() == Fate::NotWritten && copies > 0 => {
                return Err(format!(
                    "{at} failed as not written and is in the log: {error}"
                ));
            }
            Some(Err(error)) if copies > 1 => {
                return Err(format!(
                    "{at} failed and is {copies} times in the log: {error}"
                ));
            }
            Some(Err(_)) => {}
        }
        if let (true, Some(place)) = (ordered, place) {
            let before = last.insert((record.topic, record.partition), (place.offset, record.id));
            if let Some((offset, id)) = before.filter(|(offset, _)| *offset > place.offset) {
                return Err(format!(
                    "{at} at {} is before record {id} at {offset}",
                    place.offset
                ));
            }
        }
    }
    Ok(())
}

type Logs<'s> = BTreeMap<(&'s str, i32, u64), Place>;

/// Reads all logs that records were sent to; a record nobody sent is an error.
fn read<'s>(cluster: &Cluster, sent: &'s [Sent]) -> Result<Logs<'s>, String> {
    let mut known: BTreeMap<u64, &Sent> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for record in sent {
        known.insert(record.id, record);
        if !names.contains(&record.topic) {
            names.push(record.topic);
        }
    }
    let mut logs: Logs<'s> = BTreeMap::new();
    for name in names {
        for (partition, log) in cluster.logs(name).enumerate() {
            let partition = partition as i32;
            for batch in log.batches() {
                let mut read = milena_record::batches(&batch.bytes);
                let view = read
                    .next()
                    .ok_or("an empty batch")?
                    .map_err(|why| why.to_string())?;
                view.verify_crc().map_err(|why| why.to_string())?;
                let log_append_time = view.header().attributes.is_log_append_time();
                let records = view.records(64 << 20).map_err(|why| why.to_string())?;
                for record in records.to_vec().map_err(|why| why.to_string())? {
                    let value = record.value.unwrap_or_default();
                    let id = value.first_chunk::<8>().map(|id| u64::from_be_bytes(*id));
                    let id = id.ok_or("a record without a name")?;
                    let sent = known
                        .get(&id)
                        .filter(|sent| (sent.topic, sent.partition) == (name, partition))
                        .ok_or_else(|| {
                            format!("record {id} is in {name}-{partition}, where it was not sent")
                        })?;
                    let stamped = log_append_time || record.timestamp == sent.timestamp;
                    if !stamped || value.len() != sent.size {
                        return Err(format!(
                            "record {id} of {name}-{partition} was written otherwise than it was handed over"
                        ));
                    }
                    let place = logs.entry((name, partition, id)).or_insert(Place {
                        offset: record.offset,
                        copies: 0,
                    });
                    place.copies += 1;
                }
            }
        }
    }
    Ok(logs)
}
