//! Compares what was measured with the goals.

use super::cell::{Cell, Failure, Measured, best};
use super::contestants::Skipped;
use super::rows::{Goal, Metric, Row};

/// A goal and what became of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was asked for, in words.
    pub goal: String,
    /// What was measured, in words; `None` if it could not be judged.
    pub measured: Option<String>,
    /// What was measured as a share of what is allowed, or what is asked for as one of what was measured: up to 1 it
    /// was reached.
    pub share: Option<f64>,
    /// Whether everybody was measured of whom it is not known that they are no better.
    pub all: bool,
}

impl Verdict {
    /// Whether it was reached.
    pub fn is_met(&self) -> bool {
        self.share.is_some_and(|share| share <= 1.0)
    }

    /// Whether it may be another one after another round.
    pub fn is_close(&self) -> bool {
        let close = |share: f64| share < CLOSE && share * CLOSE > 1.0;
        self.share.is_none_or(close)
    }
}

/// What is not so many times what is allowed, nor allowed so many times, may be so by chance.
const CLOSE: f64 = 1.5;

/// Judges one goal of one of milena's variants. `codec` is the codec's own time for a record of this row. Whoever was
/// skipped might have been better.
pub fn judge(
    goal: &Goal,
    row: &Row,
    variant: usize,
    measured: &Measured,
    skipped: &Skipped,
    codec: Option<f64>,
) -> Verdict {
    let mut verdict = compare(goal, row, variant, measured, codec);
    if let (Some(text), Some(share)) = (&mut verdict.measured, verdict.share) {
        text.push_str(&far(share));
    }
    if let Goal::AtMostBest(metric, _) | Goal::AtLeastBest(metric, _) = *goal
        && let Some(text) = &mut verdict.measured
    {
        let cells = measured.get(row.name).map_or(&[][..], Vec::as_slice);
        let missing = missing(cells, metric, skipped);
        verdict.all = missing.iter().all(|(.., slower)| *slower);
        // Who is missing for the same reason is named together.
        let groups = missing.chunk_by(|one, next| one.1 == next.1);
        let groups = groups.map(|group| {
            let names: Vec<_> = group.iter().map(|(name, ..)| name.as_str()).collect();
            format!("{} ({})", names.join(" and "), group[0].1)
        });
        let named: Vec<_> = groups.collect();
        if !named.is_empty() {
            text.push_str(&format!(" — not measured: {}", named.join(", ")));
        }
    }
    verdict
}

/// The peers without a figure that counts: who, why, and whether it is known that they are no better.
fn missing(cells: &[Cell], metric: Metric, skipped: &Skipped) -> Vec<(String, String, bool)> {
    let mut missing = Vec::new();
    let peers = cells
        .iter()
        .filter(|cell| cell.peer && cell.is_comparable(metric));
    for cell in peers {
        if cell.rival && cell.median(metric).is_some() {
            continue;
        }
        let why = cell.failures.last().map(Failure::to_string);
        let why = why.unwrap_or_else(|| "it says nothing of it".to_owned());
        let mut failures = cell.failures.iter();
        let late = failures.all(|failure| matches!(failure, Failure::Late(_)));
        // Who is late may still take less CPU, for one: what took long may have been waiting, or to connect.
        let slower = !cell.failures.is_empty() && late && metric == Metric::Throughput;
        missing.push((cell.label.clone(), why, slower));
    }
    for (name, why) in skipped.iter().filter(|(name, _)| name != "floor") {
        let why = why.lines().next().unwrap_or_default();
        missing.push((name.clone(), why.to_owned(), false));
    }
    missing
}

