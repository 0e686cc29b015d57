//! What the public API costs: a million records of 100 bytes with the settings that a producer has by default,
//! among them 16 KiB batches and 32 MiB of buffer memory, to a broker in another process.
//!
//! `bench-budget SERVERS TOPIC USED allocations|cost`. It counts between the records 200,000 and 1,000,000,
//! while the buffer still grows: each of its chunks is allocated when it is first needed.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cpu_time::ProcessTime;
use milena::{Producer, Record};
use milena_benches::usage;

#[global_allocator]
static ALLOCATOR: milena_counting::Counting = milena_counting::Counting;

/// Records before anything is counted.
const BEFORE: u64 = 200_000;

/// Records in all.
const ALL: u64 = 1_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-budget: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [servers, topic, used, what] = &words[..] else {
        bail!("the servers, the topic, how many partitions to use, and allocations or cost");
    };
    let used: i32 = used.parse().context("how many partitions to use")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let producer = Producer::builder()
            .bootstrap_servers(servers)
            .connect()
            .await?;
        let sending = producer.clone();
        let (topic, counts) = (topic.clone(), what == "allocations");
        let line = tokio::spawn(async move { measure(&sending, &topic, used, counts).await });
        println!("{}", line.await??);
        producer.close(Duration::from_secs(10)).await;
        Ok(())
    })
}

async fn measure(
    producer: &Producer,
    topic: &str,
    used: i32,
    counts: bool,
) -> Result<serde_json::Value> {
    send(producer, topic, used, 0..BEFORE).await?;
    if counts {
        milena_counting::start();
    }
    let sent = producer.snapshot().sent;
    let before = usage::switches();
    let begun = ProcessTime::try_now()?;
    send(producer, topic, used, BEFORE..ALL).await?;
    let cpu = begun.try_elapsed()?;
    milena_counting::stop();
    let switches = usage::switches().zip(before);
    let now = producer.snapshot().sent;
    if now.records_acknowledged != ALL {
        bail!(
            "{} of {ALL} records were acknowledged",
            now.records_acknowledged
        );
    }
    let allocated = milena_counting::counts();
    Ok(serde_json::json!({
        "sent": ALL,
        "batches": now.batches - sent.batches,
        "allocations": allocated.calls,
        "allocated_bytes": allocated.bytes,
        "switches": switches.map(|(after, before)| after.saturating_sub(before)),
        "peak_kib": usage::peak_kib(),
        "records": ALL - BEFORE,
        "cpu_ns": cpu.as_nanos() as f64 / (ALL - BEFORE) as f64,
    }))
}

/// Sends and waits until all of it is acknowledged.
async fn send(
    producer: &Producer,
    topic: &str,
    used: i32,
    numbers: std::ops::Range<u64>,
) -> Result<()> {
    let value = [7; 100];
    for number in numbers {
        // 128 neighbours to a partition: batches fill one after the other.
        let partition = (number / 128 % used as u64) as i32;
        let record = Record::to(topic).value(&value).partition(partition);
        drop(producer.send(record).await?);
    }
    producer.flush().await;
    Ok(())
}
