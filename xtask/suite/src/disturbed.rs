//! The same while leaders move and brokers are restarted or killed.
//!
//! A run counts only if something happened between its first and its last acknowledgement: batches were retried,
//! five batches of a partition were in flight at a time, and where leaders moved, NOT_LEADER was answered.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
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
use crate::matrix::CODECS;

const PARTITIONS: i32 = 12;

/// Small, so that several batches of a partition are in flight.
const BATCH_SIZE: usize = 2_048;

/// The answer of a broker that does not lead the partition.
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// Longer than the pause between two bursts.
const FROZEN: Duration = Duration::from_millis(4_000);

/// Records are sent in bursts of this many, so that batches queue up behind each other.
const BURST: usize = 1_500;

/// Between two bursts a record is sent this often, so that something is under way whenever a leader goes.
const TICK: Duration = Duration::from_millis(25);

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// Every partition is led by its next replica, one after the other.
    Move,
    /// Every broker is stopped cleanly and started again.
    Restart,
    /// Every broker stands still for a while, so that requests to it are unanswered, is then ended by SIGKILL, and
    /// started again.
    Kill,
}

/// Three cells.
pub(crate) fn run(cells: &mut Cells, cluster: &mut Cluster, helper: &mut Helper, full: bool) {
    for (trouble, name) in [
        (Trouble::Move, "leaders move"),
        (Trouble::Restart, "brokers are restarted"),
        (Trouble::Kill, "brokers stand still and are killed"),
    ] {
        cells.run(&format!("while {name}"), || {
            cell(cluster, helper, trouble, full)
        });
    }
}

/// One cell, for a cluster of one broker.
pub(crate) fn run_alone(cells: &mut Cells, cluster: &mut Cluster, helper: &mut Helper, full: bool) {
    cells.run(
        "while the only broker stands still, is killed and restarted",
        || cell(cluster, helper, Trouble::Kill, full),
    );
}

/// Every codec has a producer and a topic of its own; between them they have every shape.
const SHAPES: [(bool, bool); 5] = [
    (true, true),
    (false, false),
    (false, true),
    (true, false),
    (true, true),
];

/// What one of the producers sends.
struct Stream {
    name: String,
    topic: String,
    codec: Compression,
    load: Load,
}

impl Stream {
    fn new(codec: Compression, nth: usize, trouble: Trouble, records: usize) -> Self {
        let (keyed, headers) = SHAPES[nth % SHAPES.len()];
        let name = format!("{codec:?}").to_lowercase();
        let shape = Shape {
            seed: 31 + nth as u64,
            keyed,
            headers,
        };
        Self {
            topic: format!("disturbed-{trouble:?}-{name}").to_lowercase(),
            name,
            codec,
            load: Load {
                shape,
                lengths: (0..records).map(length).collect(),
            },
        }
    }
}

/// Mostly what fills batches quickly; now and then each of the sizes that are listed.
fn length(index: usize) -> usize {
    const LISTED: [usize; 8] = [
        0,
        1,
        100,
        1_024,
        BATCH_SIZE - 1,
        BATCH_SIZE,
        BATCH_SIZE + 1,
        900_000,
    ];
    match index % 1_000 {
        number @ 0..8 => LISTED[number],
        number => 20 + number % 200,
    }
}

fn cell(
    cluster: &mut Cluster,
    helper: &mut Helper,
    trouble: Trouble,
    full: bool,
) -> Result<String> {
    let replicas = cluster.ids().len().min(3) as i32;
    let in_sync = format!("min.insync.replicas={}", replicas.min(2));
    let most = if full { 80_000 } else { 12_000 };
    // A burst has to come while a broker stands still.
    let most = if trouble == Trouble::Kill {
        2 * most
    } else {
        most
    };
    let codecs = (0..).zip(CODECS);
    let streams: Vec<_> = codecs
        .map(|(nth, codec)| Stream::new(*codec, nth, trouble, most))
        .collect();
    for stream in &streams {
        helper.create(&stream.topic, PARTITIONS, replicas, &[&in_sync])?;
    }
    let topics: Vec<_> = streams.iter().map(|stream| &stream.topic[..]).collect();

    // Bursts are spread over about the time that the trouble takes.
    let expected = Duration::from_secs(match trouble {
        Trouble::Move => 25,
        Trouble::Restart => 27 * replicas as u64,
        Trouble::Kill => 18 * replicas as u64,
    });
    let between = expected.div_duration_f64(TICK) as usize;
    let pause = expected / u32::try_from((most - between) / BURST)?;
    let done = AtomicBool::new(false);
    let servers = cluster.bootstrap_servers();
    let runs = thread::scope(|scope| -> Result<Vec<Run>> {
        let sending = scope.spawn(|| {
            Runtime::new()?.block_on(async {
                let all = streams.iter().map(|stream| {
                    let config = Producer::builder()
                        .bootstrap_servers(&servers)
                        .compression(stream.codec)
                        .batch_size(BATCH_SIZE);
                    send(config, &stream.topic, &stream.load, pause, &done)
                });
                together(all).await
            })
        });
        thread::sleep(Duration::from_secs(1));
        let disturbed = disturb(cluster, helper, &topics, trouble);
        done.store(true, Ordering::Relaxed);
        let runs = sending.join().expect("sending does not panic")?;
        disturbed.map(|()| runs)
    })?;

    let mut said = Vec::new();
    for (stream, run) in streams.into_iter().zip(runs) {
        let name = stream.name.clone();
        said.push(
            check(cluster, helper, stream, run, trouble)
                .with_context(|| format!("{name} differs"))?,
        );
    }
    Ok(said.join("; "))
}

