//! A Kafka cluster for tests: a pure model of its brokers, and served over TCP.
#![forbid(unsafe_code)]

mod answer;
mod change;
mod check;
mod cluster;
mod config;
mod journal;
mod log;
mod producers;
mod refusal;
mod release;
mod reply;
mod rng;
mod rule;
#[cfg(feature = "tcp")]
mod server;
mod shape;
mod topic;

pub use change::Change;
pub use cluster::Cluster;
pub use config::ClusterConfig;
pub use journal::{ConnectionCounts, ConnectionLife, Journal, Seen};
pub use log::{Log, StoredBatch};
#[doc(no_inline)]
pub use milena_wire::{ApiKey, ErrorCode, Uuid};
pub use producers::{DEDUPE_WINDOW, ProducerEntry, Producers, RememberedBatch};
pub use release::{Release, UnknownRelease, Versions};
pub use reply::{Answer, Reply, Wait};
pub use rule::{Act, Cut, Rule, RuleId};
#[cfg(feature = "tcp")]
pub use server::{ServeOptions, Server, Stop, serve, serve_in_thread};
pub use shape::{Broker, Partition, Topic};
pub use topic::{InvalidProperty, TopicConfig};
