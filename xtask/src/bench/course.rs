//! One row of `cargo xtask bench peers`, round by round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::brokers::Brokers;
use super::cell::{Cell, Failure, best, middle};
use super::contestants::{Contestant, Needs};
use super::layers;
use super::measure::{self, How, Outcome};
use super::rows::{Goal, Load, Metric, Row};

/// How much of a row is measured, and how long.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// The share of the row's records that is sent flat out, unless that takes less than `span`.
    flat: f64,
    /// The share that is sent at a rate: a run takes its time then, whoever sends.
    paced: f64,
    /// The least that the phases of a run take where it sends flat out: the shorter they are, the more chance is in them.
    span: Duration,
    /// How long Java is compiled before it is measured. Its cost still falls a little for some seconds more.
    compiling: Duration,
    /// How long a Rust peer warms up at the longest, and is measured then if that was not enough; zero is no limit.
    limit: Duration,
    /// How long a real Kafka is sent to before anything is measured; it is enough that everybody has done so once.
    kafka: Duration,
    /// The longest that a peer's run may take.
    patience: Duration,
}

impl Extent {
    /// How long a client is compiled before it is measured.
    fn compiling(&self, contestant: &Contestant) -> Duration {
        match contestant.needs {
            Needs::Compiler => self.compiling,
            Needs::Memory | Needs::Records => Duration::ZERO,
        }
    }
}

const WHOLE: Extent = Extent {
    flat: 1.0,
    paced: 1.0,
    span: Duration::from_millis(1500),
    compiling: Duration::from_secs(5),
    limit: Duration::ZERO,
    kafka: Duration::from_secs(120),
    patience: PATIENCE,
};

/// With `--quick`: a peer that takes longer is not the one to beat.
const QUICK: Extent = Extent {
    flat: 0.25,
    paced: 0.6,
    span: Duration::from_millis(400),
    compiling: Duration::from_secs(1),
    limit: Duration::from_millis(300),
    kafka: Duration::from_secs(8),
    patience: Duration::from_secs(5),
};

/// The longest that a run of milena's may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a real Kafka takes changes more from run to run: so many times the span, the limit and the patience.
const KAFKA_TIMES: u32 = 3;

/// The span with several brokers, in any comparison: what arrives between two answers of a slow one says little of the
/// others. No run that counts takes less than two thirds of it, which is four seconds.
const BROKERS_SPAN: Duration = Duration::from_secs(6);

/// A row that is being measured.
pub struct Course<'a> {
    row: &'a Row,
    load: Load,
    quick: bool,
    extent: Extent,
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
        let mut extent = if quick { QUICK } else { WHOLE };
        if row.load.brokers > 1 {
            extent.span = extent.span.max(BROKERS_SPAN);
        }
        let share = match row.load.rate {
            0 => scale.unwrap_or(extent.flat),
            _ => extent.paced,
        };
        let load = row.load.scaled(share);
        let entries = entries(row, load, contestants, extent, quick);
        let mut own = None;
        if !load.kafka {
            own = Some(Brokers::start(&load)?);
        } else if kafka.is_none() {
            let brokers = kafka.insert(Brokers::start(&load)?);
            warm_up(row, &entries, extent, brokers);
        }
        Ok(Self {
            row,
            load,
            quick,
            extent,
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
        let cells: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.cell.clone())
            .collect();
        let behind = behind(row, &cells);
        for turn in 0..self.entries.len() {
            // Nobody always comes first; who comes after whom stays the same.
            let index = (turn + round) % self.entries.len();
            let entry = &mut self.entries[index];
            // In a quick comparison, whoever is far behind is not measured again.
            if self.quick && behind[index] {
                continue;
            }
            let topic = format!("{}-{round}-{index}", row.name);
            let begun = Instant::now();
            let result = entry.run(row, self.extent, brokers, &topic);
            entry.keep(row, round, begun.elapsed(), result);
        }
        Ok(())
    }

    /// What was measured so far, and what the codec took: the median.
    pub fn so_far(&self) -> (Vec<Cell>, Option<f64>) {
        let entries = self.entries.iter();
        let mut cells: Vec<_> = entries.map(|entry| entry.cell.clone()).collect();
        if self.load.compression != "none" {
            let load = &self.load;
            cells.iter_mut().for_each(|cell| must_compress(cell, load));
        }
        let codec = middle(self.codec.clone());
        (cells, codec.map(|(median, ..)| median))
    }
}

