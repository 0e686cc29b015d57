//! milena in the common harness.
//!
//! `--api` says how values are handed over: `handle` (a topic handle, borrowed values; the default), `bytes` (a topic
//! handle, shared values), `name` (by topic name, borrowed), `many` (a topic handle, 64 records a call), `callback` (a
//! topic handle, borrowed, each record with a callback that counts it).

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, bail};
use milena::{Compression, Delivery, Header, Message, Producer, Record, Topic};
use peer_harness::{Ack, Counting, Load, Mode, Peer, Settings, Ticket, WINDOW};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone, Copy, PartialEq)]
enum Api {
    Handle,
    Bytes,
    Name,
    Many,
    Callback,
}

struct Milena {
    producer: Producer,
    topic: Topic,
    api: Api,
    ack: Ack,
    sent: AtomicU64,
    called: Arc<AtomicU64>,
}

impl Milena {
    /// Inlined, as a program has it that makes its messages where it sends them.
    #[inline(always)]
    fn message<'a>(&self, load: &'a Load, headers: &'a [Header<'a>], number: u64) -> Message<'a> {
        let mut message = match self.api {
            Api::Bytes => Message::new().value(load.value(number).clone()),
            _ => Message::new().value(load.value(number)),
        };
        if let Some(key) = load.key(number) {
            message = message.key(key);
        }
        if let Some(partition) = load.partition(number) {
            message = message.partition(partition);
        }
        if !headers.is_empty() {
            message = message.headers(headers);
        }
        message
    }

    #[inline]
    fn record<'a>(&'a self, load: &'a Load, headers: &'a [Header<'a>], number: u64) -> Record<'a> {
        let mut record = Record::to(self.topic.name()).value(load.value(number));
        if let Some(key) = load.key(number) {
            record = record.key(key);
        }
        if let Some(partition) = load.partition(number) {
            record = record.partition(partition);
        }
        if !headers.is_empty() {
            record = record.headers(headers);
        }
        record
    }

    /// Sends and keeps nothing: the flush and the counters say what became of all.
    async fn send_unwatched(
        &self,
        load: &Load,
        headers: &[Header<'_>],
        numbers: Range<u64>,
    ) -> Result<()> {
        let Self {
            producer, topic, ..
        } = self;
        match self.api {
            // The loops that a program would write that has values, or keys and values.
            Api::Handle if load.is_simple() => {
                for number in numbers {
                    let value = load.value(number);
                    match load.key(number) {
                        None => topic.enqueue(Message::new().value(value)).await?,
                        Some(key) => topic.enqueue(Message::new().key(key).value(value)).await?,
                    }
                }
            }
            Api::Name if load.is_simple() => {
                for number in numbers {
                    let (name, value) = (topic.name(), load.value(number));
                    match load.key(number) {
                        None => producer.enqueue(Record::to(name).value(value)).await?,
                        Some(key) => {
                            let record = Record::to(name).key(key).value(value);
                            producer.enqueue(record).await?;
                        }
                    }
                }
            }
            Api::Handle | Api::Bytes => {
                for number in numbers {
                    topic.enqueue(self.message(load, headers, number)).await?;
                }
            }
            Api::Name => {
                for number in numbers {
                    producer.enqueue(self.record(load, headers, number)).await?;
                }
            }
            Api::Many => {
                let mut run = Vec::with_capacity(64);
                for number in numbers.clone() {
                    run.push(self.message(load, headers, number));
                    if run.len() == 64 || number + 1 == numbers.end {
                        drop(topic.send_many(&run).await?);
                        run.clear();
                    }
                }
            }
            Api::Callback => {
                for number in numbers {
                    let message = self.message(load, headers, number);
                    let called = Arc::clone(&self.called);
                    let count = move |outcome: &Result<_, _>| {
                        called.fetch_add(u64::from(outcome.is_ok()), Relaxed);
                    };
                    topic.send_with(message, count).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends and awaits the delivery of every record.
    async fn send_watched(
        &self,
        load: &Load,
        headers: &[Header<'_>],
        numbers: Range<u64>,
    ) -> Result<()> {
        let Self {
            producer, topic, ..
        } = self;
        let mut pending: VecDeque<Delivery> = VecDeque::with_capacity(WINDOW);
        for number in numbers {
            let delivery = match self.api {
                Api::Handle if load.is_simple() => {
                    let value = load.value(number);
                    match load.key(number) {
                        None => topic.send(Message::new().value(value)).await?,
                        Some(key) => topic.send(Message::new().key(key).value(value)).await?,
                    }
                }
                Api::Name => producer.send(self.record(load, headers, number)).await?,
                _ => topic.send(self.message(load, headers, number)).await?,
            };
            if pending.len() == WINDOW
                && let Some(oldest) = pending.pop_front()
            {
                oldest.await?;
            }
            pending.push_back(delivery);
        }
        for delivery in pending {
            delivery.await?;
        }
        Ok(())
    }
}

fn headers(load: &Load) -> Vec<Header<'_>> {
    load.headers()
        .iter()
        .map(|(name, value)| Header::new(name, value))
        .collect()
}

impl Peer for Milena {
    const NAME: &'static str = "milena";
    const VERSION: &'static str = "0.1.0";

    async fn connect(settings: &Settings) -> Result<Self> {
        let (linger, batch) = match settings.mode {
            Mode::Common => (settings.linger, settings.batch_size),
            Mode::Best => (Duration::from_millis(10), 256 << 10),
        };
        let producer = Producer::builder()
            .bootstrap_servers(&settings.bootstrap)
            .linger(linger)
            .batch_size(batch)
            .buffer_memory(settings.buffer_memory)
            .max_request_size(8 << 20)
            .max_in_flight(settings.in_flight)
            .compression(match settings.compression.as_str() {
                "none" => Compression::None,
                "gzip" => Compression::Gzip,
                "snappy" => Compression::Snappy,
                "lz4" => Compression::Lz4,
                "zstd" => Compression::Zstd,
                other => bail!("no compression {other}"),
            })
            .connect()
            .await?;
        let topic = producer.topic(&settings.topic).await?;
        Ok(Self {
            producer,
            topic,
            api: match settings.api.as_str() {
                "" | "handle" => Api::Handle,
                "bytes" => Api::Bytes,
                "name" => Api::Name,
                "many" => Api::Many,
                "callback" => Api::Callback,
                other => bail!("no way to send called {other}"),
            },
            ack: settings.ack,
            sent: AtomicU64::new(0),
            called: Arc::default(),
        })
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let headers = headers(load);
        let count = numbers.end - numbers.start;
        match self.ack {
            Ack::Flush => self.send_unwatched(load, &headers, numbers).await?,
            Ack::Each => self.send_watched(load, &headers, numbers).await?,
        }
        self.sent.fetch_add(count, Relaxed);
        Ok(count)
    }

    async fn flush(&self) -> Result<()> {
        self.producer.flush().await;
        let sent = self.sent.load(Relaxed);
        let counters = self.producer.snapshot().sent;
        if counters.records_failed > 0 || counters.records_acknowledged < sent {
            bail!(
                "{} of {sent} records were acknowledged, {} failed",
                counters.records_acknowledged,
                counters.records_failed
            );
        }
        let called = self.called.load(Relaxed);
        if self.api == Api::Callback && called != sent {
            bail!("{called} of {sent} callbacks were called");
        }
        Ok(())
    }

    async fn send_timed(&self, load: &Load, number: u64, ticket: Ticket) -> Result<()> {
        let headers = headers(load);
        let message = self.message(load, &headers, number);
        self.topic
            .send_with(message, move |outcome| ticket.done(outcome.is_ok()))
            .await?;
        self.sent.fetch_add(1, Relaxed);
        Ok(())
    }
}

fn main() -> ExitCode {
    peer_harness::main::<Milena>()
}
