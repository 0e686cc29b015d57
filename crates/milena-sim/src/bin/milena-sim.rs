//! Runs seeds: `milena-sim --seeds N [--from S]`, or one of them with its journal: `--seed S`. `--most-failures N`
//! ends the run after so many. `--without-dedupe` switches the broker's deduplication off, which the laws must notice.
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::process::ExitCode;

use milena_sim::{Plan, Tally, run_with};

/// From so many seeds on, everything that the laws are about has to happen in one of them.
const ENOUGH: u64 = 1_000;

fn main() -> ExitCode {
    let mut seeds = 1_000;
    let mut from = 0;
    let mut only = None;
    let mut dedupe = true;
    let mut most_failures = 10;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok());
        let understood = match argument.as_str() {
            "--seeds" => number().map(|n| seeds = n).is_some(),
            "--from" => number().map(|n| from = n).is_some(),
            "--seed" => number().map(|n| only = Some(n)).is_some(),
            "--most-failures" => number().map(|n| most_failures = n).is_some(),
            "--without-dedupe" => {
                dedupe = false;
                true
            }
            _ => false,
        };
        if !understood {
            println!(
                "usage: milena-sim [--seeds N] [--from S] [--seed S] [--most-failures N] [--without-dedupe]"
            );
            return ExitCode::from(2);
        }
    }
    let plan = |seed| {
        if dedupe {
            Plan::new(seed)
        } else {
            Plan::new(seed).without_dedupe()
        }
    };
    if let Some(seed) = only {
        return tell(plan(seed));
    }
    let mut failed = 0_u64;
    let mut tally = Tally::default();
    for seed in from..from + seeds {
        match run_with(plan(seed), false) {
            Ok(ran) => tally.add(&ran.counters),
            Err(broken) => {
                println!("{broken}");
                failed += 1;
                if failed >= most_failures {
                    break;
                }
            }
        }
    }
    println!("{} passed, {failed} failed", seeds.saturating_sub(failed));
    println!("{tally}");
    let missing = tally.missing();
    let untried = failed == 0 && seeds >= ENOUGH && !missing.is_empty();
    if untried {
        println!("no run had {}", missing.join(", "));
    }
    ExitCode::from(u8::from(failed > 0 || untried))
}

/// Runs one seed and prints what happened.
fn tell(plan: Plan) -> ExitCode {
    println!("{plan:#?}");
    match run_with(plan, true) {
        Ok(ran) => {
            for line in ran.journal {
                println!("{line}");
            }
            println!("the laws hold");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            for line in &broken.journal {
                println!("{line}");
            }
            println!("{broken}");
            ExitCode::FAILURE
        }
    }
}
