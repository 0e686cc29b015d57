//! One run of one program: started, timed by itself, checked at the broker.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::brokers::{Arrived, Brokers};
use super::contestants::Contestant;
use super::payload;
use super::rows::{CORES, Load, Metric};

/// What a run gave: its result line, and what arrived.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The result line.
    pub line: Value,
    /// What arrived at the broker.
    pub arrived: Arrived,
    /// With several brokers: what had arrived at all but the last, and when.
    pub samples: Vec<(Instant, u64)>,
}

/// A run that took longer than anybody waits.
#[derive(Clone, Copy, Debug)]
pub struct NotDone(pub Duration);

impl Display for NotDone {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "not done after {} s", self.0.as_secs())
    }
}

impl Error for NotDone {}

/// How a program is run besides the load.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Its way to send; only milena has several.
    pub api: &'a str,
    /// Whether every record is awaited.
    pub each: bool,
    /// Its own best settings instead of the common ones.
    pub best: bool,
    /// The longest that a run may take.
    pub patience: Duration,
}

/// What a program sends before it is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct WarmUp {
    /// So many records.
    pub records: u64,
    /// The same again and again for so long, if it knows `--warmup-ms`.
    pub time: Duration,
    /// No longer than this, if it knows `--limit-ms`; who would take longer is measured for no longer than the span.
    pub limit: Duration,
    /// What is measured takes about so long at least: more records are sent else. Zero leaves their number.
    pub span: Duration,
}

/// Runs a program once, after it has warmed up. A run whose records are not all acknowledged and found at the broker is
/// an error.
pub fn run(
    contestant: &Contestant,
    load: &Load,
    how: How<'_>,
    brokers: &mut Brokers,
    topic: &str,
    warm_up: WarmUp,
) -> Result<Outcome> {
    brokers.create(topic, load.partitions)?;
    let mut samples = Vec::new();
    let line = start(contestant, load, how, brokers, topic, warm_up, &mut samples);
    let arrived = brokers.count(topic);
    let _ = brokers.forget(topic);
    let (line, arrived) = (line?, arrived?);
    let phases = line["phases"].as_array().context("no phases")?;
    let count = |value: &Value| value.as_u64().context("a number is missing");
    let mut sent = count(&line["warmup"])?;
    for phase in phases {
        sent += count(&phase["records"])?;
    }
    if arrived.records != sent {
        bail!(
            "{} records were sent, {} are at the broker",
            sent,
            arrived.records
        );
    }
    if phases
        .iter()
        .any(|phase| phase["acked"] != phase["records"])
    {
        bail!("not all records were acknowledged");
    }
    Ok(Outcome {
        line,
        arrived,
        samples,
    })
}

