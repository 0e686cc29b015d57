//! Who is ready for which node, who lingers, and whose timer is next: scheduling without scans.
//!
//! The cost of every method is that of the one partition it is about. A partition that has
//! nothing to send is in no list.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use milena_accumulator::Slot;
use milena_client::{Few, NodeId};

use crate::lingering::Lingering;
use crate::partition::{Partition, Reason, Rules, Schedule};

/// The partitions and the lists they stand in.
#[derive(Debug, Default)]
pub(crate) struct Board {
    partitions: Vec<Partition>,
    nodes: Few<NodeId, Node>,
    timers: BTreeSet<(Instant, Slot)>,
    /// Parked for want of a producer id.
    unidentified: Vec<Slot>,
    /// Parked for want of a leader, or were so a while ago.
    leaderless: Vec<Slot>,
    /// A leader is to be asked for on behalf of those.
    leader_missing: bool,
    /// Nodes for which something came up.
    rung: Vec<NodeId>,
}

/// What waits for one node.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Partitions with a batch to send, served in rotation. An entry is stale unless its
    /// partition is listed here.
    pub(crate) ready: VecDeque<Slot>,
    /// How many partitions are ready. With none the list is empty: nothing is asked of the node for entries that are stale.
    sendable: usize,
    /// Partitions with an open batch, by when they are due.
    pub(crate) lingering: Lingering,
    /// How many partitions have data that is held back by what is unanswered.
    pub(crate) full: usize,
    /// It keeps data waiting, or did and could not be written to since.
    pub(crate) late: bool,
    /// The last thing handed out was work for the compressor: next comes a request.
    pub(crate) sealed_last: bool,
    rung: bool,
}

