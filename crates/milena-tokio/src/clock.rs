//! The two clocks of a producer: a precise one for batches, a coarse one for the timestamps of records.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use milena_accumulator::Clock;

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// How many threads have a number.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Linux keeps a time that is a few milliseconds old at most and costs a quarter of a precise one.
    #[cfg(target_os = "linux")]
    #[inline]
    fn wall_ms(&self) -> i64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    #[cfg(not(target_os = "linux"))]
    fn wall_ms(&self) -> i64 {
        use std::time::SystemTime;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// Threads are counted as they ask.
    #[inline]
    fn thread(&self) -> usize {
        THREAD.try_with(|number| *number).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn the_coarse_clock_is_right_to_a_few_milliseconds() {
        let precise = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let late = precise.as_millis() as i64 - SystemClock.wall_ms();
        assert!((-1000..1000).contains(&late), "{late}");
    }
}
