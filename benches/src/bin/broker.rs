//! The broker that everything is measured against: answers, counts and forgets.
//!
//! The first line of its output are the bootstrap servers. Then it obeys lines of its input: `create NAME PARTITIONS`
//! answers `ok`, `count NAME` answers what has arrived as JSON, `forget NAME` deletes a topic. It ends with its input.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use lexopt::prelude::*;
use milena_broker::{
    Act, ApiKey, Change, Cluster, ClusterConfig, Rule, ServeOptions, Server, TopicConfig,
    serve_in_thread,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-broker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut config = ClusterConfig {
        journal: 0,
        auto_create: None,
        topic: TopicConfig {
            discard: true,
            // Clients that fill a batch of 1 MiB to the last byte and then add its header are not refused.
            max_message_bytes: 8 << 20,
            ..TopicConfig::default()
        },
        ..ClusterConfig::default()
    };
    let mut options = ServeOptions::default();
    let mut slow = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("brokers") => config.brokers = parser.value()?.parse()?,
            Long("delay-ms") => options.delay = Duration::from_millis(parser.value()?.parse()?),
            // The last broker holds its answers to Produce requests back for so long.
            Long("slow-ms") => slow = Some(parser.value()?.parse::<u64>()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let brokers = config.brokers as i32;
    let mut cluster = Cluster::new(config);
    if let Some(millis) = slow {
        let rule = Rule::on(ApiKey::PRODUCE).broker(brokers);
        cluster.add_rule(rule.act(Act::Delay(millis)));
    }
    let server = serve_in_thread(cluster, options)?;
    println!("{}", server.bootstrap());
    for line in std::io::stdin().lock().lines() {
        let answer = obey(&server, &line?).unwrap_or_else(|error| format!("error: {error:#}"));
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn obey(server: &Server, line: &str) -> Result<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    match words[..] {
        ["create", name, partitions] => {
            let created = server
                .cluster()
                .create_topic(name, partitions.parse().context("partitions")?);
            created.map_err(|code| anyhow!("{code:?}"))?;
            Ok("ok".to_owned())
        }
        ["count", name] => count(server, name),
        ["forget", name] => {
            let change = Change::DeleteTopic(name.to_owned());
            server.apply(change).map_err(|code| anyhow!("{code:?}"))?;
            Ok("ok".to_owned())
        }
        _ => bail!("create, count or forget"),
    }
}

fn count(server: &Server, name: &str) -> Result<String> {
    let cluster = server.cluster();
    let (mut records, mut bytes, mut batches, mut duplicates) = (0, 0, 0, 0);
    let mut by_broker = BTreeMap::<String, u64>::new();
    for (partition, log) in cluster.logs(name).enumerate() {
        records += log.records();
        bytes += log.bytes();
        batches += log.appended_batches();
        duplicates += log.duplicates();
        if let Some(leader) = cluster.leader(name, partition as i32) {
            *by_broker.entry(leader.to_string()).or_default() += log.records();
        }
    }
    Ok(serde_json::json!({
        "records": records,
        "bytes": bytes,
        "batches": batches,
        "duplicates": duplicates,
        "by_broker": by_broker,
    })
    .to_string())
}
