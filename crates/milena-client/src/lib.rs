//! Brokers, their versions, metadata and what is in flight, without sockets or clock.
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod bootstrap;
mod client;
mod cluster;
mod config;
mod connection;
mod event;
mod failure;
mod id;
mod refresh;
mod renewal;
mod rng;
mod versions;

// The public interface is:
pub use address::{Address, BadAddress};
pub use backoff::Backoff;
pub use client::{Client, Endpoint, LeaderHint};
pub use cluster::{Broker, Cluster, PartitionMetadata, TopicMetadata};
pub use config::{Config, Recovery};
pub use event::{
    Action, Answer, Event, LostReason, MetadataFailure, MetadataUpdate, NodeState, Why,
};
pub use failure::{
    BrokerFault, CloseReason, ConnectFailure, NotKafka, Unreachable, VersionMismatch,
};
pub use id::{ConnectionId, NodeId};
pub use rng::Rng;
