//! Single questions: which partition a key goes to, whose clock counts, what fewer acks give.

use anyhow::{Result, bail, ensure};
use milena::{Acks, Producer};
use tokio::runtime::Runtime;
use xtask::kafka::cluster::Cluster;
use xtask::kafka::dump::{self, Record};
use xtask::kafka::java::Helper;

use crate::carry::{self, Load, Times};
use crate::cells::Cells;
use crate::content::{Rng, Shape};
use crate::matrix;

/// How many keys are compared.
const KEYS: usize = 10_000;

/// The cells.
pub(crate) fn run(cells: &mut Cells, cluster: &Cluster, helper: &mut Helper, replicas: i32) {
    for partitions in [12, 7] {
        cells.run(
            &format!("partitions of {KEYS} keys among {partitions}"),
            || keys(cluster, helper, replicas, partitions),
        );
    }
    cells.run("the broker's clock", || clock(cluster, helper, replicas));
    cells.run("acks 1", || {
        fewer_acks(cluster, helper, replicas, Acks::Leader)
    });
    cells.run("acks 0", || no_acks(cluster, helper, replicas));
}

/// The partition that milena chooses is the one that Java's producer chooses.
fn keys(cluster: &Cluster, helper: &mut Helper, replicas: i32, partitions: i32) -> Result<String> {
    let mut rng = Rng::new(11);
    let records: Vec<_> = (0..KEYS)
        .map(|_| {
            let length = rng.below(65);
            Record {
                partition: -1,
                timestamp: -1,
                key: Some(rng.bytes(length)),
                ..Record::default()
            }
        })
        .collect();
    let topic = format!("keys-{partitions}");
    helper.create(&topic, partitions, replicas, &[])?;
    // Java's producer sends a partition's second batch before the first is acknowledged. If only the second one finds
    // the new leader ready, the first is out of order for ever: so its leaders must answer before it begins.
    helper.ends(&topic)?;
    let file = cluster.dir().join("keys.dump");
    dump::write_all(&file, &records)?;
    let java = helper.produce(&topic, &file, &["linger.ms=20"])?;
    std::fs::remove_file(file)?;
    let ours = Runtime::new()?.block_on(async {
        let producer = Producer::builder()
            .bootstrap_servers(cluster.bootstrap_servers())
            .connect()
            .await?;
        let handle = producer.topic(&topic).await?;
        let mut deliveries = Vec::new();
        for record in &records {
            deliveries.push(handle.send(carry::message(record)).await?);
        }
        carry::places(deliveries).await
    })?;
    for ((record, java), ours) in records.iter().zip(java).zip(&ours) {
        ensure!(
            java.0 == ours.partition,
            "key {:?}: Java chose {}, milena {}",
            record.key,
            java.0,
            ours.partition
        );
    }
    helper.delete(&topic)?;
    Ok(format!(
        "{} keys go where Java's producer puts them",
        ours.len()
    ))
}

fn clock(cluster: &Cluster, helper: &mut Helper, replicas: i32) -> Result<String> {
    let topic = "clock";
    helper.create(
        topic,
        3,
        replicas,
        &["message.timestamp.type=LogAppendTime"],
    )?;
    let load = small_load(21);
    let (places, _) = matrix::send(cluster, Producer::builder(), topic, &load)?;
    let read = carry::compare(helper, &cluster.dir(), topic, &load, &places, Times::Broker)?;
    helper.delete(topic)?;
    Ok(format!(
        "{read} records have the broker's time, and their deliveries said it"
    ))
}

fn fewer_acks(cluster: &Cluster, helper: &mut Helper, replicas: i32, acks: Acks) -> Result<String> {
    let topic = "acks-1";
    helper.create(topic, 3, replicas, &[])?;
    let load = small_load(22);
    let config = Producer::builder().acks(acks).idempotence(false);
    let (places, _) = matrix::send(cluster, config, topic, &load)?;
    await_all(helper, topic, &load)?;
    let read = carry::compare(
        helper,
        &cluster.dir(),
        topic,
        &load,
        &places,
        Times::Producer,
    )?;
    helper.delete(topic)?;
    Ok(format!("{read} records"))
}

/// Nothing is answered, so deliveries have no offsets; on a calm cluster everything arrives all the same.
fn no_acks(cluster: &Cluster, helper: &mut Helper, replicas: i32) -> Result<String> {
    let topic = "acks-0";
    helper.create(topic, 3, replicas, &[])?;
    // The leaders answer: what came before that would be lost.
    helper.ends(topic)?;
    let load = small_load(23);
    Runtime::new()?.block_on(async {
        let config = Producer::builder().acks(Acks::None).idempotence(false);
        let producer = config
            .bootstrap_servers(cluster.bootstrap_servers())
            .connect()
            .await?;
        let handle = producer.topic(topic).await?;
        let mut deliveries = Vec::new();
        for index in 0..load.lengths.len() {
            deliveries.push(load.send(&handle, index).await?);
        }
        for delivery in deliveries {
            ensure!(
                delivery.await?.offset().is_none(),
                "an offset came from nowhere"
            );
        }
        producer.close(std::time::Duration::from_secs(10)).await;
        Ok(())
    })?;
    let read = await_all(helper, topic, &load)?;
    helper.delete(topic)?;
    Ok(format!("{read} records, none with an offset"))
}

/// Waits until consumers see as many records as were sent: with fewer acks the followers may be behind.
fn await_all(helper: &mut Helper, topic: &str, load: &Load) -> Result<usize> {
    let mut ends = 0;
    for _ in 0..100 {
        ends = usize::try_from(helper.ends(topic)?.iter().sum::<i64>())?;
        if ends == load.lengths.len() {
            return Ok(ends);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bail!("{ends} of {} records arrived", load.lengths.len())
}

fn small_load(seed: u64) -> Load {
    let shape = Shape {
        seed,
        keyed: true,
        headers: true,
    };
    Load {
        shape,
        lengths: (0..2_000).map(|index| index % 300).collect(),
    }
}
