//! Sticky partitions beside the common one of a topic, for threads that get in each other's way.
//!
//! Unkeyed records of all threads go to one sticky partition, so that batches are full at low rates too. At high ones
//! the threads would wait for its lock, and for the cache lines behind it. Whoever finds it locked again and again
//! gets a lane: a sticky partition of its own, for one batch. Then it is back with the others, and so is everybody
//! soon when the rush is over. A thread that does not come back leaves nothing behind that matters.
//!
//! As long as the common partition's batches are sent before they are full, nobody gets a lane, and neither when a
//! lane's was: its batches would be emptier still.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many lanes a topic has. Threads beyond share them.
const LANES: usize = 32;

/// A claim holds for so many choices: as many as all lanes make while one of them fills two batches.
const CLAIM: u32 = 2 * LANES as u32;

/// No partition.
const NONE: u32 = u32::MAX;

/// No partition is crowded, whoever waits.
const CALM: u32 = u32::MAX - 1;

/// The lanes of a topic. Made when they are first needed, which is never for most.
pub(crate) struct Lanes {
    /// The common partition where somebody had to wait, or none yet, or that it is calm.
    crowded: AtomicU32,
    all: OnceLock<Box<[Lane; LANES]>>,
}

/// On a cache line of its own.
#[repr(align(64))]
struct Lane {
    /// Its partition, or none. Taken away only under the lock of that very partition.
    sticky: AtomicU32,
    /// Which choice of the topic's that was.
    choice: AtomicU32,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            crowded: AtomicU32::new(CALM),
            all: OnceLock::new(),
        }
    }
}

impl Lanes {
    /// The sticky choice of a thread, and the partition: its lane's, if it has one now, or else the `common` one.
    #[inline(always)]
    pub(crate) fn of<'t>(
        &'t self,
        common: &'t AtomicU32,
        thread: impl FnOnce() -> usize,
    ) -> (&'t AtomicU32, u32) {
        if let Some(lanes) = self.all.get() {
            let lane = &lanes[thread() % LANES].sticky;
            let partition = lane.load(Ordering::Relaxed);
            if partition != NONE {
                return (lane, partition);
            }
        }
        (common, common.load(Ordering::Relaxed))
    }

    /// Somebody has to wait at the common partition. Whether it is crowded: not the first time, and not while it is
    /// calm.
    pub(crate) fn on_wait(&self, partition: u32) -> bool {
        let before = self.crowded.load(Ordering::Relaxed);
        if before == NONE {
            self.crowded.store(partition, Ordering::Relaxed);
        }
        before == partition
    }

    /// The common partition, or a lane's, was left, its last batch full or not.
    pub(crate) fn on_leave(&self, full: bool) {
        let now = if full { NONE } else { CALM };
        self.crowded.store(now, Ordering::Relaxed);
    }

    /// Whether some lane got this partition lately, as of a choice.
    pub(crate) fn is_claimed(&self, partition: u32, choice: u32) -> bool {
        let lately = |lane: &Lane| {
            lane.sticky.load(Ordering::Relaxed) == partition
                && choice.wrapping_sub(lane.choice.load(Ordering::Relaxed)) < CLAIM
        };
        self.all.get().is_some_and(|all| all.iter().any(lately))
    }

    /// Gives a thread's lane a partition, if it has none. The lane's sticky choice, and the partition it is now.
    pub(crate) fn claim(&self, thread: usize, partition: u32, choice: u32) -> (&AtomicU32, u32) {
        let none = || Lane {
            sticky: AtomicU32::new(NONE),
            choice: AtomicU32::new(0),
        };
        let all = self
            .all
            .get_or_init(|| Box::new(std::array::from_fn(|_| none())));
        let Lane {
            sticky,
            choice: claimed,
        } = &all[thread % LANES];
        let order = Ordering::Relaxed;
        match sticky.compare_exchange(NONE, partition, order, order) {
            Ok(_) => {
                claimed.store(choice, order);
                (sticky, partition)
            }
            Err(other) => (sticky, other),
        }
    }

    /// Sends those who use a lane back to the common partition. Under the lock of the lane's.
    pub(crate) fn leave(lane: &AtomicU32) {
        lane.store(NONE, Ordering::Relaxed);
    }

    /// The lanes that have a partition from `count` on.
    pub(crate) fn beyond(&self, count: u32) -> impl Iterator<Item = (&AtomicU32, u32)> {
        let all = self.all.get().into_iter().flat_map(|lanes| lanes.iter());
        all.map(|lane| (&lane.sticky, lane.sticky.load(Ordering::Relaxed)))
            .filter(move |(_, partition)| *partition != NONE && *partition >= count)
    }
}
