//! `cargo xtask bench peers`: milena beside every client that a user would pick instead.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use super::brokers::Brokers;
use super::contestants::{self, Contestant};
use super::judge::{Cell, Measured, best, judge, middle};
use super::measure::{How, Outcome, run as measure};
use super::report;
use super::rows::{Goal, Load, Metric, Row, Variant};
use super::table::ROWS;
use super::{cold, layers};
use crate::run::target;

/// The share of records that `--quick` sends where it sends flat out.
const QUICK: f64 = 0.4;

/// The same where it sends at a rate: a run takes its time then, whoever sends.
const QUICK_PACED: f64 = 0.6;

/// The longest that a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The same for a peer with `--quick`: who takes longer is not the one to beat.
const QUICK_PATIENCE: Duration = Duration::from_secs(8);

struct Options {
    quick: bool,
    rows: Vec<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    out: PathBuf,
    /// Numbers of records are multiplied by this, unless they are paced.
    scale: Option<f64>,
    command: String,
}

/// Reads the command line and runs.
pub fn main(mut arguments: Parser) -> Result<()> {
    let mut options = Options {
        quick: false,
        rows: Vec::new(),
        only: None,
        rounds: 0,
        out: target().join("bench/peers"),
        scale: None,
        command: "cargo xtask bench peers".to_owned(),
    };
    for word in std::env::args().skip(3) {
        options.command.push(' ');
        options.command.push_str(&word);
    }
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("quick") => options.quick = true,
            Arg::Long("row") => options.rows.push(arguments.value()?.string()?),
            Arg::Long("only") => {
                let names = arguments.value()?.string()?;
                options.only = Some(names.split(',').map(str::to_owned).collect());
            }
            Arg::Long("rounds") => options.rounds = arguments.value()?.parse()?,
            Arg::Long("scale") => options.scale = Some(arguments.value()?.parse()?),
            Arg::Long("out") => options.out = std::path::absolute(arguments.value()?)?,
            Arg::Long("list") => {
                for row in ROWS {
                    println!("{:<14} {}", row.name, row.about);
                }
                println!("{:<14} {}", cold::NAME, cold::ABOUT);
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.quick { 3 } else { 5 };
    }
    compare(&options)
}

fn compare(options: &Options) -> Result<()> {
    let named = |name: &str| options.rows.iter().any(|row| row == name);
    for name in &options.rows {
        if name != cold::NAME && !ROWS.iter().any(|row| row.name == name) {
            bail!("there is no row `{name}`; --list names them all");
        }
    }
    let rows: Vec<&Row> = ROWS
        .iter()
        .filter(|row| match options.rows.is_empty() {
            true => row.quick || !options.quick,
            false => named(row.name),
        })
        .collect();
    let (contestants, skipped) = contestants::build(options.only.as_deref())?;
    let about = report::About {
        command: options.command.clone(),
        rounds: options.rounds,
        skipped,
    };
    let mut measured = Measured::new();
    let mut codecs = BTreeMap::new();
    let mut kafka = None;
    for row in &rows {
        match measure_row(row, &contestants, options, &mut kafka) {
            Ok((cells, codec)) => {
                println!("\n{}", report::table(row, &cells));
                codecs.extend(middle(codec).map(|(median, ..)| (row.name, median)));
                measured.insert(row.name, cells);
                // What is measured stays, whatever becomes of the rows that follow.
                report::write(&options.out, &about, &rows, &measured, &[])?;
            }
            Err(error) => println!("\n{}: {error:#}", row.name),
        }
    }
    let mut verdicts = Vec::new();
    for row in &rows {
        for (index, variant) in row.variants.iter().enumerate() {
            for goal in variant.goals {
                let codec = codecs.get(row.name).copied();
                let verdict = judge(goal, row, index, &measured, codec);
                verdicts.push((row.name.to_owned(), label(variant), verdict));
            }
        }
    }
    if named(cold::NAME) || (options.rows.is_empty() && !options.quick) {
        verdicts.push((
            cold::NAME.to_owned(),
            "default features".to_owned(),
            cold::judge(options.rounds)?,
        ));
    }
    println!("\n{}", report::goals(&verdicts));
    report::write(&options.out, &about, &rows, &measured, &verdicts)?;
    report::plot(&options.out);
    println!("written to {}", options.out.display());
    Ok(())
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
    fn keep(&mut self, round: usize, took: Duration, result: Result<Outcome>) {
        let label = &self.cell.label;
        match result {
            Ok(outcome) => {
                let cpu = outcome.metric(Metric::Cpu).unwrap_or(0.0);
                let took = took.as_secs_f64();
                println!("  {round} {label:<24} {cpu:>9.1} ns {took:>6.1} s");
                self.cell.runs.push(outcome);
            }
            Err(error) => {
                println!("  {round} {label:<24} {error:#}");
                self.cell.failures.push(format!("{error:#}"));
            }
        }
    }
}

/// Measures a row; `kafka` is the real one, as soon as a row has wanted it. Also returns what its codec itself took for
/// a record, once in each round, if a goal asks for that.
fn measure_row(
    row: &Row,
    contestants: &[Contestant],
    options: &Options,
    kafka: &mut Option<Brokers>,
) -> Result<(Vec<Cell>, Vec<f64>)> {
    let share = match (row.load.rate, options.quick) {
        (0, quick) => options.scale.unwrap_or(if quick { QUICK } else { 1.0 }),
        (_, true) => QUICK_PACED,
        (_, false) => 1.0,
    };
    let load = row.load.scaled(share);
    println!("\n{}: {}", row.name, row.about);
    let mut entries = entries(row, contestants, options.quick);
    let begun = Instant::now();
    let mut own;
    let brokers = match (load.kafka, &mut *kafka) {
        (true, Some(kafka)) => kafka,
        (true, kafka) => {
            let kafka = kafka.insert(Brokers::start(&load)?);
            warm_up(row, &load, &entries, kafka);
            kafka
        }
        (false, _) => {
            own = Brokers::start(&load)?;
            &mut own
        }
    };
    let mut codec = Vec::new();
    for round in 0..options.rounds {
        if row.asks_for_codec() {
            codec.push(layers::codec_ns(load.compression, load.batch)?);
        }
        let behind = behind(row, &entries);
        for turn in 0..entries.len() {
            // Nobody always comes first, or after the same one.
            let index = (turn + round) % entries.len();
            let entry = &mut entries[index];
            // In a quick comparison, whoever is far behind is measured once.
            if options.quick && round > 0 && behind[index] {
                continue;
            }
            let topic = format!("{}-{round}-{index}", row.name);
            let begun = Instant::now();
            let result = entry.run(row, &load, brokers, &topic);
            entry.keep(round, begun.elapsed(), result);
        }
    }
    let mut cells: Vec<_> = entries.into_iter().map(|entry| entry.cell).collect();
    if load.compression != "none" {
        cells.iter_mut().for_each(|cell| must_compress(cell, &load));
    }
    println!("  {:.0} s", begun.elapsed().as_secs_f64());
    Ok((cells, codec))
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
                        format!("milena {}", label(variant)),
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

/// A variant in words.
fn label(variant: &Variant) -> String {
    let how = match variant.api {
        "handle" => "by handle",
        "many" => "send_many",
        "name" => "by name",
        "bytes" => "shared bytes",
        other => other,
    };
    match variant.each {
        true => format!("{how}, awaited"),
        false => how.to_owned(),
    }
}
