//! Whether the seeds brought about what the laws are about: a law that nothing tempts shows nothing.

use std::collections::BTreeMap;
use std::fmt;

use milena_broker::ErrorCode;
use milena_sender::Counters;

/// What happened, and in how many runs.
#[derive(Clone, Debug)]
pub struct Tally(BTreeMap<&'static str, u64>);

/// What a run can bring about, and how to see that it did.
type Sight = (&'static str, fn(&Counters) -> bool);

const SIGHTS: [Sight; 11] = [
    ("a retry", |ran| ran.retries > 0),
    ("five in flight and a retry", |ran| {
        ran.max_in_flight_of_a_partition == 5 && ran.retries > 0
    }),
    ("a request lost", |ran| ran.lost > 0),
    ("a split", |ran| ran.splits > 0),
    ("a new epoch", |ran| ran.restarts > 0),
    ("a failure", |ran| ran.records_failed > 0),
    ("a throttle", |ran| ran.throttle_ms > 0),
    ("a leader moved", |ran| {
        answered(ran, ErrorCode::NOT_LEADER_OR_FOLLOWER)
    }),
    ("out of order", |ran| {
        answered(ran, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
    }),
    ("a topic unknown", |ran| {
        answered(ran, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }),
    ("a broker's timeout", |ran| {
        answered(ran, ErrorCode::REQUEST_TIMED_OUT)
    }),
];

fn answered(ran: &Counters, code: ErrorCode) -> bool {
    ran.errors.contains_key(&code.0)
}

impl Default for Tally {
    fn default() -> Self {
        Self(SIGHTS.iter().map(|(name, _)| (*name, 0)).collect())
    }
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, ran: &Counters) {
        for (name, seen) in SIGHTS {
            if seen(ran) {
                *self.0.entry(name).or_default() += 1;
            }
        }
    }

    /// What no run brought about.
    pub fn missing(&self) -> Vec<&'static str> {
        let never = self.0.iter().filter(|(_, runs)| **runs == 0);
        never.map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|(name, runs)| format!("{name}: {runs}"))
            .collect();
        write!(f, "runs with {}", parts.join(", "))
    }
}
