//! krafka in the common harness.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use krafka::producer::{Acks, Producer};
use krafka::{Kafka, Record};
use peer_harness::{Ack, Counting, Load, Mode, Peer, Settings, Ticket, WINDOW};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Krafka {
    producer: Producer,
    topic: String,
    ack: Ack,
}

fn record(topic: &str, load: &Load, number: u64) -> Record {
    let mut record = Record::new(topic, load.value(number).clone());
    if let Some(partition) = load.partition(number) {
        record = record.partition(partition);
    }
    if let Some(key) = load.key(number) {
        record = record.key(key.clone());
    }
    for (name, value) in load.headers() {
        record = record.header(name.as_str(), value.clone());
    }
    record
}

/// A batch of `batch_size` bytes on the wire: it counts about 70 bytes and the topic's name besides a record's own.
fn batch_size(settings: &Settings) -> Result<usize> {
    let load = Load::new(settings)?;
    let counted = record(&settings.topic, &load, 0).estimated_size();
    Ok(load.batch_records(settings.batch_size) * counted)
}

impl Peer for Krafka {
    const NAME: &'static str = "krafka";
    const VERSION: &'static str = "0.28.1";

    async fn connect(settings: &Settings) -> Result<Self> {
        // "High Throughput Producer" of its configuration guide.
        let (linger, batch) = match settings.mode {
            Mode::Common => (settings.linger, batch_size(settings)?),
            Mode::Best => (Duration::from_millis(50), 1 << 20),
        };
        let kafka = Kafka::builder(settings.bootstrap.as_str())
            .max_in_flight_requests(settings.in_flight)
            .connect()
            .await?;
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .idempotent(true)
            .linger(linger)
            .batch_size(batch)
            .buffer_memory(settings.buffer_memory)
            .max_request_size(8 << 20)
            .compression(match settings.compression.as_str() {
                "none" => krafka::Compression::None,
                "gzip" => krafka::Compression::Gzip,
                "snappy" => krafka::Compression::Snappy,
                "lz4" => krafka::Compression::Lz4,
                "zstd" => krafka::Compression::Zstd,
                other => bail!("no compression {other}"),
            })
            .build()
            .await?;
        producer.partitions_for(&settings.topic).await?;
        Ok(Self {
            producer,
            topic: settings.topic.clone(),
            ack: settings.ack,
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let mut acked = 0;
        let mut pending = VecDeque::with_capacity(WINDOW);
        for number in numbers {
            let sent = self
                .producer
                .enqueue(record(&self.topic, load, number))
                .await?;
            if self.ack == Ack::Flush {
                acked += 1;
                continue;
            }
            if pending.len() == WINDOW
                && let Some(oldest) = pending.pop_front()
            {
                drop(oldest.await?);
                acked += 1;
            }
            pending.push_back(sent);
        }
        for sent in pending {
            drop(sent.await?);
            acked += 1;
        }
        Ok(acked)
    }

    async fn flush(&self) -> Result<()> {
        Ok(self.producer.flush().await?)
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let handle = self
            .producer
            .enqueue(record(&self.topic, load, number))
            .await?;
        ticket.watch(async move { handle.await.is_ok() });
        Ok(())
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Krafka>()
}
