//! What the Rust peers share: the command line, the records, the phases of a run and its result line.
//!
//! A run warms up, then measures two phases, N and 3 N records, each ended by the acknowledgement of its last record.
//! The cost of a record is the difference of both over 2 N, so that neither start-up nor the ends of a phase count.

#![forbid(unsafe_code)]

mod load;
mod pace;
mod settings;
mod usage;

use std::future::Future;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

pub use load::Load;
pub use milena_counting::Counting;
pub use pace::Ticket;
pub use settings::{Ack, Mode, Settings};

/// How many futures a task keeps before it awaits the oldest: enough that waiting never limits the pipeline.
pub const WINDOW: usize = 65_536;

/// A client to be measured.
pub trait Peer: Send + Sync + Sized + 'static {
    /// Its name in tables.
    const NAME: &'static str;

    /// The version measured.
    const VERSION: &'static str;

    /// Whether sending blocks its thread: such a client gets threads of its own instead of tasks.
    const BLOCKS: bool = false;

    /// Whether its allocations can be counted: those of C are not seen.
    const COUNTS: bool = true;

    /// What must be known to compare it, such as a guarantee it lacks.
    const NOTE: Option<&'static str> = None;

    /// Connects, so that the topic is known where the client allows that.
    fn connect(settings: &Settings) -> impl Future<Output = Result<Self>> + Send;

    /// Sends records flat out and gives how many were delivered, or, with [`Ack::Flush`], accepted.
    fn send(&self, load: &Load, numbers: Range<u64>) -> impl Future<Output = Result<u64>> + Send;

    /// Waits until everything that was sent is delivered; a record that failed is an error.
    fn flush(&self) -> impl Future<Output = Result<()>> + Send;

    /// Sends one record; the ticket is told when it is acknowledged.
    fn send_timed(
        &self,
        load: &Load,
        number: u64,
        ticket: Ticket,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// The `main` of a peer.
pub fn main<P: Peer>() -> ExitCode {
    match run::<P>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", P::NAME);
            ExitCode::FAILURE
        }
    }
}

fn run<P: Peer>() -> Result<()> {
    let settings = Settings::from_args()?;
    let load = Arc::new(Load::new(&settings)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads)
        .enable_all()
        .build()?;
    let result = runtime.block_on(measure::<P>(&settings, &load));
    runtime.shutdown_background();
    println!("{}", result?);
    Ok(())
}

async fn measure<P: Peer>(settings: &Settings, load: &Arc<Load>) -> Result<serde_json::Value> {
    let peer = Arc::new(P::connect(settings).await?);
    let (mut warmed_up, mut records) = warm_up::<P>(&peer, load, settings).await?;
    if settings.allocations {
        milena_counting::start();
    }
    let mut phases = Vec::new();
    let mut latency = serde_json::Value::Null;
    if settings.rate > 0 {
        let before = usage::Reading::now();
        let (acked, curve) = pace::run(&peer, load, settings).await?;
        phases.push(before.phase(settings.records, acked));
        latency = curve;
    } else {
        loop {
            let mut seconds = [0.0; 2];
            for (seconds, times) in seconds.iter_mut().zip([1, 3]) {
                let (begun, before) = (Instant::now(), usage::Reading::now());
                let acked = send::<P>(&peer, load, settings.tasks, 0..times * records).await?;
                *seconds = begun.elapsed().as_secs_f64();
                phases.push(before.phase(times * records, acked));
            }
            // Not how long a phase takes: a client may wait before it sends, or to see that all is delivered.
            let added = seconds[1] - seconds[0];
            let Some(more) = more(records, added, settings.span.as_secs_f64() / 2.0) else {
                break;
            };
            phases.clear();
            warmed_up += 4 * records;
            records = more;
        }
    }
    milena_counting::stop();
    Ok(json!({
        "peer": P::NAME,
        "version": P::VERSION,
        "note": P::NOTE,
        "warmup": warmed_up,
        "phases": phases,
        "latency": latency,
        "peak_kib": usage::peak_kib(),
        "counted": settings.allocations && P::COUNTS,
    }))
}

