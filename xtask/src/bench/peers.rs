//! `cargo xtask bench peers`: milena beside every client that a user would pick instead.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use super::brokers::Brokers;
use super::cell::{Cell, Measured};
use super::cold;
use super::contestants::{self, Contestant};
use super::course::Course;
use super::expected;
use super::judge::judge;
use super::report;
use super::rows::Row;
use super::table::ROWS;
use crate::run::target;

struct Options {
    quick: bool,
    rows: Vec<String>,
    only: Option<Vec<String>>,
    rounds: usize,
    out: PathBuf,
    /// Numbers of records are multiplied by this, unless they are paced.
    scale: Option<f64>,
    command: String,
}

/// Reads the command line and runs.
pub fn main(mut arguments: Parser) -> Result<()> {
    let mut options = Options {
        quick: false,
        rows: Vec::new(),
        only: None,
        rounds: 0,
        out: target().join("bench/peers"),
        scale: None,
        command: "cargo xtask bench peers".to_owned(),
    };
    for word in std::env::args().skip(3) {
        options.command.push(' ');
        options.command.push_str(&word);
    }
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("quick") => options.quick = true,
            Arg::Long("row") => options.rows.push(arguments.value()?.string()?),
            Arg::Long("only") => {
                let names = arguments.value()?.string()?;
                options.only = Some(names.split(',').map(str::to_owned).collect());
            }
            Arg::Long("rounds") => options.rounds = arguments.value()?.parse()?,
            Arg::Long("scale") => options.scale = Some(arguments.value()?.parse()?),
            Arg::Long("out") => options.out = std::path::absolute(arguments.value()?)?,
            Arg::Long("list") => {
                for row in ROWS {
                    println!("{:<14} {}", row.name, row.about);
                }
                println!("{:<14} {}", cold::NAME, cold::ABOUT);
                return Ok(());
            }
            Arg::Long("help") | Arg::Short('h') => {
                println!("{}", super::USAGE);
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.quick { 3 } else { 5 };
    }
    compare(&options)
}

fn compare(options: &Options) -> Result<()> {
    let named = |name: &str| options.rows.iter().any(|row| row == name);
    for name in &options.rows {
        if name != cold::NAME && !ROWS.iter().any(|row| row.name == name) {
            bail!("there is no row `{name}`; --list names them all");
        }
    }
    let is_wanted = |row: &Row| match options.rows.is_empty() {
        true => row.quick || !options.quick,
        false => named(row.name),
    };
    let mut rows = with_references(is_wanted);
    // Who names a row wants all of it.
    if options.quick && options.rows.is_empty() {
        rows = rows.iter().map(Row::in_quick).collect();
    }
    let (contestants, skipped) = contestants::build(options.only.as_deref())?;
    let about = report::About {
        command: options.command.clone(),
        rounds: options.rounds,
        quick: options.quick,
        skipped,
    };
    let mut measured = Measured::new();
    let mut codecs = BTreeMap::new();
    let mut kafka = None;
    for group in rows.chunk_by(|row, next| next.takes_turns_with(row)) {
        match measure_group(group, &contestants, options, &mut kafka, &measured) {
            Ok(courses) => {
                for (row, (cells, codec)) in group.iter().zip(courses) {
                    println!("\n{}", report::table(row, &cells));
                    codecs.extend(codec.map(|codec| (row.name, codec)));
                    measured.insert(row.name, cells);
                }
                // What is measured stays, whatever becomes of the rows that follow.
                report::write(&options.out, &about, &rows, &measured, &[])?;
            }
            Err(error) => {
                let names: Vec<_> = group.iter().map(|row| row.name).collect();
                println!("\n{}: {error:#}", names.join(", "));
            }
        }
    }
    let mut verdicts = Vec::new();
    for row in rows.iter().filter(|row| is_wanted(row)) {
        for (index, variant) in row.variants.iter().enumerate() {
            for goal in variant.goals {
                let codec = codecs.get(row.name).copied();
                let verdict = judge(goal, row, index, &measured, &about.skipped, codec);
                verdicts.push((row.name.to_owned(), variant.label(), verdict));
            }
        }
    }
    if named(cold::NAME) || (options.rows.is_empty() && !options.quick) {
        verdicts.push((
            cold::NAME.to_owned(),
            "default features".to_owned(),
            cold::judge(options.rounds),
        ));
    }
    println!("\n{}", report::goals(&verdicts));
    if let Some(ratios) = expected::table(&measured) {
        println!("{ratios}");
    }
    report::write(&options.out, &about, &rows, &measured, &verdicts)?;
    report::plot(&options.out);
    println!("written to {}", options.out.display());
    Ok(())
}

