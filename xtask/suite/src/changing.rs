//! Topics that change under a producer, the README's example against a real cluster, and what all of it takes on disk.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use milena::{Producer, Topic};
use tokio::runtime::Runtime;
use xtask::kafka::cluster::Cluster;
use xtask::kafka::java::Helper;
use xtask::run;

use crate::carry::{self, Load, Times};
use crate::cells::Cells;
use crate::content::Shape;

/// What a cluster may take on disk.
const MOST_DISK: u64 = 2 << 30;

/// How long a change may take to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cells.
pub(crate) fn run(cells: &mut Cells, cluster: &Cluster, helper: &mut Helper, replicas: i32) {
    cells.run("partitions are added", || grown(cluster, helper, replicas));
    cells.run("a topic is created anew while it is written to", || {
        recreated(cluster, helper, replicas)
    });
    cells.run("the quickstart against this cluster", || {
        quickstart(cluster)
    });
}

/// The last cell of a cluster.
pub(crate) fn disk(cells: &mut Cells, cluster: &Cluster) {
    cells.run("room on disk", || {
        let used = size(&cluster.dir())?;
        ensure!(used <= MOST_DISK, "{} MiB", used >> 20);
        Ok(format!("{} MiB in all, logs included", used >> 20))
    });
}

fn load(seed: u64, records: usize) -> Load {
    Load {
        shape: Shape {
            seed,
            keyed: true,
            headers: false,
        },
        lengths: (0..records).map(|index| index % 300).collect(),
    }
}

fn producer(cluster: &Cluster) -> milena::ProducerConfig {
    Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .metadata_max_age(Duration::from_millis(300))
}

/// Keys go to the new partitions as soon as metadata names them; nothing is lost or moved on the way.
fn grown(cluster: &Cluster, helper: &mut Helper, replicas: i32) -> Result<String> {
    let topic = "grown";
    helper.create(topic, 2, replicas, &[])?;
    let load = load(41, 2_000);
    let places = Runtime::new()?.block_on(async {
        let producer = producer(cluster).connect().await?;
        let handle = producer.topic(topic).await?;
        let mut deliveries = Vec::new();
        let begun = Instant::now();
        for index in 0..load.lengths.len() {
            if index == load.lengths.len() / 2 {
                helper.grow(topic, 5)?;
                while handle.partition_count() < 5 {
                    ensure!(begun.elapsed() < PATIENCE, "the partitions are not seen");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            deliveries.push(load.send(&handle, index).await?);
        }
        carry::places(deliveries).await
    })?;
    let (before, after) = places.split_at(places.len() / 2);
    ensure!(
        before.iter().all(|place| place.partition < 2),
        "a partition was written to before it was there"
    );
    let new = after.iter().filter(|place| place.partition >= 2).count();
    ensure!(new > 0, "nothing went to the new partitions");
    let read = carry::compare(
        helper,
        &cluster.dir(),
        topic,
        &load,
        &places,
        Times::Producer,
    )?;
    helper.delete(topic)?;
    Ok(format!("{read} records, {new} of them in new partitions"))
}

/// What is sent while the topic is deleted and made anew has an outcome; what is sent afterwards is in the new log.
fn recreated(cluster: &Cluster, helper: &mut Helper, replicas: i32) -> Result<String> {
    let topic = "recreated";
    helper.create(topic, 3, replicas, &[])?;
    let meanwhile = load(42, 3_000);
    let load = load(43, 1_000);
    let (places, lost) = Runtime::new()?.block_on(async {
        let producer = producer(cluster).connect().await?;
        let handle = producer.topic(topic).await?;
        let mut deliveries = Vec::new();
        for index in 0..meanwhile.lengths.len() {
            if index == 1_000 {
                helper.delete(topic)?;
            }
            if index == 2_000 {
                helper.create(topic, 3, replicas, &[])?;
            }
            deliveries.push(meanwhile.send(&handle, index).await?);
        }
        let mut lost = 0;
        for delivery in deliveries {
            let outcome = tokio::time::timeout(PATIENCE, delivery).await;
            lost += usize::from(outcome.context("a record has no outcome")?.is_err());
        }
        // Those that went to the new log, too, are told apart by their content: the topic is emptied once more.
        helper.delete(topic)?;
        helper.create(topic, 3, replicas, &[])?;
        let handle = await_writable(&producer, topic).await?;
        let mut deliveries = Vec::new();
        for index in 0..load.lengths.len() {
            deliveries.push(load.send(&handle, index).await?);
        }
        anyhow::Ok((carry::places(deliveries).await?, lost))
    })?;
    let ends: i64 = helper.ends(topic)?.iter().sum();
    ensure!(
        ends as usize >= places.len(),
        "{ends} of {} records are in the new log",
        places.len()
    );
    helper.delete(topic)?;
    Ok(format!(
        "{} records in the new log; of {} on the way {lost} failed and said so",
        places.len(),
        meanwhile.lengths.len()
    ))
}

/// Waits until a record arrives in the topic as it is now.
async fn await_writable(producer: &Producer, topic: &str) -> Result<Topic> {
    let begun = Instant::now();
    loop {
        let handle = producer.topic(topic).await?;
        let probe = handle.send(milena::Message::new().value("probe")).await?;
        match tokio::time::timeout(PATIENCE, probe).await {
            Ok(Ok(_)) => return Ok(handle),
            _ => ensure!(begun.elapsed() < PATIENCE, "the new topic takes nothing"),
        }
    }
}

/// The command of the README, with the servers of a real cluster.
fn quickstart(cluster: &Cluster) -> Result<String> {
    let mut command = run::cargo("run --quiet --release --example quickstart --");
    command.args(["--bootstrap-servers", &cluster.bootstrap_servers()]);
    command.args(["--records", "50000"]);
    let said = run::output(&mut command)?;
    let last = said.lines().rfind(|line| line.starts_with("read back"));
    Ok(last
        .context("it did not say what it read back")?
        .trim()
        .to_owned())
}

/// Bytes that all files below take.
fn size(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // Kafka removes segments while they are counted.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        bytes += if about.is_dir() {
            size(&entry.path()).unwrap_or(0)
        } else {
            taken(&about)
        };
    }
    Ok(bytes)
}

/// What a file takes on disk: Kafka's index files are long and nearly empty.
#[cfg(unix)]
fn taken(about: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(about) * 512
}

#[cfg(not(unix))]
fn taken(about: &fs::Metadata) -> u64 {
    about.len()
}
