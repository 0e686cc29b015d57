//! The Apache Kafka producer for Rust.
#![forbid(unsafe_code)]

mod config;
mod error;
mod partitions;
mod producer;
mod record;
mod shared;
mod snapshot;
mod start;
mod topic;

pub use config::{ConfigError, MetadataRecovery, ProducerConfig};
pub use error::{BuildError, ConnectError, SendError, SendManyError, TrySendError};
pub use milena_accumulator::{
    CloseReason, Deliveries, Delivery, DeliveryError, FailureReason, Fate, RecordMetadata,
    TopicError,
};
pub use milena_record::{Codec as Compression, Header};
pub use milena_tokio::client::{Address, ConnectFailure, Unreachable};
pub use milena_tokio::sender::Acks;
pub use milena_tokio::{NoRuntime, NotConnected, Report as CloseReport};
pub use partitions::{Node, PartitionInfo};
pub use producer::Producer;
pub use record::{Data, Message, Record};
pub use snapshot::Snapshot;
pub use topic::Topic;
