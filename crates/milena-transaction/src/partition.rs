//! The sequences of one partition.

use crate::identity::{Idempotence, Identity};
use crate::sequence::Sequence;

/// The name a batch has at the broker: who wrote it, and where it stands in what was written.
///
/// A stamp names one string of bytes for ever; a retry carries the same stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Id and epoch.
    pub identity: Identity,
    /// The number of the batch's first record.
    pub base: Sequence,
    /// How many records it has.
    pub records: i32,
}

impl Stamp {
    /// Whether it was given out after the one that begins at `base`, under the same identity.
    fn is_after(&self, base: Sequence) -> bool {
        let behind = self.base.get().wrapping_sub(base.get()) & i32::MAX;
        behind != 0 && behind < i32::MAX / 2
    }
}

/// Which numbers the batches of one partition get.
///
/// A partition keeps its identity until its own sequence has a hole: a batch that had a number
/// and was given up. Then it hands out no more numbers until [`restart`](Self::restart), which is
/// called once nothing of the partition is on any wire.
#[derive(Clone, Debug, Default)]
pub struct PartitionSequences {
    identity: Option<Identity>,
    next: Sequence,
    hole: Option<Hole>,
}

/// Why no more numbers are handed out.
#[derive(Clone, Copy, Debug)]
enum Hole {
    /// The broker may lack the batch that begins here, under the partition's identity; a later one it accepts proves
    /// that it does not.
    After(Sequence),
    /// The log itself is another one.
    NewLog,
}

impl PartitionSequences {
    /// Numbers a batch of `records`, or answers `None` when it has to wait: for an identity, or
    /// for a restart.
    pub fn stamp(&mut self, producer: &Idempotence, records: i32) -> Option<Stamp> {
        if self.hole.is_some() {
            return None;
        }
        let identity = match self.identity {
            Some(identity) => identity,
            None => *self.identity.insert(producer.identity()?),
        };
        let base = self.next;
        self.next = base.plus(records);
        Some(Stamp {
            identity,
            base,
            records,
        })
    }

    /// Whether it has not taken on an identity: [`stamp`](Self::stamp) needs the producer's.
    pub fn is_new(&self) -> bool {
        self.identity.is_none()
    }

    /// A batch that had this stamp will never be sent again, and the broker may lack it.
    ///
    /// Of several holes the last one counts: what is accepted after it was accepted after all.
    pub fn mark_hole(&mut self, stamp: Stamp) {
        let is_last = match self.hole {
            None => true,
            Some(Hole::After(hole)) => stamp.is_after(hole),
            Some(Hole::NewLog) => false,
        };
        if is_last && self.identity == Some(stamp.identity) {
            self.hole = Some(Hole::After(stamp.base));
        }
    }

    /// The topic was created anew, with another id: its log knows nothing of this producer.
    pub fn mark_new_log(&mut self) {
        if self.identity.is_some() {
            self.hole = Some(Hole::NewLog);
        }
    }

    /// The broker accepted `stamp`. When that comes after the hole, the hole was none: brokers
    /// accept numbers only without a gap.
    pub fn acknowledged(&mut self, stamp: Stamp) {
        if let Some(Hole::After(hole)) = self.hole
            && self.identity == Some(stamp.identity)
            && stamp.is_after(hole)
        {
            self.hole = None;
        }
    }

    /// Whether numbers are withheld until a restart.
    pub fn has_hole(&self) -> bool {
        self.hole.is_some()
    }

    /// Begins again at 0 under a newer epoch, or under none until one is granted.
    ///
    /// The caller has made sure that nothing of the partition is on any wire.
    pub fn restart(&mut self, producer: &mut Idempotence) {
        if let Some(stale) = self.identity.take() {
            producer.bump_from(stale);
        }
        self.next = Sequence::ZERO;
        self.hole = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Idempotence {
        let mut producer = Idempotence::new();
        producer.granted(Identity { id: 1, epoch: 0 });
        producer
    }

    #[test]
    fn waits_for_an_identity() {
        let mut partition = PartitionSequences::default();
        let mut producer = Idempotence::new();
        assert!(partition.is_new());
        assert_eq!(partition.stamp(&producer, 1), None);
        producer.granted(Identity { id: 1, epoch: 0 });
        assert_eq!(partition.stamp(&producer, 1).unwrap().base, Sequence::ZERO);
    }

    #[test]
    fn a_later_acknowledgement_closes_the_hole() {
        let producer = known();
        let mut partition = PartitionSequences::default();
        let lost = partition.stamp(&producer, 3).unwrap();
        let later = partition.stamp(&producer, 3).unwrap();
        partition.mark_hole(lost);
        assert_eq!(partition.stamp(&producer, 1), None);
        partition.acknowledged(later);
        assert_eq!(partition.stamp(&producer, 1).unwrap().base.get(), 6);
    }

    #[test]
    fn an_earlier_acknowledgement_does_not() {
        let producer = known();
        let mut partition = PartitionSequences::default();
        let earlier = partition.stamp(&producer, 3).unwrap();
        let lost = partition.stamp(&producer, 3).unwrap();
        partition.mark_hole(lost);
        partition.acknowledged(earlier);
        assert!(partition.has_hole());
    }

    #[test]
    fn what_comes_before_the_last_of_two_holes_closes_neither() {
        let producer = known();
        // Also where the numbers begin anew between them.
        for first in [0, i32::MAX - 3] {
            let mut partition = PartitionSequences {
                next: Sequence::new(first).unwrap(),
                ..PartitionSequences::default()
            };
            let [a, b, c, d] = [(); 4].map(|()| partition.stamp(&producer, 3).unwrap());
            partition.mark_hole(c);
            partition.mark_hole(a);
            partition.acknowledged(b);
            assert!(partition.has_hole());
            partition.acknowledged(d);
            assert!(!partition.has_hole());
        }
    }

    #[test]
    fn the_other_partitions_keep_their_epoch() {
        let mut producer = known();
        let mut here = PartitionSequences::default();
        let mut there = PartitionSequences::default();
        let lost = here.stamp(&producer, 1).unwrap();
        there.stamp(&producer, 1).unwrap();
        here.mark_hole(lost);
        here.restart(&mut producer);
        assert_eq!(here.stamp(&producer, 1).unwrap().identity.epoch, 1);
        let kept = there.stamp(&producer, 1).unwrap();
        assert_eq!((kept.identity.epoch, kept.base.get()), (0, 1));
    }
}
