//! The Apache Kafka producer for Rust.
//!
//! # The first record
//!
//! ```no_run
//! use std::time::Duration;
//! use milena::{Producer, Record};
//!
//! # async fn first() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder()
//!     .bootstrap_servers("b1:9092,b2:9092")
//!     .connect().await?;                                    // or .build()?, which waits for no broker
//!
//! let record = Record::to("orders").key("customer-17").value(r#"{"total": 12}"#);
//! let delivery = producer.send(record).await?;              // accepted: it lies in its batch
//! let at = delivery.await?;                                 // delivered: it lies in the log
//! println!("partition {}, offset {:?}", at.partition(), at.offset());
//!
//! let report = producer.close(Duration::from_secs(10)).await;
//! assert_eq!(report.lost, 0);
//! # Ok(())
//! # }
//! ```
//!
//! By default a record is acknowledged by all in-sync replicas, stored once even if it had to be
//! sent twice, and in the order in which records of its partition were sent. Unless a record names
//! its partition, its key decides it, as in the Java client; records without a key fill one batch
//! after the other, each in another partition.
//!
//! # Ways to send
//!
//! | | waits for room | tells the outcome by |
//! |---|---|---|
//! | [`Producer::send`] | yes | a [`Delivery`] |
//! | [`Producer::try_send`] | no, hands the record back | a [`Delivery`] |
//! | [`Producer::send_many`] | yes | one [`Deliveries`] for all |
//! | [`Producer::send_with`] | yes | a callback |
//! | [`Producer::enqueue`] | yes | nothing |
//!
//! Await deliveries *after* having sent many records, not one by one: a batch is sent when it is
//! full or [`linger`](ProducerConfig::linger) is over, so whoever waits for each record before
//! sending the next waits for that time and for the network with each.
//!
//! ```no_run
//! # async fn many(producer: milena::Producer, lines: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
//! use milena::Message;
//!
//! let topic = producer.topic("lines").await?;               // looked up once
//! let mut deliveries = Vec::new();
//! for line in &lines {
//!     deliveries.push(topic.send(Message::new().value(line)).await?);
//! }
//! for delivery in deliveries {
//!     delivery.await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What can go wrong
//!
//! A [`SendError`] says that a record was not accepted, and surely is not in any log. A
//! [`DeliveryError`] says that an accepted record could not be delivered, and its
//! [`fate`](DeliveryError::fate) whether it may be in the log all the same: [`Fate::NotWritten`]
//! records can be sent again without a thought, [`Fate::PossiblyWritten`] ones may then be there
//! twice. Retrying is not for the application: until
//! [`delivery_timeout`](ProducerConfig::delivery_timeout) is over the producer does that.
//!
//! When memory is used up, because brokers are slower than the application, `send` waits and
//! `try_send` hands records back; that is how pressure reaches whoever makes records.
//!
//! # Runtimes
//!
//! A producer lives on the tokio runtime it was built in, which needs its `net` and `time`
//! drivers; one thread is enough. Its handles and futures may be used from anywhere, other
//! runtimes and plain threads included, as long as its own runtime is being run: nothing else sends,
//! or fires a deadline. If its runtime is shut down everything undelivered fails.
//!
//! # Features
//!
//! `gzip`, `snappy`, `lz4`, `zstd`: the codecs, all on by default. gzip and zstd need a C compiler.
//!
//! # For tests
//!
//! The crate `milena-broker` is a cluster that runs inside the test, over TCP or without:
//!
//! ```
//! # use milena::{Producer, Record};
//! # use milena_broker::{Cluster, ClusterConfig, ServeOptions, serve};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new(ClusterConfig { brokers: 3, ..ClusterConfig::default() });
//! let server = serve(cluster, ServeOptions::default()).await?;
//!
//! let producer = Producer::builder().bootstrap_servers(server.bootstrap()).connect().await?;
//! let at = producer.send(Record::to("orders").value("hello")).await?.await?;
//! assert_eq!(at.offset(), Some(0));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod asked;
mod config;
mod data;
mod error;
mod partitions;
mod producer;
mod record;
mod sending;
mod shared;
mod snapshot;
mod start;
mod topic;

// The public interface is:
pub use config::{ConfigError, MetadataRecovery, ProducerConfig};
pub use data::Data;
pub use error::{BuildError, ConnectError, SendError, SendManyError, TrySendError};
pub use milena_accumulator::{
    BrokerError, CloseReason, Deliveries, Delivery, DeliveryError, FailureReason, Fate,
    RecordMetadata, Snapshot as BufferSnapshot, TopicError,
};
pub use milena_record::{Codec as Compression, Header};
pub use milena_tokio::client::{Address, ConnectFailure, Unreachable};
pub use milena_tokio::sender::{Acks, Counters};
pub use milena_tokio::{
    BoxFuture, Connector, NoRuntime, NotConnected, Report as CloseReport, Resolver, Stream,
};
pub use partitions::{Node, PartitionInfo};
pub use producer::Producer;
pub use record::{Message, Record};
pub use snapshot::Snapshot;
pub use topic::Topic;
