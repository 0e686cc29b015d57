//! One row of `cargo xtask bench peers`, round by round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::brokers::Brokers;
use super::contestants::Contestant;
use super::judge::{Cell, best};
use super::layers;
use super::measure::{How, Outcome, run as measure};
use super::rows::{Goal, Load, Metric, Row};

/// The share of records that `--quick` sends where it sends flat out.
const QUICK: f64 = 0.4;

/// The same where it sends at a rate: a run takes its time then, whoever sends.
const QUICK_PACED: f64 = 0.6;

/// The longest that a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The same for a peer with `--quick`: who takes longer is not the one to beat.
const QUICK_PATIENCE: Duration = Duration::from_secs(8);

/// What takes no longer runs several times in a turn: the shorter a run, the more chance is in it.
const SHORT: Duration = Duration::from_millis(300);

/// So many times.
const SHORT_RUNS: usize = 3;

/// A row that is being measured.
pub struct Course<'a> {
    row: &'a Row,
    load: Load,
    quick: bool,
    entries: Vec<Entry<'a>>,
    /// The embedded ones; none where it is the real Kafka, which all such rows share.
    own: Option<Brokers>,
    /// What the codec itself took for a record, once in each round, if a goal asks for that.
    codec: Vec<f64>,
}

impl<'a> Course<'a> {
    /// Starts what is sent to. `kafka` is the real one, as soon as a row has wanted it.
    pub fn start(
        row: &'a Row,
        contestants: &'a [Contestant],
        quick: bool,
        scale: Option<f64>,
        kafka: &mut Option<Brokers>,
    ) -> Result<Self> {
        let share = match (row.load.rate, quick) {
            (0, quick) => scale.unwrap_or(if quick { QUICK } else { 1.0 }),
            (_, true) => QUICK_PACED,
            (_, false) => 1.0,
        };
        let load = row.load.scaled(share);
        let entries = entries(row, contestants, quick);
        let mut own = None;
        if !load.kafka {
            own = Some(Brokers::start(&load)?);
        } else if kafka.is_none() {
            let brokers = kafka.insert(Brokers::start(&load)?);
            warm_up(row, &load, &entries, brokers);
        }
        Ok(Self {
            row,
            load,
            quick,
            entries,
            own,
            codec: Vec::new(),
        })
    }

