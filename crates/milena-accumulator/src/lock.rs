//! The lock of a partition, taken and released once for every record.
//!
//! To release it is a plain store. A [`std::sync::Mutex`] has to see whether somebody sleeps and wants to be woken, and
//! that is a locked instruction, as expensive as the one that took it. Here whoever waits looks again instead: it is
//! held for the time that a record takes to be copied, and never over anything longer than a lock of the pool or the
//! inbox.

use std::hint;
use std::thread;
use std::time::Duration;

use spin::mutex::{SpinMutex, SpinMutexGuard};

/// Looks so often in a row: about as long as a short record takes.
const SPINS: u32 = 100;

/// Lets others run so often between two naps.
const YIELDS: u32 = 4;

/// Who holds it has lost its core to somebody else, maybe to who waits here: the longest nap.
const NAP: Duration = Duration::from_micros(200);

#[derive(Default)]
pub(crate) struct Lock<T>(SpinMutex<T>);

/// Releases the lock when it is dropped, by a panic too.
pub(crate) type Held<'a, T> = SpinMutexGuard<'a, T>;

impl<T> Lock<T> {
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_, T> {
        match self.0.try_lock() {
            Some(held) => held,
            None => self.wait(),
        }
    }

    /// The lock if nobody has it.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Held<'_, T>> {
        self.0.try_lock()
    }

    #[cold]
    #[expect(
        clippy::disallowed_methods,
        reason = "as any lock, until whoever holds it runs again"
    )]
    fn wait(&self) -> Held<'_, T> {
        // Only looked at while somebody has it: to try would take its cache line away from whoever is about to release it.
        let again = || {
            hint::spin_loop();
            (!self.0.is_locked()).then(|| self.0.try_lock()).flatten()
        };
        if let Some(held) = (0..SPINS).find_map(|_| again()) {
            return held;
        }
        let mut nap = Duration::from_micros(1);
        loop {
            let later = || {
                thread::yield_now();
                self.0.try_lock()
            };
            if let Some(held) = (0..YIELDS).find_map(|_| later()) {
                return held;
            }
            thread::sleep(nap);
            nap = NAP.min(nap * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};

    use super::*;

    #[test]
    fn one_at_a_time_has_it() {
        let lock = Lock(SpinMutex::new(0_u64));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        let mut held = lock.lock();
                        let before = *held;
                        if round % 500 == 0 {
                            // Long enough for the others to yield and to nap.
                            (0..500).for_each(|_| thread::yield_now());
                        }
                        *held = before + 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), 8000);
    }

    #[test]
    fn a_panic_releases_it() {
        let lock = Lock(SpinMutex::new(1));
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            let _held = lock.lock();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(lock.try_lock().map(|held| *held), Some(1));
    }

    #[test]
    fn it_is_not_had_twice() {
        let lock = Lock(SpinMutex::new(1));
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert!(lock.try_lock().is_some());
    }
}
