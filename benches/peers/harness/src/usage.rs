//! What the process has used so far, and what it used between two readings.

use std::fs;
use std::time::Instant;

use milena_counting::Counts;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};

/// One reading.
#[derive(Clone, Copy)]
pub struct Reading {
    at: Instant,
    user_us: i64,
    system_us: i64,
    voluntary: i64,
    involuntary: i64,
    allocations: Counts,
}

impl Reading {
    /// Reads now.
    pub fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process can read its own usage");
        Self {
            at: Instant::now(),
            user_us: usage.user_time().num_microseconds(),
            system_us: usage.system_time().num_microseconds(),
            voluntary: usage.voluntary_context_switches(),
            involuntary: usage.involuntary_context_switches(),
            allocations: milena_counting::counts(),
        }
    }

    /// What was used since, as a phase of the result line.
    pub fn phase(&self, records: u64, acked: u64) -> Value {
        let now = Self::now();
        let allocations = now.allocations - self.allocations;
        json!({
            "records": records,
            "acked": acked,
            "wall_us": (now.at - self.at).as_micros() as u64,
            "user_us": now.user_us - self.user_us,
            "system_us": now.system_us - self.system_us,
            "voluntary": now.voluntary - self.voluntary,
            "involuntary": now.involuntary - self.involuntary,
            "allocations": allocations.calls,
            "allocated_bytes": allocations.bytes,
        })
    }
}

/// The most memory the process has held, in KiB.
pub fn peak_kib() -> i64 {
    high_water()
        .unwrap_or_else(|| getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss()))
}

/// What Linux says of this program. `getrusage` says no less than what the process held before it became this program,
/// which is what its parent held.
fn high_water() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    held.split_whitespace().next()?.parse().ok()
}