/// Awaits all of them at the same time.
async fn together(
    sending: impl Iterator<Item = impl Future<Output = Result<Run>>>,
) -> Result<Vec<Run>> {
    let mut sending: Vec<_> = sending.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        for (one, run) in &mut sending {
            if run.is_none()
                && let Poll::Ready(ended) = one.as_mut().poll(cx)
            {
                *run = Some(ended);
            }
        }
        match sending.iter().all(|(_, run)| run.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    sending.into_iter().filter_map(|(_, run)| run).collect()
}

/// Compares what a stream wrote with what Java reads, and sees that the run counts.
fn check(
    cluster: &Cluster,
    helper: &mut Helper,
    stream: Stream,
    run: Run,
    trouble: Trouble,
) -> Result<String> {
    let load = Load {
        lengths: stream.load.lengths[..run.places.len()].to_vec(),
        ..stream.load
    };
    let read = carry::compare(
        helper,
        &cluster.dir(),
        &stream.topic,
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
    helper.delete(&stream.topic)?;
    Ok(format!(
        "{}: {read} records over {:.0} s, {retries} retries, {refused} NOT_LEADER, {} lost with their connection, 5 in flight",
        stream.name,
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

/// Sends in bursts, with single records between them, until it is told that the disturbance is over.
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
    let counting = producer.clone();
    let collecting = tokio::spawn(async move {
        let mut places = Vec::new();
        let mut held = None;
        while let Some(delivery) = deliveries.recv().await {
            if let Some(before) = held.replace(delivery) {
                places.push(carry::place(before).await?);
            }
        }
        // All but the last record are acknowledged.
        let last = counting.snapshot();
        if let Some(delivery) = held {
            places.push(carry::place(delivery).await?);
        }
        anyhow::Ok((places, last))
    });
    let mut sent = 0;
    let mut first = None;
    let mut next_burst = begun;
    while sent < load.lengths.len() {
        let left = load.lengths.len() - sent;
        let last = done.load(Ordering::Relaxed);
        let count = if last || left > BURST && Instant::now() >= next_burst {
            next_burst += pause;
            left.min(BURST)
        } else {
            // The last burst is held back until the disturbance is over.
            usize::from(left > BURST)
        };
        for _ in 0..count {
            let delivery = load.send(&handle, sent).await?;
            deliver.send(delivery)?;
            sent += 1;
            if first.is_none() {
                producer.flush().await;
                first = Some(producer.snapshot());
            }
        }
        if last {
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    drop(deliver);
    let (places, last) = collecting.await??;
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
    topics: &[&str],
    trouble: Trouble,
) -> Result<()> {
    let ids = cluster.ids().to_vec();
    if trouble == Trouble::Move {
        for topic in topics {
            for (partition, (leader, _)) in (0..).zip(helper.leaders(topic)?) {
                let at = ids.iter().position(|id| *id == leader).unwrap_or(0);
                helper.move_leader(topic, partition, ids[(at + 1) % ids.len()])?;
            }
        }
        return Ok(());
    }
    for id in ids.clone() {
        match trouble {
            Trouble::Kill => {
                cluster.signal_node(id, "STOP")?;
                thread::sleep(FROZEN);
                cluster.kill_node(id)?;
            }
            _ => cluster.stop_node(id)?,
        }
        thread::sleep(Duration::from_secs(1));
        cluster.start_node(id)?;
        cluster.await_ready()?;
        for topic in topics {
            await_in_sync(helper, topic, ids.len())?;
        }
    }
    Ok(())
}

/// Waits until every replica of every partition is in sync.
fn await_in_sync(helper: &mut Helper, topic: &str, replicas: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let leaders = helper.leaders(topic)?;
        if leaders
            .iter()
            .all(|(leader, in_sync)| *leader >= 0 && in_sync.len() == replicas)
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
