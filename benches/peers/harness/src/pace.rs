//! The open-loop pacer: records leave by the clock, and their latency counts from when they were due.
//!
//! It runs on a thread of its own, so that a client which blocks or a busy runtime delays records, not their schedule.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Peer;
use crate::load::Load;
use crate::settings::Settings;

/// When records were due, and how long each took.
pub struct Recorder {
    start: Instant,
    tick: Duration,
    per_tick: u64,
    micros: Vec<AtomicU32>,
    acked: AtomicU64,
    failed: AtomicU64,
    watch: mpsc::UnboundedSender<(u64, BoxFuture<'static, bool>)>,
}

impl Recorder {
    fn due(&self, number: u64) -> Instant {
        self.start + self.tick * (number / self.per_tick) as u32
    }

    fn finish(&self, number: u64, delivered: bool) {
        let taken = self.due(number).elapsed().as_micros();
        let taken = u32::try_from(taken).unwrap_or(u32::MAX);
        self.micros[number as usize].store(taken.max(1), Relaxed);
        if delivered {
            self.acked.fetch_add(1, Relaxed);
        } else {
            self.failed.fetch_add(1, Relaxed);
        }
    }
}

/// One record that is under way: says when its acknowledgement is there.
pub struct Ticket {
    number: u64,
    recorder: Option<Arc<Recorder>>,
}

impl Ticket {
    /// For records of the warm-up, which nobody times.
    pub fn unused() -> Self {
        Self {
            number: 0,
            recorder: None,
        }
    }

    /// To be called by a client's callback.
    pub fn done(self, delivered: bool) {
        if let Some(recorder) = self.recorder {
            recorder.finish(self.number, delivered);
        }
    }

    /// For clients that give a future: it is polled by a task of its own, with all the others.
    pub fn watch(self, delivered: impl Future<Output = bool> + Send + 'static) {
        if let Some(recorder) = self.recorder {
            let _ = recorder.watch.send((self.number, Box::pin(delivered)));
        }
    }
}

/// Sends `settings.records` at `settings.rate` and waits for all acknowledgements.
pub async fn run<P: Peer>(
    peer: &Arc<P>,
    load: &Arc<Load>,
    settings: &Settings,
) -> Result<(u64, Value)> {
    let (watch, mut watched) = mpsc::unbounded_channel::<(u64, BoxFuture<'static, bool>)>();
    let per_tick = settings.rate * settings.tick.as_micros() as u64 / 1_000_000;
    if per_tick == 0 {
        bail!("--rate is below one record a tick");
    }
    let recorder = Arc::new(Recorder {
        start: Instant::now() + Duration::from_millis(20),
        tick: settings.tick,
        per_tick,
        micros: (0..settings.records).map(|_| AtomicU32::new(0)).collect(),
        acked: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        watch,
    });
    let collector = {
        let recorder = recorder.clone();
        tokio::spawn(async move {
            let mut pending = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some((number, future)) = watched.recv() => {
                        pending.push(async move { (number, future.await) });
                    }
                    Some((number, delivered)) = pending.next() => recorder.finish(number, delivered),
                    else => break,
                }
            }
        })
    };
    pacer(peer.clone(), load.clone(), recorder.clone()).await?;
    peer.flush().await?;
    let patience = Instant::now() + Duration::from_secs(30);
    while recorder.acked.load(Relaxed) + recorder.failed.load(Relaxed) < settings.records {
        if Instant::now() > patience {
            bail!("not all records were answered in 30 s");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    collector.abort();
    Ok((recorder.acked.load(Relaxed), percentiles(&recorder)))
}

async fn pacer<P: Peer>(peer: Arc<P>, load: Arc<Load>, recorder: Arc<Recorder>) -> Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let (tell, told) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("pacer".into()).spawn(move || {
        let total = recorder.micros.len() as u64;
        let sent = runtime.block_on(async {
            for number in 0..total {
                if number % recorder.per_tick == 0 {
                    thread::sleep(
                        recorder
                            .due(number)
                            .saturating_duration_since(Instant::now()),
                    );
                }
                let ticket = Ticket {
                    number,
                    recorder: Some(recorder.clone()),
                };
                peer.send_timed(&load, number, ticket).await?;
            }
            anyhow::Ok(())
        });
        let _ = tell.send(sent);
    })?;
    told.await?
}

/// Exact percentiles in microseconds: every latency was kept.
fn percentiles(recorder: &Recorder) -> Value {
    let mut micros: Vec<u32> = recorder
        .micros
        .iter()
        .map(|micros| micros.load(Relaxed))
        .collect();
    micros.sort_unstable();
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    let curve: Vec<_> = [
        0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0,
    ]
    .iter()
    .map(|share| json!([share, at(*share)]))
    .collect();
    json!({ "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1.0), "curve": curve })
}
