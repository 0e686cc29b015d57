//! Brokers, their versions, metadata and what is in flight, without sockets or clock.
//!
//! [`Client`] decides what any client of Kafka has to decide before it can ask a broker anything:
//! which servers to begin with, which brokers to be connected to and until when, in which versions
//! to speak to each, when to ask what the cluster looks like, and which answer belongs to which
//! request. It opens no socket and reads no clock: a *driver* tells it what happened and does what
//! it says. Time is an argument, chance comes from a seed, so a run can be repeated exactly.
//!
//! - A driver does each [`Action`], writes what [`Client::poll_transmit`] gives it, and reports
//!   with
//!   the `handle_*` methods.
//! - The owner learns from each [`Event`], says whom it [`want`](Client::want)s to talk to, and
//!   registers its own requests with [`Client::begin_request`]; [`Client::handle_frame`] gives its
//!   answers back.
//!
//! It is the layer below milena's producer, and just as good a base for an inspector, a load
//! generator or a proxy.
//!
//! # Alone
//!
//! Ask a cluster for its brokers and a topic, with blocking sockets of the standard library.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::io::{self, Read, Write};
//! use std::net::TcpStream;
//! use std::time::{Duration, Instant};
//!
//! use milena_client::{
//!     Action, Address, Client, CloseReason, Config, ConnectFailure, Event, NotKafka,
//! };
//!
//! fn main() -> io::Result<()> {
//!     let servers = Address::parse_list("localhost:9092").expect("good addresses");
//!     let mut client = Client::<()>::new(Config::new(servers), 42, Instant::now());
//!     client.track_topic(Instant::now(), "orders");
//!     let mut sockets = BTreeMap::new();
//!     loop {
//!         while let Some(action) = client.poll_action(Instant::now()) {
//!             match action {
//!                 Action::Connect { connection, address, .. } => {
//!                     match TcpStream::connect((address.host.as_str(), address.port)) {
//!                         Ok(socket) => {
//!                             sockets.insert(connection, socket);
//!                             client.handle_connected(Instant::now(), connection);
//!                         }
//!                         Err(error) => {
//!                             let why = ConnectFailure::Io(error.to_string());
//!                             client.handle_connect_failed(Instant::now(), connection, why);
//!                         }
//!                     }
//!                 }
//!                 Action::Close { connection, .. } => drop(sockets.remove(&connection)),
//!                 _ => {}
//!             }
//!         }
//!         while let Some(event) = client.poll_event() {
//!             match event {
//!                 Event::Exhausted(servers) => {
//!                     servers.iter().for_each(|server| eprintln!("{server}"));
//!                     return Ok(());
//!                 }
//!                 Event::TopicError { topic, error } => println!("{topic}: {error:?}"),
//!                 _ => {}
//!             }
//!         }
//!         if let Some(topic) = client.cluster().topic("orders") {
//!             for broker in client.cluster().brokers() {
//!                 println!("broker {} at {}", broker.id, broker.address);
//!             }
//!             for partition in &topic.partitions {
//!                 println!("partition {}: leader {:?}", partition.index, partition.leader);
//!             }
//!             return Ok(());
//!         }
//!         for (&connection, socket) in &mut sockets {
//!             let Some(frame) = client.poll_transmit(Instant::now(), connection) else { continue
//! };
//!             match exchange(socket, &frame) {
//!                 Ok(Ok(answer)) => {
//!                     client.handle_written(Instant::now(), connection);
//!                     // Nothing was asked in our own name, so there is no answer for us in it.
//!                     let _ = client.handle_frame(Instant::now(), connection, &answer);
//!                 }
//!                 Ok(Err(why)) => {
//!                     client.handle_closed(Instant::now(), connection,
//! CloseReason::NotKafka(why));
//!                 }
//!                 Err(error) => {
//!                     let why = CloseReason::Io(error.to_string());
//!                     client.handle_closed(Instant::now(), connection, why);
//!                 }
//!             }
//!         }
//!         let now = Instant::now();
//!         let due = client.poll_timeout().map(|at| at.saturating_duration_since(now));
//!         std::thread::sleep(due.unwrap_or_default().min(Duration::from_millis(10)));
//!         client.handle_timeout(Instant::now());
//!     }
//! }
//!
//! /// Writes a request and reads what comes back: the length in front, then the frame.
//! fn exchange(socket: &mut TcpStream, frame: &[u8]) -> io::Result<Result<Vec<u8>, NotKafka>> {
//!     socket.write_all(frame)?;
//!     let mut prefix = [0; 4];
//!     socket.read_exact(&mut prefix)?;
//!     let length = match NotKafka::check_length(prefix, 1 << 20) {
//!         Ok(length) => length,
//!         Err(why) => return Ok(Err(why)),
//!     };
//!     let mut answer = vec![0; length];
//!     socket.read_exact(&mut answer)?;
//!     Ok(Ok(answer))
//! }
//! ```
//!
//! # Where it goes its own way
//!
//! Its rules are those of Kafka's Java client 4.3, with these differences that show on a network:
//!
//! - The servers to begin with are tried side by side, 250 ms apart, in random order. The first
//!   that says which versions it speaks is kept, and becomes the connection of the broker that
//!   advertises its address; one that is nobody's is closed once a broker is connected.
//! - A connection that is full is waited for, for up to a second, before another broker is
//!   connected to for metadata.
//! - An idle connection that is closed here is no reason to ask for metadata, or to wait before
//!   the next attempt.
//! - What is known of topics survives a rebootstrap (KIP-899), a moment in which a broker denies a
//!   topic, and an answer with fewer partitions for the same topic id.
//! - Metadata that is requested while an answer is on its way is asked for once more after it.
//! - A broker without a version of an API that is [required](Config::required) is not used at all.
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod config;
mod few;
mod id;
mod rng;

mod cluster;
mod event;
mod failure;

mod bootstrap;
mod connection;
mod refresh;
mod renewal;
mod versions;

mod client;

// The public interface is:
pub use address::{Address, BadAddress};
pub use backoff::Backoff;
pub use client::{Client, Endpoint, LeaderHint};
pub use cluster::{Broker, Cluster, PartitionMetadata, TopicMetadata};
pub use config::{CENTURY, Config, Recovery};
pub use event::{
    Action, Answer, Event, LostReason, MetadataFailure, MetadataUpdate, NodeState, Why,
};
pub use failure::{
    BrokerFault, CloseReason, ConnectFailure, NotKafka, Unreachable, VersionMismatch,
};
pub use few::Few;
pub use id::{ConnectionId, NodeId};
pub use rng::Rng;
