//! What is left of a comparison: tables in Markdown, every run as JSON, plots.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::cell::{Cell, Failure, Measured, best, middle};
use super::expected;
use super::judge::{Verdict, name, short};
use super::measure::Outcome;
use super::rows::{Metric, Row};
use crate::run;

/// What is said about the comparison as a whole.
pub struct About {
    /// How it was started.
    pub command: String,
    /// Rounds per row, at the most.
    pub rounds: usize,
    /// Whether rows have fewer of them whose verdicts are plain.
    pub quick: bool,
    /// Who was left out, and why.
    pub skipped: super::contestants::Skipped,
}

/// The table of one row.
pub fn table(row: &Row, cells: &[Cell]) -> String {
    let mut out = format!("### {} — {}\n\n", row.name, row.about);
    let extras = extras(row);
    out.push_str("| client | CPU ns/record | least–most | user | system | of best peer | records/s | peak MiB | switches/1000 | bytes/record | records/batch |");
    for (heading, _) in &extras {
        let _ = write!(out, " {heading} |");
    }
    out.push_str("\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    out.push_str(&"--:|".repeat(extras.len()));
    out.push('\n');
    let least = best(cells, Metric::Cpu, false);
    for cell in cells {
        let _ = write!(out, "| {} |", cell.label);
        let Some((cpu, low, high)) = cell.median(Metric::Cpu) else {
            let why = cell.failures.first().map(Failure::to_string);
            let why = why.unwrap_or_else(|| "not measured".to_owned());
            let _ = writeln!(out, " {} ||||||||||", why.replace('|', "/"));
            continue;
        };
        let per = |field: &str, factor: f64| {
            let runs = cell
                .runs
                .iter()
                .map(|run| run.slope(field) * factor / run.slope("records"));
            middle(runs.collect()).map_or(0.0, |(median, ..)| median)
        };
        // Of the same runs as the median, so that both add up to it.
        let typical = cell.typical(Metric::Cpu);
        let part = |field: &str| {
            let runs = typical.iter();
            let figures = runs.map(|run| run.slope(field) * 1000.0 / run.slope("records"));
            figures.sum::<f64>() / typical.len() as f64
        };
        let show = |metric| {
            cell.median(metric)
                .map_or_else(|| "–".to_owned(), |(median, ..)| short(median))
        };
        let _ = write!(
            out,
            " {} | {}–{} | {} | {} | {} | {} | {} | {} | {} | {} |",
            short(cpu),
            short(low),
            short(high),
            short(part("user_us")),
            short(part("system_us")),
            least.map_or_else(
                || "–".to_owned(),
                |(least, _)| format!("{:.2}", cpu / least)
            ),
            show(Metric::Throughput),
            show(Metric::Peak),
            short(per("voluntary", 1000.0)),
            show(Metric::Wire),
            show(Metric::Batch),
        );
        for (_, extra) in &extras {
            let figures = cell.runs.iter().filter_map(|run| extra.of(run));
            let median = middle(figures.collect());
            let _ = write!(
                out,
                " {} |",
                median.map_or_else(|| "–".to_owned(), |(median, ..)| short(median))
            );
        }
        out.push('\n');
        for failure in &cell.failures {
            let _ = writeln!(
                out,
                "| ↳ {}: {} ||||||||||",
                cell.label,
                failure.to_string().replace('|', "/")
            );
        }
    }
    out
}

/// A column that only some rows have.
enum Extra {
    /// A percentile of latency.
    Latency(&'static str),
    /// A figure.
    Figure(Metric),
}

impl Extra {
    fn of(&self, run: &Outcome) -> Option<f64> {
        match self {
            Self::Latency(percentile) => run.latency(percentile),
            Self::Figure(metric) => run.metric(*metric),
        }
    }
}

/// A row's columns besides those of all rows.
fn extras(row: &Row) -> Vec<(&'static str, Extra)> {
    let mut extras = Vec::new();
    if row.load.rate > 0 {
        extras.push(("p50 ms", Extra::Latency("p50_us")));
        extras.push(("p99 ms", Extra::Latency("p99_us")));
        extras.push(("p99.9 ms", Extra::Latency("p999_us")));
    }
    if row.load.allocations {
        extras.push(("allocations/record", Extra::Figure(Metric::PerRecord)));
    }
    if row.load.brokers > 1 {
        extras.push((name(Metric::Others), Extra::Figure(Metric::Others)));
    }
    extras
}

/// The table of goals.
pub fn goals(verdicts: &[(String, String, Verdict)]) -> String {
    let mut out = "| row | how | goal | measured | |\n|---|---|---|---|---|\n".to_owned();
    for (row, how, verdict) in verdicts {
        let measured = verdict.measured.as_deref().unwrap_or("not measured");
        let met = match (&verdict.measured, verdict.is_met()) {
            (None, _) => "–",
            (_, true) if !verdict.all => "met, but not all were measured",
            (_, true) => "met",
            (_, false) => "**missed**",
        };
        let _ = writeln!(
            out,
            "| {row} | {how} | {} | {measured} | {met} |",
            verdict.goal
        );
    }
    out
}

/// Writes tables and every run into a folder.
pub fn write(
    dir: &Path,
    about: &About,
    rows: &[Row],
    measured: &Measured,
    verdicts: &[(String, String, Verdict)],
) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut text = format!("# milena beside its peers\n\n{}\n", machine());
    let fewer = match about.quick {
        true => ", two where all verdicts were plain by then",
        false => "",
    };
    let _ = writeln!(
        text,
        "Run by `{}`: {} rounds{fewer}, interleaved; medians.\n",
        about.command, about.rounds
    );
    for (name, why) in &about.skipped {
        let counts = match name.as_str() {
            "floor" => "",
            _ => ", and counts as not beaten",
        };
        let why = why.lines().next().unwrap_or("");
        let _ = writeln!(text, "- {name} was skipped{counts}: {why}");
    }
    text.push_str(
        "- rskafka is not idempotent and has no partitioner: it is given batches made by hand. Goals are measured against it all the same.\n",
    );
    let _ = writeln!(text, "- Versions: {}.", versions(measured));
    text.push_str(
        "- Settings, where a row does not say otherwise: idempotent, `acks=all`, five requests in flight, linger 5 ms, batches of 64 KiB, a buffer of 64 MiB, six partitions, one sending task on a runtime of one thread; records of random bytes. \"(best)\" is a client with its own best documented settings instead.\n",
    );
    let _ = writeln!(text, "\n## Goals\n\n{}", goals(verdicts));
    if let Some(ratios) = expected::table(measured) {
        let _ = writeln!(text, "## Ratios to franz-go, earlier and now\n\n{ratios}");
    }
    text.push_str("## Figures\n\n");
    let mut raw = Vec::new();
    for row in rows {
        let Some(cells) = measured.get(row.name) else {
            continue;
        };
        let _ = writeln!(text, "{}", table(row, cells));
        raw.push(json!({
            "row": row.name,
            "about": row.about,
            "load": format!("{:?}", row.load),
            "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        }));
    }
    fs::write(dir.join("results.md"), text)?;
    let raw = json!({ "command": about.command, "machine": machine(), "skipped": about.skipped, "rows": raw });
    fs::write(dir.join("results.json"), serde_json::to_vec_pretty(&raw)?)?;
    Ok(())
}

/// The clients that were measured, as they name themselves.
fn versions(measured: &Measured) -> String {
    let runs = measured.values().flatten().flat_map(|cell| &cell.runs);
    let named: BTreeSet<String> = runs
        .filter_map(|run| {
            let said = |field: &str| run.line[field].as_str();
            let note = said("note").map_or_else(String::new, |note| format!(" ({note})"));
            Some(format!("{} {}{note}", said("peer")?, said("version")?))
        })
        .collect();
    named.into_iter().collect::<Vec<_>>().join(", ")
}

/// Draws what was written into a folder.
pub fn plot(dir: &Path) {
    let mut command = run::cargo("run --release --locked --quiet --package peer-plot --");
    command.arg(dir.join("results.json")).arg(dir);
    command.current_dir(run::root().join("benches/peers"));
    command.env_remove("CARGO_TARGET_DIR");
    if let Err(error) = run::run(&mut command) {
        println!("no plots: {error:#}");
    }
}

fn cell(cell: &Cell) -> Value {
    let figure = |metric| {
        cell.median(metric)
            .map(|(median, low, high)| json!([median, low, high]))
    };
    json!({
        "label": cell.label,
        "peer": cell.peer,
        "rival": cell.rival,
        "cpu_ns": figure(Metric::Cpu),
        "records_per_s": figure(Metric::Throughput),
        "p99_ms": figure(Metric::P99),
        "peak_mib": figure(Metric::Peak),
        "others_per_s": figure(Metric::Others),
        "allocations_per_record": figure(Metric::PerRecord),
        "failures": cell.failures.iter().map(Failure::to_string).collect::<Vec<_>>(),
        "runs": cell.runs.iter().map(|run| json!({
            "line": run.line,
            "arrived": { "records": run.arrived.records, "bytes": run.arrived.bytes, "batches": run.arrived.batches },
            "others_per_s": run.metric(Metric::Others),
        })).collect::<Vec<_>>(),
    })
}

/// What it ran on.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = run::output(Command::new("uname").arg("-sr")).unwrap_or_default();
    let rust = run::output(Command::new("rustc").arg("--version")).unwrap_or_default();
    format!(
        "{cores} cores of {model}, {}, {}.",
        system.trim(),
        rust.trim()
    )
}
