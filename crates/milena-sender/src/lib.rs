//! Decides what a Kafka producer says to its brokers, without clock, sockets or threads.
//!
//! A [`Sender`] is told what the network and the clock did and answers what to do now. It is the
//! place where the layers below meet: batches from the
//! [`accumulator`], connections and metadata from the [`client`],
//! names for batches from the [transaction](milena_transaction) layer.
//!
//! The code map, in reading order: [`Config`]; `partition` (what one partition waits for, and
//! why); `board` (who is next, without scans); `verdict` (what an error code means); `sender`
//! (the type and its methods); `produce` (what goes into a request); `seal` (compressing and
//! cutting); `frame` (a request's bytes); `settle` and `expiry` (what answers, losses
//! and time make of batches); `hear` (what accumulator and client tell); `identity`; `topics`;
//! `availability` (which leaders keep data waiting).
//!
//! # Used alone
//!
//! Whoever has sockets and a clock drives it; here a hand does, up to the first request.
//!
//! ```
//! use std::io::IoSlice;
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use milena_sender::accumulator::{self, Accumulator};
//! use milena_sender::client::{self, Action, Address};
//! use milena_sender::{Config, Cursor, FrameBuffer, Sender, Transmit};
//! use milena_wire::{ApiKey, peek_request};
//!
//! let now = Instant::now();
//! let records = Arc::new(Accumulator::new(accumulator::Config::default(), 1));
//! let config = Config {
//!     client: client::Config::new(vec![Address::new("127.0.0.1", 9092)]),
//!     ..Config::default()
//! };
//! let mut sender = Sender::new(config, records, 1, now);
//!
//! // It wants to be connected to a bootstrap server.
//! let Some(Action::Connect { connection, .. }) = sender.poll_action(now) else {
//!     panic!("there is a server to try");
//! };
//! sender.handle_connected(now, connection);
//!
//! // The first thing it says is to ask what the broker understands.
//! let Some(Transmit::Write(job)) = sender.poll_transmit(now, connection) else {
//!     panic!("a new connection begins with a question");
//! };
//! let mut frame = FrameBuffer::new();
//! job.encode(&mut frame)?;
//! let mut slices = [IoSlice::new(&[]); 8];
//! let filled = frame.slices(&job, &Cursor::default(), &mut slices);
//! let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
//! let (api, _version) = peek_request(&bytes[4..]).expect("a request");
//! assert_eq!(api, ApiKey::API_VERSIONS);
//! sender.handle_written(now, connection, job);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod availability;
mod board;
mod check;
mod config;
mod counters;
mod event;
mod expiry;
mod frame;
mod hear;
mod identity;
mod lingering;
mod partition;
mod produce;
mod seal;
mod sender;
mod settle;
mod topics;
mod verdict;

pub use config::{Acks, Config};
pub use counters::Counters;
pub use event::Event;
pub use frame::{Cursor, FrameBuffer, WriteJob};
pub use seal::{SealJob, Sealed};
pub use sender::{Sender, Transmit};

pub use milena_accumulator as accumulator;
pub use milena_client as client;