fn start(
    contestant: &Contestant,
    load: &Load,
    how: How<'_>,
    brokers: &mut Brokers,
    topic: &str,
    warm_up: WarmUp,
    samples: &mut Vec<(Instant, u64)>,
) -> Result<Value> {
    let mut command = contestant.command();
    command.arg("--bootstrap").arg(brokers.servers());
    command.arg("--payloads").arg(payload::file(load)?);
    let mode = if how.best { "best" } else { "common" };
    let threads = if how.best { CORES } else { load.threads };
    let ack = if how.each { "each" } else { "flush" };
    command.args([
        "--topic",
        topic,
        "--mode",
        mode,
        "--ack",
        ack,
        "--compression",
        load.compression,
    ]);
    if contestant.name == "milena" {
        command.args(["--api", how.api]);
    }
    let numbers = [
        ("--record-size", load.size as u64),
        ("--keys", load.keys),
        ("--headers", load.headers as u64),
        ("--partitions", load.partitions as u64),
        ("--assign", load.assign as u64),
        ("--tasks", load.tasks),
        ("--threads", threads as u64),
        ("--linger-ms", load.linger_ms),
        ("--batch-size", load.batch as u64),
        ("--buffer-memory", load.buffer as u64),
        ("--rate", load.rate),
        ("--records", load.records),
        ("--warmup", warm_up.records),
    ];
    for (name, number) in numbers {
        command.arg(name).arg(number.to_string());
    }
    if load.allocations {
        command.arg("--allocations");
    }
    if !warm_up.time.is_zero() {
        let millis = warm_up.time.as_millis().to_string();
        command.args(["--warmup-ms", &millis]);
    }
    if !warm_up.limit.is_zero() {
        let millis = warm_up.limit.as_millis().to_string();
        command.args(["--limit-ms", &millis]);
    }
    if !warm_up.span.is_zero() {
        let millis = warm_up.span.as_millis().to_string();
        command.args(["--span-ms", &millis]);
    }
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", contestant.name))?;
    let mut errors = process.stderr.take().context("its errors are piped")?;
    let errors = thread::spawn(move || {
        let mut text = String::new();
        let _ = errors.read_to_string(&mut text);
        text
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        if begun.elapsed() > how.patience {
            process.kill()?;
            process.wait()?;
            return Err(NotDone(how.patience).into());
        }
        if load.brokers > 1 {
            samples.push((Instant::now(), brokers.count(topic)?.others));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let mut output = String::new();
    if let Some(mut pipe) = process.stdout.take() {
        pipe.read_to_string(&mut output)?;
    }
    let errors = errors.join().unwrap_or_default();
    if !status.success() {
        bail!(
            "{}",
            // Java says its reason first and where it was afterwards.
            errors
                .lines()
                .find(|line| line.contains("Exception"))
                .or_else(|| errors.lines().last())
                .unwrap_or("it failed without a word")
        );
    }
    let line = output.lines().rfind(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.context("no result line")?)?)
}

impl Outcome {
    /// Whether its longer phase took longer, as it does not if a program was still being compiled in the shorter one.
    pub fn has_slope(&self) -> bool {
        let taken = [Metric::Cpu, Metric::Throughput].map(|metric| self.metric(metric));
        taken.iter().flatten().all(|figure| *figure > 0.0)
    }

    /// A figure of this run: by the slope between its two phases, or of its only phase when it was paced.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        let records = self.slope("records");
        Some(match metric {
            Metric::Cpu => (self.slope("user_us") + self.slope("system_us")) * 1000.0 / records,
            Metric::Throughput => records * 1e6 / self.slope("wall_us"),
            Metric::P99 => self.latency("p99_us")?,
            Metric::Peak => self.line["peak_kib"].as_f64()? / 1024.0,
            Metric::Wire if self.arrived.bytes == 0 => return None,
            Metric::Wire => self.arrived.bytes as f64 / self.arrived.records as f64,
            Metric::Batch if self.arrived.batches == 0 => return None,
            Metric::Batch => self.arrived.records as f64 / self.arrived.batches as f64,
            Metric::Others => self.others()?,
            Metric::PerRecord | Metric::PerBatch if self.line["counted"] != true => return None,
            Metric::PerRecord => self.slope("allocations") / records,
            Metric::PerBatch if self.arrived.batches == 0 => return None,
            Metric::PerBatch => {
                let batches = self.arrived.batches as f64 / self.arrived.records as f64;
                self.slope("allocations") / records / batches
            }
        })
    }

    /// Records a second at all brokers but the last, in the middle of the longer phase: a slow broker's backlog, which
    /// has to be waited for at the end of each, says nothing about the others.
    fn others(&self) -> Option<f64> {
        let longer = self.line["phases"][1]["records"].as_f64()?;
        let share = longer / self.arrived.records as f64;
        // When so much of the longer phase had arrived.
        let at = |part: f64| {
            let count = self.arrived.others as f64 * (1.0 - share * (1.0 - part));
            let mut samples = self.samples.iter();
            samples.find(|(_, arrived)| *arrived as f64 >= count)
        };
        let (from, to) = (at(0.25)?, at(0.85)?);
        let seconds = (to.0 - from.0).as_secs_f64();
        (seconds > 0.0).then(|| (to.1 - from.1) as f64 / seconds)
    }

    /// A percentile in milliseconds.
    pub fn latency(&self, percentile: &str) -> Option<f64> {
        Some(self.line["latency"][percentile].as_f64()? / 1000.0)
    }

    /// What the second phase used more than the first.
    pub fn slope(&self, field: &str) -> f64 {
        let phase = |index: usize| self.line["phases"][index][field].as_f64().unwrap_or(0.0);
        match self.line["phases"].as_array().map_or(0, Vec::len) {
            2 => phase(1) - phase(0),
            _ => phase(0),
        }
    }
}