    /// Runs everybody once, but whoever is far behind.
    pub fn round(&mut self, round: usize, kafka: &mut Option<Brokers>) -> Result<()> {
        let Self { row, load, .. } = self;
        let brokers = self.own.as_mut().or(kafka.as_mut());
        let brokers = brokers.context("brokers were started")?;
        if row.asks_for_codec() {
            let ns = layers::codec_ns(load.compression, load.batch)?;
            self.codec.push(ns);
        }
        let behind = behind(row, &self.entries);
        for turn in 0..self.entries.len() {
            // Nobody always comes first, or after the same one.
            let index = (turn + round) % self.entries.len();
            let entry = &mut self.entries[index];
            // In a quick comparison, whoever is far behind is measured once.
            if self.quick && round > 0 && behind[index] {
                continue;
            }
            for run in 0..SHORT_RUNS {
                let topic = format!("{}-{round}-{index}-{run}", row.name);
                let begun = Instant::now();
                let result = entry.run(row, load, brokers, &topic);
                let took = begun.elapsed();
                let again = result.is_ok() && took <= SHORT;
                entry.keep(row, round, took, result);
                if !again {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What was measured, and what the codec took.
    pub fn end(self) -> (Vec<Cell>, Vec<f64>) {
        let mut cells: Vec<_> = self.entries.into_iter().map(|entry| entry.cell).collect();
        if self.load.compression != "none" {
            let load = &self.load;
            cells.iter_mut().for_each(|cell| must_compress(cell, load));
        }
        (cells, self.codec)
    }
}

/// One program in one way.
struct Entry<'a> {
    contestant: &'a Contestant,
    how: How<'a>,
    cell: Cell,
}

impl Entry<'_> {
    /// Runs it once; `load` is the row's, or a share of it.
    fn run(&self, row: &Row, load: &Load, brokers: &mut Brokers, topic: &str) -> Result<Outcome> {
        let warmup = match self.contestant.warms_up {
            true => load.warmup_compiled(),
            // Fewer records to measure need no less memory.
            false => row.load.warmup(),
        };
        measure(self.contestant, load, self.how, brokers, topic, warmup)
    }

    /// Keeps what became of a run, and says so.
    fn keep(&mut self, row: &Row, round: usize, took: Duration, result: Result<Outcome>) {
        let label = &self.cell.label;
        match result {
            Ok(outcome) => {
                let cpu = outcome.metric(Metric::Cpu).unwrap_or(0.0);
                let took = took.as_secs_f64();
                println!(
                    "  {round} {:<14} {label:<24} {cpu:>9.1} ns {took:>6.1} s",
                    row.name
                );
                self.cell.runs.push(outcome);
            }
            Err(error) => {
                println!("  {round} {:<14} {label:<24} {error:#}", row.name);
                self.cell.failures.push(format!("{error:#}"));
            }
        }
    }
}

/// Lets everybody send to a real Kafka once. It is compiled while it runs: else whoever comes first would measure that.
fn warm_up(row: &Row, load: &Load, entries: &[Entry<'_>], kafka: &mut Brokers) {
    for (index, entry) in entries.iter().enumerate() {
        let topic = format!("{}-warm-up-{index}", row.name);
        let result = entry.run(row, load, kafka, &topic);
        let failed = result.map_or_else(|error| format!(": {error:#}"), |_| String::new());
        println!("  warmed up by {}{failed}", entry.cell.label);
    }
}

/// Which peers are far behind the best one in all that this row's goals compare with it, or could not be measured.
fn behind(row: &Row, entries: &[Entry<'_>]) -> Vec<bool> {
    let cells: Vec<_> = entries.iter().map(|entry| entry.cell.clone()).collect();
    let goals = row.variants.iter().flat_map(|variant| variant.goals);
    let mut compared: Vec<_> = goals
        .filter_map(|goal| match goal {
            // A percentile differs more from run to run than the rest.
            Goal::AtMostBest(Metric::P99, _) => Some((Metric::P99, 2.0)),
            Goal::AtMostBest(Metric::Peak, _) => None,
            Goal::AtMostBest(metric, _) | Goal::AtLeastBest(metric, _) => Some((*metric, 1.6)),
            _ => None,
        })
        .collect();
    if compared.is_empty() {
        compared.push((Metric::Cpu, 1.6));
    }
    let far = |cell: &Cell, metric, times: f64| {
        let most = metric == Metric::Throughput;
        let (Some((best, _)), Some((own, ..))) = (best(&cells, metric, most), cell.median(metric))
        else {
            return true;
        };
        if most {
            own * times < best
        } else {
            own > times * best
        }
    };
    let far = |cell: &Cell| {
        let mut compared = compared.iter();
        cell.peer && compared.all(|(metric, times)| far(cell, *metric, *times))
    };
    cells.iter().map(far).collect()
}

/// A client that was told to compress and sent the bytes as they were has not done the work.
fn must_compress(cell: &mut Cell, load: &Load) {
    let wire = cell.median(Metric::Wire).map(|(median, ..)| median);
    if wire.is_some_and(|wire| wire > 0.9 * load.size as f64) {
        cell.rival = false;
        let failure = format!("it does not count: {} was not done", load.compression);
        cell.failures.push(failure);
    }
}

/// milena's variants first, in order; then the floor and the peers.
fn entries<'a>(row: &'a Row, contestants: &'a [Contestant], quick: bool) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let mut add = |contestant: &'a Contestant, label: String, how| {
        let peer = contestant.name != "milena" && contestant.name != "floor";
        entries.push(Entry {
            contestant,
            how,
            cell: Cell {
                label,
                peer,
                rival: peer,
                runs: Vec::new(),
                failures: Vec::new(),
            },
        });
    };
    for contestant in contestants {
        let how = How {
            api: "",
            each: row.load.each,
            best: false,
            patience: match contestant.name {
                "milena" => PATIENCE,
                _ if quick => QUICK_PATIENCE,
                _ => PATIENCE,
            },
        };
        match contestant.name {
            "milena" => {
                for variant in row.variants {
                    let each = variant.each || row.load.each;
                    add(
                        contestant,
                        format!("milena {}", variant.label()),
                        How {
                            api: variant.api,
                            each,
                            ..how
                        },
                    );
                }
            }
            "floor" if row.floor => add(contestant, "floor".to_owned(), how),
            "floor" => {}
            name if row.peers => {
                add(contestant, name.to_owned(), how);
                if row.best {
                    add(
                        contestant,
                        format!("{name} (best)"),
                        How { best: true, ..how },
                    );
                }
            }
            _ => {}
        }
    }
    entries
}
