//! Every codec, with and without keys, with and without headers, in sizes from nothing to 900 KB.

use std::time::Duration;

use anyhow::{Result, ensure};
use milena::{Compression, Producer, ProducerConfig};
use tokio::runtime::Runtime;
use xtask::kafka::cluster::Cluster;
use xtask::kafka::java::Helper;

use crate::carry::{self, Load, Place, Times};
use crate::cells::Cells;
use crate::content::{Rng, Shape};

/// All codecs.
pub(crate) const CODECS: &[Compression] = &[
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

const BATCH_SIZE: usize = 16_384;

/// The counts of sizes in a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Of 0 B, 1 B, 100 B and 1 KiB, each.
    small: usize,
    /// Of `batch.size` - 1, `batch.size`, `batch.size` + 1, each; and as many of values that make a batch of one
    /// record as long as that.
    batch: usize,
    /// Of 900 KB.
    large: usize,
}

/// 2,500 records.
pub(crate) const SMALL: Counts = Counts {
    small: 619,
    batch: 3,
    large: 6,
};

/// 25,000 records.
pub(crate) const FULL: Counts = Counts {
    small: 6_232,
    batch: 10,
    large: 12,
};

/// 500 records.
pub(crate) const TINY: Counts = Counts {
    small: 122,
    batch: 1,
    large: 6,
};

impl Counts {
    fn lengths(self, overhead: usize, seed: u64) -> Vec<usize> {
        let mut lengths = Vec::new();
        for small in [0, 1, 100, 1_024] {
            lengths.extend(std::iter::repeat_n(small, self.small));
        }
        for edge in BATCH_SIZE - 1..=BATCH_SIZE + 1 {
            lengths.extend(std::iter::repeat_n(edge, self.batch));
            lengths.extend(std::iter::repeat_n(edge - overhead, self.batch));
        }
        lengths.extend(std::iter::repeat_n(900_000, self.large));
        let mut rng = Rng::new(seed);
        for last in (1..lengths.len()).rev() {
            lengths.swap(last, rng.below(last + 1));
        }
        lengths
    }
}

/// The header of a batch, and what a record takes besides its value and its key, roughly; keys and headers shift it.
const OVERHEAD: usize = 61 + 13;

/// Twenty cells.
pub(crate) fn run(
    cells: &mut Cells,
    cluster: &Cluster,
    helper: &mut Helper,
    replicas: i32,
    counts: Counts,
) {
    let mut records = 0;
    for (nth, &codec) in CODECS.iter().enumerate() {
        for (keyed, headers) in [(false, false), (false, true), (true, false), (true, true)] {
            let seed = (nth * 4 + usize::from(keyed) * 2 + usize::from(headers)) as u64 + 100;
            let shape = Shape {
                seed,
                keyed,
                headers,
            };
            let load = Load {
                shape,
                lengths: counts.lengths(OVERHEAD, seed),
            };
            records += load.lengths.len();
            let name = format!(
                "{} on {} brokers: {codec:?}, {}, {}",
                cluster.kafka().version,
                cluster.ids().len(),
                if keyed { "keys" } else { "no keys" },
                if headers { "headers" } else { "no headers" },
            );
            cells.run(&name, || cell(cluster, helper, replicas, codec, &load));
        }
    }
    println!("      {records} records, in each cell {counts:?}");
}

fn cell(
    cluster: &Cluster,
    helper: &mut Helper,
    replicas: i32,
    codec: Compression,
    load: &Load,
) -> Result<String> {
    let topic = format!("matrix-{}", load.shape.seed);
    helper.create(&topic, 12, replicas, &[])?;
    let config = Producer::builder()
        .compression(codec)
        .batch_size(BATCH_SIZE);
    let (places, batches) = send(cluster, config, &topic, load)?;
    let read = carry::compare(
        helper,
        &cluster.dir(),
        &topic,
        load,
        &places,
        Times::Producer,
    )?;
    helper.delete(&topic)?;
    Ok(format!("{read} records in {batches} batches"))
}

/// Sends everything in order, and gives where it lies and in how many batches it went.
pub(crate) fn send(
    cluster: &Cluster,
    config: ProducerConfig,
    topic: &str,
    load: &Load,
) -> Result<(Vec<Place>, u64)> {
    Runtime::new()?.block_on(async {
        let producer = config
            .bootstrap_servers(cluster.bootstrap_servers())
            .connect()
            .await?;
        let handle = producer.topic(topic).await?;
        let mut deliveries = Vec::with_capacity(load.lengths.len());
        for index in 0..load.lengths.len() {
            deliveries.push(load.send(&handle, index).await?);
        }
        let places = carry::places(deliveries).await?;
        let snapshot = producer.snapshot();
        let report = producer.close(Duration::from_secs(10)).await;
        ensure!(report.lost == 0, "{} records were given up", report.lost);
        ensure!(
            snapshot.sent.records_acknowledged == places.len() as u64,
            "counted {snapshot:?}"
        );
        Ok((places, snapshot.sent.batches))
    })
}