/// One program in one way.
struct Entry<'a> {
    contestant: &'a Contestant,
    how: How<'a>,
    /// The row's, with as many records as this one is given.
    load: Load,
    /// How long it warms up at the longest: the extent's, or zero for none.
    limit: Duration,
    cell: Cell,
}

impl Entry<'_> {
    /// Runs it once.
    fn run(
        &self,
        row: &Row,
        extent: Extent,
        brokers: &mut Brokers,
        topic: &str,
    ) -> Result<Outcome> {
        let Self {
            contestant, load, ..
        } = self;
        let warm_up = measure::WarmUp {
            records: match contestant.needs {
                Needs::Records => load.warmup_long(),
                // Fewer records to measure need no less memory.
                Needs::Memory | Needs::Compiler => row.load.warmup(),
            },
            time: extent.compiling(contestant),
            limit: self.limit,
            span: match load.rate {
                // Once known, as many records take long enough; who is held to a limit sends fewer, by what it sent
                // until then.
                0 if self.cell.runs.is_empty() || !self.limit.is_zero() => {
                    extent.span * times(load)
                }
                _ => Duration::ZERO,
            },
        };
        measure::run(contestant, load, self.how, brokers, topic, warm_up)
    }

    /// Keeps what became of a run, and says so.
    fn keep(&mut self, row: &Row, round: usize, took: Duration, result: Result<Outcome>) {
        if let Ok(outcome) = &result
            && let Some(records) = outcome.line["phases"][0]["records"].as_u64()
        {
            // What was found to be enough is so in the next rounds too.
            self.load.records = records;
        }
        let label = &self.cell.label;
        match result {
            Ok(outcome) if !outcome.has_slope() => {
                let failure = "three times as many records took no longer: not measured";
                println!("  {round} {:<14} {label:<24} {failure}", row.name);
                let failure = Failure::Other(failure.to_owned());
                self.cell.failures.push(failure);
            }
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
                let failure = match error.downcast_ref() {
                    Some(late) => Failure::Late(*late),
                    None => Failure::Other(format!("{error:#}")),
                };
                self.cell.failures.push(failure);
            }
        }
    }
}

