//! What records are sent to: the embedded broker that counts and forgets, or a real Kafka.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::rows::Load;
use crate::kafka::cluster::{Cluster, Spec};
use crate::kafka::java::Helper;
use crate::run::target;

/// What arrived of one run.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Records.
    pub records: u64,
    /// Bytes of their batches; 0 where it is not known.
    pub bytes: u64,
    /// Batches; 0 where it is not known.
    pub batches: u64,
    /// Records at all brokers but the last.
    pub others: u64,
}

/// A cluster to send to.
pub enum Brokers {
    /// The embedded one.
    Embedded(Embedded),
    /// A real Kafka.
    Real(Box<Real>),
}

/// A process of `bench-broker`.
pub struct Embedded {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    servers: String,
}

/// A real Kafka of one broker, stopped at the end, and a client of its own to ask.
pub struct Real {
    cluster: Cluster,
    helper: Helper,
}

impl Brokers {
    /// Starts what a load wants.
    pub fn start(load: &Load) -> Result<Self> {
        if load.kafka {
            let mut spec = Spec::new("bench");
            // What a run has written is not written to the disk during the next ones.
            let delay = ("log.segment.delete.delay.ms".to_owned(), "500".to_owned());
            spec.settings.push(delay);
            let cluster = Cluster::up(spec)?;
            let helper = Helper::start(&cluster)?;
            return Ok(Self::Real(Box::new(Real { cluster, helper })));
        }
        let mut command = Command::new(target().join("release/bench-broker"));
        command.args(["--brokers", &load.brokers.to_string()]);
        command.args(["--delay-ms", &load.delay_ms.to_string()]);
        if load.slow_ms > 0 {
            command.args(["--slow-ms", &load.slow_ms.to_string()]);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start bench-broker")?;
        let orders = process.stdin.take().context("its input is piped")?;
        let mut answers = BufReader::new(process.stdout.take().context("its output is piped")?);
        let mut servers = String::new();
        answers.read_line(&mut servers)?;
        Ok(Self::Embedded(Embedded {
            process,
            orders,
            answers,
            servers: servers.trim().to_owned(),
        }))
    }

    /// The bootstrap servers.
    pub fn servers(&self) -> String {
        match self {
            Self::Embedded(embedded) => embedded.servers.clone(),
            Self::Real(real) => real.cluster.bootstrap_servers(),
        }
    }

    /// Creates a topic.
    pub fn create(&mut self, topic: &str, partitions: i32) -> Result<()> {
        match self {
            Self::Embedded(embedded) => embedded
                .ask(&format!("create {topic} {partitions}"))
                .map(drop),
            Self::Real(real) => {
                real.helper.create(topic, partitions, 1, &[])?;
                // Answered once the leaders lead: clients that find them too early stand still for long.
                real.helper.ends(topic).map(drop)
            }
        }
    }

    /// What has arrived.
    pub fn count(&mut self, topic: &str) -> Result<Arrived> {
        match self {
            Self::Embedded(embedded) => {
                let counted: Value =
                    serde_json::from_str(&embedded.ask(&format!("count {topic}"))?)?;
                let number = |name: &str| counted[name].as_u64().unwrap_or(0);
                let by_broker = counted["by_broker"].as_object();
                let last = by_broker.and_then(|brokers| brokers.values().next_back()?.as_u64());
                Ok(Arrived {
                    records: number("records"),
                    bytes: number("bytes"),
                    batches: number("batches"),
                    others: number("records") - last.unwrap_or(0),
                })
            }
            Self::Real(real) => {
                let ends = real.helper.ends(topic)?;
                Ok(Arrived {
                    records: ends.iter().map(|end| *end as u64).sum(),
                    ..Arrived::default()
                })
            }
        }
    }

    /// Deletes a topic.
    pub fn forget(&mut self, topic: &str) -> Result<()> {
        match self {
            Self::Embedded(embedded) => embedded.ask(&format!("forget {topic}")).map(drop),
            Self::Real(real) => real.helper.delete(topic),
        }
    }
}

impl Embedded {
    fn ask(&mut self, order: &str) -> Result<String> {
        writeln!(self.orders, "{order}")?;
        self.orders.flush()?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            bail!("bench-broker ended");
        }
        if let Some(error) = answer.strip_prefix("error: ") {
            bail!("bench-broker: {error}");
        }
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.down() {
            eprintln!("the cluster was not stopped: {error:#}");
        }
    }
}
