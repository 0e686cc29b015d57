//! The command line that every peer understands, whatever its language.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

/// What the acknowledgement of a record is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Nothing is kept of a record; a flush at the end says that all are delivered.
    Flush,
    /// A future (or callback) for every record, each one awaited.
    Each,
}

/// Whose settings are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of the command line, the same for everybody.
    Common,
    /// The peer's own best documented ones for throughput, still idempotent and acknowledged by all.
    Best,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, separated by commas.
    pub bootstrap: String,
    /// A topic that exists.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// N: the first phase sends so many records, the second three times as many.
    pub records: u64,
    /// Records sent before anything is measured.
    pub warmup: u64,
    /// About the longest that the warm-up may take where records are sent flat out, once connected; who has not sent all
    /// of it by then measures no more records than take about [`span`](Self::span). 0 is no limit.
    pub limit: Duration,
    /// About the least that both phases together are to take where records are sent flat out, as what the second one
    /// takes longer than the first shows: else they do not count, and are followed by longer ones. 0 is no such limit.
    pub span: Duration,
    /// A file of records, each `record_size` bytes; their number is a power of two.
    pub payloads: PathBuf,
    /// Bytes of a value.
    pub record_size: usize,
    /// How many different keys there are, a power of two; 0 for records without a key.
    pub keys: u64,
    /// How many headers each record has.
    pub headers: usize,
    /// Partitions named by the caller: record i goes to partition i modulo this; 0 leaves the choice to the client.
    pub assign: i32,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`, each at its default level.
    pub compression: String,
    /// How many tasks (or threads) send.
    pub tasks: u64,
    /// Worker threads of the runtime, where there is one.
    pub threads: usize,
    /// `linger.ms`.
    pub linger: Duration,
    /// `batch.size`.
    pub batch_size: usize,
    /// `buffer.memory`.
    pub buffer_memory: usize,
    /// `max.in.flight.requests.per.connection`.
    pub in_flight: usize,
    /// Records per second by an open-loop pacer, in one phase of N records; 0 sends as fast as it can.
    pub rate: u64,
    /// How often the pacer wakes. What falls into a tick is scheduled at its beginning.
    pub tick: Duration,
    /// Whose settings are used.
    pub mode: Mode,
    /// What acknowledgements are taken from.
    pub ack: Ack,
    /// Which of a client's ways to send is used; what there is, each peer says.
    pub api: String,
    /// Whether allocations are counted, which costs a little time.
    pub allocations: bool,
}

impl Settings {
    /// Reads the command line.
    pub fn from_args() -> Result<Self> {
        let mut settings = Self {
            bootstrap: String::new(),
            topic: String::new(),
            partitions: 1,
            records: 0,
            warmup: 0,
            limit: Duration::ZERO,
            span: Duration::ZERO,
            payloads: PathBuf::new(),
            record_size: 0,
            keys: 0,
            headers: 0,
            assign: 0,
            compression: "none".into(),
            tasks: 1,
            threads: 1,
            linger: Duration::from_millis(5),
            batch_size: 65_536,
            buffer_memory: 64 << 20,
            in_flight: 5,
            rate: 0,
            tick: Duration::from_millis(1),
            mode: Mode::Common,
            ack: Ack::Flush,
            api: String::new(),
            allocations: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            let Long(name) = argument else {
                return Err(argument.unexpected().into());
            };
            let name = name.to_owned();
            if name == "allocations" {
                settings.allocations = true;
                continue;
            }
            let value = parser.value()?.string()?;
            settings
                .set(&name, value)
                .with_context(|| format!("--{name}"))?;
        }
        settings.check()?;
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "bootstrap" => self.bootstrap = value,
            "topic" => self.topic = value,
            "partitions" => self.partitions = value.parse()?,
            "records" => self.records = value.parse()?,
            "warmup" => self.warmup = value.parse()?,
            "limit-ms" => self.limit = Duration::from_millis(value.parse()?),
            "span-ms" => self.span = Duration::from_millis(value.parse()?),
            "payloads" => self.payloads = value.into(),
            "record-size" => self.record_size = value.parse()?,
            "keys" => self.keys = value.parse()?,
            "headers" => self.headers = value.parse()?,
            "assign" => self.assign = value.parse()?,
            "compression" => self.compression = value,
            "tasks" => self.tasks = value.parse()?,
            "threads" => self.threads = value.parse()?,
            "linger-ms" => self.linger = Duration::from_millis(value.parse()?),
            "batch-size" => self.batch_size = value.parse()?,
            "buffer-memory" => self.buffer_memory = value.parse()?,
            "in-flight" => self.in_flight = value.parse()?,
            "rate" => self.rate = value.parse()?,
            "tick-us" => self.tick = Duration::from_micros(value.parse()?),
            "mode" => {
                self.mode = match value.as_str() {
                    "common" => Mode::Common,
                    "best" => Mode::Best,
                    other => bail!("{other}: common or best"),
                }
            }
            "ack" => {
                self.ack = match value.as_str() {
                    "flush" => Ack::Flush,
                    "each" => Ack::Each,
                    other => bail!("{other}: flush or each"),
                }
            }
            "api" => self.api = value,
            _ => bail!("there is no such option"),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.bootstrap.is_empty() || self.topic.is_empty() {
            bail!("--bootstrap and --topic are needed");
        }
        if self.records == 0 || self.record_size == 0 {
            bail!("--records, --payloads and --record-size are needed");
        }
        if self.rate == 0 && !self.limit.is_zero() && self.span.is_zero() {
            bail!("--limit-ms needs --span-ms");
        }
        if self.keys != 0 && !self.keys.is_power_of_two() {
            bail!("--keys must be a power of two");
        }
        Ok(())
    }

    /// `linger.ms` as Kafka's clients write it.
    pub fn linger_ms(&self) -> u128 {
        self.linger.as_millis()
    }
}
