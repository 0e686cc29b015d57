//! What the nodes of a cluster are told: properties, ports, the cluster's id.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use super::cluster::{Node, Spec};

/// The `server.properties` of one of the nodes.
///
/// Nothing is deleted for its age and no segment is rolled for it: records of tests may carry any time.
pub(super) fn properties(node: &Node, nodes: &[Node], data: &Path, spec: &Spec) -> String {
    let voters: Vec<_> = nodes
        .iter()
        .map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller_port))
        .collect();
    let replicas = spec.brokers.min(3);
    let in_sync = (replicas - 1).max(1);
    let Node {
        id,
        port,
        controller_port,
        ..
    } = node;
    let mut text = format!(
        "node.id={id}\n\
         process.roles=broker,controller\n\
         controller.quorum.voters={voters}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         log.retention.ms=-1\n\
         log.roll.ms=9223372036854775807\n\
         default.replication.factor={replicas}\n\
         min.insync.replicas={in_sync}\n\
         offsets.topic.num.partitions=4\n\
         offsets.topic.replication.factor={replicas}\n\
         transaction.state.log.num.partitions=4\n\
         transaction.state.log.replication.factor={replicas}\n\
         transaction.state.log.min.isr={in_sync}\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.leader.rebalance.enable=false\n",
        voters = voters.join(","),
        data = data.display(),
    );
    for (key, value) in &spec.settings {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// Ports that are free now and lie below those that the system hands out for outgoing connections.
///
/// While a broker is down its port must not be taken by a client that is trying to reach it.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos() ^ std::process::id();
    let first = 20_000 + u16::try_from(seed % 10_000)?;
    let listeners: Vec<_> = (first..32_000)
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(count)
        .collect();
    if listeners.len() < count {
        bail!("no {count} free ports on 127.0.0.1 between {first} and 32000");
    }
    let port = |listener: &TcpListener| Ok(listener.local_addr()?.port());
    listeners.iter().map(port).collect()
}

/// A cluster id: sixteen bytes in the URL form of base64, without padding.
pub(super) fn cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_nanos());
    let mut state = nanos as u64 ^ u64::from(std::process::id()) << 40;
    let mut id = String::from("mi");
    for _ in 0..19 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        id.push(char::from(ALPHABET[(state >> 58) as usize]));
    }
    // Sixteen bytes leave two bits for the last letter.
    id.push('A');
    id
}
