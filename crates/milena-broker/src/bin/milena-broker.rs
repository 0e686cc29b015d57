//! Serves a Kafka cluster made of nothing but memory, until standard input ends or a signal comes.
//!
//! The first line of standard output is the list of bootstrap servers.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use milena_broker::{Cluster, ClusterConfig, ServeOptions, Stop, TopicConfig, serve};

const HELP: &str = "\
Serves a Kafka cluster made of nothing but memory, until standard input ends or a signal comes.
The first line of standard output is the list of bootstrap servers.

  --brokers N            how many brokers there are (1)
  --topic NAME:PARTITIONS[:PROPERTY=VALUE]...
                         creates a topic; may be given again
  --topic-config PROPERTY=VALUE
                         for topics that follow, and those that are created later
  --port N               the port of the first broker, the others follow (free ports)
  --listen ADDRESS       the address to listen at (127.0.0.1)
  --advertise HOST       the host that brokers are advertised at (the address)
  --auto-create N        topics that somebody asks for are created with N partitions (1); 0 for never
  --release R            speak as this release of Kafka does: 2.1, 2.4, 2.8, 3.9, 4.0, 4.3 (4.3)
  --discard              count records and forget them: for benchmarks
  --no-crc               do not verify checksums
  --delay-ms N           hold every answer back for so long (0)
  --seed N               where random choices begin (0)
  --no-stdin             do not stop when standard input ends
";

struct Arguments {
    config: ClusterConfig,
    options: ServeOptions,
    topics: Vec<(String, usize, TopicConfig)>,
    watch_stdin: bool,
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("milena-broker: {error}");
            return ExitCode::from(2);
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("milena-broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Option<Arguments>, Box<dyn std::error::Error>> {
    use lexopt::prelude::*;
    let mut config = ClusterConfig {
        journal: 0,
        ..ClusterConfig::default()
    };
    let mut options = ServeOptions::default();
    let mut topics = Vec::new();
    let mut watch_stdin = true;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("brokers") => config.brokers = parser.value()?.parse()?,
            Long("topic") => topics.push(topic(&parser.value()?.string()?, &config.topic)?),
            Long("topic-config") => set(&mut config.topic, &parser.value()?.string()?)?,
            Long("port") => options.port = Some(parser.value()?.parse()?),
            Long("listen") => options.address = parser.value()?.parse()?,
            Long("advertise") => options.advertised_host = Some(parser.value()?.string()?),
            Long("auto-create") => {
                config.auto_create = Some(parser.value()?.parse()?).filter(|count| *count > 0);
            }
            Long("release") => config.release = parser.value()?.parse()?,
            Long("discard") => config.topic.discard = true,
            Long("no-crc") => config.verify_crc = false,
            Long("delay-ms") => options.delay = Duration::from_millis(parser.value()?.parse()?),
            Long("seed") => config.seed = parser.value()?.parse()?,
            Long("no-stdin") => watch_stdin = false,
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if config.topic.discard {
        topics
            .iter_mut()
            .for_each(|(_, _, config)| config.discard = true);
    }
    Ok(Some(Arguments {
        config,
        options,
        topics,
        watch_stdin,
    }))
}

/// `name:partitions:property=value:…`
fn topic(text: &str, default: &TopicConfig) -> Result<(String, usize, TopicConfig), String> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default().to_owned();
    let partitions = parts.next().unwrap_or("1");
    let partitions = partitions
        .parse()
        .map_err(|_| format!("{text}: no number of partitions"))?;
    let mut config = default.clone();
    parts.try_for_each(|part| set(&mut config, part))?;
    Ok((name, partitions, config))
}

fn set(config: &mut TopicConfig, text: &str) -> Result<(), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text}: no property=value"))?;
    config.set(name, value).map_err(|error| error.to_string())
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments {
        config,
        options,
        topics,
        watch_stdin,
    } = arguments;
    let mut cluster = Cluster::new(config);
    for (name, partitions, config) in topics {
        let created = cluster.create_topic_with(&name, partitions, config);
        created.map_err(|code| format!("topic {name}: {code:?}"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = serve(cluster, options).await?;
        println!("{}", server.bootstrap());
        std::io::stdout().flush()?;
        tokio::select! {
            () = stdin_ends(), if watch_stdin => {}
            ended = signalled() => ended?,
        }
        server.stop(Stop::Graceful).await;
        Ok::<_, Box<dyn std::error::Error>>(())
    })
}

/// Resolves at the end of standard input.
async fn stdin_ends() {
    let (sender, ended) = tokio::sync::oneshot::channel();
    // A thread of its own: a runtime would wait for a read that blocks before it lets the process end.
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while std::io::stdin()
            .read(&mut buffer)
            .is_ok_and(|read| read > 0)
        {}
        let _ = sender.send(());
    });
    let _ = ended.await;
}

#[cfg(unix)]
async fn signalled() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signalled() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