fn compare(
    goal: &Goal,
    row: &Row,
    variant: usize,
    measured: &Measured,
    codec: Option<f64>,
) -> Verdict {
    let cells = measured.get(row.name).map_or(&[][..], Vec::as_slice);
    let own = |metric| Some(cells.get(variant)?.median(metric)?.0);
    let other = |name, metric| Some(measured.get(name)?.first()?.median(metric)?.0);
    let ratio = |text: String, metric, limit: f64, against: Option<(f64, &str)>, most: bool| {
        let compared = own(metric).zip(against);
        let share = compared.map(|(own, (against, _))| share_of(own / against, limit, most));
        Verdict {
            goal: text,
            measured: compared.map(|(own, (against, whose))| {
                format!(
                    "{:.2} ({} against {} of {whose})",
                    own / against,
                    short(own),
                    short(against)
                )
            }),
            share,
            all: true,
        }
    };
    let absolute = |text: String, metric, limit: f64, most: bool| {
        let own = own(metric);
        Verdict {
            goal: text,
            measured: own.map(short),
            share: own.map(|own| share_of(own, limit, most)),
            all: true,
        }
    };
    match *goal {
        Goal::AtMostBest(metric, limit) => {
            let against = best(cells, metric, false);
            ratio(
                format!("{} ≤ {limit} of the best peer's", name(metric)),
                metric,
                limit,
                against,
                false,
            )
        }
        Goal::AtLeastBest(metric, limit) => {
            let against = best(cells, metric, true);
            ratio(
                format!("{} ≥ {limit} of the best peer's", name(metric)),
                metric,
                limit,
                against,
                true,
            )
        }
        Goal::AtMostFloor(limit) => {
            let floor = cells.iter().find(|cell| cell.label == "floor");
            let against = floor.and_then(|floor| Some((floor.median(Metric::Cpu)?.0, "the floor")));
            ratio(
                format!("CPU ≤ {limit} times the floor"),
                Metric::Cpu,
                limit,
                against,
                false,
            )
        }
        Goal::AtLeastFloor(limit) => {
            let floor = cells.iter().find(|cell| cell.label == "floor");
            let most = floor.and_then(|floor| floor.median(Metric::Throughput));
            let against = most.map(|(most, ..)| (most, "the floor"));
            let text = format!("records/s ≥ {limit} of what five batches in flight allow");
            ratio(text, Metric::Throughput, limit, against, true)
        }
        Goal::AtMostOwn(metric, row, limit) => {
            let against = other(row, metric).map(|figure| (figure, row));
            ratio(
                format!("{} ≤ {limit} times that of {row}", name(metric)),
                metric,
                limit,
                against,
                false,
            )
        }
        Goal::AtLeastOwn(metric, row, limit) => {
            let against = other(row, metric).map(|figure| (figure, row));
            ratio(
                format!("{} ≥ {limit} times that of {row}", name(metric)),
                metric,
                limit,
                against,
                true,
            )
        }
        Goal::AtMost(metric, limit) => absolute(
            format!("{} ≤ {}", name(metric), short(limit)),
            metric,
            limit,
            false,
        ),
        Goal::AtLeast(metric, limit) => absolute(
            format!("{} ≥ {}", name(metric), short(limit)),
            metric,
            limit,
            true,
        ),
        Goal::PeakAboveBuffer(above) => {
            let limit = (row.load.buffer >> 20) as f64 + above;
            absolute(
                format!("peak ≤ buffer.memory + {above} MiB"),
                Metric::Peak,
                limit,
                false,
            )
        }
        Goal::AtMostCodec(limit, plain) => {
            let allowed = codec
                .zip(other(plain, Metric::Cpu))
                .map(|(codec, plain)| limit * codec + plain);
            let compared = own(Metric::Cpu).zip(allowed);
            Verdict {
                goal: format!("CPU ≤ {limit} × the codec's own + {plain}'s cost"),
                measured: compared.map(|(own, allowed)| {
                    let (share, own, allowed) = (own / allowed, short(own), short(allowed));
                    format!("{share:.2} of that ({own} against {allowed})")
                }),
                share: compared.map(|(own, allowed)| own / allowed),
                all: true,
            }
        }
    }
}

/// A [`Verdict::share`].
fn share_of(found: f64, limit: f64, most: bool) -> f64 {
    if most { limit / found } else { found / limit }
}

/// How far a goal was missed, in words; nothing when it was met.
fn far(share: f64) -> String {
    if share <= 1.0 {
        return String::new();
    }
    match (share - 1.0) * 100.0 {
        percent if percent < 0.05 => ", missed by less than 0.1 %".to_owned(),
        percent if percent < 9.95 => format!(", missed by {percent:.1} %"),
        percent => format!(", missed by {percent:.0} %"),
    }
}

/// A figure in words.
pub fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::Cpu => "CPU per record",
        Metric::Throughput => "records/s",
        Metric::P99 => "p99",
        Metric::Peak => "peak memory",
        Metric::Wire => "bytes per record on the wire",
        Metric::Batch => "records per batch",
        Metric::Others => "records/s to the other brokers",
        Metric::PerBatch => "allocations per batch",
        Metric::PerRecord => "allocations per record",
    }
}

