//! kacrab in the common harness. Its `send` is synchronous and may spin while the buffer is full.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use kacrab::producer::{Producer, ProducerRecord};
use peer_harness::{Ack, Counting, Load, Mode, Peer, Settings, Ticket, WINDOW};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Kacrab {
    producer: Producer,
    topic: Arc<str>,
    ack: Ack,
}

impl Kacrab {
    fn record(&self, load: &Load, number: u64) -> ProducerRecord {
        let value = load.value(number).clone();
        let mut record = match load.partition(number) {
            Some(partition) => {
                ProducerRecord::partition_value(self.topic.clone(), partition, value)
            }
            None => ProducerRecord::topic_value(self.topic.clone(), value),
        };
        if let Some(key) = load.key(number) {
            record = record.key(key.clone());
        }
        for (name, value) in load.headers() {
            record = record.header(name.clone(), value.clone());
        }
        record
    }
}

impl Peer for Kacrab {
    const NAME: &'static str = "kacrab";
    const VERSION: &'static str = "0.4.0";
    const BLOCKS: bool = true;

    async fn connect(settings: &Settings) -> Result<Self> {
        // Its README measures with Java's defaults; larger batches and a longer linger are Java's advice for throughput.
        let (linger, batch) = match settings.mode {
            Mode::Common => (settings.linger_ms(), settings.batch_size),
            Mode::Best => (10, 1_000_000),
        };
        let producer = Producer::builder()
            .set("bootstrap.servers", settings.bootstrap.as_str())
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", linger.to_string())
            .set("batch.size", batch.to_string())
            .set("buffer.memory", settings.buffer_memory.to_string())
            .set("max.request.size", (8 << 20).to_string())
            .set(
                "max.in.flight.requests.per.connection",
                settings.in_flight.to_string(),
            )
            .set("compression.type", settings.compression.as_str())
            // Its own default of -1 is taken for 0, with which gzip stores bytes as they are.
            .set("compression.gzip.level", "6")
            .build()
            .await?;
        producer.partitions_for(&settings.topic).await?;
        Ok(Self {
            producer,
            topic: settings.topic.as_str().into(),
            ack: settings.ack,
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let mut acked = 0;
        let mut pending = VecDeque::with_capacity(WINDOW);
        for number in numbers {
            let sent = self.producer.send(self.record(load, number))?;
            if self.ack == Ack::Flush {
                acked += 1;
                continue;
            }
            if pending.len() == WINDOW
                && let Some(oldest) = pending.pop_front()
            {
                oldest.await?;
                acked += 1;
            }
            pending.push_back(sent);
        }
        for sent in pending {
            sent.await?;
            acked += 1;
        }
        Ok(acked)
    }

    async fn flush(&self) -> Result<()> {
        Ok(self.producer.flush().await?)
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let _future =
            self.producer
                .send_with_callback(self.record(load, number), move |outcome| {
                    ticket.done(outcome.is_ok());
                })?;
        Ok(())
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Kacrab>()
}
