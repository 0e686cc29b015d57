//! Where unkeyed records go next (KIP-794).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_partitioner::{LeaderLatency, PartitionLoad, StickyTable, TopicView, uniform};

use crate::topic::Topic;

/// How old the picture of the queues may be. Choices in between use the same picture.
const PICTURE: Duration = Duration::from_millis(5);

/// Chooses partitions of one topic. Its lock is a leaf.
pub(crate) struct Chooser {
    random: u64,
    table: StickyTable,
    built: Option<Instant>,
}

impl Chooser {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: seed,
            table: StickyTable::new(),
            built: None,
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// How leaders keep up, for all topics. Its lock is a leaf.
#[derive(Default)]
pub(crate) struct Latencies(Mutex<BTreeMap<i32, LeaderLatency>>);

impl Latencies {
    pub(crate) fn note(&self, now: Instant, node: i32, sendable: bool) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes
            .entry(node)
            .or_insert_with(|| LeaderLatency::new(now))
            .on_ready(now, sendable);
    }

    fn late(&self, timeout: Option<Duration>) -> Vec<i32> {
        let Some(timeout) = timeout else {
            return Vec::new();
        };
        let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = nodes.iter().filter(|(_, latency)| latency.is_late(timeout));
        late.map(|(node, _)| *node).collect()
    }
}

/// What the choice depends on beside the topic.
pub(crate) struct Rules<'a> {
    pub(crate) adaptive: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) latencies: &'a Latencies,
}

impl Topic {
    /// The next partition for unkeyed records. `now` is asked for only if queues are looked at.
    pub(crate) fn choose(&self, rules: &Rules<'_>, now: impl FnOnce() -> Instant) -> u32 {
        let mut chooser = self.chooser.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = if rules.adaptive {
            let now = now();
            let fresh = |built| now.saturating_duration_since(built) < PICTURE;
            if !chooser.built.is_some_and(fresh) {
                chooser.built = Some(now);
                let late = rules.latencies.late(rules.timeout);
                let load = |(partition, queued, leader): (i32, u32, i32)| PartitionLoad {
                    partition,
                    queued,
                    eligible: leader >= 0 && !late.contains(&leader),
                };
                chooser.table.rebuild(self.loads().map(load));
            }
            let random = chooser.random();
            chooser.table.choose(random)
        } else {
            None
        };
        let count = self.partition_count();
        let chosen = chosen.filter(|partition| *partition < count);
        chosen.map_or_else(|| self.uniform(&mut chooser), |chosen| chosen as u32)
    }

    /// Any partition that has a leader, or any if none has.
    pub(crate) fn any(&self) -> u32 {
        let mut chooser = self.chooser.lock().unwrap_or_else(PoisonError::into_inner);
        self.uniform(&mut chooser)
    }

    fn uniform(&self, chooser: &mut Chooser) -> u32 {
        let available = self.available();
        let view = TopicView {
            partition_count: self.partition_count(),
            available: &available,
        };
        uniform(&view, chooser.random()) as u32
    }
}
