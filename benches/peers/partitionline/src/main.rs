//! partitionline in the common harness: `try_send` with a flush, as its own benchmark sends.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use partitionline::{Compression, Error, ProduceRecord, Producer, ProducerConfig};
use peer_harness::{Ack, Counting, Load, Mode, Peer, Settings, Ticket};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Partitionline {
    producer: Producer,
    topic: Arc<str>,
    ack: Ack,
    /// Records of a batch.
    batch: u64,
}

impl Partitionline {
    fn record(&self, load: &Load, number: u64) -> ProduceRecord {
        let mut record = ProduceRecord::to(self.topic.clone()).value(load.value(number).clone());
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
}

/// A batch of `batch_size` bytes on the wire: it counts key, value and 64 bytes, and ends a batch with the record that
/// reaches the limit.
fn batch_bytes(settings: &Settings) -> Result<usize> {
    let load = Load::new(settings)?;
    let counted = load.value(0).len() + load.key(0).map_or(0, |key| key.len()) + 64;
    Ok(load.batch_records(settings.batch_size) * counted)
}

impl Peer for Partitionline {
    const NAME: &'static str = "partitionline";
    const VERSION: &'static str = "0.1.0";

    async fn connect(settings: &Settings) -> Result<Self> {
        let mut config = ProducerConfig::bootstrap([settings.bootstrap.clone()])
            .idempotent(true)
            .acks(partitionline::Acks::All)
            .max_in_flight(settings.in_flight)
            .buffer_memory(settings.buffer_memory)
            .max_request_size(8 << 20)
            .compression(Compression::from_name(&settings.compression)?);
        config = match settings.mode {
            Mode::Common => config
                .linger(settings.linger)
                .batch_bytes(batch_bytes(settings)?),
            // Those of its own benchmark.
            Mode::Best => config
                .linger(Duration::from_millis(5))
                .batch_records(32_768)
                .batch_bytes(1_000_000)
                .connections(8),
        };
        Ok(Self {
            producer: Producer::new(config).await?,
            topic: settings.topic.as_str().into(),
            ack: settings.ack,
            batch: Load::new(settings)?.batch_records(settings.batch_size) as u64,
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let mut acked = 0;
        if self.ack == Ack::Each {
            // Its documentation's way to learn of many records: it awaits one by one what it gives each. As many futures of
            // `send` cost it 1.6 times as much with 2,048 of them at once, twelve times with 16,384.
            let mut next = numbers.start;
            while next < numbers.end {
                let end = numbers.end.min(next + 16_384);
                let records = (next..end).map(|number| self.record(load, number));
                acked += self.producer.send_all(records).await?.len() as u64;
                next = end;
            }
            return Ok(acked);
        }
        let mut spins = 0;
        for number in numbers {
            // `try_send` never lets its tasks run; a program of tasks does, or it fills the whole buffer first.
            if number % self.batch == 0 {
                tokio::task::yield_now().await;
            }
            loop {
                match self.producer.try_send(self.record(load, number)) {
                    Ok(()) => break,
                    Err(Error::QueueFull) => {
                        spins += 1;
                        if spins > 32 {
                            tokio::task::yield_now().await;
                            spins = 0;
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            spins = 0;
            acked += 1;
        }
        Ok(acked)
    }

    async fn flush(&self) -> Result<()> {
        self.producer.flush().await?;
        let failed = self.producer.metrics().produce_errors;
        if failed > 0 {
            bail!("{failed} records failed");
        }
        Ok(())
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let producer = self.producer.clone();
        let record = self.record(load, number);
        // It has no call that is done when the record is queued; the order of records is not kept.
        ticket.watch(async move { producer.send(record).await.is_ok() });
        Ok(())
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Partitionline>()
}
