//! A million records to a Kafka cluster and back: sent, acknowledged, read again, and compared.
//!
//! `cargo run --release --example quickstart` brings its own three brokers;
//! `-- --bootstrap-servers host:port` takes a cluster of yours. `--records N` sends another number.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, ValueExt};
use milena::{Delivery, Message, Producer};
use milena_examples::{Cluster, read_partition};
use tokio::sync::mpsc;

const PARTITIONS: i32 = 12;
const VALUE: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let (cluster, records) = arguments()?;
    let topic = format!(
        "milena-quickstart-{}",
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis()
    );
    cluster.create_topic(&topic, PARTITIONS)?;
    let kind = if cluster.is_embedded() {
        "an embedded cluster"
    } else {
        "the cluster"
    };
    println!(
        "{records} records of {VALUE} bytes to {kind} at {}",
        cluster.servers()
    );

    let producer = Producer::builder()
        .bootstrap_servers(cluster.servers())
        .connect()
        .await?;
    let (deliver, deliveries) = mpsc::channel(100_000);
    let begun = Instant::now();
    let collector = tokio::spawn(collect(deliveries, records));
    let handle = producer.topic(&topic).await?;
    for index in 0..records {
        let delivery = handle.send(Message::new().value(&value(index)[..])).await?;
        deliver
            .send((Instant::now(), delivery))
            .await
            .ok()
            .context("the collector is gone")?;
    }
    drop(deliver);
    let Collected { places, latency } = collector.await??;
    let took = begun.elapsed();
    let report = producer.close(Duration::from_secs(10)).await;
    ensure!(report.lost == 0, "{} records were given up", report.lost);

    let rate = records as f64 / took.as_secs_f64();
    println!(
        "acknowledged in {took:.2?}: {rate:.0} records/s, {:.1} MB/s",
        rate * VALUE as f64 / 1e6
    );
    print!("from send to acknowledgement:");
    for percentile in [50.0, 95.0, 99.0, 99.9] {
        print!(
            "  p{percentile} {:.1} ms",
            latency.value_at_quantile(percentile / 100.0) as f64 / 1e3
        );
    }
    println!("  max {:.1} ms", latency.max() as f64 / 1e3);
    for (index, (partition, offset)) in places
        .iter()
        .enumerate()
        .step_by(places.len().div_ceil(4).max(1))
    {
        println!("record {index} lies in partition {partition} at offset {offset}");
    }

    let compared = read_back(&cluster, &topic, &places)?;
    cluster.delete_topic(&topic)?;
    println!(
        "read back: all {compared} records are there, once, in order, where their deliveries said"
    );
    Ok(())
}

/// Where each record lies, by its index, and how long that took to learn.
struct Collected {
    places: Vec<(i32, i64)>,
    latency: Histogram<u64>,
}

/// Awaits the deliveries in the order in which the records were sent.
async fn collect(
    mut deliveries: mpsc::Receiver<(Instant, Delivery)>,
    records: u64,
) -> Result<Collected> {
    let bar = ProgressBar::new(records).with_style(ProgressStyle::with_template(
        "{wide_bar} {human_pos} of {human_len}, {per_sec}",
    )?);
    let mut latency = Histogram::new(3)?;
    let mut places = Vec::with_capacity(usize::try_from(records)?);
    while let Some((sent, delivery)) = deliveries.recv().await {
        let written = delivery.await?;
        latency.record(u64::try_from(sent.elapsed().as_micros())?)?;
        places.push((written.partition(), written.offset().context("no offset")?));
        if places.len().is_multiple_of(10_000) {
            bar.set_position(places.len() as u64);
        }
    }
    bar.finish_and_clear();
    Ok(Collected { places, latency })
}

/// Reads every partition, and compares each record with where its delivery said it lies.
fn read_back(cluster: &Cluster, topic: &str, places: &[(i32, i64)]) -> Result<usize> {
    let mut seen = vec![false; places.len()];
    for (partition, leader) in cluster.leaders(topic)? {
        let mut last = None;
        read_partition(&leader, topic, partition, |record| {
            let bytes = record.value.context("a record without a value")?;
            let index: usize = std::str::from_utf8(bytes)?.trim_start().parse()?;
            ensure!(bytes == value(index as u64), "record {index} is damaged");
            ensure!(
                places.get(index) == Some(&(partition, record.offset)),
                "record {index} lies elsewhere"
            );
            ensure!(
                !std::mem::replace(&mut seen[index], true),
                "record {index} is there twice"
            );
            ensure!(
                last < Some(index),
                "record {index} is out of order in partition {partition}"
            );
            last = Some(index);
            Ok(())
        })?;
    }
    let missing = seen.iter().filter(|seen| !**seen).count();
    ensure!(missing == 0, "{missing} records are missing");
    Ok(seen.len())
}

/// A record's value: its index, with spaces in front.
fn value(index: u64) -> [u8; VALUE] {
    let mut value = [b' '; VALUE];
    let digits = index.to_string();
    value[VALUE - digits.len()..].copy_from_slice(digits.as_bytes());
    value
}

fn arguments() -> Result<(Cluster, u64)> {
    let (mut servers, mut records) = (None, 1_000_000);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("bootstrap-servers") => servers = Some(arguments.value()?.string()?),
            Arg::Long("records") => records = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok((Cluster::at(servers)?, records))
}
