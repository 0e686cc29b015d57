//! The same while leaders move and brokers are restarted or killed.
//!
//! A run counts only if something happened between its first and its last acknowledgement: batches were retried,
//! five batches of a partition were in flight at a time, and where leaders moved, NOT_LEADER was answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use milena::{Compression, Delivery, Producer, Snapshot};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use xtask::kafka::cluster::Cluster;
use xtask::kafka::java::Helper;

use crate::carry::{self, Load, Place, Times};
use crate::cells::Cells;
use crate::content::Shape;

const PARTITIONS: i32 = 12;

/// The answer of a broker that does not lead the partition.
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// Records are sent in bursts of this many, so that batches queue up behind each other.
const BURST: usize = 1_500;

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// Every partition is led by its next replica, one after the other, twice.
    Move,
    /// Every broker is stopped cleanly and started again.
    Restart,
    /// Every broker is ended by SIGKILL and started again.
    Kill,
}

/// Three cells.
pub(crate) fn run(cells: &mut Cells, cluster: &mut Cluster, helper: &mut Helper, full: bool) {
    for (trouble, name) in [
        (Trouble::Move, "leaders move"),
        (Trouble::Restart, "brokers are restarted"),
        (Trouble::Kill, "brokers are killed"),
    ] {
        cells.run(&format!("while {name}"), || {
            cell(cluster, helper, trouble, full)
        });
    }
}

fn cell(
    cluster: &mut Cluster,
    helper: &mut Helper,
    trouble: Trouble,
    full: bool,
) -> Result<String> {
    let topic = format!("disturbed-{trouble:?}").to_lowercase();
    helper.create(&topic, PARTITIONS, 3, &["min.insync.replicas=2"])?;
    let most = if full { 400_000 } else { 60_000 };
    let shape = Shape {
        seed: 31,
        keyed: true,
        headers: false,
    };
    let load = Load {
        shape,
        lengths: (0..most).map(|index| 20 + index % 200).collect(),
    };
    let config = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .compression(Compression::Lz4)
        .batch_size(2_048);

    // Bursts are spread over about the time that the trouble takes.
    let expected = Duration::from_secs(if trouble == Trouble::Move { 10 } else { 80 });
    let pause = expected / u32::try_from(most / BURST)?;
    let done = AtomicBool::new(false);
    let run = thread::scope(|scope| -> Result<Run> {
        let sending =
            scope.spawn(|| Runtime::new()?.block_on(send(config, &topic, &load, pause, &done)));
        thread::sleep(Duration::from_secs(1));
        let disturbed = disturb(cluster, helper, &topic, trouble);
        done.store(true, Ordering::Relaxed);
        let run = sending.join().expect("sending does not panic")?;
        disturbed.map(|()| run)
    })?;

    let load = Load {
        lengths: load.lengths[..run.places.len()].to_vec(),
        ..load
    };
    let read = carry::compare(
        helper,
        &cluster.dir(),
        &topic,
        &load,
        &run.places,
        Times::Retried,
    )?;
    let (first, last) = (&run.first.sent, &run.last.sent);
    let count = |snapshot: &Snapshot| {
        snapshot
            .sent
            .errors
            .get(&NOT_LEADER_OR_FOLLOWER)
            .copied()
            .unwrap_or(0)
    };
    let refused = count(&run.last) - count(&run.first);
    let retries = last.retries - first.retries;
    ensure!(retries > 0, "nothing was retried: the run does not count");
    ensure!(
        last.max_in_flight_of_a_partition == 5,
        "{} in flight: the run does not count",
        last.max_in_flight_of_a_partition
    );
    ensure!(
        trouble != Trouble::Move || refused > 0,
        "no NOT_LEADER was answered: the run does not count"
    );
    helper.delete(&topic)?;
    Ok(format!(
        "{read} records over {:.0} s; {retries} retries, {refused} NOT_LEADER, {} lost with their connection, 5 in flight",
        run.took.as_secs_f64(),
        last.lost - first.lost,
    ))
}

/// What sending gave.
struct Run {
    places: Vec<Place>,
    /// After the first acknowledgement.
    first: Snapshot,
    /// Before the last one.
    last: Snapshot,
    took: Duration,
}

/// Sends in bursts until it is told that the disturbance is over.
async fn send(
    config: milena::ProducerConfig,
    topic: &str,
    load: &Load,
    pause: Duration,
    done: &AtomicBool,
) -> Result<Run> {
    let producer = config.connect().await?;
    let handle = producer.topic(topic).await?;
    let begun = Instant::now();
    let (deliver, mut deliveries) = mpsc::unbounded_channel::<Delivery>();
    let collecting = tokio::spawn(async move {
        let mut places = Vec::new();
        while let Some(delivery) = deliveries.recv().await {
            places.push(carry::place(delivery).await?);
        }
        anyhow::Ok(places)
    });
    let mut sent = 0;
    let mut first = None;
    while sent < load.lengths.len() {
        // The last burst is held back until the disturbance is over.
        let left = load.lengths.len() - sent;
        if left <= BURST && !done.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        for _ in 0..left.min(BURST) {
            let delivery = load.send(&handle, sent).await?;
            deliver.send(delivery)?;
            sent += 1;
            if first.is_none() {
                producer.flush().await;
                first = Some(producer.snapshot());
            }
        }
        if done.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    drop(deliver);
    let last = producer.snapshot();
    let places = collecting.await??;
    let report = producer.close(Duration::from_secs(10)).await;
    ensure!(report.lost == 0, "{} records were given up", report.lost);
    let first = first.context("nothing was sent")?;
    Ok(Run {
        places,
        first,
        last,
        took: begun.elapsed(),
    })
}

fn disturb(
    cluster: &mut Cluster,
    helper: &mut Helper,
    topic: &str,
    trouble: Trouble,
) -> Result<()> {
    let ids = cluster.ids();
    if trouble == Trouble::Move {
        for round in 1..=2 {
            for (partition, (leader, _)) in (0..).zip(helper.leaders(topic)?) {
                let at = ids.iter().position(|id| *id == leader).unwrap_or(0);
                helper.move_leader(topic, partition, ids[(at + round) % ids.len()])?;
            }
        }
        return Ok(());
    }
    for id in ids {
        match trouble {
            Trouble::Kill => cluster.kill_node(id)?,
            _ => cluster.stop_node(id)?,
        }
        thread::sleep(Duration::from_secs(1));
        cluster.start_node(id)?;
        cluster.await_ready()?;
        await_in_sync(helper, topic)?;
    }
    Ok(())
}

/// Waits until every replica of every partition is in sync.
fn await_in_sync(helper: &mut Helper, topic: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let leaders = helper.leaders(topic)?;
        if leaders
            .iter()
            .all(|(leader, in_sync)| *leader >= 0 && in_sync.len() == 3)
        {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the replicas are not in sync: {leaders:?}"
        );
        thread::sleep(Duration::from_millis(200));
    }
}
