//! rdkafka's `ThreadedProducer` in the common harness: callbacks from librdkafka's own thread.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use peer_harness::{Counting, Load, Peer, Settings, Ticket};
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts deliveries.
struct Count(Arc<AtomicU64>);

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

/// Tells every record's ticket.
struct Tell;

impl ClientContext for Tell {}

impl ProducerContext for Tell {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        ticket.done(result.is_ok());
    }
}

/// At a rate every record's ticket is told.
enum Inner {
    Counted(ThreadedProducer<Count>),
    Told(ThreadedProducer<Tell>),
}

struct Threaded {
    producer: Inner,
    failed: Arc<AtomicU64>,
    topic: String,
}

impl Threaded {
    fn record<'a, O: rdkafka::util::IntoOpaque>(
        &'a self,
        load: &'a Load,
        number: u64,
        opaque: O,
    ) -> BaseRecord<'a, [u8], [u8], O> {
        let mut record =
            BaseRecord::with_opaque_to(&self.topic, opaque).payload(load.value(number).as_ref());
        if let Some(key) = load.key(number) {
            record = record.key(key.as_ref());
        }
        if let Some(partition) = load.partition(number) {
            record = record.partition(partition);
        }
        if let Some(headers) = peer_rdkafka::headers(load) {
            record = record.headers(headers);
        }
        record
    }
}

/// Sends one record, waiting while the queue is full.
fn insist<'a, C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    mut record: BaseRecord<'a, [u8], [u8], C::DeliveryOpaque>,
) -> Result<()> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

impl Peer for Threaded {
    const NAME: &'static str = "rdkafka-threaded";
    const VERSION: &'static str = peer_rdkafka::VERSION;
    const COUNTS: bool = false;
    const BLOCKS: bool = true;

    async fn connect(settings: &Settings) -> Result<Self> {
        let config = peer_rdkafka::config(settings);
        let failed = Arc::new(AtomicU64::new(0));
        Ok(Self {
            producer: match settings.rate {
                0 => Inner::Counted(ThreadedProducer::from_config_and_context(
                    &config,
                    Count(failed.clone()),
                )?),
                _ => Inner::Told(ThreadedProducer::from_config_and_context(&config, Tell)?),
            },
            failed,
            topic: settings.topic.clone(),
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let count = numbers.end - numbers.start;
        for number in numbers {
            match &self.producer {
                Inner::Counted(counted) => insist(counted, self.record(load, number, ()))?,
                // The warm-up of a paced run.
                Inner::Told(told) => {
                    insist(told, self.record(load, number, Box::new(Ticket::unused())))?;
                }
            }
        }
        Ok(count)
    }

    async fn flush(&self) -> Result<()> {
        let patience = Duration::from_secs(60);
        match &self.producer {
            Inner::Counted(counted) => counted.flush(patience)?,
            Inner::Told(told) => told.flush(patience)?,
        }
        let failed = self.failed.load(Relaxed);
        if failed > 0 {
            bail!("{failed} records failed");
        }
        Ok(())
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        match &self.producer {
            Inner::Told(told) => insist(told, self.record(load, number, Box::new(ticket))),
            Inner::Counted(_) => bail!("a paced run has a rate"),
        }
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Threaded>()
}
