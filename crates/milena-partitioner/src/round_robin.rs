//! One partition after the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::{Choice, PartitionInput, Partitioner, TopicView};

/// Spreads records evenly over the partitions that have a leader, or over all if none has; keys do not matter.
///
/// Counts each topic from 0, one step a record.
#[derive(Debug, Default)]
pub struct RoundRobin {
    counters: RwLock<BTreeMap<String, AtomicU32>>,
}

impl RoundRobin {
    /// One that begins at the first partition of every topic.
    pub fn new() -> Self {
        Self::default()
    }

    fn step(&self, topic: &str) -> u32 {
        let step = |counter: &AtomicU32| counter.fetch_add(1, Ordering::Relaxed) & i32::MAX as u32;
        let counters = self.counters.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get(topic) {
            return step(counter);
        }
        drop(counters);
        let mut counters = self
            .counters
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        step(counters.entry(topic.to_owned()).or_default())
    }
}

impl Partitioner for RoundRobin {
    fn partition(&self, input: &PartitionInput<'_>, view: &TopicView<'_>) -> Choice {
        let step = self.step(input.topic);
        Choice::Partition(if view.available.is_empty() {
            (step % view.partition_count.max(1) as u32) as i32
        } else {
            view.available[step as usize % view.available.len()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(rule: &RoundRobin, topic: &str, available: &[i32]) -> i32 {
        let input = PartitionInput::new(topic, Some(b"key"), None);
        let view = TopicView {
            partition_count: 4,
            available,
        };
        match rule.partition(&input, &view) {
            Choice::Partition(partition) => partition,
            Choice::Sticky => panic!("round robin always knows"),
        }
    }

    #[test]
    fn goes_around_each_topic_by_itself() {
        let rule = RoundRobin::new();
        let of_a: Vec<_> = (0..6).map(|_| choose(&rule, "a", &[0, 1, 2, 3])).collect();
        assert_eq!(of_a, [0, 1, 2, 3, 0, 1]);
        assert_eq!(choose(&rule, "b", &[0, 1, 2, 3]), 0);
    }

    #[test]
    fn leaves_out_partitions_without_leader_unless_none_has_one() {
        let rule = RoundRobin::new();
        let some: Vec<_> = (0..4).map(|_| choose(&rule, "a", &[1, 3])).collect();
        assert_eq!(some, [1, 3, 1, 3]);
        let none: Vec<_> = (0..4).map(|_| choose(&rule, "a", &[])).collect();
        assert_eq!(none, [0, 1, 2, 3]);
    }
}
