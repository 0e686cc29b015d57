//! Sockets, timers and tasks for the Kafka producer milena.
#![forbid(unsafe_code)]

mod bell;
mod bells;
mod clock;
mod connection;
mod connector;
mod control;
mod core;
mod dial;
mod driver;
mod read;
mod status;
mod write;

pub use clock::SystemClock;
pub use connector::{BoxFuture, Connector, Resolver, Stream, SystemResolver, TcpConnector};
pub use driver::{Driver, Network, NoRuntime, NotConnected};
pub use status::Report;

pub use milena_accumulator as accumulator;
pub use milena_client as client;
pub use milena_client::Unreachable;
pub use milena_sender as sender;
