//! A graceful shutdown on Ctrl-C: no new records, those that were accepted are delivered, and a report says what was not.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::time::Duration;

use anyhow::Result;
use milena::{Producer, Record, SendError};
use milena_examples::Cluster;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::from_args()?;
    let topic = format!("ticks-{}", std::process::id());
    cluster.create_topic(&topic, 3)?;
    let producer = Producer::builder()
        .bootstrap_servers(cluster.servers())
        .connect()
        .await?;

    // Handles are cheap: every task has its own.
    let ticking = tokio::spawn(tick(producer.clone(), topic.clone()));
    println!("sending; Ctrl-C ends it");
    tokio::signal::ctrl_c().await?;

    println!("closing");
    let report = producer.close(Duration::from_secs(10)).await;
    let (accepted, delivered) = ticking.await??;
    println!(
        "{accepted} records were accepted, {delivered} delivered, {} given up",
        report.lost
    );
    cluster.delete_topic(&topic)
}

/// Sends until the producer takes no more, then waits for what it has sent.
async fn tick(producer: Producer, topic: String) -> Result<(usize, usize)> {
    let mut deliveries = Vec::new();
    loop {
        match producer
            .send(Record::to(&topic).value(format!("tick {}", deliveries.len())))
            .await
        {
            Ok(delivery) => deliveries.push(delivery),
            Err(SendError::Closed(_)) => break,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let accepted = deliveries.len();
    let mut delivered = 0;
    for delivery in deliveries {
        match delivery.await {
            Ok(_) => delivered += 1,
            Err(error) => println!("{error}"),
        }
    }
    Ok((accepted, delivered))
}
