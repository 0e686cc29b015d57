//! What a broker still knows of a producer after it was killed.
//!
//! Kafka reckons how long a producer has been idle from the timestamp of its last batch, not from when the batch came.
//! Whoever gives records times that are older than `producer.id.expiration.ms` (a day) is idempotent only until the
//! broker starts anew: it then appends a batch again that it has already.

use anyhow::{Result, ensure};
use xtask::kafka::cluster::Cluster;

use crate::batch::Batch;
use crate::cells::Cells;
use crate::session::{How, Session};
use crate::wall_ms;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// One cell, for a cluster of one broker.
pub(crate) fn run(cells: &mut Cells, cluster: &mut Cluster) {
    cells.run("what a killed broker remembers of a producer", || {
        cell(cluster)
    });
}

fn cell(cluster: &mut Cluster) -> Result<String> {
    let ages = [("recent", 0), ("old", DAY + DAY / 24)];
    let mut session = Session::new(&cluster.bootstrap_servers())?;
    let mut batches = Vec::new();
    for (topic, age) in ages {
        session.create(topic, 1, 1, &[])?;
        session.settle(topic, 1)?;
        let (id, epoch) = session.init_producer(None)?;
        let mut batch = Batch::of(id, epoch, 0, 1);
        batch.header.base_timestamp = wall_ms() - age;
        batch.header.max_timestamp = batch.header.base_timestamp;
        session.produce(topic, 0, &batch.bytes(), How::default())?;
        batches.push(batch);
    }
    let id = cluster.ids()[0];
    cluster.kill_node(id)?;
    cluster.start_node(id)?;
    cluster.await_ready()?;

    let mut session = Session::new(&cluster.bootstrap_servers())?;
    for ((topic, _), batch) in ages.iter().zip(&batches) {
        session.settle(topic, 1)?;
        session.produce(topic, 0, &batch.bytes(), How::default())?;
        session.offset(topic, 0, -1, 5)?;
        session.delete(topic)?;
    }
    let said = session.into_transcript();
    let ends: Vec<_> = said
        .iter()
        .filter(|line| line.starts_with("offset"))
        .collect();
    ensure!(
        ends[0].ends_with("NONE 1") && ends[1].ends_with("NONE 2"),
        "it says {said:?}"
    );
    Ok("one of now is known and not appended again; one of 25 hours ago is appended again".into())
}
