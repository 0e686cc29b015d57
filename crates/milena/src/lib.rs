//! The Apache Kafka producer for Rust.
#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports)]

mod config;
mod record;

pub use config::{Acks, Address, ConfigError, MetadataRecovery, ProducerConfig};
pub use milena_record::{Codec as Compression, Header};
pub use record::{Data, Message, Record};
