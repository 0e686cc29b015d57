//! A simulated world for milena's producer: virtual time, a network that fails, laws that must hold.
//!
//! A [`World`] holds a real [`Sender`](milena_sender::Sender) with its accumulator on one side and
//! the model of a [`Cluster`](milena_broker::Cluster) on the other. Between them is a network of
//! events in virtual time: bytes take a while, connections are cut, answers are lost or come late,
//! and what a client has given up may still be carried out by a broker. Nothing in it is left to
//! anything but the seed, so that a failure is replayed by its number.
//!
//! [`run`] makes a plan from a seed, carries it out, heals the world, waits until it is quiet and
//! checks the [laws](Broken).
//!
//! ```
//! milena_sim::run(7).unwrap();
//! ```
#![forbid(unsafe_code)]

mod law;
mod network;
mod plan;
mod tally;
mod tell;
mod wire;
mod world;

pub use law::Broken;
pub use plan::{Plan, Ran, run, run_with};
pub use tally::Tally;
pub use world::World;