impl Board {
    /// Makes room for so many more: of many at once there is none for twice as many.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.partitions.reserve(more);
    }

    /// Adds a partition; slots are handed out densely, in order.
    pub(crate) fn push(&mut self, partition: Partition) {
        debug_assert_eq!(partition.slot.0 as usize, self.partitions.len());
        self.partitions.push(partition);
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Partition> {
        self.partitions.get(slot.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Partition> {
        self.partitions.get_mut(slot.0 as usize)
    }

    /// How many partitions there are; their slots are `0..len`.
    pub(crate) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(crate) fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    pub(crate) fn node_mut(&mut self, node: NodeId) -> &mut Node {
        self.nodes.get_or_insert_with(node, Node::default)
    }

    /// Puts a partition where it belongs after any of its fields changed.
    pub(crate) fn reschedule(&mut self, slot: Slot, rules: &Rules, delivery_timeout: Duration) {
        let Some(partition) = self.partitions.get_mut(slot.0 as usize) else {
            return;
        };
        let next = partition.decide(rules);
        let before = std::mem::replace(&mut partition.schedule, next);
        if next != before {
            match before {
                Schedule::Lingering(node, until) => {
                    self.node_mut(node).lingering.remove(until, slot);
                }
                Schedule::Parked(Reason::Window(node)) => self.node_mut(node).full -= 1,
                Schedule::Ready(node) => self.leave_ready(node),
                Schedule::Idle | Schedule::Parked(_) => {}
            }
            match next {
                Schedule::Lingering(node, until) => {
                    self.ring(node).lingering.insert(until, slot);
                }
                Schedule::Parked(Reason::Window(node)) => self.node_mut(node).full += 1,
                Schedule::Parked(Reason::NoProducerId) => self.unidentified.push(slot),
                Schedule::Parked(Reason::NoLeader) => {
                    self.leaderless.push(slot);
                    self.leader_missing = true;
                }
                // Also where a stale entry stands in the list already: whoever was rung for it is gone.
                Schedule::Ready(node) => self.ring(node).sendable += 1,
                Schedule::Idle | Schedule::Parked(_) => {}
            }
        }
        // First, so that a back-off that ends later does not stand in for it.
        self.arm_expiry(slot, delivery_timeout);
        match next {
            Schedule::Ready(node) => self.list(slot, node),
            Schedule::Parked(Reason::BackOff(until)) => self.arm(slot, until),
            Schedule::Idle | Schedule::Lingering(..) | Schedule::Parked(_) => {}
        }
    }

    /// A partition is ready for `node` no more; with the last one stale entries go.
    fn leave_ready(&mut self, node: NodeId) {
        let entry = self.node_mut(node);
        entry.sendable -= 1;
        if entry.sendable > 0 || entry.ready.is_empty() {
            return;
        }
        for slot in std::mem::take(&mut entry.ready) {
            if let Some(partition) = self.partitions.get_mut(slot.0 as usize)
                && partition.listed == Some(node)
            {
                partition.listed = None;
            }
        }
    }

    /// Puts a ready partition at the end of its node's list, once.
    fn list(&mut self, slot: Slot, node: NodeId) {
        let Some(partition) = self.partitions.get_mut(slot.0 as usize) else {
            return;
        };
        if partition.listed != Some(node) {
            partition.listed = Some(node);
            self.ring(node).ready.push_back(slot);
        }
    }

    /// The next partition that is ready for `node`, out of its list.
    pub(crate) fn pop_ready(&mut self, node: NodeId) -> Option<Slot> {
        let ready = &mut self.nodes.get_mut(&node)?.ready;
        while let Some(slot) = ready.pop_front() {
            let Some(partition) = self.partitions.get_mut(slot.0 as usize) else {
                continue;
            };
            if partition.listed == Some(node) {
                partition.listed = None;
                if partition.schedule == Schedule::Ready(node) {
                    return Some(slot);
                }
            }
        }
        None
    }

    /// Gives a partition back to the head of the list it was popped from.
    pub(crate) fn unpop(&mut self, node: NodeId, slot: Slot) {
        if let Some(partition) = self.partitions.get_mut(slot.0 as usize) {
            partition.listed = Some(node);
            self.node_mut(node).ready.push_front(slot);
        }
    }

    /// The first partition that lingers for `node` after `last`.
    pub(crate) fn next_lingering(
        &self,
        node: NodeId,
        last: Option<(Instant, Slot)>,
    ) -> Option<(Instant, Slot)> {
        let lingering = &self.nodes.get(&node)?.lingering;
        match last {
            None => lingering.first(),
            Some(last) => lingering.next(last),
        }
    }

    /// Appends all partitions that stand in a list of `node`: ready ones first.
    pub(crate) fn waiting_for(&self, node: NodeId, slots: &mut Vec<Slot>) {
        if let Some(node) = self.nodes.get(&node) {
            slots.extend(&node.ready);
            slots.extend(node.lingering.slots());
        }
    }

    /// Something came up for `node`.
    pub(crate) fn ring(&mut self, node: NodeId) -> &mut Node {
        let entry = self.nodes.get_or_insert_with(node, Node::default);
        if !entry.rung {
            entry.rung = true;
            self.rung.push(node);
        }
        entry
    }

    /// The next node for which something came up since the last question.
    pub(crate) fn pop_rung(&mut self) -> Option<NodeId> {
        while let Some(node) = self.rung.pop() {
            if self.unring(node) {
                return Some(node);
            }
        }
        None
    }

    /// Whoever serves `node` is here already.
    pub(crate) fn unring(&mut self, node: NodeId) -> bool {
        self.nodes
            .get_mut(&node)
            .is_some_and(|node| std::mem::take(&mut node.rung))
    }

    /// All nodes for which anything ever waited.
    pub(crate) fn node_ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// Whether anything waits for `node`.
    pub(crate) fn wants(&self, node: NodeId) -> bool {
        self.nodes
            .get(&node)
            .is_some_and(|node| !node.ready.is_empty() || !node.lingering.is_empty())
    }

    /// The partitions that were parked for want of a producer id.
    pub(crate) fn take_unidentified(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.unidentified)
    }

    /// Whether a partition is parked for want of a producer id.
    pub(crate) fn has_unidentified(&mut self) -> bool {
        while let Some(slot) = self.unidentified.last() {
            let waits = |p: &Partition| p.schedule == Schedule::Parked(Reason::NoProducerId);
            if self.get(*slot).is_some_and(waits) {
                return true;
            }
            self.unidentified.pop();
        }
        false
    }

    /// The partitions that have data and no leader, once after it has come to be so and once
    /// after each [`look_for_leaders`](Self::look_for_leaders).
    pub(crate) fn take_leaderless(&mut self) -> Vec<Slot> {
        if !std::mem::take(&mut self.leader_missing) {
            return Vec::new();
        }
        let partitions = &self.partitions;
        self.leaderless.retain(|slot| {
            partitions
                .get(slot.0 as usize)
                .is_some_and(|p| p.schedule == Schedule::Parked(Reason::NoLeader))
        });
        // Who found a leader and lost it again stands there twice.
        self.leaderless.sort_unstable();
        self.leaderless.dedup();
        self.leaderless.clone()
    }

    /// What was asked about leaders is answered: who still has none is to ask again.
    pub(crate) fn look_for_leaders(&mut self) {
        self.leader_missing = !self.leaderless.is_empty();
    }

    pub(crate) fn is_listed(&self, node: NodeId, slot: Slot) -> bool {
        let listed = self.get(slot).is_some_and(|p| p.listed == Some(node));
        listed && self.node(node).is_some_and(|n| n.ready.contains(&slot))
    }

    pub(crate) fn is_lingering(&self, node: NodeId, until: Instant, slot: Slot) -> bool {
        let lingering = self.node(node).map(|node| &node.lingering);
        lingering.is_some_and(|lingering| lingering.contains(until, slot))
    }

    pub(crate) fn is_leaderless(&self, slot: Slot) -> bool {
        self.leaderless.contains(&slot)
    }

    pub(crate) fn is_unidentified(&self, slot: Slot) -> bool {
        self.unidentified.contains(&slot)
    }

    /// A partition whose timer is due, disarmed.
    pub(crate) fn pop_timer(&mut self, now: Instant) -> Option<Slot> {
        let (at, slot) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(partition) = self.partitions.get_mut(slot.0 as usize) {
            partition.timer = None;
        }
        Some(slot)
    }

    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Makes sure that a partition with anything undelivered has a timer no later than the expiry
    /// of its oldest batch. A timer that turns out to be early is armed again when it fires, so
    /// that a busy partition touches the timers once per delivery timeout and not once a batch.
    fn arm_expiry(&mut self, slot: Slot, delivery_timeout: Duration) {
        let Some(partition) = self.partitions.get(slot.0 as usize) else {
            return;
        };
        if partition.timer.is_none()
            && let Some(oldest) = partition.oldest()
        {
            self.arm(slot, oldest + delivery_timeout);
        }
    }

    /// Makes sure that the partition's timer fires no later than `at`.
    pub(crate) fn arm(&mut self, slot: Slot, at: Instant) {
        let Some(partition) = self.partitions.get_mut(slot.0 as usize) else {
            return;
        };
        match partition.timer {
            Some(armed) if armed <= at => {}
            armed => {
                if let Some(armed) = armed {
                    self.timers.remove(&(armed, slot));
                }
                partition.timer = Some(at);
                self.timers.insert((at, slot));
            }
        }
    }
}
