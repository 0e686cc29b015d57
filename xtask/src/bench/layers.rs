//! milena's layers alone: instructions a record, compared with the figures that are kept; allocations; times.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser};

use super::table::ROWS;
use super::{budgets, payload};
use crate::run::{self, root, target};

/// How far a figure may be from the one that is kept.
const TOLERANCE: f64 = 0.02;

/// Units of the shorter of two runs; the longer has three times as many.
const UNITS: u64 = 100_000;

/// Where the figures are kept.
fn kept_file() -> PathBuf {
    root().join("benches/instructions.toml")
}

fn program() -> PathBuf {
    target().join("release/bench-layer")
}

fn build() -> Result<()> {
    run::run(&mut run::cargo(
        "build --release --package milena-benches --bin bench-layer",
    ))
}

/// The layers and what is counted of each.
fn list() -> Result<Vec<(String, String)>> {
    let said = run::output(Command::new(program()).arg("--list"))?;
    let pairs = said.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(name, unit)| (name.to_owned(), unit.to_owned()))
        .collect())
}

/// `cargo xtask bench gate`: instructions of every layer against the figures that are kept; `--update` keeps anew.
pub fn gate(mut arguments: Parser) -> Result<()> {
    let mut update = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("update") => update = true,
            other => return Err(other.unexpected().into()),
        }
    }
    need_valgrind()?;
    build()?;
    let kept = read_kept(&kept_file())?;
    let mut counted = Vec::new();
    let mut wrong = Vec::new();
    println!(
        "{:<18} {:>12} {:>12} {:>8}",
        "layer", "instructions", "kept", ""
    );
    for (name, unit) in list()? {
        let found = instructions(&name)?;
        let before = kept.get(&name).copied();
        let change = before.map(|before| found / before - 1.0);
        let words = change.map_or_else(
            || "new".to_owned(),
            |change| format!("{:+.1} %", change * 100.0),
        );
        let before = before.map_or_else(|| "–".to_owned(), |before| format!("{before:.1}"));
        println!("{name:<18} {found:>12.1} {before:>12} {words:>8}  per {unit}");
        if change.is_none_or(|change| change.abs() > TOLERANCE) {
            wrong.push(format!("{name}: {words}"));
        }
        counted.push((name, unit, found));
    }
    if update {
        fs::write(kept_file(), text(&counted)?)?;
        println!("kept in {}", kept_file().display());
        return Ok(());
    }
    if !wrong.is_empty() {
        bail!(
            "instructions differ by more than {} %: {}\na change that is meant is kept by `cargo xtask bench gate --update`, in a commit of its own that says why",
            TOLERANCE * 100.0,
            wrong.join(", ")
        );
    }
    Ok(())
}

/// Instructions of one unit, by the slope between two runs, so that start-up does not count.
fn instructions(layer: &str) -> Result<f64> {
    let (few, many) = (callgrind(layer, UNITS)?, callgrind(layer, 3 * UNITS)?);
    Ok((many - few) as f64 / (2 * UNITS) as f64)
}

/// Instructions of a whole run, as callgrind counts them.
fn callgrind(layer: &str, units: u64) -> Result<u64> {
    let out = target().join("bench/callgrind.out");
    if let Some(parent) = out.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program()).args([layer, &units.to_string()]);
    run::output(&mut command)?;
    let text = fs::read_to_string(&out)?;
    let totals = text.lines().rev().find_map(|line| {
        line.strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "))
    });
    let totals = totals.with_context(|| format!("no totals in {}", out.display()))?;
    Ok(totals.split_whitespace().next().unwrap_or("").parse()?)
}

fn need_valgrind() -> Result<()> {
    if run::probe(Path::new("valgrind"), "--version")?.is_none() {
        bail!("valgrind was not found (Debian: apt install valgrind)");
    }
    Ok(())
}

/// `name = number` lines below `[instructions]`.
fn read_kept(file: &Path) -> Result<BTreeMap<String, f64>> {
    let Ok(text) = fs::read_to_string(file) else {
        return Ok(BTreeMap::new());
    };
    let lines = text
        .lines()
        .filter_map(|line| line.split('#').next()?.split_once('='));
    lines
        .map(|(name, value)| {
            let value = value.trim().parse();
            let value = value.with_context(|| format!("{}: {name}", file.display()))?;
            Ok((name.trim().to_owned(), value))
        })
        .collect()
}

fn text(counted: &[(String, String, f64)]) -> Result<String> {
    let mut out = "# Instructions of each layer, counted by callgrind; `cargo xtask bench gate` compares with them.\n\
                   # They belong to the newest stable compiler. A change is a commit of its own that says why.\n\n\
                   [instructions]\n"
        .to_owned();
    for (name, unit, instructions) in counted {
        writeln!(out, "{name} = {instructions:.1} # per {unit}")?;
    }
    Ok(out)
}

/// `cargo xtask bench`: allocations, what the whole pipeline takes, instructions where valgrind is, times by criterion.
pub fn all() -> Result<()> {
    build()?;
    println!(
        "{:<18} {:>16} {:>16}",
        "layer", "allocations/1000", "bytes/unit"
    );
    for (name, unit) in list()? {
        let units = 200_000;
        let mut command = Command::new(program());
        let said = run::output(command.args(["--allocations", &name, &units.to_string()]))?;
        let mut numbers = said
            .split_whitespace()
            .filter_map(|number| number.parse::<f64>().ok());
        let (calls, bytes) = (numbers.next().unwrap_or(0.0), numbers.next().unwrap_or(0.0));
        let units = f64::from(units);
        println!(
            "{name:<18} {:>16.2} {:>16.2}  per {unit}",
            calls / units * 1000.0,
            bytes / units
        );
    }
    budgets::pipeline()?;
    match need_valgrind() {
        Ok(()) => {
            for (name, unit) in list()? {
                let instructions = instructions(&name)?;
                println!("{name:<18} {instructions:>16.1} instructions per {unit}");
            }
        }
        Err(error) => println!("instructions are left out: {error:#}"),
    }
    run::run(&mut run::cargo(
        "bench --package milena-benches --bench layers",
    ))
}

/// Nanoseconds that a codec itself takes for a 1 KiB record of the compressed rows.
pub fn codec_ns(codec: &str, batch: usize) -> Result<f64> {
    let row = ROWS
        .iter()
        .find(|row| row.load.json)
        .context("a row with JSON")?;
    let mut command = Command::new(program());
    command
        .args(["--codec", codec])
        .arg(payload::file(&row.load)?);
    command.args([row.load.size.to_string(), batch.to_string()]);
    Ok(run::output(&mut command)?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let counted = [("append".to_owned(), "record".to_owned(), 123.45)];
        let file = std::env::temp_dir().join(format!("milena-kept-{}", std::process::id()));
        fs::write(&file, text(&counted).unwrap()).unwrap();
        let kept = read_kept(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(kept.get("append"), Some(&123.5));
        assert_eq!(kept.len(), 1);
    }
}
