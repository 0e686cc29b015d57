//! What all runs of one program in one row gave.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::measure::{NotDone, Outcome};
use super::rows::Metric;

/// All runs of one program in one row.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The program, and how it sent where there are several ways: `milena by name`.
    pub label: String,
    /// Whether it is one of the peers, neither milena nor the floor.
    pub peer: bool,
    /// Whether goals are measured against it: a peer that has done the work.
    pub rival: bool,
    /// Whether it had its own best settings instead of the common ones.
    pub best: bool,
    /// Its runs that count.
    pub runs: Vec<Outcome>,
    /// Why others do not.
    pub failures: Vec<Failure>,
}

/// Why a run does not count.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It was not done in time: it is slower than whoever was.
    Late(NotDone),
    /// Anything else, of which nothing follows.
    Other(String),
}

impl Display for Failure {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(late) => late.fmt(out),
            Self::Other(why) => out.write_str(why),
        }
    }
}

impl Cell {
    /// One without runs; peers are rivals until it is known that they do less.
    pub fn new(label: String, peer: bool, best: bool) -> Self {
        Self {
            label,
            peer,
            rival: peer,
            best,
            runs: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The median of a figure, the least and the greatest.
    pub fn median(&self, metric: Metric) -> Option<(f64, f64, f64)> {
        middle(
            self.runs
                .iter()
                .filter_map(|run| run.metric(metric))
                .collect(),
        )
    }

    /// Whether a figure says something of the client. With larger batches anybody's bytes become fewer.
    pub fn is_comparable(&self, metric: Metric) -> bool {
        !(self.best && metric == Metric::Wire)
    }

    /// The run that has the median, or the two that it is the mean of.
    pub fn typical(&self, metric: Metric) -> Vec<&Outcome> {
        let runs = self.runs.iter();
        let mut runs: Vec<_> = runs
            .filter_map(|run| Some((run.metric(metric)?, run)))
            .collect();
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let before = runs.len().saturating_sub(1) / 2;
        let middle = runs.iter().skip(before).take(2 - runs.len() % 2);
        middle.map(|(_, run)| *run).collect()
    }
}

/// Median, least and greatest.
pub fn middle(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let half = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[half]
    } else {
        (values[half - 1] + values[half]) / 2.0
    };
    Some((median, first, last))
}

/// The cells of every row that was measured; milena's variants come first in each, in the row's order.
pub type Measured = BTreeMap<&'static str, Vec<Cell>>;

/// The best of the rivals in a figure, and whose it is.
pub fn best(cells: &[Cell], metric: Metric, most: bool) -> Option<(f64, &str)> {
    let figures = cells
        .iter()
        .filter(|cell| cell.rival && cell.is_comparable(metric))
        .filter_map(|cell| Some((cell.median(metric)?.0, cell.label.as_str())));
    if most {
        figures.max_by(|a, b| a.0.total_cmp(&b.0))
    } else {
        figures.min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn medians_of_odd_and_even() {
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(middle(vec![4.0, 1.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(middle(vec![]), None);
    }

    #[test]
    fn what_is_typical_has_the_median() {
        for cpu_us in [&[90, 70, 80][..], &[60, 90, 70, 80], &[90], &[]] {
            let cell = cell("kacrab", cpu_us);
            let typical = cell.typical(Metric::Cpu);
            let figures: Vec<_> = typical
                .iter()
                .filter_map(|run| run.metric(Metric::Cpu))
                .collect();
            assert_eq!(figures.len(), cpu_us.len().min(2 - cpu_us.len() % 2));
            let mean = figures.iter().sum::<f64>() / figures.len() as f64;
            let median = cell.median(Metric::Cpu).map(|(median, ..)| median);
            assert_eq!(median, (!cpu_us.is_empty()).then_some(mean));
        }
    }

    pub(in super::super) fn cell(label: &str, cpu_us: &[u64]) -> Cell {
        let peer = !label.starts_with("milena");
        let run = |cpu_us: &u64| Outcome {
            line: json!({ "phases": [{ "records": 1000, "user_us": cpu_us, "system_us": 0 }] }),
            ..Outcome::default()
        };
        Cell {
            runs: cpu_us.iter().map(run).collect(),
            ..Cell::new(label.to_owned(), peer, false)
        }
    }
}
