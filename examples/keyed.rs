//! Events with keys and headers: what has the same key keeps its order, in one partition.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::time::Duration;

use anyhow::Result;
use milena::{Producer, Record};
use milena_examples::{Cluster, read_partition};

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::from_args()?;
    let topic = format!("orders-{}", std::process::id());
    cluster.create_topic(&topic, 4)?;
    let producer = Producer::builder()
        .bootstrap_servers(cluster.servers())
        .client_id("order-service")
        .connect()
        .await?;

    let events = [
        ("order-1", Some("placed")),
        ("order-2", Some("placed")),
        ("order-1", Some("paid")),
        ("order-3", Some("placed")),
        ("order-2", None), // a tombstone: a compacted topic forgets order-2
        ("order-1", Some("shipped")),
    ];
    let mut deliveries = Vec::new();
    for (nth, (order, state)) in events.into_iter().enumerate() {
        let mut record = Record::to(&topic)
            .key(order)
            .header("trace", format!("trace-{nth}"))
            .header("source", "examples/keyed.rs");
        if let Some(state) = state {
            record = record.value(state);
        }
        // The record is in its batch when this returns. All of them go out together.
        deliveries.push(producer.send(record).await?);
    }
    for ((order, state), delivery) in events.into_iter().zip(deliveries) {
        let written = delivery.await?;
        let (partition, offset) = (written.partition(), written.offset().unwrap_or(-1));
        println!(
            "{order} {:<8} partition {partition}, offset {offset}",
            state.unwrap_or("deleted")
        );
    }
    producer.close(Duration::from_secs(5)).await;

    println!("\nas a consumer sees it:");
    for (partition, leader) in cluster.leaders(&topic)? {
        read_partition(&leader, &topic, partition, |record| {
            let text =
                |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
            let headers: Vec<_> = record
                .headers()
                .iter()
                .map(|header| format!("{}={}", header.key_str(), text(header.value)))
                .collect();
            println!(
                "{partition}/{} {} {} {headers:?}",
                record.offset,
                text(record.key),
                text(record.value)
            );
            Ok(())
        })?;
    }
    cluster.delete_topic(&topic)
}
