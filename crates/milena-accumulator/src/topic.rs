//! A topic and its partitions, as those who append see them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use milena_record::RatioEstimator;

use crate::lanes::Lanes;
use crate::lock::{Held, Lock};
use crate::queue::Queue;
use crate::sticky::Chooser;

/// The dense number of a partition of a topic, for the whole life of the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// A topic that is known, or was. Held by whoever appends to it; it stays valid when partitions are added, and when
/// the topic is forgotten and comes back.
///
/// It keeps off the cache line of its reference counts, which change with each batch that is taken.
#[repr(align(128))]
pub struct Topic {
    name: Arc<str>,
    id: Mutex<[u8; 16]>,
    /// How many partitions the topic has now. Never more than there are in the blocks.
    count: AtomicU32,
    first: Block,
    /// Where unkeyed records go now. Changed only under the lock of that very partition.
    pub(crate) sticky: AtomicU32,
    /// Where they go instead while threads get in each other's way.
    pub(crate) lanes: Lanes,
    pub(crate) chooser: Mutex<Chooser>,
    ratios: RatioEstimator,
    available: RwLock<Arc<[i32]>>,
    available_stale: AtomicBool,
}

/// Neighbouring partitions. One block for those that a topic has at first, a further one whenever some are added.
pub(crate) struct Block {
    first: u32,
    partitions: Box<[Partition]>,
    /// Batches that wait, and leaders: dense, because the adaptive choice goes through all of them.
    depths: Box<[AtomicU32]>,
    leaders: Box<[AtomicI32]>,
    next: OnceLock<Box<Self>>,
}

/// One partition's queue, on cache lines of its own.
#[repr(align(128))]
pub(crate) struct Partition {
    queue: Lock<Queue>,
    pub(crate) slot: Slot,
    /// The node that leads it, -1 if nobody is known to. The same as in its block: there the sticky choice goes through
    /// all of them, here it is read with the queue.
    leader: AtomicI32,
}

impl Partition {
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_, Queue> {
        self.queue.lock()
    }

    /// The lock if nobody has it.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Held<'_, Queue>> {
        self.queue.try_lock()
    }

    /// The node that leads it, -1 if nobody is known to.
    pub(crate) fn leader(&self) -> i32 {
        self.leader.load(Ordering::Relaxed)
    }
}

impl Block {
    fn new(first: u32, slots: &[Slot]) -> Self {
        let partition = |slot: &Slot| Partition {
            queue: Lock::default(),
            slot: *slot,
            leader: AtomicI32::new(-1),
        };
        Self {
            first,
            partitions: slots.iter().map(partition).collect(),
            depths: slots.iter().map(|_| AtomicU32::new(0)).collect(),
            leaders: slots.iter().map(|_| AtomicI32::new(-1)).collect(),
            next: OnceLock::new(),
        }
    }

