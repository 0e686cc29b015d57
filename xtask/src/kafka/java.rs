//! The resident Java helper: Kafka's own clients behind simple lines.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::cluster::Cluster;
use super::resolve::Kafka;
use crate::run;

/// A running helper. It ends when it is dropped.
///
/// A command is one line of words divided by tabs; the answer is any number of lines, then `ok` or `error` and why.
#[derive(Debug)]
pub struct Helper {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts a helper that speaks to a cluster with the clients of the cluster's own version.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        Self::start_at(
            cluster.kafka(),
            &cluster.bootstrap_servers(),
            &cluster.dir(),
        )
    }

    /// Starts a helper that speaks to any brokers; its log goes to `helper.log` in the folder.
    pub fn start_at(kafka: &Kafka, bootstrap_servers: &str, logs: &Path) -> Result<Self> {
        let classes = compile(kafka)?;
        fs::create_dir_all(logs)?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(logs.join("helper.log"))?;
        let mut process = kafka
            .java(Some(&classes))
            .args([
                "-Xmx1g",
                "-XX:TieredStopAtLevel=4",
                "Helper",
                bootstrap_servers,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("could not start the Java helper")?;
        let requests = process.stdin.take();
        let answers = BufReader::new(
            process
                .stdout
                .take()
                .context("the helper's output is piped")?,
        );
        Ok(Self {
            process,
            requests,
            answers,
        })
    }

    /// Asks one thing; the lines before the `ok`.
    pub fn ask(&mut self, words: &[&str]) -> Result<Vec<String>> {
        let line = words.join("\t");
        let requests = self
            .requests
            .as_mut()
            .context("the helper was told to end")?;
        writeln!(requests, "{line}").context("the Java helper is gone; see helper.log")?;
        requests.flush()?;
        let mut lines = Vec::new();
        loop {
            let mut answer = String::new();
            if self.answers.read_line(&mut answer)? == 0 {
                bail!("the Java helper ended during `{line}`; see helper.log");
            }
            let answer = answer.trim_end_matches(['\r', '\n']);
            match answer.split_once('\t').unwrap_or((answer, "")) {
                ("ok", _) => return Ok(lines),
                ("error", why) => bail!("Java's client said to `{line}`: {why}"),
                _ => lines.push(answer.to_owned()),
            }
        }
    }

    /// Creates a topic and waits until all brokers know all its leaders.
    pub fn create(
        &mut self,
        topic: &str,
        partitions: i32,
        replicas: i32,
        configs: &[&str],
    ) -> Result<()> {
        let (partitions, replicas) = (partitions.to_string(), replicas.to_string());
        let words = [&["create", topic, &partitions, &replicas], configs].concat();
        self.ask(&words).map(drop)
    }

    /// Deletes a topic and waits until it is gone.
    pub fn delete(&mut self, topic: &str) -> Result<()> {
        self.ask(&["delete", topic]).map(drop)
    }

    /// Gives a topic more partitions.
    pub fn grow(&mut self, topic: &str, partitions: i32) -> Result<()> {
        self.ask(&["grow", topic, &partitions.to_string()])
            .map(drop)
    }

    /// The leader and the in-sync replicas of each partition; a leader of -1 is none.
    pub fn leaders(&mut self, topic: &str) -> Result<Vec<(i32, Vec<i32>)>> {
        let parse = |line: &String| -> Result<(i32, Vec<i32>)> {
            let mut words = line.split('\t').skip(1);
            let leader = words.next().context("no leader")?.parse()?;
            let in_sync = words
                .next()
                .unwrap_or("")
                .split(',')
                .filter(|word| !word.is_empty());
            Ok((leader, in_sync.map(str::parse).collect::<Result<_, _>>()?))
        };
        self.ask(&["leaders", topic])?.iter().map(parse).collect()
    }

    /// Makes a broker the leader of a partition that it has a replica of.
    pub fn move_leader(&mut self, topic: &str, partition: i32, node: i32) -> Result<()> {
        self.ask(&["move", topic, &partition.to_string(), &node.to_string()])
            .map(drop)
    }

    /// The end offset of each partition.
    pub fn ends(&mut self, topic: &str) -> Result<Vec<i64>> {
        let lines = self.ask(&["ends", topic])?;
        lines.iter().map(|line| Ok(line.parse()?)).collect()
    }

    /// Lets Java's consumer read a topic from its beginning to its present end, into a file that
    /// [`super::dump::read`] understands; how many records it read.
    pub fn read(&mut self, topic: &str, file: &Path) -> Result<u64> {
        let file = file.display().to_string();
        let lines = self.ask(&["read", topic, &file])?;
        lines
            .first()
            .context("no count")?
            .parse()
            .context("a count")
    }

    /// Lets Java's producer write records, given in a file as [`super::dump::write`] makes it;
    /// the partition and offset of each. `configs` are properties of the producer.
    pub fn produce(
        &mut self,
        topic: &str,
        file: &Path,
        configs: &[&str],
    ) -> Result<Vec<(i32, i64)>> {
        let file = file.display().to_string();
        let words = [&["produce", topic, &file], configs].concat();
        let parse = |line: &String| -> Result<(i32, i64)> {
            let (partition, offset) = line.split_once('\t').context("no offset")?;
            Ok((partition.parse()?, offset.parse()?))
        };
        self.ask(&words)?.iter().map(parse).collect()
    }

    /// The active producers of a partition: id, epoch, last sequence.
    pub fn producers(&mut self, topic: &str, partition: i32) -> Result<Vec<(i64, i32, i32)>> {
        let parse = |line: &String| -> Result<(i64, i32, i32)> {
            let words: Vec<_> = line.split('\t').collect();
            let [id, epoch, sequence] = words[..] else {
                bail!("three numbers, not `{line}`")
            };
            Ok((id.parse()?, epoch.parse()?, sequence.parse()?))
        };
        self.ask(&["producers", topic, &partition.to_string()])?
            .iter()
            .map(parse)
            .collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of its input ends it; a helper that is stuck in a command is not waited for.
        drop(self.requests.take());
        for _ in 0..40 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Compiles the helper against the jars of a version, when that has not been done since it was changed.
fn compile(kafka: &Kafka) -> Result<PathBuf> {
    const SOURCE: &str = include_str!("../../java/Helper.java");
    let classes = kafka.home.join("helper");
    let source = classes.join("Helper.java");
    let done = classes.join("compiled");
    if done.exists() && fs::read_to_string(&source).is_ok_and(|text| text == SOURCE) {
        return Ok(classes);
    }
    fs::create_dir_all(&classes)?;
    let _ = fs::remove_file(&done);
    fs::write(&source, SOURCE)?;
    let mut command = Command::new(kafka.javac());
    command
        .args(["-nowarn", "-proc:none", "-Xlint:-options", "-d"])
        .arg(&classes)
        .arg("-cp")
        .arg(kafka.libs().join("*"))
        .arg(&source);
    run::output(&mut command).context("the Java helper did not compile")?;
    fs::write(done, "")?;
    Ok(classes)
}
