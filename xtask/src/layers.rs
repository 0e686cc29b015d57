//! `cargo xtask layers`: which crate may use which, compared with what `cargo metadata` says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use lexopt::Parser;
use serde_json::Value;

use crate::run;

/// What a crate of the workspace may depend on, development dependencies left out.
struct Layer {
    name: &'static str,
    /// Crates of this workspace.
    ours: &'static [&'static str],
    /// Everybody else's crates.
    theirs: &'static [&'static str],
}

/// The layers, from the bottom up. A change here is a change of the design: ARCHITECTURE.md says why.
const LAYERS: &[Layer] = &[
    Layer {
        name: "milena-wire",
        ours: &[],
        theirs: &["bytes", "nom"],
    },
    Layer {
        name: "milena-record",
        ours: &[],
        theirs: &[
            "crc-fast",
            "libdeflater",
            "lz4_flex",
            "twox-hash",
            "snap",
            "zstd-safe",
        ],
    },
    Layer {
        name: "milena-partitioner",
        ours: &[],
        theirs: &[],
    },
    Layer {
        name: "milena-transaction",
        ours: &[],
        theirs: &[],
    },
    Layer {
        name: "milena-client",
        ours: &["milena-wire"],
        theirs: &["tracing"],
    },
    Layer {
        name: "milena-accumulator",
        ours: &["milena-partitioner", "milena-record"],
        theirs: &["bytes", "foldhash", "spin"],
    },
    Layer {
        name: "milena-sender",
        ours: &[
            "milena-accumulator",
            "milena-client",
            "milena-record",
            "milena-transaction",
            "milena-wire",
        ],
        theirs: &["tracing"],
    },
    Layer {
        name: "milena-tokio",
        ours: &[
            "milena-accumulator",
            "milena-client",
            "milena-record",
            "milena-sender",
        ],
        theirs: &["coarsetime", "socket2", "tokio", "tracing"],
    },
    Layer {
        name: "milena",
        ours: &["milena-accumulator", "milena-record", "milena-tokio"],
        theirs: &["bytes", "tracing"],
    },
    Layer {
        name: "milena-broker",
        ours: &["milena-record", "milena-wire"],
        theirs: &["bytes", "lexopt", "rustix", "socket2", "tokio"],
    },
    Layer {
        name: "milena-sim",
        ours: &[
            "milena-broker",
            "milena-record",
            "milena-sender",
            "milena-wire",
        ],
        theirs: &[],
    },
];

/// The most crates that a default build of `milena` may consist of.
const MOST_CRATES: usize = 45;

/// Compares, and says every difference.
pub fn main(mut arguments: Parser) -> Result<()> {
    if let Some(argument) = arguments.next()? {
        return Err(argument.unexpected().into());
    }
    check()
}

/// Compares, and says every difference.
pub fn check() -> Result<()> {
    let text = run::output(&mut run::cargo(
        "metadata --format-version 1 --no-deps --offline",
    ))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let known: BTreeMap<_, _> = LAYERS.iter().map(|layer| (layer.name, layer)).collect();
    let mut faults = Vec::new();
    let mut edges = 0;
    for package in packages {
        let name = package["name"]
            .as_str()
            .context("a package without a name")?;
        let uses = normal_dependencies(package)?;
        match known.get(name) {
            Some(layer) => {
                edges += uses.len();
                faults.extend(compare(layer, &uses));
            }
            None if package["publish"] == Value::Array(Vec::new()) => {}
            None => faults.push(format!(
                "{name} is to be published and has no line in the table"
            )),
        }
    }
    for layer in LAYERS {
        if !packages.iter().any(|package| package["name"] == layer.name) {
            faults.push(format!(
                "{} is in the table and not in the workspace",
                layer.name
            ));
        }
    }
    let crates = default_build()?;
    if crates > MOST_CRATES {
        faults.push(format!(
            "a default build of milena has {crates} crates; at most {MOST_CRATES} are wanted"
        ));
    }
    if !faults.is_empty() {
        bail!("the layers do not hold:\n  {}", faults.join("\n  "));
    }
    println!(
        "layers: {} crates, {edges} dependencies, all allowed; a default build has {crates} crates",
        LAYERS.len()
    );
    Ok(())
}

fn normal_dependencies(package: &Value) -> Result<BTreeSet<String>> {
    let dependencies = package["dependencies"]
        .as_array()
        .context("no dependencies")?;
    Ok(dependencies
        .iter()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .filter_map(|dependency| dependency["name"].as_str())
        .map(str::to_owned)
        .collect())
}

/// What is used and not allowed, and what is allowed and not used: the table says exactly what is so.
fn compare(layer: &Layer, uses: &BTreeSet<String>) -> Vec<String> {
    let allowed = layer.ours.iter().chain(layer.theirs);
    let idle = allowed.filter(|name| !uses.contains(**name));
    let idle =
        idle.map(|name| format!("{} has {name} in the table and does not use it", layer.name));
    uses.iter()
        .filter(|name| {
            !layer.ours.contains(&name.as_str()) && !layer.theirs.contains(&name.as_str())
        })
        .map(|name| format!("{} must not depend on {name}", layer.name))
        .chain(idle)
        .collect()
}

fn default_build() -> Result<usize> {
    let mut command =
        run::cargo("tree --offline --edges normal --package milena --prefix none --no-dedupe");
    let text = run::output(&mut command)?;
    let crates: BTreeSet<_> = text
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>())
        .collect();
    Ok(crates.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_upwards_is_named() {
        let layer = LAYERS
            .iter()
            .find(|layer| layer.name == "milena-sender")
            .unwrap();
        let all = layer.ours.iter().chain(layer.theirs);
        let mut uses: BTreeSet<_> = all.map(|&name| name.to_owned()).collect();
        assert!(compare(layer, &uses).is_empty());
        uses.insert("tokio".to_owned());
        assert_eq!(
            compare(layer, &uses),
            ["milena-sender must not depend on tokio"]
        );
        uses.remove("tokio");
        uses.remove("milena-wire");
        let idle = "milena-sender has milena-wire in the table and does not use it";
        assert_eq!(compare(layer, &uses), [idle]);
    }

    #[test]
    fn the_table_goes_strictly_downward() {
        for (at, layer) in LAYERS.iter().enumerate() {
            for below in layer.ours {
                let lower = LAYERS[..at].iter().any(|lower| lower.name == *below);
                assert!(lower, "{} uses {below}, which is not below it", layer.name);
            }
        }
    }
}
