//! `cargo xtask bench budgets`: what the public API may cost, measured against a broker in another process; and what the
//! whole pipeline takes, for `cargo xtask bench`.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::brokers::Brokers;
use super::rows::Load;
use super::table::ROWS;
use crate::run::{self, target};

/// Allocations of the whole process for a batch, between the records 200,000 and 1,000,000.
const ALLOCATIONS: f64 = 3.0;

/// A record's cost with 10,000 known partitions, 10 of them used, against that with 10 known.
const WIDTH: f64 = 1.1;

/// Rounds of the comparison by width. Both sides take turns, and their lower quartiles are compared: what else runs on
/// the machine adds to a time, and the least is a stroke of luck where the processor's speed changes.
const ROUNDS: usize = 30;

/// Measures both budgets; beyond one of them is an error.
pub fn main() -> Result<()> {
    build()?;
    let load = load()?;
    let mut beyond = Vec::new();

    let counted = ask(&load, 6, 6, true)?;
    let number = |name: &str| counted[name].as_f64().unwrap_or(f64::NAN);
    let each = number("allocations") / number("batches");
    println!(
        "allocations: {each:.3} a batch ({} in {} batches), {:.0} bytes a batch; at most {ALLOCATIONS}",
        number("allocations"),
        number("batches"),
        number("allocated_bytes") / number("batches")
    );
    if each.is_nan() || each > ALLOCATIONS {
        beyond.push(format!("{each:.3} allocations a batch"));
    }

    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (partitions, taken) in [(10, &mut narrow), (10_000, &mut wide)] {
            let counted = ask(&load, partitions, 10, false)?;
            taken.push(counted["cpu_ns"].as_f64().context("no CPU time")?);
        }
    }
    let [narrow, wide] = [narrow, wide].map(lower_quartile);
    println!(
        "10,000 partitions known, 10 used: {wide:.1} ns a record, against {narrow:.1} with 10 known: {:.2} \
         (lower quartiles of {ROUNDS} rounds); at most {WIDTH}",
        wide / narrow
    );
    if wide > WIDTH * narrow {
        beyond.push(format!(
            "{:.2} times the cost with 10,000 known partitions",
            wide / narrow
        ));
    }
    if !beyond.is_empty() {
        bail!("beyond the budget: {}", beyond.join(", "));
    }
    Ok(())
}

fn lower_quartile(mut taken: Vec<f64>) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken[taken.len() / 4]
}

/// Prints what the whole pipeline takes: the producer and what it does to talk to a broker.
pub fn pipeline() -> Result<()> {
    build()?;
    let counted = ask(&load()?, 6, 6, false)?;
    let number = |name: &str| counted[name].as_f64();
    let show = |number: Option<f64>, digits: usize| {
        number.map_or_else(|| "–".to_owned(), |number| format!("{number:.digits$}"))
    };
    let switches = number("switches").zip(number("records"));
    println!(
        "whole pipeline, 100 B to a broker in another process: {} ns a record, {} context switches per 1000 records, \
         peak memory {} MiB",
        show(number("cpu_ns"), 1),
        show(
            switches.map(|(switches, records)| switches * 1000.0 / records),
            2
        ),
        show(number("peak_kib").map(|peak| peak / 1024.0), 1),
    );
    Ok(())
}

fn build() -> Result<()> {
    run::run(&mut run::cargo(
        "build --release --package milena-benches --bin bench-broker --bin bench-budget",
    ))
}

fn load() -> Result<Load> {
    Ok(ROWS.first().context("there are rows")?.load)
}

/// One run of the public API against a broker of its own.
fn ask(load: &Load, partitions: i32, used: i32, allocations: bool) -> Result<Value> {
    let mut brokers = Brokers::start(load)?;
    brokers.create("budget", partitions)?;
    let mut command = Command::new(target().join("release/bench-budget"));
    command
        .arg(brokers.servers())
        .arg("budget")
        .arg(used.to_string());
    command.arg(if allocations { "allocations" } else { "cost" });
    let said = run::output(&mut command)?;
    let counted: Value = serde_json::from_str(said.trim())?;
    let arrived = brokers.count("budget")?;
    if counted["sent"].as_u64() != Some(arrived.records) {
        bail!(
            "{} records were sent, {} arrived",
            counted["sent"],
            arrived.records
        );
    }
    Ok(counted)
}
