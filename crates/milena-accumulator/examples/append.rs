//! Prints what an append costs: `cargo run --release --example append -p milena-accumulator`.
//!
//! One thread appends and, whenever enough batches are full, takes and completes them; both are in the numbers. Each
//! case is run several times in turn and the best is shown, which is the least disturbed.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use milena_accumulator::{
    Accumulator, Bin, Clock, Config, Deliveries, News, Record, Topic, Value, Verdict, Want,
};

/// The precise clock for both; what a coarse one saves is measured with [`Standing`].
struct Precise;

impl Clock for Precise {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(-1, |since| since.as_millis() as i64)
    }
}

/// A wall clock that stands, in place of a coarse one.
struct Standing(i64);

impl Clock for Standing {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ms(&self) -> i64 {
        black_box(self.0)
    }
}

struct Bench {
    accumulator: Arc<Accumulator>,
    topic: Arc<Topic>,
    news: Vec<News>,
    bin: Bin,
    records: u64,
}

const RECORDS: usize = 1_000_000;

impl Bench {
    fn new() -> Self {
        let accumulator = Arc::new(Accumulator::new(Config::default(), 1));
        let mut bin = Bin::new();
        accumulator.put_topic("events", [0; 16], &[Some(1); 12], &mut bin);
        let topic = accumulator.topic("events").expect("it was just put");
        Self {
            accumulator,
            topic,
            news: Vec::new(),
            bin,
            records: 0,
        }
    }

    /// What a sender does with full batches, without a network.
    fn drain(&mut self) {
        self.news.clear();
        self.accumulator.drain_news(&mut self.news);
        for news in &self.news {
            while let Some(taken) = self.accumulator.take(news.slot) {
                self.records += taken.batch.records as u64;
                let verdict = Verdict::Done {
                    base_offset: 0,
                    log_append_time: -1,
                };
                taken.batch.complete(verdict, &mut self.bin);
            }
        }
        self.bin.run();
    }

    /// What nothing can be cheaper than: a lock and a copy of 110 bytes into warm memory.
    fn floor(&mut self) -> Duration {
        let buffer = Mutex::new(Vec::with_capacity(16 << 10));
        let bytes = [b'x'; 110];
        let begun = Instant::now();
        for _ in 0..RECORDS {
            let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            if buffer.len() + bytes.len() > 16 << 10 {
                buffer.clear();
            }
            buffer.extend_from_slice(black_box(&bytes));
        }
        self.records += RECORDS as u64;
        begun.elapsed()
    }

    fn each(
        &mut self,
        clock: &impl Clock,
        want: bool,
        record: impl Fn(usize) -> Record<'static>,
    ) -> Duration {
        let begun = Instant::now();
        for at in 0..RECORDS {
            let record = record(at);
            let want = if want { Want::Delivery } else { Want::Nothing };
            let (accumulator, topic) = (&self.accumulator, &self.topic);
            let appended = accumulator.append(clock, topic, &record, want, None);
            match appended {
                Ok(appended) => drop(appended.delivery),
                Err(refused) => println!("{refused}"),
            }
            if at % 1024 == 0 {
                self.drain();
            }
        }
        self.drain();
        begun.elapsed()
    }

