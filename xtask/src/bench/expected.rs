//! Whether the peers stand to each other as they did before: their CPU beside franz-go's, earlier and now.

use std::fmt::Write as _;

use super::cell::Measured;
use super::judge::short;
use super::rows::Metric;

/// Who the others are compared with.
const REFERENCE: &str = "franz-go";

/// Ratios that differ by more are marked.
const TOLERANCE: f64 = 0.3;

/// The most that the floor may take of what franz-go does, in a row.
const FLOOR: (&str, f64) = ("100B", 0.06);

/// Earlier figures, measured on another machine: nanoseconds of CPU for a record. Where two were given, as for franz-go
/// in some rows, it is what lies in the middle.
#[rustfmt::skip]
const EARLIER: &[(&str, &[(&str, f64)])] = &[
    ("10B", &[("franz-go", 1270.0), ("floor", 31.0)]),
    ("100B", &[
        ("kacrab", 1490.0), ("confluent-kafka", 2400.0), ("krafka", 5300.0), ("rdkafka-threaded", 2400.0),
        ("partitionline", 2500.0), ("java", 1650.0), ("franz-go", 1230.0), ("floor", 56.0),
    ]),
    ("100B-keyed", &[
        ("kacrab", 3150.0), ("confluent-kafka", 2270.0), ("krafka", 5930.0), ("rdkafka-threaded", 2490.0),
        ("partitionline", 2840.0), ("java", 1595.0), ("franz-go", 1560.0),
    ]),
    ("1KiB", &[
        ("kacrab", 2690.0), ("confluent-kafka", 3460.0), ("krafka", 5510.0), ("rdkafka-threaded", 6390.0),
        ("partitionline", 3680.0), ("java", 4480.0), ("franz-go", 1420.0), ("floor", 303.0),
    ]),
    ("10KiB", &[
        ("kacrab", 16_900.0), ("confluent-kafka", 16_200.0), ("krafka", 13_300.0), ("rdkafka-threaded", 47_800.0),
        ("partitionline", 6950.0), ("java", 31_000.0), ("franz-go", 5600.0), ("floor", 2880.0),
    ]),
    ("100KiB", &[
        ("confluent-kafka", 97_600.0), ("krafka", 255_000.0), ("rdkafka-threaded", 465_000.0),
        ("partitionline", 51_100.0), ("franz-go", 57_000.0), ("floor", 25_900.0),
    ]),
    ("2000-paced", &[
        ("kacrab", 30_900.0), ("confluent-kafka", 59_100.0), ("krafka", 22_200.0), ("rdkafka-threaded", 60_600.0),
        ("franz-go", 13_750.0),
    ]),
    ("kafka-100B", &[
        ("kacrab", 1480.0), ("confluent-kafka", 2230.0), ("krafka", 3560.0), ("rdkafka-threaded", 1960.0),
        ("partitionline", 3780.0), ("java", 1690.0), ("franz-go", 1410.0),
    ]),
    ("kafka-1KiB", &[
        ("kacrab", 2970.0), ("confluent-kafka", 3730.0), ("krafka", 5470.0), ("rdkafka-threaded", 3360.0),
        ("partitionline", 3900.0), ("java", 6900.0), ("franz-go", 2140.0),
    ]),
];

/// Ratios to franz-go, earlier and now, of every row and client that both have; nothing where there is none.
pub fn table(measured: &Measured) -> Option<String> {
    let mut lines = String::new();
    for (row, clients) in EARLIER {
        for (client, earlier) in ratios(clients) {
            let Some(now) = ratio(measured, row, client) else {
                continue;
            };
            let mark = if differs(earlier, now) { "differs" } else { "" };
            let (was, is) = (short(earlier), short(now));
            let _ = writeln!(lines, "| {row} | {client} | {was} | {is} | {mark} |");
        }
    }
    if lines.is_empty() {
        return None;
    }
    let mut out = format!(
        "Earlier figures were measured on another machine; those that now differ by more than {:.0} % are marked. \
         `benches/peers/README.md` says what is known of the reasons.\n\n\
         | row | client | earlier | now | |\n|---|---|--:|--:|---|\n{lines}",
        TOLERANCE * 100.0
    );
    let (row, most) = FLOOR;
    if let Some(share) = ratio(measured, row, "floor") {
        let verdict = if share <= most { "met" } else { "**missed**" };
        let _ = writeln!(
            out,
            "\nIn `{row}` the floor takes {share:.3} of what franz-go does; at most {most}: {verdict}."
        );
    }
    Some(out)
}

/// What each of a row's clients took beside franz-go, without franz-go itself.
fn ratios<'a>(clients: &'a [(&str, f64)]) -> impl Iterator<Item = (&'a str, f64)> {
    let mut references = clients.iter().filter(|(client, _)| *client == REFERENCE);
    let reference = references.next().map_or(f64::NAN, |(_, figure)| *figure);
    let others = clients.iter().filter(|(client, _)| *client != REFERENCE);
    others.map(move |(client, figure)| (*client, figure / reference))
}

/// The same of what was measured, in the common settings.
fn ratio(measured: &Measured, row: &str, client: &str) -> Option<f64> {
    let cells = measured.get(row)?;
    let cpu = |label: &str| {
        let cell = cells.iter().find(|cell| cell.label == label)?;
        Some(cell.median(Metric::Cpu)?.0)
    };
    Some(cpu(client)? / cpu(REFERENCE)?)
}

fn differs(earlier: f64, now: f64) -> bool {
    (now / earlier - 1.0).abs() > TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::super::table::ROWS;
    use super::*;

    #[test]
    fn every_row_exists_and_has_what_it_is_compared_with() {
        for (row, clients) in EARLIER {
            assert!(ROWS.iter().any(|one| one.name == *row), "{row}");
            for (client, ratio) in ratios(clients) {
                assert!(ratio > 0.0, "{row} {client}");
            }
        }
    }

    #[test]
    fn a_third_more_or_less_is_marked() {
        assert!(!differs(1.0, 1.29));
        assert!(!differs(1.0, 0.71));
        assert!(differs(1.9, 1.3));
        assert!(differs(1.0, 1.31));
    }
}
