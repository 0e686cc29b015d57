//! Who is measured: milena, the floor and the peers; each is built here, or left out with a word.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kafka::resolve::Kafka;
use crate::run::{self, root, target};

/// A program that understands the common command line.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    command: Vec<PathBuf>,
    /// What it needs before it runs as fast as it can.
    pub needs: Needs,
}

/// What a program needs before it runs as fast as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Its memory.
    Memory,
    /// As many records as are measured.
    Records,
    /// To be compiled while it runs, which takes some seconds, however many records it sends.
    Compiler,
}

impl Contestant {
    /// Its program, to be given arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        command
    }
}

/// A Rust peer: its name, its package, its program.
const RUST: &[(&str, &str, &str)] = &[
    ("milena", "peer-milena", "peer-milena"),
    ("floor", "peer-floor", "peer-floor"),
    ("kacrab", "peer-kacrab", "peer-kacrab"),
    ("confluent-kafka", "peer-confluent", "peer-confluent"),
    ("krafka", "peer-krafka", "peer-krafka"),
    ("partitionline", "peer-partitionline", "peer-partitionline"),
    ("rskafka", "peer-rskafka", "peer-rskafka"),
    ("rdkafka-threaded", "peer-rdkafka", "peer-rdkafka-threaded"),
    ("rdkafka-future", "peer-rdkafka", "peer-rdkafka-future"),
];

/// Who was left out, and why.
pub type Skipped = Vec<(String, String)>;

/// Builds who is wanted (all with `None`); who cannot be built is named with the reason.
pub fn build(only: Option<&[String]>) -> Result<(Vec<Contestant>, Skipped)> {
    run::run(&mut run::cargo(
        "build --release --package milena-benches --bin bench-broker --bin bench-layer",
    ))?;
    let names = || {
        RUST.iter()
            .map(|(name, ..)| *name)
            .chain(["franz-go", "java"])
    };
    if let Some(other) = only
        .into_iter()
        .flatten()
        .find(|one| names().all(|name| name != *one))
    {
        let names: Vec<_> = names().collect();
        bail!("there is no peer `{other}`: {}", names.join(", "));
    }
    let (mut built, mut skipped) = (Vec::new(), Vec::new());
    let mut left_out = Skipped::new();
    let mut wanted = |name: &str| {
        let named = only.is_none_or(|only| only.iter().any(|one| one == name));
        if !named && name != "milena" {
            left_out.push((name.to_owned(), "left out by --only".to_owned()));
            return false;
        }
        true
    };
    let mut take = |name: &'static str, needs, made: Result<Vec<PathBuf>>| match made {
        Ok(command) => built.push(Contestant {
            name,
            command,
            needs,
        }),
        Err(error) => {
            println!("{name} is skipped: {error:#}");
            skipped.push((name.to_owned(), format!("{error:#}")));
        }
    };
    for (name, package, program) in RUST.iter().filter(|(name, ..)| wanted(name)) {
        take(name, Needs::Memory, rust(package, program));
    }
    if wanted("franz-go") {
        take("franz-go", Needs::Records, franz_go());
    }
    if wanted("java") {
        take("java", Needs::Compiler, java());
    }
    if let Some((_, why)) = skipped.iter().find(|(name, _)| name == "milena") {
        bail!("milena cannot be built: {why}");
    }
    skipped.append(&mut left_out);
    Ok((built, skipped))
}

fn rust(package: &str, program: &str) -> Result<Vec<PathBuf>> {
    let peers = root().join("benches/peers");
    let mut command = run::cargo("build --release --locked --package");
    command.arg(package).current_dir(&peers);
    command.env_remove("CARGO_TARGET_DIR");
    run::run(&mut command)?;
    Ok(vec![peers.join("target/release").join(program)])
}

fn franz_go() -> Result<Vec<PathBuf>> {
    run::probe(Path::new("go"), "version")?
        .context("Go was not found (https://go.dev, or apt install golang)")?;
    let program = target().join("bench/peer-franz-go");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&program).arg(".");
    command.current_dir(root().join("benches/peers/franz-go"));
    run::run(&mut command)?;
    Ok(vec![program])
}

fn java() -> Result<Vec<PathBuf>> {
    let kafka = Kafka::resolve(crate::kafka::VERSION)?;
    let classes = target().join("bench/java");
    let libs = kafka.libs().join("*");
    let mut compiler = Command::new(kafka.javac());
    compiler.arg("-d").arg(&classes).arg("-cp").arg(&libs);
    compiler.arg(root().join("benches/peers/java/Peer.java"));
    run::run(&mut compiler)?;
    // The default collector; only the heap is bounded, so that peaks can be compared.
    let java = kafka.java(Some(&classes));
    let mut command = vec![PathBuf::from(java.get_program())];
    let arguments = java
        .get_args()
        .filter(|argument| *argument != "-XX:+UseSerialGC");
    command.extend(arguments.map(PathBuf::from));
    command.extend(["-Xmx512m", "Peer"].map(PathBuf::from));
    Ok(command)
}