/// The rows that are wanted, and those that their goals refer to.
fn with_references(is_wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
    let wanted = || ROWS.iter().filter(|row| is_wanted(row));
    let referred: Vec<_> = wanted().flat_map(Row::references).collect();
    let needed = ROWS.iter().filter_map(|row| match is_wanted(row) {
        true => Some(*row),
        false => referred.contains(&row.name).then(|| row.as_reference()),
    });
    needed.collect()
}

/// So many rounds are measured in any comparison.
const LEAST: usize = 2;

/// Measures rows, all in each round; `kafka` is the real one, as soon as a row has wanted it, and `before` what other
/// rows have had. Returns for each what was measured and what its codec itself took.
fn measure_group(
    rows: &[Row],
    contestants: &[Contestant],
    options: &Options,
    kafka: &mut Option<Brokers>,
    before: &Measured,
) -> Result<Vec<(Vec<Cell>, Option<f64>)>> {
    let begun = Instant::now();
    let mut courses = Vec::new();
    for row in rows {
        println!("\n{}: {}", row.name, row.about);
        let (quick, scale) = (options.quick, options.scale);
        courses.push(Course::start(row, contestants, quick, scale, kafka)?);
    }
    for round in 0..options.rounds {
        if options.quick && round >= LEAST && !is_open(rows, &courses, before) {
            break;
        }
        for course in &mut courses {
            course.round(round, kafka)?;
        }
    }
    println!("  {:.0} s", begun.elapsed().as_secs_f64());
    Ok(courses.iter().map(Course::so_far).collect())
}

/// Whether a verdict may be another one after another round.
fn is_open(rows: &[Row], courses: &[Course<'_>], before: &Measured) -> bool {
    let mut measured = before.clone();
    let mut codecs = Vec::new();
    for (row, course) in rows.iter().zip(courses) {
        let (cells, codec) = course.so_far();
        measured.insert(row.name, cells);
        codecs.push(codec);
    }
    rows.iter().zip(codecs).any(|(row, codec)| {
        row.variants.iter().enumerate().any(|(variant, how)| {
            let mut goals = how.goals.iter().filter(|goal| !goal.is_exact());
            goals.any(|goal| judge(goal, row, variant, &measured, &Vec::new(), codec).is_close())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_goal_refers_to_comes_along_and_takes_turns() {
        let rows = with_references(|row| row.name == "10000-flat" || row.name == "2000-flat");
        let groups: Vec<_> = rows
            .chunk_by(|row, next| next.takes_turns_with(row))
            .collect();
        assert_eq!(groups.len(), 1);
        let names = groups[0].iter().map(|row| (row.name, row.peers));
        let expected = [("6-flat", false), ("2000-flat", true), ("10000-flat", true)];
        assert_eq!(Vec::from_iter(names), expected);

        let rows = with_references(|row| row.name == "zstd");
        let names = rows.iter().map(|row| (row.name, row.peers));
        assert_eq!(Vec::from_iter(names), [("1KiB", false), ("zstd", true)]);
    }

    #[test]
    fn a_quick_comparison_has_peers_where_a_goal_compares_with_them() {
        let has_peers = |name: &str| {
            let row = ROWS.iter().find(|row| row.name == name).unwrap();
            (row.peers, row.in_quick().peers)
        };
        assert_eq!(has_peers("100B"), (true, true));
        assert_eq!(has_peers("20ms"), (true, true));
        assert_eq!(has_peers("4-tasks"), (true, false));
        assert_eq!(has_peers("2-tasks"), (false, false));
    }

    #[test]
    fn rows_of_peers_that_are_not_compared_stay_apart() {
        let rows = with_references(|row| row.name == "10B" || row.name == "100B");
        let mut groups = rows.chunk_by(|row, next| next.takes_turns_with(row));
        assert!(groups.all(|group| group.len() == 1));
    }
}
