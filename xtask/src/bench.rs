//! `cargo xtask bench`: milena measured, alone and beside its peers.

pub mod brokers;
pub mod budgets;
pub mod cell;
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

const USAGE: &str = "cargo xtask bench [what]

                                     the layers: times, allocations, switches, peaks; instructions
  gate [--update]                    their instructions against those kept
  budgets                            what the public API may cost
  peers [--quick] [--row NAME]…      milena beside its peers; --list names the rows,
        [--only NAME,NAME]           --only the peers to measure
        [--rounds N] [--scale X] [--out FOLDER]";

/// Nothing: the layers; `gate`: their instructions against those kept; `budgets`: what the public API may cost;
/// `peers`: the comparison.
pub fn main(mut arguments: Parser) -> Result<()> {
    match arguments.next()? {
        None => layers::all(),
        Some(Arg::Value(what)) => match what.to_string_lossy().as_ref() {
            "gate" => layers::gate(arguments),
            "budgets" => match arguments.next()? {
                None => budgets::main(),
                Some(other) => Err(other.unexpected().into()),
            },
            "peers" => peers::main(arguments),
            other => bail!("there is no bench `{other}`\n\n{USAGE}"),
        },
        Some(Arg::Long("help") | Arg::Short('h')) => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(other.unexpected().into()),
    }
}
