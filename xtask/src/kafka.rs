//! `cargo xtask kafka`: a real Apache Kafka on loopback, and what is tested against it.

pub mod ask;
pub mod cluster;
pub mod dump;
pub mod java;
pub mod process;
pub mod python;
pub mod resolve;
mod settings;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use cluster::{Cluster, Spec};
use java::Helper;

/// The version that is meant when none is named.
pub const VERSION: &str = "4.3.1";

/// The cluster that the commands speak of when they are given no name.
const NAME: &str = "default";

const USAGE: &str = "cargo xtask kafka <what>

  up [--brokers 1|3] [--version V] [--set key=value]…   start a cluster on free loopback ports
  down                                                  stop it; its logs stay
  status                                                its addresses, processes and logs
  restart <node>                                        stop one broker cleanly and start it again
  kill <node>                                           end one broker with SIGKILL
  move <topic> <partition> <node>                       make a broker the leader of a partition
  java <word>…                                          one command for the Java helper, such as `leaders <topic>`
  test [--full] [--only <part>]…                        the suite against real clusters";

/// Runs one of the commands in `USAGE`.
pub fn main(mut arguments: Parser) -> Result<()> {
    match word(&mut arguments)?.as_deref() {
        Some("up") => up(arguments),
        Some("down") => down(arguments),
        Some("status") => status(arguments),
        Some("restart") => {
            let node = number(&mut arguments, "node")?;
            let mut cluster = running()?;
            cluster.stop_node(node)?;
            cluster.start_node(node)?;
            cluster.await_ready()
        }
        Some("kill") => {
            let node = number(&mut arguments, "node")?;
            running()?.kill_node(node)
        }
        Some("move") => move_leader(arguments),
        Some("java") => java(arguments),
        Some("test") => suite(arguments),
        Some(other) => bail!("there is no `kafka {other}`\n\n{USAGE}"),
        None => {
            println!("{USAGE}");
            Ok(())
        }
    }
}

fn up(mut arguments: Parser) -> Result<()> {
    let mut spec = Spec::new(NAME);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("brokers") => spec.brokers = arguments.value()?.parse()?,
            Arg::Long("version") => spec.version = arguments.value()?.string()?,
            Arg::Long("set") => {
                let setting = arguments.value()?.string()?;
                let (key, value) = setting.split_once('=').context("--set wants key=value")?;
                spec.settings.push((key.to_owned(), value.to_owned()));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let cluster = Cluster::up(spec)?;
    println!("{cluster}");
    Ok(())
}

fn down(mut arguments: Parser) -> Result<()> {
    none_left(&mut arguments)?;
    let clusters = Cluster::all()?;
    if clusters.is_empty() {
        println!("no cluster is known");
    }
    for mut cluster in clusters {
        cluster.down()?;
        println!(
            "{} is down; its logs are in {}",
            cluster.name(),
            cluster.dir().display()
        );
    }
    Ok(())
}

fn status(mut arguments: Parser) -> Result<()> {
    none_left(&mut arguments)?;
    let clusters = Cluster::all()?;
    if clusters.is_empty() {
        println!("no cluster is known; start one with `cargo xtask kafka up`");
    }
    for cluster in clusters {
        println!("{cluster}");
    }
    Ok(())
}

fn move_leader(mut arguments: Parser) -> Result<()> {
    let topic = word(&mut arguments)?.context("which topic?")?;
    let partition = number(&mut arguments, "partition")?;
    let node = number(&mut arguments, "node")?;
    let cluster = running()?;
    let mut helper = Helper::start(&cluster)?;
    helper.move_leader(&topic, partition, node)?;
    println!("{topic}-{partition} is led by {node}");
    Ok(())
}

fn java(mut arguments: Parser) -> Result<()> {
    let mut words = Vec::new();
    while let Some(word) = word(&mut arguments)? {
        words.push(word);
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    for line in Helper::start(&running()?)?.ask(&words)? {
        println!("{line}");
    }
    Ok(())
}

/// Hands over to the suite, which is a crate of its own: the commands above need nothing of the producer.
fn suite(mut arguments: Parser) -> Result<()> {
    let mut command = crate::run::cargo("run --quiet --release --package milena-kafka-suite --");
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("full") => command.arg("--full"),
            Arg::Long("only") => command.arg("--only").arg(arguments.value()?),
            Arg::Long("cell") => command.arg("--cell").arg(arguments.value()?),
            other => return Err(other.unexpected().into()),
        };
    }
    crate::run::run(&mut command)
}

fn running() -> Result<Cluster> {
    Cluster::open(NAME)?.context("no cluster is up; start one with `cargo xtask kafka up`")
}

fn word(arguments: &mut Parser) -> Result<Option<String>> {
    match arguments.next()? {
        Some(Arg::Value(value)) => Ok(Some(value.string()?)),
        Some(other) => Err(other.unexpected().into()),
        None => Ok(None),
    }
}

fn number(arguments: &mut Parser, what: &str) -> Result<i32> {
    let word = word(arguments)?.with_context(|| format!("which {what}?"))?;
    word.parse()
        .with_context(|| format!("`{word}` is not a number of a {what}"))
}

fn none_left(arguments: &mut Parser) -> Result<()> {
    match arguments.next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(()),
    }
}
