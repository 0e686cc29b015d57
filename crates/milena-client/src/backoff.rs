//! How long to wait before the next attempt: exponential, with jitter, capped.
use std::time::Duration;

use crate::Rng;

/// The waiting time before attempt after attempt, as Kafka's clients compute it.
///
/// `min(max, jitter × initial × 2^attempts)` in whole milliseconds, the jitter being uniform in ±
/// 20 %. The cap comes after the jitter. If `max` is not above `initial` the wait is constant and
/// without jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the first repetition.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

const MULTIPLIER: f64 = 2.0;
const JITTER: f64 = 0.2;

impl Backoff {
    /// From `initial` doubling up to `max`.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    /// The wait after `attempts` earlier repetitions (0 for the first).
    pub fn delay(&self, attempts: u32, rng: &mut Rng) -> Duration {
        if self.max <= self.initial {
            return self.initial.min(self.max);
        }
        let initial = self.initial.as_millis() as f64;
        let max = self.max.as_millis() as f64;
        let exponent_max = (max / initial.max(1.0)).log2() / MULTIPLIER.log2();
        let exponent = f64::from(attempts).min(exponent_max);
        let jitter = 1.0 - JITTER + 2.0 * JITTER * rng.unit();
        let millis = (jitter * initial * MULTIPLIER.powf(exponent)).floor();
        Duration::from_millis(millis.min(max) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn doubles_within_its_jitter_until_the_cap() {
        let backoff = Backoff::new(ms(50), ms(1000));
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            for (attempts, middle) in [(0, 50), (1, 100), (2, 200), (3, 400), (4, 800)] {
                let delay = backoff.delay(attempts, &mut rng);
                assert!(delay >= ms(middle * 4 / 5), "{attempts}: {delay:?}");
                assert!(
                    delay <= ms((middle * 6 / 5).min(1000)),
                    "{attempts}: {delay:?}"
                );
            }
            // Past the cap's exponent the middle stays at the cap, so jitter can still shorten it.
            for attempts in [5, 30, u32::MAX] {
                let delay = backoff.delay(attempts, &mut rng);
                assert!(
                    delay >= ms(800) && delay <= ms(1000),
                    "{attempts}: {delay:?}"
                );
            }
        }
    }

    #[test]
    fn the_jitter_reaches_both_ends() {
        let backoff = Backoff::new(ms(100), ms(1000));
        let delays: Vec<_> = (0..2000)
            .map(|seed| backoff.delay(0, &mut Rng::new(seed)))
            .collect();
        assert!(*delays.iter().min().expect("not empty") <= ms(82));
        assert!(*delays.iter().max().expect("not empty") >= ms(118));
    }

    #[test]
    fn a_cap_at_or_below_the_start_means_constant_without_jitter() {
        for (initial, max, expected) in [(50, 50, 50), (100, 20, 20), (0, 0, 0)] {
            let backoff = Backoff::new(ms(initial), ms(max));
            assert!((0..50).all(|n| backoff.delay(n, &mut Rng::new(u64::from(n))) == ms(expected)));
        }
    }

    #[test]
    fn starting_at_zero_never_waits() {
        let backoff = Backoff::new(ms(0), ms(1000));
        assert_eq!(backoff.delay(9, &mut Rng::new(1)), ms(0));
    }
}
