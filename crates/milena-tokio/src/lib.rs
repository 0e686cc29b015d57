//! Sockets, timers and tasks for the Kafka producer milena.
#![forbid(unsafe_code)]

mod bell;
mod connector;
mod dial;
mod read;
mod write;

pub use connector::{BoxFuture, Connector, Resolver, Stream, SystemResolver, TcpConnector};
