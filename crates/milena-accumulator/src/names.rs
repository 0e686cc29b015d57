//! Topics by name: none is ever taken out, so that looking one up takes no lock.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;

use crate::topic::Topic;

/// Branches of a node, and the bits of a hash that choose one.
const FAN: usize = 16;
const BITS: u32 = FAN.ilog2();

/// A tree by hashes. A node is filled once; what comes later to the same place goes below it.
#[derive(Default)]
pub(crate) struct Names {
    root: [Node; FAN],
}

#[derive(Default)]
struct Node {
    entry: OnceLock<Entry>,
    below: OnceLock<Box<[Self; FAN]>>,
}

/// A topic that is known, or was.
pub(crate) struct Entry {
    hash: u64,
    pub(crate) name: Arc<str>,
    pub(crate) topic: Arc<Topic>,
    /// A forgotten topic keeps its slots for those who still hold it, and for its return.
    known: AtomicBool,
}

impl Entry {
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Returns whether it was known before.
    pub(crate) fn set_known(&self, known: bool) -> bool {
        self.known.swap(known, Ordering::AcqRel)
    }
}

impl Names {
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        let hash = hash(name);
        let (mut nodes, mut rest) = (&self.root, hash);
        loop {
            let node = &nodes[rest as usize % FAN];
            let entry = node.entry.get()?;
            if entry.hash == hash && *entry.name == *name {
                return Some(entry);
            }
            nodes = node.below.get()?;
            rest >>= BITS;
        }
    }

    /// Adds a topic whose name is not there yet. Called by one thread at a time.
    pub(crate) fn insert(&self, topic: Arc<Topic>) {
        let name = Arc::clone(topic.shared_name());
        let mut entry = Entry {
            hash: hash(&name),
            name,
            topic,
            known: AtomicBool::new(true),
        };
        let (mut nodes, mut rest) = (&self.root, entry.hash);
        loop {
            let node = &nodes[rest as usize % FAN];
            match node.entry.set(entry) {
                Ok(()) => return,
                Err(back) => entry = back,
            }
            nodes = node.below.get_or_init(Box::default);
            rest >>= BITS;
        }
    }

    /// How many are known.
    pub(crate) fn known(&self) -> usize {
        known(&self.root)
    }
}

fn known(nodes: &[Node; FAN]) -> usize {
    let of = |node: &Node| {
        let here = node.entry.get().is_some_and(Entry::is_known);
        usize::from(here) + node.below.get().map_or(0, |nodes| known(nodes))
    };
    nodes.iter().map(of).sum()
}

#[inline]
fn hash(name: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(name.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_found_however_many() {
        let names = Names::default();
        let name = |number: u32| format!("topic-{number}");
        for number in 0..5000 {
            assert!(names.find(&name(number)).is_none());
            names.insert(Arc::new(Topic::new(name(number).into(), 1, &[])));
        }
        for number in 0..5000 {
            let entry = names.find(&name(number)).unwrap();
            assert_eq!(*entry.name, *name(number));
            assert!(entry.set_known(number % 2 == 0));
        }
        assert!(names.find("topic-5000").is_none());
        assert!(names.find("").is_none());
        assert_eq!(names.known(), 2500);
    }
}
