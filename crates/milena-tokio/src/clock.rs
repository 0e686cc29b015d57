//! The two clocks of a producer: a precise one for batches, a coarse one for the timestamps of records.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use milena_accumulator::Clock;

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The wall's time in milliseconds, as it was read in the tick [`TICK`].
static WALL_MS: AtomicI64 = AtomicI64::new(0);

/// The tick of the coarse clock in which the wall's time was read last.
static TICK: AtomicU64 = AtomicU64::new(u64::MAX);

/// A thread reads them anew: it alone stores both.
static READING: AtomicBool = AtomicBool::new(false);

/// How many threads have a number.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Read once in a tick of the coarse clock that systems keep, of some milliseconds: to ask that one costs a quarter.
    #[inline]
    fn wall_ms(&self) -> i64 {
        if TICK.load(Ordering::Acquire) == tick() {
            WALL_MS.load(Ordering::Relaxed)
        } else {
            read()
        }
    }

    /// Threads are counted as they ask.
    #[inline]
    fn thread(&self) -> usize {
        THREAD.try_with(|number| *number).unwrap_or(0)
    }
}

#[inline]
fn tick() -> u64 {
    coarsetime::Instant::now_without_cache_update().as_ticks()
}

/// Reads the wall's time, and keeps it for the rest of the tick unless another thread is about to.
#[cold]
fn read() -> i64 {
    let reads = !READING.swap(true, Ordering::Acquire);
    let tick = tick();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let wall_ms = since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    if reads {
        WALL_MS.store(wall_ms, Ordering::Relaxed);
        // Whoever sees the tick sees a time that was read in it, or later.
        TICK.store(tick, Ordering::Release);
        READING.store(false, Ordering::Release);
    }
    wall_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_right_to_a_few_milliseconds() {
        let precise = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let late = precise.as_millis() as i64 - SystemClock.wall_ms();
        assert!((-1000..1000).contains(&late), "{late}");
    }

    #[test]
    fn the_coarse_clock_goes_on() {
        let first = SystemClock.wall_ms();
        while SystemClock.wall_ms() == first {
            std::thread::yield_now();
        }
    }
}
