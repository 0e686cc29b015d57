//! Records without a key: when to leave a partition, and which one to go to next (KIP-794).

use std::time::{Duration, Instant};

use crate::TopicView;

/// Whether unkeyed records should move to another partition, after `produced` bytes went to the present one.
///
/// A partition is left after `batch_size` bytes, but not in the middle of a batch, so that batches are full; after
/// twice as many it is left anyway. Ask after each append, with `batch_open` true if the partition's last batch still
/// takes records, and again before the next append if the answer was no only because of it.
#[inline]
pub const fn should_switch(produced: u64, batch_size: u64, batch_open: bool) -> bool {
    produced >= batch_size && (!batch_open || produced >= batch_size.saturating_mul(2))
}

/// Any of the partitions that have a leader, or of all if none has, each as likely as the other.
///
/// `random` is any number, all 64 bits of it random.
#[inline]
pub fn uniform(view: &TopicView<'_>, random: u64) -> i32 {
    if view.available.is_empty() {
        below(random, view.partition_count.max(1) as u64) as i32
    } else {
        view.available[below(random, view.available.len() as u64) as usize]
    }
}

/// What a partition has waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLoad {
    /// Its index.
    pub partition: i32,
    /// Batches that wait there.
    pub queued: u32,
    /// Whether it may be chosen: it has a leader, and [`LeaderLatency::is_late`] does not hold against that.
    pub eligible: bool,
}

/// Chooses partitions by their load: the fewer batches wait in one, the likelier it is chosen.
///
/// Rebuilt now and then from the queues, which costs a pass over the topic's partitions; a choice is a binary search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StickyTable {
    partitions: Vec<i32>,
    /// Sums of weights up to and including each partition's. Empty: all are equally likely.
    cumulative: Vec<u64>,
}

impl StickyTable {
    /// One that chooses uniformly.
    pub const fn new() -> Self {
        Self {
            partitions: Vec::new(),
            cumulative: Vec::new(),
        }
    }

    /// Takes over the present loads, of all partitions of a topic in order.
    ///
    /// The weight of a partition is the longest queue plus one, minus its own. With fewer than two partitions, none
    /// eligible, or all of them eligible and equally loaded, the choice is uniform.
    pub fn rebuild(&mut self, loads: impl IntoIterator<Item = PartitionLoad>) {
        self.partitions.clear();
        self.cumulative.clear();
        let mut total = 0;
        for load in loads {
            total += 1;
            if load.eligible {
                self.partitions.push(load.partition);
                self.cumulative.push(u64::from(load.queued));
            }
        }
        let Some(&longest) = self.cumulative.iter().max() else {
            return;
        };
        let equal = self.cumulative.iter().all(|&queued| queued == longest);
        if total < 2 || equal && self.partitions.len() == total {
            self.cumulative.clear();
            return;
        }
        let mut sum = 0;
        for queued in &mut self.cumulative {
            sum += longest + 1 - *queued;
            *queued = sum;
        }
    }

    /// The next partition, or `None` if the choice is [`uniform`]. `random` is any number, all 64 bits of it random.
    #[inline]
    pub fn choose(&self, random: u64) -> Option<i32> {
        let total = *self.cumulative.last()?;
        let at = below(random, total);
        let index = self.cumulative.partition_point(|&sum| sum <= at);
        self.partitions.get(index).copied()
    }
}

/// How long a leader has kept data waiting (`partitioner.availability.timeout.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderLatency {
    ready: Instant,
    drained: Instant,
}

impl LeaderLatency {
    /// A leader that has not kept anything waiting yet.
    pub const fn new(now: Instant) -> Self {
        Self {
            ready: now,
            drained: now,
        }
    }

    /// There was data for the leader, and it could be sent or not.
    pub const fn on_ready(&mut self, now: Instant, sendable: bool) {
        self.ready = now;
        if sendable {
            self.drained = now;
        }
    }

    /// Whether its partitions should be passed over. A `timeout` of zero switches this off.
    pub fn is_late(&self, timeout: Duration) -> bool {
        !timeout.is_zero() && self.ready.saturating_duration_since(self.drained) > timeout
    }
}

/// A number below `end`, from a random one; off from uniform by less than `end` in 2^64.
#[inline]
const fn below(random: u64, end: u64) -> u64 {
    ((random as u128 * end as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(loads: &[(i32, u32, bool)]) -> StickyTable {
        let mut table = StickyTable::new();
        table.rebuild(
            loads
                .iter()
                .map(|&(partition, queued, eligible)| PartitionLoad {
                    partition,
                    queued,
                    eligible,
                }),
        );
        table
    }

    /// How often each of `count` partitions is chosen by evenly spread random numbers.
    fn counts(table: &StickyTable, count: usize, draws: u64) -> Option<Vec<u64>> {
        let mut counts = vec![0; count];
        for draw in 0..draws {
            let random = (u64::MAX / draws) * draw + (u64::MAX / draws) / 2;
            counts[table.choose(random)? as usize] += 1;
        }
        Some(counts)
    }

    #[test]
    fn shorter_queues_are_likelier() {
        // Weights 4-0, 4-3, 4-1.
        let table = table(&[(0, 0, true), (1, 3, true), (2, 1, true)]);
        assert_eq!(counts(&table, 3, 8000), Some(vec![4000, 1000, 3000]));
    }

    #[test]
    fn equal_queues_are_uniform_unless_one_is_left_out() {
        assert_eq!(table(&[(0, 2, true), (1, 2, true)]).choose(0), None);
        assert_eq!(table(&[(0, 0, true)]).choose(0), None);
        assert_eq!(table(&[]).choose(0), None);
        assert_eq!(table(&[(0, 0, false), (1, 0, false)]).choose(0), None);
        let one_out = table(&[(0, 2, true), (1, 2, false), (2, 2, true)]);
        assert_eq!(counts(&one_out, 3, 1000), Some(vec![500, 0, 500]));
        let one_left = table(&[(0, 5, false), (1, 2, true)]);
        assert_eq!(counts(&one_left, 2, 100), Some(vec![0, 100]));
    }

    #[test]
    fn extremes_of_the_random_number_stay_inside() {
        let table = table(&[(7, 0, true), (8, u32::MAX, true)]);
        assert_eq!(table.choose(0), Some(7));
        assert_eq!(table.choose(u64::MAX), Some(8));
        let view = TopicView {
            partition_count: 3,
            available: &[],
        };
        assert_eq!(uniform(&view, 0), 0);
        assert_eq!(uniform(&view, u64::MAX), 2);
        let view = TopicView {
            partition_count: 3,
            available: &[1],
        };
        assert_eq!(uniform(&view, u64::MAX), 1);
    }

    #[test]
    fn a_partition_is_left_between_batches_or_after_twice_the_size() {
        assert!(!should_switch(99, 100, false));
        assert!(should_switch(100, 100, false));
        assert!(!should_switch(199, 100, true));
        assert!(should_switch(200, 100, true));
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "some point in time is needed to begin with"
    )]
    fn a_leader_is_late_while_it_cannot_be_sent_to() {
        let start = Instant::now();
        let timeout = Duration::from_secs(1);
        let mut latency = LeaderLatency::new(start);
        latency.on_ready(start + Duration::from_secs(2), false);
        assert!(latency.is_late(timeout));
        assert!(!latency.is_late(Duration::ZERO));
        latency.on_ready(start + Duration::from_secs(3), true);
        assert!(!latency.is_late(timeout));
    }
}
