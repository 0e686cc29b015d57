//! A Kafka cluster for tests: a pure model of its brokers, and the same behind real sockets.
//!
//! It behaves as a client can see Kafka behave: topic ids and leader epochs, deduplication of idempotent producers,
//! the error codes of a leader in their order, versions back to Kafka 2.1. Sequences of requests are played against it
//! and against a real Kafka, and answered alike. It keeps everything in memory, replicates nothing, and starts in a
//! millisecond. Any client can use it; librdkafka and Java's own do in its tests.
//!
//! - [`Cluster`] is the model: no clock, no sockets, no threads. Frames go in, [`Reply`]s come out, and the same calls
//!   give the same replies: the other end of a simulation.
//! - [`serve`] and [`serve_in_thread`] put it behind a listener for each broker (feature `tcp`, on by default).
//! - The program `milena-broker` serves it to whatever is not written in Rust (feature `cli`, on by default).
//! - [`Rule`]s make it fail: answer errors, be late, cut connections in the middle of things, stay silent.
//!   [`Change`]s happen to it: leaders move, brokers go and come, topics are deleted and created anew.
//! - The [`Journal`] remembers the connections and requests it saw, so that a test can count them.
//!
//! Groups of consumers and transactions are not modelled: consumers assign their partitions by hand.
//!
//! # In the test of a program that produces
//!
#![cfg_attr(feature = "tcp", doc = "```")]
#![cfg_attr(not(feature = "tcp"), doc = "```ignore")]
//! use milena_broker::{Act, ApiKey, Cluster, ClusterConfig, ErrorCode, Rule, ServeOptions, serve_in_thread};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut cluster = Cluster::new(ClusterConfig { brokers: 3, ..ClusterConfig::default() });
//! cluster.create_topic("orders", 6).expect("a legal name");
//! let server = serve_in_thread(cluster, ServeOptions::default())?;
//!
//! // Ten times somebody else is said to lead: the program should try again and lose nothing.
//! let moved = Rule::on(ApiKey::PRODUCE).times(10).error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
//! server.cluster().add_rule(moved);
//!
//! my_program(&server.bootstrap());
//!
//! let cluster = server.cluster();
//! for log in cluster.logs("orders") {
//!     for record in log.read_back()? {
//!         println!("{}: {:?}", record.offset, record.value);
//!     }
//! }
//! assert!(cluster.journal().connections_of(1).most <= 1, "one connection to a broker is enough");
//! # Ok(())
//! # }
//! # fn my_program(_bootstrap: &str) {}
//! ```
//!
//! # Without sockets
//!
//! ```
//! use milena_broker::{Cluster, ClusterConfig, Reply};
//! use milena_wire::{MetadataRequest, Request, decode_response, encode_request};
//!
//! let mut cluster = Cluster::new(ClusterConfig::default());
//! cluster.create_topic("orders", 6).expect("a legal name");
//!
//! let version = MetadataRequest::version(12);
//! let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
//! let frame = encode_request(Some("me"), 1, &request, version).expect("it fits the version").to_vec();
//!
//! let (now_ms, broker, connection) = (1_700_000_000_000, 1, 1);
//! let Reply::Answer(answer) = cluster.handle(now_ms, broker, connection, &frame[4..]) else { panic!() };
//! let (_, response) = decode_response::<MetadataRequest<'_>>(&answer.bytes[4..], version).expect("a response");
//! assert_eq!(response.topics[0].partitions.len(), 6);
//! ```
//!
//! # By itself
//!
//! ```text
//! milena-broker --brokers 3 --topic orders:6:max.message.bytes=100000 --port 9092 --delay-ms 5
//! ```
//!
//! prints its bootstrap servers and serves until its standard input ends.
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
pub use log::{Log, StoredBatch, StoredRecord};
#[doc(no_inline)]
pub use milena_record::BatchError;
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