/// The first piece of a warm-up that has a limit is such a part of it; each of the others is as long as all before it.
const FIRST_PIECE: u64 = 64;

/// Sends what is not measured, in the way that is: flat out a client may take more memory than at a rate. Returns how
/// many records that were, and how many the first phase is to have.
async fn warm_up<P: Peer>(
    peer: &Arc<P>,
    load: &Arc<Load>,
    settings: &Settings,
) -> Result<(u64, u64)> {
    if settings.warmup > 0 && settings.rate > 0 {
        // The first piece also connects: one client takes seconds for as many records as come until then.
        let first = (settings.warmup / FIRST_PIECE).max(1);
        let pieces = [first, settings.warmup - first];
        for records in pieces.into_iter().filter(|records| *records > 0) {
            let paced = Settings {
                records,
                ..settings.clone()
            };
            pace::run(peer, load, &paced).await?;
        }
        return Ok((settings.warmup, settings.records));
    }
    let mut begun = Instant::now();
    let (mut sent, mut untimed) = (0, 0);
    while sent < settings.warmup {
        let piece = match settings.limit {
            Duration::ZERO => settings.warmup,
            _ => sent.max(settings.warmup / FIRST_PIECE).max(1),
        };
        let end = settings.warmup.min(sent + piece);
        send::<P>(peer, load, settings.tasks, sent..end).await?;
        sent = end;
        if sent == piece {
            // The first one also connects.
            (begun, untimed) = (Instant::now(), sent);
        } else if !settings.limit.is_zero()
            && sent < settings.warmup
            && 2 * begun.elapsed() > settings.limit
        {
            // Both phases together have four times as many as the first one.
            let part = settings.span.as_secs_f64() / 4.0 / begun.elapsed().as_secs_f64();
            let records = ((sent - untimed) as f64 * part) as u64;
            return Ok((sent, settings.records.min(records).max(1)));
        }
    }
    Ok((settings.warmup, settings.records))
}

/// The first phase gets at most so many times more records at once.
const MOST_MORE: f64 = 4.0;

/// It has enough of them if it would take no more than so many times as many: what is expected to be just enough may be
/// a little less.
const ENOUGH: f64 = 1.5;

/// How many records to measure instead of so many, if twice as many more took `taken` of `part` seconds; `None` if they
/// are enough.
fn more(records: u64, taken: f64, part: f64) -> Option<u64> {
    let times = part / taken.max(1e-6);
    (times > ENOUGH).then(|| (records as f64 * times.min(MOST_MORE)) as u64)
}

/// Sends records by so many tasks, or threads for a client that blocks, and waits for all of them.
async fn send<P: Peer>(
    peer: &Arc<P>,
    load: &Arc<Load>,
    tasks: u64,
    numbers: Range<u64>,
) -> Result<u64> {
    let records = numbers.end - numbers.start;
    let mut running = Vec::new();
    for task in 0..tasks {
        let at = |task: u64| numbers.start + task * records / tasks;
        let numbers = at(task)..at(task + 1);
        let (peer, load) = (peer.clone(), load.clone());
        running.push(if P::BLOCKS {
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || runtime.block_on(peer.send(&load, numbers)))
        } else {
            tokio::spawn(async move { peer.send(&load, numbers).await })
        });
    }
    let mut acked = 0;
    for task in running {
        acked += task.await??;
    }
    peer.flush().await?;
    if acked != records {
        bail!("{acked} of {records} records were acknowledged");
    }
    Ok(acked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_took_too_short_are_followed_by_more() {
        assert_eq!(more(1000, 0.05, 0.1), Some(2000));
        assert_eq!(more(1000, 0.01, 0.1), Some(4000), "no more at once");
        assert_eq!(more(1, -0.2, 0.1), Some(4), "more took no longer");
        assert_eq!(more(1000, 0.067, 0.1), None, "two thirds are enough");
        assert_eq!(more(1000, 0.3, 0.1), None);
    }
}
