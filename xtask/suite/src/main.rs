//! The suite against a real Kafka: what is written by milena is read by Java, and what Java writes by milena.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command line tool talks on the terminal"
)]

mod batch;
mod carry;
mod cells;
mod changing;
mod content;
mod disturbed;
mod facts;
mod forgotten;
mod java_writes;
mod matrix;
mod model;
mod others;
mod raw;
mod sequences;
mod session;
mod single;
mod topics;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use lexopt::{Arg, ValueExt};
use xtask::kafka::cluster::{Cluster, Guard, Spec};
use xtask::kafka::java::Helper;

use cells::Cells;
use model::Model;

/// The parts of the suite; `--only` names one. `--cell TEXT` runs the cells with this in their names.
const PARTS: &[&str] = &["facts", "embedded", "one", "three", "old"];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let mut only = Vec::new();
    let mut full = false;
    let mut cell = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("full") => full = true,
            Arg::Long("cell") => cell = Some(arguments.value()?.string()?),
            Arg::Long("only") => only.push(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(unknown) = only.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!(
            "there is no part `{unknown}`; there are {}",
            PARTS.join(", ")
        );
    }
    let wanted = |part: &str| only.is_empty() || only.iter().any(|one| one == part);
    let mut cells = Cells::with(cell);
    if wanted("facts") {
        facts::run(&mut cells)?;
    }
    if wanted("embedded") {
        others::run(&mut cells)?;
    }
    if wanted("one") {
        one(&mut cells, full)?;
    }
    if wanted("three") {
        three(&mut cells, full)?;
    }
    if wanted("old") {
        old(&mut cells)?;
    }
    Ok(cells.close())
}

/// Apache Kafka 4.3.1 with one broker.
fn one(cells: &mut Cells, full: bool) -> Result<()> {
    let (mut cluster, mut helper) = start(Spec::new("suite-one"))?;
    matrix::run(cells, &cluster.0, &mut helper, 1, counts(full));
    single::run(cells, &cluster.0, &mut helper, 1);
    java_writes::run(cells, &cluster.0, &mut helper, 1);
    changing::run(cells, &cluster.0, &mut helper, 1);
    forgotten::run(cells, &mut cluster.0);
    disturbed::run_alone(cells, &mut cluster.0, &mut helper, full);
    changing::disk(cells, &cluster.0);
    Ok(())
}

/// Apache Kafka 4.3.1 with three brokers.
fn three(cells: &mut Cells, full: bool) -> Result<()> {
    let (mut cluster, mut helper) = start(Spec {
        brokers: 3,
        ..Spec::new("suite-three")
    })?;
    let real = cluster.0.bootstrap_servers();
    let model = Model::start(3)?;
    sequences::run(cells, &real, &model.servers());
    matrix::run(cells, &cluster.0, &mut helper, 3, counts(full));
    single::run(cells, &cluster.0, &mut helper, 3);
    changing::run(cells, &cluster.0, &mut helper, 3);
    disturbed::run(cells, &mut cluster.0, &mut helper, full);
    changing::disk(cells, &cluster.0);
    Ok(())
}

fn counts(full: bool) -> matrix::Counts {
    if full { matrix::FULL } else { matrix::SMALL }
}

/// Apache Kafka 3.9.1.
fn old(cells: &mut Cells) -> Result<()> {
    let (cluster, mut helper) = start(Spec {
        version: "3.9.1".to_owned(),
        ..Spec::new("suite-old")
    })?;
    matrix::run(cells, &cluster.0, &mut helper, 1, matrix::TINY);
    java_writes::run(cells, &cluster.0, &mut helper, 1);
    Ok(())
}

fn start(spec: Spec) -> Result<(Guard, Helper)> {
    println!(
        "\nApache Kafka {} with {} brokers",
        spec.version, spec.brokers
    );
    if let Some(mut cluster) = Cluster::open(&spec.name)? {
        // Left by a run that was killed.
        cluster.down()?;
    }
    let cluster = Guard(Cluster::up(spec)?);
    let helper = Helper::start(&cluster.0)?;
    Ok((cluster, helper))
}

/// Milliseconds since 1970.
fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
