//! A KRaft cluster on loopback: formatted, started, awaited, disturbed and stopped.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::resolve::{self, Kafka};
use super::{VERSION, ask, process, settings};
use crate::run;

/// How long a broker may take until it answers.
const START: Duration = Duration::from_secs(120);

/// How long a broker may take to stop cleanly before it is killed.
const STOP: Duration = Duration::from_secs(60);

/// What cluster is wanted.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name: one cluster of a name is up at a time.
    pub name: String,
    /// The version of Kafka.
    pub version: String,
    /// How many brokers, each a controller too: 1 or 3.
    pub brokers: i32,
    /// Further lines for `server.properties`; a later one wins.
    pub settings: Vec<(String, String)>,
    /// Features given to the formatting tool, such as `transaction.version=1`.
    pub features: Vec<String>,
}

impl Spec {
    /// One broker of the usual version.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: VERSION.to_owned(),
            brokers: 1,
            settings: Vec::new(),
            features: Vec::new(),
        }
    }
}

/// A cluster that was started, by this process or an earlier one.
///
/// It is not stopped when dropped: `kafka up` leaves it running. [`Guard`] stops it.
#[derive(Debug)]
pub struct Cluster {
    kafka: Kafka,
    name: String,
    nodes: Vec<Node>,
}

/// One broker, which is a controller too.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) port: u16,
    pub(super) controller_port: u16,
    process: u32,
}

impl Cluster {
    /// Resolves, formats and starts a cluster, and waits until every broker knows all of them.
    pub fn up(spec: Spec) -> Result<Self> {
        if spec.brokers < 1 || spec.brokers > 9 {
            bail!("a cluster has 1 to 9 brokers, not {}", spec.brokers);
        }
        if let Some(cluster) = Self::open(&spec.name)? {
            bail!("a cluster is up already:\n{cluster}\nstop it with `cargo xtask kafka down`");
        }
        let kafka = Kafka::resolve(&spec.version)?;
        let ports = settings::free_ports(2 * usize::try_from(spec.brokers)?)?;
        let nodes = (1..=spec.brokers)
            .zip(ports.chunks(2))
            .map(|(id, ports)| Node {
                id,
                port: ports[0],
                controller_port: ports[1],
                process: 0,
            })
            .collect();
        let mut cluster = Self {
            kafka,
            name: spec.name.clone(),
            nodes,
        };
        let started = cluster.format(&spec).and_then(|()| {
            for id in 1..=spec.brokers {
                cluster.start_node(id)?;
            }
            cluster.await_ready()
        });
        if let Err(error) = started {
            cluster.abandon();
            return Err(error);
        }
        Ok(cluster)
    }

