//! `cargo xtask ci`: the steps of `.ci/run`, in the same order.

use std::process::Command;

use anyhow::Result;
use lexopt::{Arg, Parser};

use crate::run::{root, run};

/// Runs `.ci/run`; `--quick` leaves out the real Kafka and the fuzzing.
pub fn main(mut arguments: Parser) -> Result<()> {
    let mut command = Command::new("bash");
    command.arg(root().join(".ci/run")).current_dir(root());
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("quick") => command.arg("--quick"),
            other => return Err(other.unexpected().into()),
        };
    }
    run(&mut command)
}