/// A number with as many digits as it needs.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let whole = text.split('.').next().unwrap_or_default();
    let whole = whole.trim_start_matches('-').len();
    if whole <= 4 {
        return text;
    }
    // Thousands apart.
    let mut out = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::cell::tests::cell;
    use super::super::measure::NotDone;
    use super::super::table::ROWS;
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(short(1_234_567.0), "1,234,567");
        assert_eq!(short(1234.4), "1234");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(0.001), "0.0010");
    }

    #[test]
    fn a_miss_says_by_how_much() {
        assert_eq!(far(share_of(0.3, 0.15, false)), ", missed by 100 %");
        assert_eq!(far(share_of(0.1, 0.15, false)), "");
        assert_eq!(far(1.002), ", missed by 0.2 %");
        assert_eq!(far(1.0999), ", missed by 10 %");
        assert_eq!(far(1.0001), ", missed by less than 0.1 %");
        assert_eq!(far(share_of(0.5, 1.0, true)), ", missed by 100 %");
    }

    #[test]
    fn a_verdict_is_close_where_chance_may_have_made_it() {
        let verdict = |share| Verdict {
            goal: String::new(),
            measured: None,
            share,
            all: true,
        };
        let close = [Some(0.6), Some(0.7), Some(1.4), Some(1.6), Some(-0.1), None];
        let close = close.map(|share| verdict(share).is_close());
        assert_eq!(close, [false, true, true, false, false, true]);
    }

    #[test]
    fn who_was_not_measured_is_named_and_not_beaten() {
        let row = ROWS.iter().find(|row| row.name == "100B").unwrap();
        let goal = Goal::AtMostBest(Metric::Cpu, 0.15);
        let mut late = cell("krafka", &[]);
        late.failures = vec![Failure::Late(NotDone(Duration::from_secs(6)))];
        let cells = vec![cell("milena", &[70]), cell("kacrab", &[700]), late];
        let mut measured = Measured::from([("100B", cells)]);
        let mut skipped = vec![("floor".to_owned(), "left out by --only".to_owned())];
        let verdict = judge(&goal, row, 0, &measured, &skipped, None);
        assert!(verdict.is_met() && !verdict.all);
        // Who was late is slower, which says nothing else.
        let missing = |metric| missing(&measured["100B"][1..], metric, &Vec::new());
        let late = |metric| {
            missing(metric)
                .iter()
                .find(|one| one.0 == "krafka")
                .map(|one| one.2)
        };
        assert_eq!(late(Metric::Throughput), Some(true));
        assert_eq!(late(Metric::Cpu), Some(false));
        let text = "0.10 (70.0 against 700 of kacrab) — not measured: krafka (not done after 6 s)";
        assert_eq!(verdict.measured.as_deref(), Some(text));

        let mut failed = cell("partitionline", &[]);
        failed.failures = vec![Failure::Other("producer queue full".to_owned())];
        measured.entry("100B").or_default().push(failed);
        skipped.push(("java".to_owned(), "it was not found\nat all".to_owned()));
        let verdict = judge(&goal, row, 0, &measured, &skipped, None);
        assert!(verdict.is_met() && !verdict.all);
        let text = format!("{text}, partitionline (producer queue full), java (it was not found)");
        assert_eq!(verdict.measured, Some(text));
    }

    #[test]
    fn a_codec_is_allowed_its_own_time_and_what_is_left_without_one() {
        let measured = Measured::from([
            ("zstd", vec![cell("milena", &[3421])]),
            ("1KiB", vec![cell("milena", &[375])]),
        ]);
        let row = ROWS.iter().find(|row| row.name == "zstd").unwrap();
        let verdict = judge(
            &Goal::AtMostCodec(1.1, "1KiB"),
            row,
            0,
            &measured,
            &Vec::new(),
            Some(2800.0),
        );
        assert_eq!(verdict.goal, "CPU ≤ 1.1 × the codec's own + 1KiB's cost");
        let measured = "0.99 of that (3421 against 3455)";
        assert_eq!(verdict.measured.as_deref(), Some(measured));
        assert!(verdict.is_met());
    }
}
