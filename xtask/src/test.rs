//! `cargo xtask test`: every test that needs nothing but cargo.

use anyhow::Result;
use lexopt::Parser;

use crate::run::{cargo, run};
use crate::{layers, tidy};

/// Sets of features that must build on their own: each codec alone, and none.
const FEATURES: &[&str] = &["", "gzip", "snappy", "lz4", "zstd"];

/// Runs them in the order in which they are cheap to fail.
pub fn main(mut arguments: Parser) -> Result<()> {
    if let Some(argument) = arguments.next()? {
        return Err(argument.unexpected().into());
    }
    all()
}

/// Runs them in the order in which they are cheap to fail.
pub fn all() -> Result<()> {
    layers::check()?;
    tidy::check(false)?;
    for features in FEATURES {
        let mut command = cargo("check --quiet --package milena --no-default-features");
        if !features.is_empty() {
            command.args(["--features", features]);
        }
        run(&mut command)?;
    }
    // The wire as the producer has it.
    run(&mut cargo(
        "test --quiet --package milena-wire --no-default-features",
    ))?;
    // What each codec does where others, or it itself, are left out.
    for features in FEATURES {
        let mut command = cargo("test --quiet --package milena-record --no-default-features");
        if !features.is_empty() {
            command.args(["--features", features]);
        }
        run(&mut command)?;
    }
    // Unit tests, integration tests and documentation tests of every crate.
    run(&mut cargo("test --workspace"))
}
