//! `cargo xtask bench budgets`: what the public API may cost, measured against a broker in another process; and what the
//! whole pipeline takes, for `cargo xtask bench`.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::brokers::Brokers;
use super::cell::middle;
use super::rows::Load;
use super::table::ROWS;
use crate::run::{self, target};

/// Allocations of the whole process for a batch, between the records 200,000 and 1,000,000.
const ALLOCATIONS: f64 = 3.0;

/// A record's cost with 10,000 known partitions, 10 of them used, against that with 10 known.
const WIDTH: f64 = 1.1;

/// Rounds of the comparison by width. A round is one run of either side, close together, the order turned round from
/// round to round; the median of their ratios is what counts. What else runs on the machine, and a change of the
/// processor's speed, meets both sides of a round, and the median leaves out where it met one. Over 120 rounds the
/// ratio of 90 drawn at random had a deviation of 0.02, that of the sides' lower quartiles over 30 one of 0.05.
const ROUNDS: usize = 90;

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

    let cost = |partitions| -> Result<f64> {
        let counted = ask(&load, partitions, 10, false)?;
        counted["cpu_ns"].as_f64().context("no CPU time")
    };
    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            narrow.push(cost(10)?);
            wide.push(cost(10_000)?);
        } else {
            wide.push(cost(10_000)?);
            narrow.push(cost(10)?);
        }
    }
    let ratios = wide.iter().zip(&narrow).map(|(wide, narrow)| wide / narrow);
    let (width, ..) = middle(ratios.collect()).context("no rounds")?;
    let [(wide, ..), (narrow, ..)] = [
        middle(wide).context("no rounds")?,
        middle(narrow).context("no rounds")?,
    ];
    println!(
        "10,000 partitions known, 10 used: {wide:.1} ns a record, against {narrow:.1} with 10 known: {width:.2} \
         (medians of {ROUNDS} rounds); at most {WIDTH}"
    );
    if width.is_nan() || width > WIDTH {
        beyond.push(format!(
            "{width:.2} times the cost with 10,000 known partitions"
        ));
    }
    if !beyond.is_empty() {
        bail!("beyond the budget: {}", beyond.join(", "));
    }
    Ok(())
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
