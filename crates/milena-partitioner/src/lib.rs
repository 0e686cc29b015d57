//! Which partition a record goes to, as Kafka's own producer decides it.
//!
//! - [`partition_for_key`]: records with a key, by murmur2 over all partitions.
//! - [`StickyTable`] and [`should_switch`]: records without one, by the rules of KIP-794.
//! - [`Partitioner`]: a user's own rule; [`RoundRobin`] is one.
//!
//! Everything here is a pure function of its arguments: random numbers and queue sizes are passed in.
//!
//! # Example
//!
//! ```
//! use milena_partitioner::partition_for_key;
//!
//! assert_eq!(partition_for_key(b"customer-17", 12), partition_for_key(b"customer-17", 12));
//! ```
#![forbid(unsafe_code)]

mod key;
mod partitioner;
mod round_robin;
mod sticky;

pub use key::{murmur2, partition_for_key};
pub use partitioner::{Choice, InputHeaders, NoHeaders, PartitionInput, Partitioner, TopicView};
pub use round_robin::RoundRobin;
pub use sticky::{LeaderLatency, PartitionLoad, StickyTable, should_switch, uniform};
