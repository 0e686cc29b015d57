//! Wakes a task that sleeps until a deadline, and only if it would oversleep.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Between one task that sleeps and the many threads that may have work for it.
///
/// A thread first makes its work visible, then rings. A task announces until when it sleeps, then
/// looks whether it was rung meanwhile. All four steps are sequentially consistent, so at least
/// one of the two sees the other: no work is left lying beside a sleeping task.
#[derive(Debug)]
pub(crate) struct Bell {
    epoch: Instant,
    /// Nanoseconds after `epoch` until which the task sleeps; [`AWAKE`] while it is at work.
    until: AtomicU64,
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// No deadline lies before this one, so nobody wakes a task that is at work.
const AWAKE: u64 = 0;

impl Bell {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            until: AtomicU64::new(AWAKE),
            rung: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// There is work now.
    pub(crate) fn ring(&self) {
        self.ring_at(AWAKE + 1);
    }

    /// There will be work at `deadline`.
    pub(crate) fn ring_by(&self, deadline: Instant) {
        self.ring_at(self.nanos(deadline));
    }

    fn ring_at(&self, deadline: u64) {
        self.rung.store(true, SeqCst);
        if deadline < self.until.load(SeqCst) {
            // Later ringers find the task awake and leave it alone.
            self.until.store(AWAKE, SeqCst);
            let waker = self
                .waker
                .lock()
                .expect("nothing panics under this lock")
                .take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Something that cannot wait, not even for work that the task has in hand.
    pub(crate) fn call(&self) {
        self.rung.store(true, SeqCst);
        self.until.store(AWAKE, SeqCst);
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The task is at work: what is made visible from here on is seen before it sleeps.
    pub(crate) fn awake(&self) {
        self.until.store(AWAKE, SeqCst);
        self.rung.store(false, SeqCst);
    }

    /// The task waits for something else and will look again after it: only [`call`](Self::call)
    /// wakes it. What calls are about has to be looked at after this.
    pub(crate) fn wait_for_call(&self, waker: &Waker) {
        self.keep(waker);
    }

    /// The task wants to sleep until `deadline`. False if it was rung: it must look again.
    #[must_use]
    pub(crate) fn sleep(&self, waker: &Waker, deadline: Option<Instant>) -> bool {
        self.keep(waker);
        self.until.store(
            deadline.map_or(u64::MAX, |deadline| self.nanos(deadline)),
            SeqCst,
        );
        if self.rung.load(SeqCst) {
            self.awake();
            return false;
        }
        true
    }

    fn keep(&self, waker: &Waker) {
        match &mut *self.waker() {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self, at: Instant) -> u64 {
        let after = at.saturating_duration_since(self.epoch) + Duration::from_nanos(1);
        u64::try_from(after.as_nanos()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn only_an_earlier_deadline_wakes() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let bell = Bell::new(now);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        assert!(bell.sleep(&waker, Some(at(5))));
        bell.ring_by(at(6));
        assert_eq!(count.0.load(SeqCst), 0);
        bell.ring_by(at(4));
        bell.ring_by(at(3));
        bell.ring();
        assert_eq!(count.0.load(SeqCst), 1);
        bell.awake();
        assert!(bell.sleep(&waker, None));
        bell.ring_by(at(1_000_000));
        assert_eq!(count.0.load(SeqCst), 2);
    }

    #[test]
    fn a_ring_while_at_work_keeps_the_task_from_sleeping() {
        let now = Instant::now();
        let bell = Bell::new(now);
        let waker = Waker::from(Arc::new(Count(AtomicUsize::new(0))));
        bell.awake();
        bell.ring_by(now + Duration::from_secs(1));
        assert!(!bell.sleep(&waker, None));
        assert!(bell.sleep(&waker, None));
    }

    #[test]
    fn no_ring_is_lost_between_threads() {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        const RINGS: usize = 20_000;
        let now = Instant::now();
        let bell = Arc::new(Bell::new(now));
        let work = Arc::new(AtomicUsize::new(0));
        let ringers: Vec<_> = (0..3)
            .map(|n| {
                let (bell, work) = (Arc::clone(&bell), Arc::clone(&work));
                std::thread::spawn(move || {
                    for ring in 0..RINGS {
                        work.fetch_add(1, SeqCst);
                        match n {
                            0 => bell.ring(),
                            1 => bell.ring_by(now + Duration::from_secs(ring as u64)),
                            _ => bell.call(),
                        }
                    }
                })
            })
            .collect();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut done = 0;
        while done < 3 * RINGS {
            bell.awake();
            done += work.swap(0, SeqCst);
            if done < 3 * RINGS && bell.sleep(&waker, None) {
                // A lost ring would end this wait in vain.
                let parked = Instant::now();
                std::thread::park_timeout(Duration::from_secs(10));
                assert!(parked.elapsed() < Duration::from_secs(9), "{done}");
            }
        }
        ringers
            .into_iter()
            .for_each(|ringer| ringer.join().unwrap());
    }
}
