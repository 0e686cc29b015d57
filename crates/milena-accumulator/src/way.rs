//! What is under way, counted without a lock.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What is looked at without the pool's lock.
///
/// Bytes of batches that are closed and not done with, of this [period](Period) and the one before. What is older is
/// at a broker that stands still or is far away: it is not to hold up those who have others to send to.
pub(crate) struct Way {
    /// Of the even and of the odd period.
    bytes: [AtomicUsize; 2],
    /// Which one this is. Written under the lock.
    period: AtomicUsize,
    /// The [`Pace`](crate::pace::Pace)'s limit to that. Written under the lock.
    limit: AtomicUsize,
    /// Who waits for the pace, or may go on and has not yet.
    paced: AtomicUsize,
}

/// When a batch was closed. A period takes [`PATIENCE`](crate::pace::PATIENCE) or, while nobody is held back, longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Period(usize);

impl Way {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Default::default(),
            period: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            paced: AtomicUsize::new(0),
        }
    }

    /// A batch was closed: so many bytes are under way until they are done with.
    pub(crate) fn begin(&self, bytes: usize) -> Period {
        let period = self.period.load(Ordering::Relaxed);
        self.bytes[period % 2].fetch_add(bytes, Ordering::Relaxed);
        Period(period)
    }

    /// So many bytes of a period are done with. Returns how many are still under way. Under the lock.
    pub(crate) fn end(&self, bytes: usize, Period(period): Period) -> usize {
        let now = self.period.load(Ordering::Relaxed);
        if now.wrapping_sub(period) < 2 {
            let rest = |there: usize| Some(there.saturating_sub(bytes));
            // Whoever closed a batch while two periods began may have counted it in the wrong one.
            let _ = self.bytes[period % 2].fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        }
        self.under_way()
    }

    /// Begins a period. Under the lock.
    pub(crate) fn next_period(&self) {
        let next = self.period.load(Ordering::Relaxed).wrapping_add(1);
        self.bytes[next % 2].store(0, Ordering::Relaxed);
        self.period.store(next, Ordering::Relaxed);
    }

    pub(crate) fn under_way(&self) -> usize {
        let [even, odd] = self
            .bytes
            .each_ref()
            .map(|bytes| bytes.load(Ordering::Relaxed));
        even + odd
    }

    /// Whether more is under way than the pace allows.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.under_way() > self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Somebody begins to wait.
    pub(crate) fn join(&self) {
        self.paced.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody goes on, or gave up.
    pub(crate) fn leave(&self) {
        self.paced.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether somebody waits for the pace, or is about to go on.
    pub(crate) fn is_paced(&self) -> bool {
        self.paced.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_under_way_for_long_does_not_count() {
        let way = Way::new(100);
        let old = way.begin(70);
        way.next_period();
        let new = way.begin(40);
        assert!(way.is_ahead());
        assert_eq!(way.end(10, old), 100);
        way.next_period();
        assert_eq!(way.under_way(), 40, "the first ones are left out");
        assert_eq!(way.end(60, old), 40, "and not subtracted either");
        assert_eq!(way.end(40, new), 0);
    }
}
