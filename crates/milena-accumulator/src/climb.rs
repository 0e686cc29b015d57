//! Looks for how much under way keeps connections busy.

use std::time::{Duration, Instant};

/// Whether twice as much under way, or half of it, is better.
///
/// Where connections wait for answers, twice as much takes the same time. Where they are busy, it takes twice as long,
/// and has only left the processor's cache by then. So both are tried by turns, less and less often while neither is
/// better. Counted is the shortest of some times: whatever else happens on a machine makes them longer.
pub(crate) struct Climb {
    turn: Option<Turn>,
    measured: Measured,
    /// What half as much, or twice as much, took before this was tried.
    other: Option<Duration>,
    /// Whether more is, or was, tried last.
    up: bool,
    /// So many times it is measured before something is tried.
    rest: u32,
    /// The next such rest.
    pause: u32,
}

/// The time in which what was under way at its beginning is done with.
struct Turn {
    since: Instant,
    until: u64,
    bytes: u64,
}

#[derive(Default)]
struct Measured {
    shortest: Option<Duration>,
    turns: u32,
    bytes: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Double,
    Halve,
}

/// A measure is the shortest of so many turns at the least, in which so many bytes go by.
const TURNS: u32 = 3;
const BYTES: u64 = 16 << 20;

/// The first rest, and the longest.
const FIRST: u32 = 3;
const LONGEST: u32 = 63;

impl Climb {
    pub(crate) fn new() -> Self {
        Self {
            turn: None,
            measured: Measured::default(),
            other: None,
            up: true,
            rest: FIRST,
            pause: FIRST,
        }
    }

    /// Somebody is held back, with so many bytes done with in all, and so many under way. May there be less, or more?
    pub(crate) fn held(
        &mut self,
        now: Instant,
        done: u64,
        under_way: usize,
        less: bool,
        more: bool,
    ) -> Option<Step> {
        let next = Turn {
            since: now,
            until: done + under_way as u64,
            bytes: under_way as u64,
        };
        let Some(turn) = &self.turn else {
            self.turn = Some(next);
            return None;
        };
        if done < turn.until {
            return None;
        }
        let took = now.saturating_duration_since(turn.since);
        let Measured {
            shortest,
            turns,
            bytes,
        } = &mut self.measured;
        let took = shortest.map_or(took, |shortest| shortest.min(took));
        *shortest = Some(took);
        *turns += 1;
        *bytes += turn.bytes;
        if *turns < TURNS || *bytes < BYTES {
            self.turn = Some(next);
            return None;
        }
        self.turn = None;
        self.measured = Measured::default();
        self.judge(took, less, more)
    }

    /// What is under way is not for this to tell just now.
    pub(crate) fn interrupt(&mut self) {
        self.turn = None;
    }

    fn judge(&mut self, took: Duration, less: bool, more: bool) -> Option<Step> {
        let Some(other) = self.other.take() else {
            if self.rest > 0 || !(less || more) {
                self.rest = self.rest.saturating_sub(1);
                return None;
            }
            self.up = if less && more { self.up } else { more };
            self.other = Some(took);
            return Some(self.step());
        };
        let (half, whole) = if self.up {
            (other, took)
        } else {
            (took, other)
        };
        let busy = whole > half * 3 / 2;
        if busy != self.up {
            // It is better, and what is beyond may be too.
            self.pause = 0;
            let beyond = if self.up { more } else { less };
            self.other = beyond.then_some(took);
            return beyond.then(|| self.step());
        }
        self.up = !self.up;
        self.rest = self.pause;
        self.pause = (4 * self.pause + 3).min(LONGEST);
        Some(self.step())
    }

    fn step(&self) -> Step {
        match self.up {
            true => Step::Double,
            false => Step::Halve,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const LEAST: usize = 2 << 20;
    const MOST: usize = 64 << 20;

    /// Connections that carry so many bytes in a millisecond and have an answer after `delay`.
    struct Pipe {
        climb: Climb,
        now: Instant,
        done: u64,
        level: usize,
        rate: f64,
        delay: Duration,
    }

    impl Pipe {
        fn new(rate: f64, delay: u64) -> Self {
            Self {
                climb: Climb::new(),
                now: Instant::now(),
                done: 0,
                level: LEAST,
                rate,
                delay: Duration::from_millis(delay),
            }
        }

        /// Lets so many levels' worth go by, and returns the highest and the last level.
        fn run(&mut self, times: usize) -> (usize, usize) {
            let mut highest = self.level;
            for _ in 0..times {
                let (less, more) = (self.level > LEAST, self.level < MOST);
                let step = self.climb.held(self.now, self.done, self.level, less, more);
                match step {
                    Some(Step::Double) => self.level *= 2,
                    Some(Step::Halve) => self.level /= 2,
                    None => {}
                }
                highest = highest.max(self.level);
                let busy = Duration::from_secs_f64(self.level as f64 / self.rate / 1000.0);
                self.now += busy.max(self.delay);
                self.done += self.level as u64;
            }
            (highest, self.level)
        }
    }

    #[test]
    fn a_short_pipe_is_left_as_it_is_and_tried_seldom() {
        let mut pipe = Pipe::new(2e6, 1);
        assert_eq!(pipe.run(10_000), (2 * LEAST, LEAST));
        let mut above = 0;
        for _ in 0..1000 {
            above += u32::from(pipe.run(1).1 > LEAST);
        }
        assert!(above < 50, "{above} of 1000");
    }

    #[test]
    fn a_long_pipe_is_filled_and_no_more() {
        // 2 GB/s and 10 ms: 20 MB.
        let mut pipe = Pipe::new(2e6, 10);
        let (highest, _) = pipe.run(10_000);
        assert!(highest <= 64 << 20, "{highest}");
        let levels: Vec<usize> = (0..1000).map(|_| pipe.run(1).1).collect();
        let well = levels
            .iter()
            .filter(|level| [16 << 20, 32 << 20].contains(*level));
        assert!(well.count() > 950, "{levels:?}");
    }

    #[test]
    fn a_pipe_that_becomes_shorter_or_slower_is_found_out() {
        let mut pipe = Pipe::new(2e6, 10);
        pipe.run(1000);
        pipe.delay = Duration::from_millis(1);
        assert_eq!(pipe.run(3000).1, LEAST);
        pipe.delay = Duration::from_millis(10);
        assert!(pipe.run(3000).1 >= 16 << 20);
        pipe.rate = 1e5;
        assert_eq!(pipe.run(3000).1, LEAST);
    }

    #[test]
    fn single_long_times_tell_nothing() {
        let mut pipe = Pipe::new(2e6, 1);
        for _ in 0..1000 {
            pipe.run(2);
            pipe.now += Duration::from_millis(30);
        }
        assert!(pipe.level <= 2 * LEAST);
    }

    #[test]
    fn nothing_is_tried_where_there_is_no_choice() {
        let mut climb = Climb::new();
        let start = Instant::now();
        for turn in 0..1000 {
            let now = start + Duration::from_millis(turn);
            let step = climb.held(now, turn * (1 << 20), 1 << 20, false, false);
            assert_eq!(step, None);
        }
    }
}
