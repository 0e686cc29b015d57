//! Other people's clients against the embedded broker: librdkafka, Java's console tools, Java's clients.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use xtask::kafka::java::Helper;
use xtask::kafka::resolve::Kafka;
use xtask::kafka::{VERSION, dump, python, resolve};
use xtask::run;

use crate::cells::Cells;
use crate::content::Shape;
use crate::java_writes::CODECS;
use crate::model::Model;

/// How many records each of them writes.
const RECORDS: usize = 5_000;

/// A cell for each client, and for librdkafka one for each codec.
pub(crate) fn run(cells: &mut Cells) -> Result<()> {
    let kafka = Kafka::resolve(VERSION)?;
    let python = python::resolve()?;
    let model = Model::start(3)?;
    let logs = resolve::home().join("clusters").join("suite-embedded");
    let mut helper = Helper::start_at(&kafka, &model.servers(), &logs)?;
    println!(
        "\nthe embedded broker, with three brokers at {}",
        model.servers()
    );
    for codec in CODECS {
        cells.run(&format!("embedded: librdkafka, {codec}"), || {
            librdkafka(&python, &model, &mut helper, codec)
        });
    }
    for release in ["2.1", "2.4", "2.8", "3.9", "4.0"] {
        cells.run(&format!("embedded as {release}: librdkafka"), || {
            let old = Model::start_as(3, release.parse()?)?;
            old.create("old", 4)?;
            write_and_read(&python, &old, "old", "zstd")
        });
    }
    cells.run("embedded: Java's console producer and consumer", || {
        console(&kafka, &model, &mut helper)
    });
    for codec in CODECS {
        cells.run(
            &format!("embedded: Java's producer and consumer, {codec}"),
            || java(&logs, &mut helper, codec),
        );
    }
    Ok(())
}

fn librdkafka(python: &Path, model: &Model, helper: &mut Helper, codec: &str) -> Result<String> {
    let topic = format!("librdkafka-{codec}");
    helper.create(&topic, 4, 3, &[])?;
    write_and_read(python, model, &topic, codec)
}

fn write_and_read(python: &Path, model: &Model, topic: &str, codec: &str) -> Result<String> {
    let mut command = Command::new(python);
    command
        .arg(run::root().join("xtask/suite/librdkafka.py"))
        .args([&model.servers(), topic, &RECORDS.to_string(), codec]);
    Ok(run::output(&mut command)?.trim().to_owned())
}

fn console(kafka: &Kafka, model: &Model, helper: &mut Helper) -> Result<String> {
    helper.create("console", 1, 3, &[])?;
    let lines: Vec<_> = (0..RECORDS)
        .map(|index| format!("key-{index}\tvalue-{index}"))
        .collect();
    let mut producer = kafka
        .java(None)
        .args([
            "org.apache.kafka.tools.ConsoleProducer",
            "--topic",
            "console",
            "--bootstrap-server",
        ])
        .args([&model.servers(), "--reader-property", "parse.key=true"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    producer
        .stdin
        .take()
        .context("it is piped")?
        .write_all(lines.join("\n").as_bytes())?;
    let output = producer.wait_with_output()?;
    ensure!(
        output.status.success(),
        "the producer failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    let mut consumer = kafka.java(None);
    consumer
        .arg("-Dmilena.log.target=SYSTEM_ERR")
        .args([
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--topic",
            "console",
            "--bootstrap-server",
        ])
        .args([
            &model.servers(),
            "--partition",
            "0",
            "--offset",
            "earliest",
            "--max-messages",
        ])
        .args([
            &RECORDS.to_string(),
            "--timeout-ms",
            "30000",
            "--formatter-property",
            "print.key=true",
        ]);
    let read = run::output(&mut consumer)?;
    let read: Vec<_> = read
        .lines()
        .filter(|line| line.starts_with("key-"))
        .collect();
    ensure!(
        read == lines,
        "{} lines were written, {} read, and they differ",
        lines.len(),
        read.len()
    );
    Ok(format!("{} lines", read.len()))
}

fn java(logs: &Path, helper: &mut Helper, codec: &str) -> Result<String> {
    let topic = format!("java-{codec}");
    helper.create(&topic, 4, 3, &[])?;
    let shape = Shape {
        seed: 3,
        keyed: true,
        headers: true,
    };
    let records: Vec<_> = (0..1_000)
        .map(|index| shape.record(index, index as usize % 2_000))
        .collect();
    let file = logs.join(format!("{topic}.dump"));
    dump::write_all(&file, &records)?;
    let places = helper.produce(&topic, &file, &[&format!("compression.type={codec}")])?;
    let read = helper.read(&topic, &file)?;
    ensure!(
        read == records.len() as u64,
        "{} were written, {read} read",
        records.len()
    );
    let mut by_place: std::collections::BTreeMap<_, _> =
        places.iter().copied().zip(&records).collect();
    dump::for_each(&file, |record| {
        let sent = by_place
            .remove(&(record.partition, record.offset))
            .with_context(|| {
                format!(
                    "nothing was written at {}/{}",
                    record.partition, record.offset
                )
            })?;
        let same = (&sent.key, &sent.value, &sent.headers)
            == (&record.key, &record.value, &record.headers);
        ensure!(same, "{}/{} differs", record.partition, record.offset);
        Ok(())
    })?;
    ensure!(
        by_place.is_empty(),
        "{} records are missing",
        by_place.len()
    );
    std::fs::remove_file(file)?;
    let producers = helper.producers(&topic, 0)?;
    Ok(format!(
        "{read} records; partition 0 knows {} producer",
        producers.len()
    ))
}
