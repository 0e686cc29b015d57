//! The facts about Kafka that are kept in the repository for runs without Java, made anew and compared.

use std::fs;

use anyhow::{Context, Result, ensure};
use xtask::kafka::VERSION;
use xtask::kafka::resolve::Kafka;
use xtask::{run, schema};

use crate::cells::Cells;

/// Java programs that print what a fixture holds, and the fixture.
const PRINTED: &[(&str, &str)] = &[
    (
        "crates/milena-wire/tests/java/Bytes.java",
        "crates/milena-wire/tests/fixtures/kafka-4.3.1.txt",
    ),
    (
        "crates/milena-wire/tests/java/Numbers.java",
        "crates/milena-wire/tests/fixtures/numbers-4.3.1.txt",
    ),
];

/// The cells; they need no cluster.
pub(crate) fn run(cells: &mut Cells) -> Result<()> {
    println!("\nfacts made anew from the jars of Apache Kafka {VERSION}");
    let kafka = Kafka::resolve(VERSION)?;
    cells.run("facts: schemas of messages", || {
        let fields = schema::compare(&kafka.clients_jar())?;
        Ok(format!("{fields} fields as the jar has them"))
    });
    for (program, fixture) in PRINTED {
        cells.run(&format!("facts: {program}"), || {
            printed(&kafka, program, fixture)
        });
    }
    cells.run("facts: record batches, both ways", || {
        let mut test = run::cargo("test --quiet --package milena-record --test java -- --ignored");
        test.env("KAFKA_LIBS", kafka.libs());
        let said = run::output(&mut test)?;
        let line = said
            .lines()
            .find(|line| line.starts_with("test result: ok."))
            .context("no test ran")?;
        ensure!(!line.contains(" 0 passed"), "no test ran");
        Ok("Kafka's classes read our batches, and we theirs".to_owned())
    });
    Ok(())
}

fn printed(kafka: &Kafka, program: &str, fixture: &str) -> Result<String> {
    let root = run::root();
    let made = run::output(kafka.java(None).arg(root.join(program)))?;
    let kept = fs::read_to_string(root.join(fixture))?;
    for (number, (made, kept)) in made.lines().zip(kept.lines()).enumerate() {
        ensure!(
            made == kept,
            "{fixture}:{}:\n  kept: {kept}\n  made: {made}",
            number + 1
        );
    }
    let lines = made.lines().count();
    ensure!(
        lines == kept.lines().count(),
        "{fixture} has another number of lines than the {lines} made"
    );
    Ok(format!("{lines} lines as {fixture} has them"))
}
