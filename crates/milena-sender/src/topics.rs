//! From metadata to partitions: who leads what, what is new, what was created anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_accumulator::{Slot, TopicError};
use milena_client::{MetadataUpdate, Why};
use milena_wire::{ErrorCode, Uuid};

use crate::partition::Partition;
use crate::sender::{Sender, TopicState};
use crate::settle::broker_error;

/// How often metadata is told that a topic is still written to; well below the shortest
/// `metadata.max.idle.ms`.
const USE_EVERY: Duration = Duration::from_secs(1);

impl Sender {
    /// Tracks the topics that somebody waits for, and those that have data and no leader.
    pub(crate) fn ask_for_topics(&mut self, now: Instant) {
        let mut wanted = Vec::new();
        self.accumulator.drain_wanted_topics(&mut wanted);
        let asked = !wanted.is_empty();
        for name in wanted {
            self.client.track_topic(now, &name);
            if let Some(heard) = self.client.cluster().topic(&name) {
                // The last answer had an error for it, or not the partition that is waited for: the
                // next one may.
                if heard.error != ErrorCode::NONE {
                    let error = broker_error(heard.error);
                    self.accumulator.note_topic_error(&name, error);
                }
                self.client.request_update(now, Why::NoPartition);
            }
        }
        if asked {
            // Of a name that no topic can have the client tells at once.
            self.pump(now);
        }
        let leaderless = self.board.take_leaderless();
        if leaderless.is_empty() {
            return;
        }
        for slot in leaderless {
            if let Some(partition) = self.board.get(slot) {
                self.client.track_topic(now, partition.topic.name());
            }
        }
        self.client.request_update(now, Why::NoLeader);
    }

    /// Notes that the topic of a partition is in use.
    pub(crate) fn note_use(&mut self, now: Instant, name: &Arc<str>) {
        let Some(topic) = self.topics.get_mut(name) else {
            return;
        };
        if topic.used.is_none_or(|used| used + USE_EVERY <= now) {
            topic.used = Some(now);
            self.in_use.push(Arc::clone(name));
        }
    }

    /// Tells metadata which topics are in use. The client may begin a request because of it, so
    /// this comes after the request that the topics are used in was begun.
    pub(crate) fn tell_use(&mut self, now: Instant) {
        for name in std::mem::take(&mut self.in_use) {
            self.client.track_topic(now, &name);
        }
    }

    /// Takes over what metadata brought.
    pub(crate) fn learn(&mut self, now: Instant, update: &MetadataUpdate) {
        for name in &update.changed {
            self.learn_topic(now, name);
        }
        for name in &update.removed {
            self.forget_leaders(now, name);
            self.accumulator.forget_topic(name);
            if self.accumulator.is_topic_wanted(name) {
                self.client.track_topic(now, name);
            }
        }
        if update
            .mentioned
            .iter()
            .any(|name| self.accumulator.is_topic_wanted(name))
        {
            self.client.request_update(now, Why::NoPartition);
        }
        // As long as there is data for a partition whose leader, or whose leader's address, is
        // not known, every answer leads to the next question; the client spaces them.
        self.board.look_for_leaders();
        for node in self.board.node_ids() {
            if self.board.wants(node) && self.client.connection_to(node).is_none() {
                self.board.ring(node);
            }
        }
    }

    /// Nobody asks about the topic any more: who has records for it, now or later, has to ask for their leaders first.
    fn forget_leaders(&mut self, now: Instant, name: &Arc<str>) {
        let slots = self.topics.get(name).map(|topic| topic.slots.clone());
        for slot in slots.unwrap_or_default() {
            if let Some(partition) = self.board.get_mut(slot) {
                partition.leader = None;
                partition.proven = None;
            }
            self.settle(now, slot);
        }
    }

    fn learn_topic(&mut self, now: Instant, name: &Arc<str>) {
        let Some(topic) = self.client.cluster().topic(name) else {
            return;
        };
        if topic.partitions.is_empty() {
            return;
        }
        let id = topic.id;
        let leaders: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| (p.leader, p.leader_epoch))
            .collect();
        let hints: Vec<Option<i32>> = leaders
            .iter()
            .map(|(leader, _)| leader.map(|node| node.0))
            .collect();
        let new = self
            .accumulator
            .put_topic(name, id.0, &hints, &mut self.bin);
        self.add_partitions(name, id, &new);
        let Some(state) = self.topics.get_mut(name) else {
            return;
        };
        let recreated = state.id != Uuid::ZERO && id != Uuid::ZERO && state.id != id;
        if id != Uuid::ZERO {
            state.id = id;
            self.topic_ids.insert(id, Arc::clone(name));
        }
        let slots = state.slots.clone();
        // A topic that was made anew may have fewer partitions.
        let gone = std::iter::repeat((None, -1));
        for (slot, (leader, epoch)) in slots.into_iter().zip(leaders.into_iter().chain(gone)) {
            let Some(partition) = self.board.get_mut(slot) else {
                continue;
            };
            partition.topic_id = if id == Uuid::ZERO {
                partition.topic_id
            } else {
                id
            };
            if recreated {
                partition.sequences.mark_new_log();
                partition.proven = None;
            }
            if partition.leader != leader || epoch > partition.leader_epoch {
                partition.leader = leader;
                partition.proven = None;
                // Somebody else leads now: there is no reason to wait.
                if let Some(aside) = partition.known_aside() {
                    aside.back_off = None;
                }
            }
            partition.leader_epoch = epoch;
            self.settle(now, slot);
        }
    }

    fn add_partitions(&mut self, name: &Arc<str>, id: Uuid, new: &[Slot]) {
        let Some(topic) = self.accumulator.topic(name) else {
            return;
        };
        let state = self
            .topics
            .entry(Arc::clone(name))
            .or_insert_with(|| TopicState {
                id,
                slots: Vec::new(),
                used: None,
            });
        self.board.reserve(new.len());
        for slot in new {
            let index = state.slots.len() as i32;
            state.slots.push(*slot);
            self.board
                .push(Partition::new(*slot, Arc::clone(&topic), index));
        }
    }

    /// The cluster says that a topic cannot be used.
    pub(crate) fn topic_error(&mut self, name: &Arc<str>, error: ErrorCode) {
        let topic = Arc::clone(name);
        let refused = match error {
            ErrorCode::INVALID_TOPIC_EXCEPTION => TopicError::Invalid { topic },
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => TopicError::Unauthorized { topic },
            // It may come to be until the caller's time runs out.
            error if error.is_retriable() => {
                let error = broker_error(error);
                return self.accumulator.note_topic_error(name, error);
            }
            error => TopicError::Refused {
                topic,
                error: broker_error(error),
            },
        };
        self.accumulator.fail_topic(name, &refused, &mut self.bin);
    }
}
