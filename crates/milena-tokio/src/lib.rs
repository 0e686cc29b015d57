//! Sockets, timers and tasks for the Kafka producer milena.
//!
//! The [`sender`] decides what a producer says to its brokers and when; it has no clock, no
//! sockets and no threads. This crate lends it those: a [`Driver`] runs one task for each
//! connection, which reads, compresses and writes, and one for everything else. It knows nothing
//! of Kafka's rules beyond where a frame ends.
//!
//! ```text
//!   threads that append ──ring──┐
//!                               ▼
//!   control task           connection tasks         one each for a connection
//!   timers, waiters,       read ─► sender.handle_frame
//!   births, the end        sender.poll_transmit ─► compress, encode, write
//!          └──────── one lock around the sender ────────┘
//! ```
//!
//! The lock is held for decisions only, for microseconds and a few times a batch. Whoever lets it
//! go has rung every task that got something to do by the visit; wakers and callbacks run after it
//! was let go.
//!
//! # Used alone
//!
//! Applications use the crate `milena`. Whoever builds another client on these layers starts the
//! tasks like this, appends to the [`accumulator`], and may bring a [`Resolver`] and a
//! [`Connector`] of their own:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use milena_tokio::accumulator::{self, Accumulator, Record, Target, Value, Want};
//! use milena_tokio::{Driver, Network, SystemClock, client, sender};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use milena_broker::{Cluster, ClusterConfig, ServeOptions, serve};
//! # let server = serve(Cluster::new(ClusterConfig::default()), ServeOptions::default()).await?;
//! # let servers = server.bootstrap();
//! let client = client::Config::new(client::Address::parse_list(&servers).map_err(|(_, why)| why)?);
//! let accumulator = Arc::new(Accumulator::new(accumulator::Config::default(), 1));
//! let config = sender::Config { client, ..sender::Config::default() };
//! let driver = Driver::start(config, Arc::clone(&accumulator), Network::default(), 2)?;
//! driver.connected().await?;
//!
//! let now = Instant::now();
//! let topic = accumulator.wait_topic(now, "orders", None, now + Duration::from_secs(5)).await?;
//! let record = Record { value: Value::Borrowed(b"hello"), ..Record::default() };
//! let appended = accumulator.append(&SystemClock, &topic, &record, Want::Delivery, None)?;
//! let at = appended.delivery.expect("it was wanted").await?;
//! assert_eq!(at.offset(), Some(0));
//!
//! driver.end(Some(Duration::from_secs(5)));
//! assert_eq!(driver.ended().await.lost, 0);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod driver;
mod status;

mod control;
mod core;

mod connection;
mod dial;
mod read;
mod write;

mod bell;
mod bells;
mod callbacks;
mod clock;
mod connector;

pub use clock::SystemClock;
pub use connector::{BoxFuture, Connector, Resolver, Stream, SystemResolver, TcpConnector};
pub use driver::{Driver, Network, NoRuntime, NotConnected};
pub use status::Report;

pub use milena_accumulator as accumulator;
pub use milena_client as client;
pub use milena_client::Unreachable;
pub use milena_sender as sender;
