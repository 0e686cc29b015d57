//! The partitions that linger for a node, by when they are due.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Instant;

use milena_accumulator::Slot;

/// Sorts before everything that lingers.
const FLOOR: (Option<Instant>, Slot) = (None, Slot(u32::MAX));

/// A sorted set of deadlines and partitions.
///
/// It is never quite empty: an entry below all others keeps the set's memory, so that a partition
/// that comes and goes with each of its batches costs no allocation.
#[derive(Debug)]
pub(crate) struct Lingering(BTreeSet<(Option<Instant>, Slot)>);

impl Default for Lingering {
    fn default() -> Self {
        Self(BTreeSet::from([FLOOR]))
    }
}

impl Lingering {
    pub(crate) fn insert(&mut self, until: Instant, slot: Slot) {
        self.0.insert((Some(until), slot));
    }

    pub(crate) fn remove(&mut self, until: Instant, slot: Slot) {
        self.0.remove(&(Some(until), slot));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub(crate) fn contains(&self, until: Instant, slot: Slot) -> bool {
        self.0.contains(&(Some(until), slot))
    }

    /// The one that is due first.
    pub(crate) fn first(&self) -> Option<(Instant, Slot)> {
        self.after(FLOOR)
    }

    /// The next one.
    pub(crate) fn next(&self, last: (Instant, Slot)) -> Option<(Instant, Slot)> {
        self.after((Some(last.0), last.1))
    }

    /// All of them, as they are due.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().skip(1).map(|(_, slot)| *slot)
    }

    fn after(&self, last: (Option<Instant>, Slot)) -> Option<(Instant, Slot)> {
        let (until, slot) = self
            .0
            .range((Bound::Excluded(last), Bound::Unbounded))
            .next()?;
        until.map(|until| (until, *slot))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn goes_by_deadline_and_can_be_walked() {
        let now = Instant::now();
        let later = now + Duration::from_millis(1);
        let mut lingering = Lingering::default();
        assert!(lingering.is_empty());
        assert_eq!(lingering.first(), None);
        lingering.insert(later, Slot(1));
        lingering.insert(now, Slot(u32::MAX));
        assert_eq!(lingering.first(), Some((now, Slot(u32::MAX))));
        assert_eq!(
            lingering.next((now, Slot(u32::MAX))),
            Some((later, Slot(1)))
        );
        assert_eq!(lingering.slots().count(), 2);
        lingering.remove(now, Slot(u32::MAX));
        lingering.remove(later, Slot(1));
        assert!(lingering.is_empty());
    }
}
