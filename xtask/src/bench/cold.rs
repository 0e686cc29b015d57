//! What it costs to build a program from nothing that depends on a client.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::cell::middle;
use super::judge::{Verdict, short};
use crate::run::{self, root, target};

/// The row's name on the command line.
pub const NAME: &str = "cold-build";

/// What the row is.
pub const ABOUT: &str =
    "a cold release build of a program that depends on the client, default features";

/// The most CPU time, as a share of the lightest peer's.
const MOST_CPU: f64 = 0.75;

/// The most crates that milena may bring, itself included.
const MOST_CRATES: usize = 45;

/// Builds each by turns, `rounds` times, and compares the medians.
pub fn judge(rounds: usize) -> Verdict {
    compare(rounds).unwrap_or_else(|error| {
        println!("{NAME}: {error:#}");
        Verdict {
            goal: goal(),
            measured: None,
            share: None,
            all: false,
        }
    })
}

fn goal() -> String {
    format!("CPU time ≤ {MOST_CPU} of the lightest peer's, ≤ {MOST_CRATES} crates")
}

fn compare(rounds: usize) -> Result<Verdict> {
    let milena = format!(
        "milena = {{ path = \"{}\" }}",
        root().join("crates/milena").display()
    );
    let own = ("milena", milena.as_str());
    let peers = [
        ("partitionline", "partitionline = \"=0.1.0\""),
        ("rdkafka", "rdkafka = \"=0.39.0\""),
    ];
    let mut failed = BTreeSet::new();
    let mut own_seconds = Vec::new();
    let mut peer_seconds = peers.map(|_| Vec::new());
    for _ in 0..rounds {
        own_seconds.push(build(own)?);
        for (peer, seconds) in peers.iter().zip(&mut peer_seconds) {
            match build(*peer) {
                Ok(took) => seconds.push(took),
                Err(error) => {
                    println!("{} is skipped: {error:#}", peer.0);
                    failed.insert(peer.0);
                }
            }
        }
    }
    let (own, ..) = middle(own_seconds).context("no round was asked for")?;
    let lightest = peers
        .iter()
        .zip(peer_seconds)
        .filter_map(|((name, _), seconds)| Some((middle(seconds)?.0, *name)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let (least, name) = lightest.context("no peer could be built")?;
    let share = own / least;
    let crates = crates()?;
    let mut missing = Vec::from_iter(failed).join(", ");
    if !missing.is_empty() {
        missing.insert_str(0, " — not built: ");
    }
    Ok(Verdict {
        goal: goal(),
        measured: Some(format!(
            "{share:.2} ({} s against {} s of {name}), {crates} crates{missing}",
            short(own),
            short(least)
        )),
        share: Some((share / MOST_CPU).max(crates as f64 / MOST_CRATES as f64)),
        all: missing.is_empty(),
    })
}

/// Seconds of CPU, user and system, of the whole build.
fn build((name, dependency): (&str, &str)) -> Result<f64> {
    let dir = target().join("bench/cold").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("src"))?;
    fs::write(dir.join("src/main.rs"), "fn main() {}\n")?;
    let manifest = format!(
        "[package]\nname = \"cold-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}\n\n[workspace]\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest)?;
    let fetch = "cargo fetch --quiet";
    run::output(Command::new("bash").args(["-c", fetch]).current_dir(&dir))?;
    let script = "TIMEFORMAT='%U %S'; time cargo build --release --quiet --offline 2>&1";
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("exec 2>&1; {script}")])
        .current_dir(&dir);
    command.env("CARGO_TARGET_DIR", dir.join("target"));
    let said = run::output(&mut command)?;
    let line = said.lines().last().context("bash said no times")?;
    let seconds = line
        .split_whitespace()
        .filter_map(|part| part.parse::<f64>().ok())
        .sum();
    println!("  cold build with {name}: {seconds:.0} s of CPU");
    fs::remove_dir_all(dir.join("target"))?;
    Ok(seconds)
}

fn crates() -> Result<usize> {
    let mut command = run::cargo("tree --edges normal --prefix none --no-dedupe --package milena");
    let tree = run::output(&mut command)?;
    let mut names: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(" (").next())
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.len())
}
