//! Where unkeyed records go next (KIP-794).

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_partitioner::{LeaderLatency, PartitionLoad, StickyTable, TopicView, uniform};

use crate::topic::Topic;

/// How old the picture of the queues may be. Choices in between use the same picture.
const PICTURE: Duration = Duration::from_millis(5);

/// How often a choice is made anew at most, because of those that others have.
const DRAWS: usize = 3;

/// Chooses partitions of one topic. Its lock is a leaf.
pub(crate) struct Chooser {
    random: u64,
    table: StickyTable,
    built: Option<Instant>,
    /// How often a partition was chosen.
    choices: u32,
}

impl Chooser {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: seed,
            table: StickyTable::new(),
            built: None,
            choices: 0,
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
pub(crate) struct Latencies(Mutex<Vec<(i32, LeaderLatency)>>);

impl Latencies {
    pub(crate) fn note(&self, now: Instant, node: i32, sendable: bool) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = nodes
            .binary_search_by_key(&node, |(node, _)| *node)
            .unwrap_or_else(|at| {
                nodes.insert(at, (node, LeaderLatency::new(now)));
                at
            });
        nodes[at].1.on_ready(now, sendable);
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

/// A choice that was made.
pub(crate) struct Chosen {
    pub(crate) partition: u32,
    /// Which one it was of the topic's.
    pub(crate) number: u32,
    /// Whether nothing spoke against it.
    pub(crate) free: bool,
}

impl Topic {
    /// The next common partition for unkeyed records, if possible none that a lane has. `now` is asked for only if
    /// queues are looked at.
    pub(crate) fn choose(&self, rules: &Rules<'_>, now: impl FnOnce() -> Instant) -> u32 {
        self.choose_but(rules, now, |_| false).partition
    }

    /// A partition for unkeyed records that no lane has, and that is not the common one either.
    pub(crate) fn choose_apart(
        &self,
        rules: &Rules<'_>,
        now: impl FnOnce() -> Instant,
    ) -> Option<Chosen> {
        let common = |partition| partition == self.sticky.load(Ordering::Relaxed);
        let chosen = self.choose_but(rules, now, common);
        chosen.free.then_some(chosen)
    }

    /// Chooses again, a few times, while a lane has what was chosen or it is `taken`. That leaves them about as likely
    /// as before: what a lane has was chosen then. With very uneven loads the unlikely ones get a little more.
    fn choose_but(
        &self,
        rules: &Rules<'_>,
        now: impl FnOnce() -> Instant,
        taken: impl Fn(u32) -> bool,
    ) -> Chosen {
        let mut chooser = self.chooser.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.adaptive {
            self.look(&mut chooser, rules, now());
        }
        chooser.choices = chooser.choices.wrapping_add(1);
        let number = chooser.choices;
        let mut draws = 0..DRAWS;
        loop {
            let partition = self.draw(&mut chooser);
            let free = !taken(partition) && !self.lanes.is_claimed(partition, number);
            if draws.next().is_none() || free {
                return Chosen {
                    partition,
                    number,
                    free,
                };
            }
        }
    }

    /// Looks at the queues, if that was not done just now.
    fn look(&self, chooser: &mut Chooser, rules: &Rules<'_>, now: Instant) {
        let fresh = |built| now.saturating_duration_since(built) < PICTURE;
        if chooser.built.is_some_and(fresh) {
            return;
        }
        chooser.built = Some(now);
        let late = rules.latencies.late(rules.timeout);
        let load = |(partition, queued, leader): (i32, u32, i32)| PartitionLoad {
            partition,
            queued,
            eligible: leader >= 0 && !late.contains(&leader),
        };
        chooser.table.rebuild(self.loads().map(load));
    }

    fn draw(&self, chooser: &mut Chooser) -> u32 {
        let random = chooser.random();
        let count = self.partition_count();
        let chosen = chooser.table.choose(random);
        let chosen = chosen.filter(|partition| *partition < count);
        chosen.map_or_else(|| self.uniform(chooser), |chosen| chosen as u32)
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
