//! confluent-kafka, Confluent's own translation of the Java client, in the common harness.

#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use confluent_kafka::common::header::{RecordHeader, RecordHeaders};
use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{
    Callback, KafkaProducer, Producer, ProducerConfig, ProducerRecord,
    ProducerRecordOptionsBuilder, callback,
};
use peer_harness::{Ack, Counting, Load, Mode, Peer, Settings, Ticket, WINDOW};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Confluent {
    producer: KafkaProducer<Vec<u8>, Vec<u8>>,
    topic: String,
    ack: Ack,
    /// Records of a batch.
    batch: u64,
}

impl Confluent {
    fn record<'a>(
        &self,
        load: &'a Load,
        number: u64,
    ) -> Result<ProducerRecord<&'a [u8], &'a [u8]>> {
        let value = load.value(number).as_ref();
        let key = load.key(number).map(AsRef::as_ref);
        if load.headers().is_empty() && load.partition(number).is_none() {
            return Ok(ProducerRecord::with_key(
                self.topic.clone(),
                key,
                Some(value),
            ));
        }
        let headers = load
            .headers()
            .iter()
            .map(|(name, value)| RecordHeader::new(name.clone(), Some(value.to_vec())));
        let options = ProducerRecordOptionsBuilder::new()
            .set_topic(self.topic.clone())
            .set_partition(load.partition(number))
            .set_key(key)
            .set_value(Some(value))
            .set_headers(Some(RecordHeaders::with_header_iter(headers)))
            .build()
            .map_err(|error| anyhow!("{error}"))?;
        ProducerRecord::with_options(options).map_err(|error| anyhow!("{error}"))
    }

    async fn hand_over(
        &self,
        load: &Load,
        number: u64,
        callback: Option<Box<dyn Callback>>,
    ) -> Result<confluent_kafka::common::KafkaFuture<confluent_kafka::producer::RecordMetadata>>
    {
        self.producer
            .send(self.record(load, number)?, callback)
            .await
            .map_err(|error| anyhow!("{error}"))
    }
}

impl Peer for Confluent {
    const NAME: &'static str = "confluent-kafka";
    const VERSION: &'static str = "1.0.0";

    async fn connect(settings: &Settings) -> Result<Self> {
        // For throughput Confluent's documents advise 100 to 200 kB batches and 10 to 100 ms of linger.
        let (linger, batch) = match settings.mode {
            Mode::Common => (settings.linger_ms(), settings.batch_size),
            Mode::Best => (10, 200_000),
        };
        let properties = [
            ("bootstrap.servers", settings.bootstrap.clone()),
            ("acks", "all".into()),
            ("enable.idempotence", "true".into()),
            ("linger.ms", linger.to_string()),
            ("batch.size", batch.to_string()),
            ("buffer.memory", settings.buffer_memory.to_string()),
            ("max.request.size", (8 << 20).to_string()),
            (
                "max.in.flight.requests.per.connection",
                settings.in_flight.to_string(),
            ),
            ("compression.type", settings.compression.clone()),
        ];
        let properties: HashMap<_, _> = properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let config = ProducerConfig::new(&properties).map_err(|error| anyhow!("{error}"))?;
        let producer = KafkaProducer::new(
            config,
            ByteArraySerializer::new(),
            ByteArraySerializer::new(),
        )
        .map_err(|error| anyhow!("{error}"))?;
        producer
            .partitions_for(&settings.topic)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        Ok(Self {
            producer,
            topic: settings.topic.clone(),
            ack: settings.ack,
            batch: Load::new(settings)?.batch_records(settings.batch_size) as u64,
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let mut acked = 0;
        let mut pending = VecDeque::with_capacity(WINDOW);
        for number in numbers {
            // Its `send` is ready at once while there is memory: without this none of its tasks runs before that is full.
            if number % self.batch == 0 {
                tokio::task::yield_now().await;
            }
            let sent = self.hand_over(load, number, None).await?;
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
        self.producer
            .flush()
            .await
            .map_err(|error| anyhow!("{error}"))
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let done = callback::new(move |_, error| ticket.done(error.is_none()));
        self.hand_over(load, number, Some(Box::new(done))).await?;
        Ok(())
    }
}

async fn delivered(
    future: confluent_kafka::common::KafkaFuture<confluent_kafka::producer::RecordMetadata>,
) -> Result<()> {
    future
        .get()
        .await
        .map(drop)
        .map_err(|error| anyhow!("{error}"))
}

fn main() -> ExitCode {
    peer_harness::main::<Confluent>()
}
