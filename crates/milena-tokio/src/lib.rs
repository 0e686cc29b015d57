//! Sockets, timers and tasks for the Kafka producer milena.
#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports)]

mod bell;
mod connector;
mod dial;
mod read;
mod write;

pub use connector::{BoxFuture, Connector, Resolver, Stream, SystemResolver, TcpConnector};
