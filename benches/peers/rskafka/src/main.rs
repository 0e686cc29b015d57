//! rskafka in the common harness.
//!
//! It has no idempotence, no partitioner and no batching across partitions: flat out, this program makes the batches
//! by hand, which is its cheapest way; paced, its own batch producer gathers them.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, bail};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use peer_harness::{Ack, Counting, Load, Mode, Peer, Settings, Ticket, WINDOW};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder};
use rskafka::record::Record;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Partition {
    client: Arc<PartitionClient>,
    gathering: Arc<BatchProducer<RecordAggregator>>,
}

struct Rskafka {
    partitions: Vec<Partition>,
    compression: Compression,
    batch_records: usize,
    in_flight: usize,
    ack: Ack,
    turn: AtomicU64,
}

fn record(load: &Load, number: u64) -> Record {
    let headers: BTreeMap<_, _> = load
        .headers()
        .iter()
        .map(|(name, value)| (name.clone(), value.to_vec()))
        .collect();
    Record {
        key: load.key(number).map(|key| key.to_vec()),
        value: Some(load.value(number).to_vec()),
        headers,
        timestamp: chrono::Utc::now(),
    }
}

impl Rskafka {
    /// The partition the caller names, or the key's by FNV-1a; none when it may be any.
    fn partition(&self, load: &Load, number: u64) -> Option<usize> {
        if let Some(partition) = load.partition(number) {
            return Some(partition as usize);
        }
        let hash = load
            .key(number)?
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            });
        Some(hash as usize % self.partitions.len())
    }

    /// Awaits the future of every record, which its batch producers give; as many records are under way as batches may be
    /// in flight.
    async fn send_each(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let partitions = self.partitions.len();
        let mut delivered = stream::iter(numbers)
            .map(|number| {
                let sticky = number as usize / self.batch_records % partitions;
                let partition = self.partition(load, number).unwrap_or(sticky);
                self.partitions[partition]
                    .gathering
                    .produce(record(load, number))
            })
            .buffer_unordered(WINDOW.min(self.in_flight * partitions * self.batch_records));
        let mut acked = 0;
        while delivered.try_next().await?.is_some() {
            acked += 1;
        }
        Ok(acked)
    }

    /// One whole batch, and how many records of it were acknowledged.
    fn produce(&self, partition: usize, batch: Vec<Record>) -> BoxFuture<'static, Result<u64>> {
        let client = self.partitions[partition].client.clone();
        let compression = self.compression;
        Box::pin(async move { Ok(client.produce(batch, compression).await?.len() as u64) })
    }
}

impl Peer for Rskafka {
    const NAME: &'static str = "rskafka";
    const VERSION: &'static str = "0.6.0";
    const NOTE: Option<&'static str> =
        Some("not idempotent, batches made by hand: it has neither idempotence nor a partitioner");

    async fn connect(settings: &Settings) -> Result<Self> {
        let compression = match settings.compression.as_str() {
            "none" => Compression::NoCompression,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => bail!("no compression {other}"),
        };
        let batch_size = match settings.mode {
            Mode::Common => settings.batch_size,
            Mode::Best => 1_000_000,
        };
        let load = Load::new(settings)?;
        let batch_records = load.batch_records(batch_size);
        let gathered = batch_records * record(&load, 0).approximate_size();
        let servers = settings.bootstrap.split(',').map(str::to_owned).collect();
        let client = ClientBuilder::new(servers).build().await?;
        let mut partitions = Vec::new();
        for index in 0..settings.partitions {
            let client = Arc::new(
                client
                    .partition_client(&settings.topic, index, UnknownTopicHandling::Retry)
                    .await?,
            );
            partitions.push(Partition {
                gathering: Arc::new(
                    BatchProducerBuilder::new(client.clone())
                        .with_linger(settings.linger)
                        .with_compression(compression)
                        .build(RecordAggregator::new(gathered)),
                ),
                client,
            });
        }
        Ok(Self {
            partitions,
            compression,
            batch_records,
            in_flight: settings.in_flight,
            ack: settings.ack,
            turn: AtomicU64::new(0),
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        if self.ack == Ack::Each {
            return self.send_each(load, numbers).await;
        }
        let mut acked = 0;
        let mut running = FuturesUnordered::new();
        let mut open: Vec<Vec<Record>> = self.partitions.iter().map(|_| Vec::new()).collect();
        let mut sticky = self.turn.fetch_add(1, Relaxed) as usize % open.len();
        for number in numbers {
            let partition = self.partition(load, number).unwrap_or(sticky);
            open[partition].push(record(load, number));
            if open[partition].len() == self.batch_records {
                let next = Vec::with_capacity(self.batch_records);
                let batch = std::mem::replace(&mut open[partition], next);
                // Spawned, so that it goes on while the next batch is filled.
                running.push(tokio::spawn(self.produce(partition, batch)));
                sticky = (sticky + 1) % open.len();
                if running.len() >= self.in_flight * open.len() {
                    acked += running.next().await.context("one is running")???;
                }
            }
        }
        for (partition, batch) in open.into_iter().enumerate() {
            if !batch.is_empty() {
                running.push(tokio::spawn(self.produce(partition, batch)));
            }
        }
        while let Some(done) = running.next().await {
            acked += done??;
        }
        Ok(acked)
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let partition = self
            .partition(load, number)
            .unwrap_or_else(|| number as usize / 64 % self.partitions.len());
        let producer = self.partitions[partition].gathering.clone();
        let record = record(load, number);
        ticket.watch(async move { producer.produce(record).await.is_ok() });
        Ok(())
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Rskafka>()
}
