//! What the examples share: a cluster to speak to, and a way to read back what lies in it.

#![forbid(unsafe_code)]

mod ask;
mod cluster;
mod read_back;

pub use ask::Connection;
pub use cluster::Cluster;
pub use read_back::read_partition;

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
