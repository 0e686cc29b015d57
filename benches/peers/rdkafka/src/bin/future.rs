//! rdkafka's `FutureProducer` in the common harness: a future for every record.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use peer_harness::{Ack, Counting, Load, Peer, Settings, Ticket, WINDOW};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Future {
    producer: FutureProducer,
    topic: String,
    ack: Ack,
}

impl Future {
    /// Queues one record, waiting while the queue is full.
    async fn queue(&self, load: &Load, number: u64) -> Result<DeliveryFuture> {
        let mut record =
            FutureRecord::<[u8], [u8]>::to(&self.topic).payload(load.value(number).as_ref());
        if let Some(key) = load.key(number) {
            record = record.key(key.as_ref());
        }
        if let Some(partition) = load.partition(number) {
            record = record.partition(partition);
        }
        if let Some(headers) = peer_rdkafka::headers(load) {
            record = record.headers(headers);
        }
        loop {
            match self.producer.send_result(record) {
                Ok(future) => return Ok(future),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}

impl Peer for Future {
    const NAME: &'static str = "rdkafka-future";
    const VERSION: &'static str = peer_rdkafka::VERSION;
    const COUNTS: bool = false;

    async fn connect(settings: &Settings) -> Result<Self> {
        Ok(Self {
            producer: peer_rdkafka::config(settings).create()?,
            topic: settings.topic.clone(),
            ack: settings.ack,
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let mut acked = 0;
        let mut pending = VecDeque::with_capacity(WINDOW);
        for number in numbers {
            let sent = self.queue(load, number).await?;
            if self.ack == Ack::Flush {
                acked += 1;
                continue;
            }
            if pending.len() == WINDOW
                && let Some(oldest) = pending.pop_front()
            {
                delivered(oldest).await?;
                acked += 1;
            }
            pending.push_back(sent);
        }
        for sent in pending {
            delivered(sent).await?;
            acked += 1;
        }
        Ok(acked)
    }

    async fn flush(&self) -> Result<()> {
        Ok(self.producer.flush(Duration::from_secs(60))?)
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let sent = self.queue(load, number).await?;
        ticket.watch(async move { delivered(sent).await.is_ok() });
        Ok(())
    }
}

async fn delivered(future: DeliveryFuture) -> Result<()> {
    match future.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error.into()),
        Err(_) => Err(anyhow!("the producer is gone")),
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Future>()
}
