//! What the project's own commands are made of; the Kafka suite uses the cluster from here too.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

pub mod bench;
pub mod ci;
pub mod kafka;
pub mod layers;
pub mod run;
pub mod schema;
pub mod sim;
pub mod test;
pub mod tidy;
