//! `cargo xtask sim`: seeds against the model in virtual time, and mistakes planted to see the laws bite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lexopt::{Arg, Parser, ValueExt};

use crate::run::{cargo, root, run, target};

/// What `cargo xtask ci` and `.ci/run` run.
const SEEDS: u64 = 10_000;

/// A mistake that the laws of the simulation must notice.
struct Plant {
    name: &'static str,
    file: &'static str,
    /// Found exactly once in the file.
    from: &'static str,
    to: &'static str,
}

const PLANTS: &[Plant] = &[
    Plant {
        name: "a retry that is numbered anew",
        file: "crates/milena-sender/src/produce.rs",
        from: "if self.config.idempotence && parcel.stamp.is_none() {",
        to: "if self.config.idempotence {",
    },
    Plant {
        name: "a retry behind what was sent after it",
        file: "crates/milena-sender/src/partition.rs",
        from: "retries.insert(place, parcel);",
        to: "let _ = place; retries.push_front(parcel);",
    },
    Plant {
        name: "an answer to another request than the oldest is taken",
        file: "crates/milena-client/src/client/input.rs",
        from: "if oldest.correlation != got || !oldest.expects_answer {",
        to: "if !oldest.expects_answer {",
    },
    Plant {
        name: "a batch in doubt is sent under a new epoch",
        file: "crates/milena-sender/src/partition.rs",
        from: "self.sequences.has_hole() && !self.aside().retries.iter().any(|parcel| parcel.in_doubt)",
        to: "self.sequences.has_hole()",
    },
    Plant {
        name: "a batch that was begun is said not to be written",
        file: "crates/milena-sender/src/settle.rs",
        from: "parcel.in_doubt |= in_doubt;\n        if parcel.given_up",
        to: "let _ = in_doubt;\n        if parcel.given_up",
    },
    Plant {
        name: "a retry that is written otherwise",
        file: "crates/milena-sender/src/produce.rs",
        from: "base_timestamp: batch.base_timestamp,",
        to: "base_timestamp: batch.base_timestamp + i64::from(parcel.attempts > 1),",
    },
];

/// Runs the command.
pub fn main(mut parser: Parser) -> Result<()> {
    let mut seeds = SEEDS;
    let mut from = 0;
    let mut only: Option<u64> = None;
    let mut plants = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seeds") => seeds = parser.value()?.parse()?,
            Arg::Long("from") => from = parser.value()?.parse()?,
            Arg::Long("seed") => only = Some(parser.value()?.parse()?),
            Arg::Long("plants") => plants = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if plants {
        return all_plants();
    }
    let mut command = cargo("run --quiet --profile fast --package milena-sim --");
    match only {
        Some(seed) => command.args(["--seed", &seed.to_string()]),
        None => command.args(["--seeds", &seeds.to_string(), "--from", &from.to_string()]),
    };
    run(&mut command)
}

/// Plants each mistake in a copy of the crates and expects the simulation to fail; then the dedupe of the broker is
/// switched off, which it must notice too.
fn all_plants() -> Result<()> {
    let tree = target().join("plants");
    let binary = copy(&tree)?;
    bites("nothing", &binary, &[], false)?;
    bites(
        "the broker does not deduplicate",
        &binary,
        &["--without-dedupe"],
        true,
    )?;
    for plant in PLANTS {
        let path = tree.join(plant.file);
        let sound =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", plant.file))?;
        ensure!(
            sound.matches(plant.from).count() == 1,
            "`{}` is not exactly once in {}: mend the plant in xtask/src/sim.rs",
            plant.from,
            plant.file
        );
        fs::write(&path, sound.replace(plant.from, plant.to))?;
        let built = build(&tree);
        let bitten = built.and_then(|()| bites(plant.name, &binary, &[], true));
        fs::write(&path, sound)?;
        bitten?;
    }
    println!("sim: {} planted mistakes were noticed", PLANTS.len() + 1);
    Ok(())
}

/// Copies what the simulation is built from, and builds it.
fn copy(tree: &Path) -> Result<PathBuf> {
    for part in [
        "crates",
        "xtask",
        "benches",
        "examples",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        let to = tree.join(part);
        if to.is_dir() {
            fs::remove_dir_all(&to)?;
        }
        copy_all(&root().join(part), &to)
            .with_context(|| format!("cannot copy {part} to {}", tree.display()))?;
    }
    build(tree)?;
    Ok(tree.join("target/fast/milena-sim"))
}

/// Copies a file, or a folder without what was built in it.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name != "target" {
            copy_all(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn build(tree: &Path) -> Result<()> {
    let mut command = cargo("build --quiet --profile fast --package milena-sim");
    run(command
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", tree.join("target")))
}

/// Runs the simulation and expects it to fail, or not to.
fn bites(name: &str, binary: &Path, arguments: &[&str], expected: bool) -> Result<()> {
    let output = Command::new(binary)
        .args(["--seeds", "1000", "--most-failures", "1"])
        .args(arguments)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let first = said.lines().next().unwrap_or_default();
    println!("planted: {name}\n  {first}");
    // A panic or a build that does not start is no law that was broken.
    let broken =
        !output.status.success() && first.starts_with("seed ") && first.contains("; replay: ");
    let sound = output.status.success();
    if (expected && !broken) || (!expected && !sound) {
        bail!(
            "with `{name}` planted the simulation should {}",
            if expected { "fail" } else { "pass" }
        );
    }
    Ok(())
}
