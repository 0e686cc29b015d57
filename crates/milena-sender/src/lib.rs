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
//! cutting); `frame` (a request's bytes); `answer`, `settle` and `expiry` (what answers, losses
//! and time make of batches); `hear` (what accumulator and client tell); `identity`; `topics`.
#![forbid(unsafe_code)]

mod answer;
mod board;
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
