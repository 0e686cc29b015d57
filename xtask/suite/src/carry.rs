//! Records carried by milena to a topic, and compared with what Java's consumer finds there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use milena::{Delivery, Message, Topic};
use xtask::kafka::dump::{self, Record};
use xtask::kafka::java::Helper;

use crate::content::Shape;

/// What is sent: record `n` has a value of `lengths[n]` bytes.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) lengths: Vec<usize>,
}

impl Load {
    pub(crate) fn record(&self, index: usize) -> Record {
        self.shape.record(index as u64, self.lengths[index])
    }

    /// Sends one record and gives its delivery.
    pub(crate) async fn send(&self, topic: &Topic, index: usize) -> Result<Delivery> {
        let record = self.record(index);
        Ok(topic.send(message(&record)).await?)
    }
}

/// A record as milena takes it.
pub(crate) fn message(record: &Record) -> Message<'_> {
    let mut message = Message::new();
    if let Some(key) = &record.key {
        message = message.key(&key[..]);
    }
    if let Some(value) = &record.value {
        message = message.value(&value[..]);
    }
    for (name, value) in &record.headers {
        message = match value {
            Some(value) => message.header(&name[..], &value[..]),
            None => message.null_header(&name[..]),
        };
    }
    if record.partition >= 0 {
        message = message.partition(record.partition);
    }
    if record.timestamp >= 0 {
        message = message.timestamp(record.timestamp);
    }
    message
}

/// Where a delivery said that a record lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
}

/// Awaits a delivery.
pub(crate) async fn place(delivery: Delivery) -> Result<Place> {
    let written = delivery.await?;
    Ok(Place {
        partition: written.partition(),
        offset: written.offset().context("the broker said no offset")?,
        timestamp: written.timestamp(),
    })
}

/// Awaits all of them.
pub(crate) async fn places(deliveries: Vec<Delivery>) -> Result<Vec<Place>> {
    let mut places = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        places.push(place(delivery).await?);
    }
    Ok(places)
}

/// How timestamps are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Times {
    /// Each is what its delivery said, and what the record asked for.
    Producer,
    /// Each is the broker's, and what its delivery said.
    Broker,
    /// A broker that answers a batch it has already gives a time that is not the record's: only what the record
    /// asked for is compared.
    Retried,
}

/// Says what a record is that lies where no delivery said.
fn unexpected(at: &str, record: &Record, load: &Load, places: &[Place]) -> String {
    let same = places.iter().enumerate().find(|(index, _)| {
        let sent = load.record(*index);
        sent.key == record.key && sent.value == record.value && sent.headers == record.headers
    });
    match same {
        Some((index, place)) => format!(
            "no delivery said {at}, where record {index} lies, of which it was said that it is at {}/{}",
            place.partition, place.offset
        ),
        None => format!("no delivery said {at}, where a record lies that was not sent: {record:?}"),
    }
}

/// Lets Java's consumer read the topic: every record is there as it was sent, once, where its delivery said, and in
/// the order of sending within its partition. Gives the number of records.
pub(crate) fn compare(
    helper: &mut Helper,
    dir: &Path,
    topic: &str,
    load: &Load,
    places: &[Place],
    times: Times,
) -> Result<u64> {
    let file = dir.join(format!("{topic}.dump"));
    let read = helper.read(topic, &file)?;
    let mut expected = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        let twice = expected.insert((place.partition, place.offset), index);
        ensure!(
            twice.is_none(),
            "two deliveries said {}/{}",
            place.partition,
            place.offset
        );
    }
    let mut last = BTreeMap::new();
    dump::for_each(&file, |record| {
        let at = format!("{}/{}", record.partition, record.offset);
        let index = expected.remove(&(record.partition, record.offset));
        let index = index.with_context(|| unexpected(&at, record, load, places))?;
        let sent = load.record(index);
        ensure!(sent.key == record.key, "the key at {at} differs");
        ensure!(sent.value == record.value, "the value at {at} differs");
        ensure!(sent.headers == record.headers, "the headers at {at} differ");
        ensure!(
            record.log_append_time == (times == Times::Broker),
            "the kind of time at {at} differs"
        );
        let (said, asked) = (places[index].timestamp, sent.timestamp);
        let told = times == Times::Retried || record.timestamp == said;
        ensure!(
            told,
            "the time at {at} is {}, its delivery said {said}",
            record.timestamp
        );
        let kept = times == Times::Broker || asked < 0 || asked == record.timestamp;
        ensure!(
            kept,
            "the time at {at} is {}, the record asked for {asked}",
            record.timestamp
        );
        let before = last.insert(record.partition, index);
        ensure!(
            before < Some(index),
            "record {index} at {at} comes after record {before:?}"
        );
        Ok(())
    })?;
    ensure!(
        expected.is_empty(),
        "{} records are not there, such as {:?}",
        expected.len(),
        expected.first_key_value()
    );
    std::fs::remove_file(file)?;
    Ok(read)
}