/// Lets everybody send to a real Kafka once, or as many as it takes for so long. It is compiled while it runs: else
/// whoever comes first would measure that.
fn warm_up(row: &Row, entries: &[Entry<'_>], extent: Extent, kafka: &mut Brokers) {
    let begun = Instant::now();
    for (index, entry) in entries.iter().enumerate() {
        if begun.elapsed() > extent.kafka {
            break;
        }
        let topic = format!("{}-warm-up-{index}", row.name);
        let result = entry.run(row, extent, kafka, &topic);
        let failed = result.map_or_else(|error| format!(": {error:#}"), |_| String::new());
        println!("  warmed up by {}{failed}", entry.cell.label);
    }
}

/// One run may have been chance: it is believed if it is so many times farther behind.
const DOUBT: f64 = 1.3;

/// Which peers are far behind the best one in all that this row's goals compare with it, or were not done in time, or
/// failed twice.
fn behind(row: &Row, cells: &[Cell]) -> Vec<bool> {
    let goals = row.variants.iter().flat_map(|variant| variant.goals);
    let mut compared: Vec<_> = goals
        .filter_map(|goal| match goal {
            // A percentile differs more from run to run than the rest.
            Goal::AtMostBest(Metric::P99, _) => Some((Metric::P99, 2.0)),
            // What is much the same in every run needs no other.
            goal if goal.is_exact() => None,
            Goal::AtMostBest(metric, _) | Goal::AtLeastBest(metric, _) => Some((*metric, 1.6)),
            _ => None,
        })
        .collect();
    if compared.is_empty() {
        compared.push((Metric::Cpu, 1.6));
    }
    let far = |cell: &Cell, metric, times: f64| {
        let most = metric == Metric::Throughput;
        let (Some((best, _)), Some((own, ..))) = (best(cells, metric, most), cell.median(metric))
        else {
            return true;
        };
        let times = match cell.runs.len() {
            1 => times * DOUBT,
            _ => times,
        };
        if most {
            own * times < best
        } else {
            own > times * best
        }
    };
    let far = |cell: &Cell| {
        let mut compared = compared.iter();
        // A real Kafka may have been what was slow.
        let late = matches!(cell.failures.last(), Some(Failure::Late(_))) && !row.load.kafka;
        let is_known = !cell.runs.is_empty() || cell.failures.len() > 1 || late;
        cell.peer && is_known && compared.all(|(metric, times)| far(cell, *metric, *times))
    };
    cells.iter().map(far).collect()
}

/// A client that was told to compress and sent the bytes as they were has not done the work.
fn must_compress(cell: &mut Cell, load: &Load) {
    let wire = cell.median(Metric::Wire).map(|(median, ..)| median);
    if wire.is_some_and(|wire| wire > 0.9 * load.size as f64) {
        cell.rival = false;
        let failure = format!("it does not count: {} was not done", load.compression);
        cell.failures.push(Failure::Other(failure));
    }
}

/// milena's variants first, in order; then the floor and the peers.
fn entries<'a>(
    row: &'a Row,
    load: Load,
    contestants: &'a [Contestant],
    extent: Extent,
    quick: bool,
) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let mut add = |contestant: &'a Contestant, label: String, how: How<'a>| {
        let peer = contestant.name != "milena" && contestant.name != "floor";
        let cell = Cell::new(label, peer, how.best);
        let limit = match contestant.needs {
            Needs::Memory if peer => extent.limit * times(&load),
            _ => Duration::ZERO,
        };
        entries.push(Entry {
            contestant,
            how,
            load,
            limit,
            cell,
        });
    };
    for contestant in contestants {
        let how = How {
            api: "",
            each: row.load.each,
            best: false,
            patience: patience(contestant, &load, extent),
        };
        let best = row.has_best(quick).then_some(How { best: true, ..how });
        match contestant.name {
            "milena" => {
                for variant in row.variants {
                    let (api, each) = (variant.api, variant.each || row.load.each);
                    let label = format!("milena {}", variant.label());
                    add(contestant, label, How { api, each, ..how });
                }
                if let (Some(best), Some(first)) = (best, row.variants.first()) {
                    let api = first.api;
                    add(contestant, "milena (best)".to_owned(), How { api, ..best });
                }
            }
            "floor" if row.floor => add(contestant, "floor".to_owned(), how),
            "floor" => {}
            name if row.peers => {
                add(contestant, name.to_owned(), how);
                if let Some(best) = best {
                    add(contestant, format!("{name} (best)"), best);
                }
            }
            _ => {}
        }
    }
    entries
}

/// How many times as long everything takes as with the embedded broker.
fn times(load: &Load) -> u32 {
    match load.kafka {
        true => KAFKA_TIMES,
        false => 1,
    }
}

/// The longest that a run may take.
fn patience(contestant: &Contestant, load: &Load, extent: Extent) -> Duration {
    let usual = match contestant.name {
        "milena" => PATIENCE,
        _ => extent.patience,
    };
    // What a run takes whoever sends: its schedule, to be compiled, and to get to know thousands of partitions.
    let paced = load.records.checked_div(load.rate).unwrap_or(0);
    usual * times(load)
        + extent.compiling(contestant)
        + Duration::from_secs(paced + load.partitions as u64 / 2000)
}

#[cfg(test)]
mod tests {
    use super::super::cell::tests::cell;
    use super::super::table::ROWS;
    use super::*;

    #[test]
    fn who_is_far_behind_is_not_measured_again() {
        let row = ROWS.iter().find(|row| row.name == "100B").unwrap();
        let mut failed = cell("java", &[]);
        failed.failures = vec![Failure::Other("it fell over".to_owned())];
        let mut cells = [
            cell("milena", &[70]),
            cell("rskafka", &[400]),
            cell("kacrab", &[400 * 2]),
            cell("krafka", &[400 * 3]),
            cell("franz-go", &[400 * 2, 400 * 2]),
            failed,
        ];
        let expected = [false, false, false, true, true, false];
        assert_eq!(behind(row, &cells), expected);
        let again = Failure::Other("and again".to_owned());
        cells[5].failures.push(again);
        assert!(behind(row, &cells)[5]);
    }

    #[test]
    fn who_compresses_best_is_not_measured_again_for_that() {
        let row = ROWS.iter().find(|row| row.name == "lz4").unwrap();
        let mut cells = [cell("rskafka", &[400]), cell("java", &[400 * 3])];
        for (cell, bytes) in cells.iter_mut().zip([450, 440]) {
            cell.runs[0].arrived.records = 1;
            cell.runs[0].arrived.bytes = bytes;
        }
        assert_eq!(behind(row, &cells), [false, true]);
    }
}