    /// Two threads that append, each half of the records; one of them drains. Time per record of both together.
    fn two(
        &mut self,
        clock: &(impl Clock + Sync),
        record: impl Fn(usize) -> Record<'static> + Sync,
    ) -> Duration {
        let other = (Arc::clone(&self.accumulator), Arc::clone(&self.topic));
        let append = |accumulator: &Accumulator, topic: &Topic, at: usize| {
            let (record, want) = (record(at), Want::Nothing);
            let appended = accumulator.append(clock, topic, &record, want, None);
            appended.is_ok()
        };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                for at in 0..RECORDS / 2 {
                    while !append(&other.0, &other.1, at) {
                        std::thread::yield_now();
                    }
                }
            });
            for at in 0..RECORDS / 2 {
                while !append(&self.accumulator, &self.topic, at) {
                    self.drain();
                }
                if at % 1024 == 0 {
                    self.drain();
                }
            }
            while !second.is_finished() {
                self.drain();
            }
        });
        self.drain();
        begun.elapsed()
    }

    fn many(&mut self, want: bool, record: Record<'static>) -> Duration {
        let records = vec![record; 64];
        let begun = Instant::now();
        for at in 0..RECORDS / 64 {
            let mut deliveries = Deliveries::with_capacity(64);
            let into = want.then_some(&mut deliveries);
            let (accumulator, topic) = (&self.accumulator, &self.topic);
            let done = accumulator.append_many(&Precise, topic, &records, into, None);
            black_box(done);
            if at % 16 == 0 {
                self.drain();
            }
        }
        self.drain();
        begun.elapsed()
    }
}

fn main() {
    let value: &'static [u8] = Box::leak(vec![b'x'; 1024].into_boxed_slice());
    let keys: &'static [[u8; 16]] = Box::leak(
        (0..1024u128)
            .map(|key| {
                key.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                    .to_be_bytes()
            })
            .collect(),
    );
    let record = |size: usize| Record {
        value: Value::Borrowed(&value[..size]),
        ..Record::default()
    };
    let keyed = |size: usize| {
        move |at: usize| Record {
            key: Some(&keys[at % keys.len()]),
            ..record(size)
        }
    };
    let standing = Standing(1_700_000_000_000);
    type Case<'a> = (&'a str, Box<dyn Fn(&mut Bench) -> Duration + 'a>);
    let cases: Vec<Case<'_>> = vec![
        ("lock and copy 110 B", Box::new(Bench::floor)),
        (
            "100 B, nothing",
            Box::new(|b| b.each(&standing, false, |_| record(100))),
        ),
        (
            "100 B, nothing, precise clock",
            Box::new(|b| b.each(&Precise, false, |_| record(100))),
        ),
        (
            "100 B, delivery",
            Box::new(|b| b.each(&standing, true, |_| record(100))),
        ),
        (
            "100 B, keyed, nothing",
            Box::new(|b| b.each(&standing, false, keyed(100))),
        ),
        (
            "100 B, keyed, delivery",
            Box::new(|b| b.each(&standing, true, keyed(100))),
        ),
        (
            "100 B, 64 at once, nothing",
            Box::new(|b| b.many(false, record(100))),
        ),
        (
            "100 B, 64 at once, delivery",
            Box::new(|b| b.many(true, record(100))),
        ),
        (
            "100 B, two threads",
            Box::new(|b| b.two(&standing, |_| record(100))),
        ),
        (
            "100 B, keyed, two threads",
            Box::new(|b| b.two(&standing, keyed(100))),
        ),
        (
            "1 KiB, nothing",
            Box::new(|b| b.each(&standing, false, |_| record(1024))),
        ),
        (
            "1 KiB, delivery",
            Box::new(|b| b.each(&standing, true, |_| record(1024))),
        ),
        (
            "1 KiB, keyed, delivery",
            Box::new(|b| b.each(&standing, true, keyed(1024))),
        ),
    ];
    let rounds = std::env::args()
        .nth(1)
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(5);
    let only = std::env::args().nth(2);
    let mut best = vec![Duration::MAX; cases.len()];
    for _ in 0..rounds {
        for (at, (name, case)) in cases.iter().enumerate() {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let mut bench = Bench::new();
            best[at] = best[at].min(case(&mut bench));
            assert!(bench.records as usize >= RECORDS / 64 * 64, "all are out");
        }
    }
    for ((name, _), best) in cases.iter().zip(best) {
        if best < Duration::MAX {
            println!(
                "{name:32} {:6.1} ns",
                best.as_nanos() as f64 / RECORDS as f64
            );
        }
    }
}