    fn end(&self) -> u32 {
        self.first + self.partitions.len() as u32
    }
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, seed: u64, slots: &[Slot]) -> Self {
        Self {
            name,
            id: Mutex::default(),
            count: AtomicU32::new(0),
            first: Block::new(0, slots),
            sticky: AtomicU32::new(0),
            lanes: Lanes::default(),
            chooser: Mutex::new(Chooser::new(seed)),
            ratios: RatioEstimator::new(),
            available: RwLock::new(Arc::new([])),
            available_stale: AtomicBool::new(false),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, shared.
    pub fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its id; zeros if brokers do not give ids.
    pub fn id(&self) -> [u8; 16] {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many partitions it has now.
    #[inline]
    pub fn partition_count(&self) -> i32 {
        self.count.load(Ordering::Acquire) as i32
    }

    /// Partitions that have a leader, in order.
    pub fn available(&self) -> Arc<[i32]> {
        if self.available_stale.swap(false, Ordering::AcqRel) {
            let now: Arc<[i32]> = self
                .blocks()
                .flat_map(|block| (block.first..).zip(&block.leaders))
                .take(self.partition_count() as usize)
                .filter(|(_, leader)| leader.load(Ordering::Relaxed) >= 0)
                .map(|(index, _)| index as i32)
                .collect();
            let mut available = self
                .available
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *available = now;
        }
        let available = self.available.read();
        Arc::clone(&available.unwrap_or_else(PoisonError::into_inner))
    }

    /// How well its batches compress. Whoever seals them reports here.
    pub fn ratios(&self) -> &RatioEstimator {
        &self.ratios
    }

    /// Whether a sticky choice is the common one.
    pub(crate) fn is_common(&self, sticky: &AtomicU32) -> bool {
        std::ptr::eq(sticky, &self.sticky)
    }

    /// The slot of a partition; `None` if it has no such partition.
    pub fn slot(&self, partition: i32) -> Option<Slot> {
        let index = u32::try_from(partition).ok()?;
        self.find(index).map(|partition| partition.slot)
    }

    #[inline]
    pub(crate) fn find(&self, index: u32) -> Option<&Partition> {
        match self.first.partitions.get(index as usize) {
            Some(partition) => Some(partition),
            None => self.find_added(index),
        }
    }

    #[cold]
    fn find_added(&self, index: u32) -> Option<&Partition> {
        let (block, at) = self.block(index)?;
        Some(&block.partitions[at])
    }

    /// The block that has a partition, and which one it is there.
    fn block(&self, index: u32) -> Option<(&Block, usize)> {
        let block = self.blocks().find(|block| index < block.end())?;
        Some((block, (index - block.first) as usize))
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        std::iter::successors(Some(&self.first), |block| {
            block.next.get().map(|next| &**next)
        })
    }

    /// Queue depth and leader of each partition, in order.
    pub(crate) fn loads(&self) -> impl Iterator<Item = (i32, u32, i32)> {
        self.blocks()
            .flat_map(|block| {
                (block.first..)
                    .zip(block.depths.iter().zip(&block.leaders))
                    .map(|(index, (depth, leader))| {
                        let load = |depth: &AtomicU32| depth.load(Ordering::Relaxed);
                        (index as i32, load(depth), leader.load(Ordering::Relaxed))
                    })
            })
            .take(self.partition_count() as usize)
    }

    /// How many partitions there are in the blocks.
    pub(crate) fn built(&self) -> u32 {
        self.blocks().last().map_or(0, Block::end)
    }

    /// Adds partitions at the end. Called by one thread at a time.
    pub(crate) fn grow(&self, slots: &[Slot]) {
        if slots.is_empty() {
            return;
        }
        if let Some(last) = self.blocks().last() {
            let block = Box::new(Block::new(last.end(), slots));
            // Only one thread grows topics, so the place is free.
            let _ = last.next.set(block);
        }
    }

    /// Takes over what the metadata says. All these partitions have to exist already.
    pub(crate) fn update(&self, id: [u8; 16], leaders: &[Option<i32>]) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = id;
        let built = self.built();
        for index in 0..built {
            self.store_leader(index, leaders.get(index as usize).copied().flatten());
        }
        let count = leaders.len() as u32;
        let before = self.count.swap(count, Ordering::AcqRel);
        // After the count: whoever looks in between would keep the old one's partitions.
        self.available_stale.store(true, Ordering::Release);
        self.settle(before == 0);
        // Who gets a lane looks at the count under the partition's lock: either the new one, or before this.
        for index in count..before {
            let _queue = self.find(index).map(Partition::lock);
        }
        for (lane, partition) in self.lanes.beyond(count) {
            let _queue = self.find(partition).map(Partition::lock);
            if lane.load(Ordering::Relaxed) == partition {
                Lanes::leave(lane);
            }
        }
    }

    /// Chooses a sticky partition for a topic that is new, or for one that lost the partition that was.
    fn settle(&self, new: bool) {
        loop {
            let sticky = self.sticky.load(Ordering::Relaxed);
            let Some(partition) = self.find(sticky) else {
                return;
            };
            // Only who holds this lock changes the choice, if it is this partition.
            let _queue = partition.lock();
            if self.sticky.load(Ordering::Relaxed) != sticky {
                continue;
            }
            if new || sticky >= self.count.load(Ordering::Relaxed) {
                self.sticky.store(self.any(), Ordering::Relaxed);
            }
            return;
        }
    }

    pub(crate) fn set_leader(&self, index: u32, leader: Option<i32>) {
        self.store_leader(index, leader);
        self.available_stale.store(true, Ordering::Release);
    }

    fn store_leader(&self, index: u32, leader: Option<i32>) {
        if let Some((block, at)) = self.block(index) {
            let leader = leader.unwrap_or(-1);
            block.partitions[at].leader.store(leader, Ordering::Relaxed);
            block.leaders[at].store(leader, Ordering::Relaxed);
        }
    }

    /// Notes how many batches wait in a partition.
    pub(crate) fn set_depth(&self, index: u32, batches: usize) {
        if let Some((block, at)) = self.block(index) {
            block.depths[at].store(batches as u32, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .field("partitions", &self.partition_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(from: u32, count: u32) -> Vec<Slot> {
        (from..from + count).map(Slot).collect()
    }

    #[test]
    fn partitions_are_added_without_moving_the_others() {
        let topic = Topic::new("t".into(), 1, &slots(0, 3));
        topic.update([1; 16], &[Some(1), None, Some(2)]);
        let second = std::ptr::from_ref(topic.find(1).unwrap());
        assert_eq!(*topic.available(), [0, 2]);
        assert!(topic.find(3).is_none());
        topic.grow(&slots(10, 2));
        topic.grow(&slots(20, 1));
        topic.update([1; 16], &[Some(1); 6]);
        assert_eq!(topic.partition_count(), 6);
        assert_eq!(*topic.available(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(topic.slot(4), Some(Slot(11)));
        assert_eq!(topic.slot(5), Some(Slot(20)));
        assert_eq!(topic.slot(6), None);
        assert_eq!(topic.slot(-1), None);
        assert_eq!(second, std::ptr::from_ref(topic.find(1).unwrap()));
        topic.set_depth(4, 7);
        topic.set_leader(4, None);
        let loads: Vec<_> = topic.loads().collect();
        assert_eq!(loads[4], (4, 7, -1));
        assert_eq!(*topic.available(), [0, 1, 2, 3, 5]);
        topic.update([2; 16], &[Some(1); 2]);
        assert_eq!(topic.partition_count(), 2);
        assert_eq!(topic.loads().count(), 2);
        assert_eq!(*topic.available(), [0, 1]);
    }

    #[test]
    fn who_chooses_while_partitions_come_or_go_knows_of_it_afterwards() {
        let topic = Topic::new("t".into(), 1, &slots(0, 6));
        topic.update([1; 16], &[Some(1); 6]);
        let over = AtomicBool::new(false);
        let wrong = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    topic.any();
                }
            });
            let wrong = (0..200_000).filter(|round| {
                let count = if round % 2 == 0 { 3 } else { 6 };
                topic.update([1; 16], &[Some(1); 6][..count]);
                topic.any();
                let _as_who_chooses = topic.chooser.lock();
                topic.available().len() != count
            });
            let wrong = wrong.count();
            over.store(true, Ordering::Relaxed);
            wrong
        });
        assert_eq!(wrong, 0, "times of 200000");
    }
}
