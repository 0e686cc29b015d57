//! `cargo xtask bench`: milena measured, alone and beside its peers.

pub mod brokers;
pub mod budgets;
pub mod cold;
pub mod contestants;
pub mod course;
pub mod expected;
pub mod judge;
pub mod layers;
pub mod measure;
pub mod payload;
pub mod peers;
pub mod report;
pub mod rows;
pub mod table;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser};

/// Nothing: the layers; `gate`: their instructions against those kept; `budgets`: what the public API may cost;
/// `peers`: the comparison.
pub fn main(mut arguments: Parser) -> Result<()> {
    match arguments.next()? {
        None => layers::all(),
        Some(Arg::Value(what)) => match what.to_string_lossy().as_ref() {
            "gate" => layers::gate(arguments),
            "budgets" => budgets::main(),
            "peers" => peers::main(arguments),
            other => bail!("there is no bench `{other}`: gate, budgets or peers"),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}
