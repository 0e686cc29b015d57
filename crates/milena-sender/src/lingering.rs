//! The partitions that linger for a node, by when they are due.

use std::collections::VecDeque;
use std::time::Instant;

use milena_accumulator::Slot;

/// Deadlines and partitions, in order.
///
/// Batches open in the order of time and linger equally long, so that what comes is nearly always due last, and what
/// goes is the first. A partition that goes earlier, because its batch is full, leaves its entry behind as empty, until
/// all before it are gone as well, or most entries are empty; the first entry never is.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    entries: VecDeque<Entry>,
    len: usize,
}

/// So many empty entries are always let be.
const LET_BE: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    until: Instant,
    slot: Slot,
    empty: bool,
}

impl Entry {
    fn key(&self) -> (Instant, Slot) {
        (self.until, self.slot)
    }
}

impl Lingering {
    pub(crate) fn insert(&mut self, until: Instant, slot: Slot) {
        let entry = Entry {
            until,
            slot,
            empty: false,
        };
        self.len += 1;
        match self.entries.back() {
            Some(last) if last.key() >= entry.key() => self.insert_before_last(entry),
            _ => self.entries.push_back(entry),
        }
    }

    fn insert_before_last(&mut self, entry: Entry) {
        let at = self.place(entry.key());
        match self.entries.get_mut(at) {
            // It went and has come back.
            Some(there) if there.key() == entry.key() => *there = entry,
            _ => self.entries.insert(at, entry),
        }
    }

    /// Takes out what was inserted.
    pub(crate) fn remove(&mut self, until: Instant, slot: Slot) {
        let at = match self.first() {
            Some(first) if first == (until, slot) => 0,
            _ => self.place((until, slot)),
        };
        let Some(entry) = self.entries.get_mut(at) else {
            return;
        };
        if entry.key() != (until, slot) || entry.empty {
            return;
        }
        entry.empty = true;
        self.len -= 1;
        while self.entries.front().is_some_and(|entry| entry.empty) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.len + LET_BE {
            self.entries.retain(|entry| !entry.empty);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn contains(&self, until: Instant, slot: Slot) -> bool {
        let entry = self.entries.get(self.place((until, slot)));
        entry.is_some_and(|entry| entry.key() == (until, slot) && !entry.empty)
    }

    /// The one that is due first.
    pub(crate) fn first(&self) -> Option<(Instant, Slot)> {
        self.entries.front().map(Entry::key)
    }

    /// The next one, whether `last` is still there or not.
    pub(crate) fn next(&self, last: (Instant, Slot)) -> Option<(Instant, Slot)> {
        let first = self.first().filter(|first| *first > last);
        first.or_else(|| {
            let after = self.entries.partition_point(|entry| entry.key() <= last);
            let mut rest = self.entries.range(after..);
            rest.find(|entry| !entry.empty).map(Entry::key)
        })
    }

    /// All of them, as they are due.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        let there = self.entries.iter().filter(|entry| !entry.empty);
        there.map(|entry| entry.slot)
    }

    /// Where this is, or would be.
    fn place(&self, key: (Instant, Slot)) -> usize {
        self.entries.partition_point(|entry| entry.key() < key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do to count from"
    )]
    fn one_that_lingers_long_keeps_no_others_that_went() {
        let start = Instant::now();
        let mut lingering = Lingering::default();
        lingering.insert(start, Slot(0));
        for millis in 1..10_000 {
            let until = start + Duration::from_millis(millis);
            lingering.insert(until, Slot(1));
            lingering.remove(until, Slot(1));
            assert!(lingering.entries.len() <= 2 + LET_BE);
        }
        assert_eq!(lingering.first(), Some((start, Slot(0))));
        assert_eq!(lingering.slots().count(), 1);
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do to count from"
    )]
    fn what_lingers_is_found_in_order_whatever_came_and_went() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut lingering = Lingering::default();
        let mut sorted = std::collections::BTreeSet::new();
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33) % below
        };
        for step in 0..20_000 {
            let key = (at(step / 100 + random(3)), Slot(random(50) as u32));
            match random(3) {
                0 if sorted.insert(key) => lingering.insert(key.0, key.1),
                1 => {
                    // Mostly the first one goes.
                    let goes = sorted.iter().nth(random(3) as usize).copied();
                    let (until, slot) = goes.unwrap_or(key);
                    sorted.remove(&(until, slot));
                    lingering.remove(until, slot);
                }
                _ => {
                    sorted.remove(&key);
                    lingering.remove(key.0, key.1);
                }
            }
            assert_eq!(lingering.first(), sorted.first().copied());
            assert_eq!(lingering.is_empty(), sorted.is_empty());
            assert_eq!(lingering.contains(key.0, key.1), sorted.contains(&key));
            let next = sorted.range(key..).find(|other| **other != key);
            assert_eq!(lingering.next(key), next.copied());
            if step % 64 == 0 {
                let slots: Vec<Slot> = sorted.iter().map(|(_, slot)| *slot).collect();
                assert_eq!(lingering.slots().collect::<Vec<_>>(), slots);
            }
        }
    }
}
