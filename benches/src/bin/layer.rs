//! One layer in a process of its own: what instructions are counted of.
//!
//! `bench-layer NAME COUNT` runs so many units; `bench-layer --list` names the layers and their units;
//! `bench-layer --codec NAME FILE SIZE BATCH` says how long a codec itself takes for a record, in nanoseconds;
//! `bench-layer --allocations NAME COUNT` says how many allocations and bytes so many units take.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use milena_benches::layers::{LAYERS, Layer, codec_ns};
use milena_record::Compression;

#[global_allocator]
static ALLOCATOR: milena_counting::Counting = milena_counting::Counting;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-layer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--list"] => LAYERS
            .iter()
            .for_each(|layer| println!("{} {}", layer.name, layer.unit)),
        ["--codec", name, file, size, batch] => {
            let compression: Compression = name.parse()?;
            let values = std::fs::read(file)?;
            let ns = codec_ns(compression, &values, size.parse()?, batch.parse()?);
            println!("{ns:.1}");
        }
        ["--allocations", name, count] => {
            let mut run = find(name)?.make();
            let count = count.parse()?;
            run(count);
            milena_counting::start();
            run(count);
            milena_counting::stop();
            let counts = milena_counting::counts();
            println!("{} {}", counts.calls, counts.bytes);
        }
        [name, count] => find(name)?.make()(count.parse()?),
        _ => bail!("a layer and a count, or --list, --codec or --allocations"),
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Layer> {
    let found = LAYERS.iter().find(|layer| layer.name == name);
    found.with_context(|| format!("there is no layer {name}"))
}
