//! What the tests over TCP have in common: a served cluster, and its logs read back.
#![allow(dead_code, reason = "each test uses its own part")]

use std::net::SocketAddr;
use std::time::Duration;

use milena::{Producer, ProducerConfig};
use milena_broker::{Cluster, ClusterConfig, ServeOptions, Server, serve};
use tokio::net::TcpListener;

/// A cluster of so many brokers that creates no topics by itself.
pub(crate) async fn cluster(brokers: usize) -> Server {
    cluster_with(ClusterConfig {
        brokers,
        auto_create: None,
        verify_records: true,
        ..ClusterConfig::default()
    })
    .await
}

pub(crate) async fn cluster_with(config: ClusterConfig) -> Server {
    serve(Cluster::new(config), ServeOptions::default())
        .await
        .expect("loopback ports are free")
}

/// A configuration for this cluster with short times.
pub(crate) fn config(server: &Server) -> ProducerConfig {
    Producer::builder()
        .bootstrap_servers(server.bootstrap())
        .max_block(Duration::from_secs(5))
}

/// An address where nothing listens.
pub(crate) async fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("loopback ports are free");
    listener.local_addr().expect("it is bound")
}

/// A record as it lies in a log.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap_or_default()).expect("the test wrote text")
    }
}

/// Every record of a partition, read by the rules of the format.
pub(crate) fn log(server: &Server, topic: &str, partition: i32) -> Vec<Stored> {
    let cluster = server.cluster();
    let Some(log) = cluster.log(topic, partition) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for stored in log.batches() {
        for batch in milena_record::batches(&stored.bytes) {
            let batch = batch.expect("the log holds whole batches");
            batch.verify_crc().expect("the sum is right");
            let records = batch.records(1 << 30).expect("the batch can be read");
            for record in &records {
                let record = record.expect("the record can be read");
                let headers = record.headers().iter().map(|header| {
                    (
                        String::from_utf8(header.key.to_vec()).expect("names are UTF-8"),
                        header.value.map(<[u8]>::to_vec),
                    )
                });
                all.push(Stored {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: headers.collect(),
                });
            }
        }
    }
    all
}

/// Every record of a topic, partition by partition.
pub(crate) fn logs(server: &Server, topic: &str) -> Vec<Vec<Stored>> {
    let count = server.cluster().logs(topic).count();
    (0..count as i32)
        .map(|partition| log(server, topic, partition))
        .collect()
}
