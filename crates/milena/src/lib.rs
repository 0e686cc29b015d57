//! The Apache Kafka producer for Rust.
#![forbid(unsafe_code)]
