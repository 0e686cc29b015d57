//! Back-pressure without waiting: `try_send` hands a record back when the buffer is full, and the program decides.
//!
//! This one keeps its oldest deliveries and waits for one of them; another might drop records, or slow its source.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use milena::{Producer, Record, SendError};
use milena_examples::Cluster;

const RECORDS: usize = 50_000;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::from_args()?;
    let topic = format!("measurements-{}", std::process::id());
    cluster.create_topic(&topic, 3)?;
    let producer = Producer::builder()
        .bootstrap_servers(cluster.servers())
        .buffer_memory(1 << 20)
        .connect()
        .await?;

    let value = [b'm'; 500];
    let mut pending = VecDeque::new();
    let (mut acknowledged, mut full, mut unknown) = (0, 0, 0);
    for _ in 0..RECORDS {
        let mut record = Record::to(&topic).value(&value[..]);
        loop {
            let rejected = match producer.try_send(record) {
                Ok(delivery) => break pending.push_back(delivery),
                Err(rejected) => rejected,
            };
            let (same, reason) = rejected.into_parts();
            record = same;
            match reason {
                SendError::Full { .. } => {
                    full += 1;
                    if let Some(oldest) = pending.pop_front() {
                        oldest.await?;
                        acknowledged += 1;
                    }
                }
                // The first records of a topic: it is being asked for.
                SendError::UnknownYet { .. } => {
                    unknown += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                reason => return Err(reason.into()),
            }
        }
    }
    for delivery in pending {
        delivery.await?;
        acknowledged += 1;
    }
    println!("{acknowledged} of {RECORDS} records acknowledged through a buffer of 1 MiB");
    println!(
        "handed back {full} times because it was full, {unknown} times because the topic was not known yet"
    );
    producer.close(Duration::from_secs(5)).await;
    cluster.delete_topic(&topic)
}