    /// The cluster of that name, when one of its brokers is running.
    pub fn open(name: &str) -> Result<Option<Self>> {
        let file = home_of(name).join("state.json");
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(None);
        };
        let cluster =
            Self::from_state(&text).with_context(|| format!("reading {}", file.display()))?;
        Ok(cluster
            .nodes
            .iter()
            .any(|node| cluster.is_alive(node))
            .then_some(cluster))
    }

    /// All clusters that have a broker running.
    pub fn all() -> Result<Vec<Self>> {
        let Ok(entries) = fs::read_dir(resolve::home().join("clusters")) else {
            return Ok(Vec::new());
        };
        let mut clusters = Vec::new();
        for entry in entries {
            clusters.extend(Self::open(&entry?.file_name().to_string_lossy())?);
        }
        Ok(clusters)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Kafka it runs.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// The folder of its configurations, logs and data.
    pub fn dir(&self) -> PathBuf {
        home_of(&self.name)
    }

    /// The ids of its brokers.
    pub fn ids(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// What a client is given as `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let servers: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        servers.join(",")
    }

    /// The port that a broker listens on.
    pub fn port(&self, id: i32) -> Result<u16> {
        Ok(self.node(id)?.port)
    }

    /// Starts a broker that is stopped; `await_ready` tells when it answers.
    pub fn start_node(&mut self, id: i32) -> Result<()> {
        let dir = self.node_dir(id);
        let mut command = self.kafka.java(None);
        command
            .args(["-Xms256m", "-Xmx512m", "kafka.Kafka"])
            .arg(dir.join("server.properties"))
            .current_dir(&dir);
        let process = process::spawn(&mut command, &dir.join("server.log"), &self.mark(id))?;
        self.node_mut(id)?.process = process;
        self.save()
    }

    /// Stops a broker by SIGTERM and waits until it has ended.
    pub fn stop_node(&mut self, id: i32) -> Result<()> {
        let node = self.node(id)?.clone();
        let mark = self.mark(id);
        process::signal(node.process, &mark, "TERM")?;
        if !process::await_end(node.process, &mark, STOP) {
            process::signal(node.process, &mark, "KILL")?;
            bail!(
                "broker {id} did not stop within {} s of SIGTERM and was killed",
                STOP.as_secs()
            );
        }
        Ok(())
    }

    /// Ends a broker by SIGKILL.
    pub fn kill_node(&mut self, id: i32) -> Result<()> {
        let node = self.node(id)?.clone();
        let mark = self.mark(id);
        process::signal(node.process, &mark, "KILL")?;
        process::await_end(node.process, &mark, STOP);
        Ok(())
    }

    /// Sends a broker any other signal, such as `STOP` and `CONT`.
    pub fn signal_node(&self, id: i32, signal: &str) -> Result<()> {
        process::signal(self.node(id)?.process, &self.mark(id), signal)
    }

    /// Waits until each running broker answers and knows all running ones.
    pub fn await_ready(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        let alive = || self.nodes.iter().filter(|node| self.is_alive(node));
        for node in &self.nodes {
            let ready = |node: &Node| {
                ask::brokers(node.port)
                    .is_ok_and(|known| alive().all(|other| known.contains(&other.id)))
            };
            while !ready(node) {
                if !self.is_alive(node) || Instant::now() > deadline {
                    bail!("broker {} is not up\n{}", node.id, self.tail(node.id));
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Stops all brokers, cleanly where they can, and forgets their data; logs stay.
    pub fn down(&mut self) -> Result<()> {
        // The signals go out together: a broker's controlled shutdown wants a quorum of controllers.
        for node in &self.nodes {
            process::signal(node.process, &self.mark(node.id), "TERM")?;
        }
        let mut killed = Vec::new();
        for node in &self.nodes {
            let mark = self.mark(node.id);
            if !process::await_end(node.process, &mark, STOP) {
                process::signal(node.process, &mark, "KILL")?;
                process::await_end(node.process, &mark, STOP);
                killed.push(node.id);
            }
        }
        self.forget();
        if killed.is_empty() {
            return Ok(());
        }
        bail!(
            "brokers {killed:?} did not stop within {} s of SIGTERM and were killed",
            STOP.as_secs()
        )
    }

    /// Ends what runs and forgets the data, after a start that failed.
    fn abandon(&self) {
        for node in &self.nodes {
            let mark = self.mark(node.id);
            if process::signal(node.process, &mark, "KILL").is_ok() {
                process::await_end(node.process, &mark, STOP);
            }
        }
        self.forget();
    }

    fn forget(&self) {
        for node in &self.nodes {
            // What cannot be removed now is removed when the name is used again.
            let _ = fs::remove_dir_all(self.node_dir(node.id).join("data"));
        }
        let _ = fs::remove_file(self.dir().join("state.json"));
    }

    fn format(&self, spec: &Spec) -> Result<()> {
        let dir = self.dir();
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        let cluster = settings::cluster_id();
        // Formatting is a Java process each: they run side by side.
        thread::scope(|scope| {
            let formats: Vec<_> = self
                .nodes
                .iter()
                .map(|node| scope.spawn(|| self.format_node(node, spec, &cluster)))
                .collect();
            formats
                .into_iter()
                .try_for_each(|format| format.join().expect("formatting does not panic"))
        })
    }

    fn format_node(&self, node: &Node, spec: &Spec, cluster: &str) -> Result<()> {
        let dir = self.node_dir(node.id);
        fs::create_dir_all(&dir)?;
        let properties = dir.join("server.properties");
        fs::write(
            &properties,
            settings::properties(node, &self.nodes, &dir.join("data"), spec),
        )?;
        let mut command = self.kafka.java(None);
        command
            .args([
                "-XX:TieredStopAtLevel=1",
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
            ])
            .arg(&properties)
            .current_dir(&dir);
        for feature in &spec.features {
            command.args(["--feature", feature]);
        }
        run::output(&mut command).map(drop)
    }

    fn is_alive(&self, node: &Node) -> bool {
        process::is_alive(node.process, &self.mark(node.id))
    }

    /// What the command line of a broker has and no other process has.
    fn mark(&self, id: i32) -> String {
        self.node_dir(id)
            .join("server.properties")
            .display()
            .to_string()
    }

    fn node_dir(&self, id: i32) -> PathBuf {
        self.dir().join(format!("node-{id}"))
    }

    fn node(&self, id: i32) -> Result<&Node> {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .with_context(|| format!("there is no broker {id}"))
    }

    fn node_mut(&mut self, id: i32) -> Result<&mut Node> {
        self.nodes
            .iter_mut()
            .find(|node| node.id == id)
            .with_context(|| format!("there is no broker {id}"))
    }

    /// The end of a broker's log.
    fn tail(&self, id: i32) -> String {
        let log = self.node_dir(id).join("server.log");
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        format!("the end of {}:\n{}", log.display(), tail.join("\n"))
    }

    fn save(&self) -> Result<()> {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|node| {
                json!({
                    "id": node.id,
                    "port": node.port,
                    "controller_port": node.controller_port,
                    "process": node.process,
                })
            })
            .collect();
        let state = json!({ "name": self.name, "version": self.kafka.version, "nodes": nodes });
        let file = self.dir().join("state.json");
        fs::write(&file, format!("{state:#}\n"))
            .with_context(|| format!("writing {}", file.display()))
    }

    fn from_state(text: &str) -> Result<Self> {
        let state: Value = serde_json::from_str(text)?;
        let number = |value: &Value| value.as_i64().context("a number is missing");
        let mut nodes = Vec::new();
        for node in state["nodes"].as_array().context("no nodes")? {
            nodes.push(Node {
                id: number(&node["id"])?.try_into()?,
                port: number(&node["port"])?.try_into()?,
                controller_port: number(&node["controller_port"])?.try_into()?,
                process: number(&node["process"])?.try_into()?,
            });
        }
        let version = state["version"].as_str().context("no version")?;
        let name = state["name"].as_str().context("no name")?;
        Ok(Self {
            kafka: Kafka::resolve(version)?,
            name: name.to_owned(),
            nodes,
        })
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: Apache Kafka {}", self.name, self.kafka.version)?;
        for node in &self.nodes {
            let state = if self.is_alive(node) {
                "running"
            } else {
                "stopped"
            };
            let log = self.node_dir(node.id).join("server.log");
            writeln!(
                f,
                "  broker {} at 127.0.0.1:{}, {state}, process {}, log {}",
                node.id,
                node.port,
                node.process,
                log.display()
            )?;
        }
        write!(f, "  --bootstrap-servers {}", self.bootstrap_servers())
    }
}

/// A cluster of a test: it is stopped when the guard is dropped.
#[derive(Debug)]
pub struct Guard(pub Cluster);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.0.down() {
            eprintln!("{}: {error:#}", self.0.name());
        }
    }
}

fn home_of(name: &str) -> PathBuf {
    let name: &Path = name.as_ref();
    resolve::home().join("clusters").join(name)
}
