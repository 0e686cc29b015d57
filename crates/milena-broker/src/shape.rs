//! The shape of a cluster: its brokers and topics and who leads what, without the logs.

use std::collections::BTreeMap;

use milena_wire::Uuid;

use crate::topic::TopicConfig;

/// A broker as others are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// The host it is advertised at.
    pub host: String,
    /// The port it is advertised at.
    pub port: u16,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it runs.
    pub up: bool,
}

/// A partition and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// Its leader, if it has one.
    pub leader: Option<i32>,
    /// Counts its leaders: grows by one at every change.
    pub leader_epoch: i32,
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Pretends that only so many replicas are in sync; by default all that are up.
    pub in_sync: Option<usize>,
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// Its id: a topic created anew has another one (KIP-516).
    pub id: Uuid,
    /// How it treats what is produced to it.
    pub config: TopicConfig,
    /// Its partitions, by index.
    pub partitions: Vec<Partition>,
    /// Until when brokers say that they do not know it, in milliseconds of the cluster's clock.
    pub(crate) hidden_until: i64,
}

/// Brokers and topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) brokers: BTreeMap<i32, Broker>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) names: BTreeMap<Uuid, String>,
}

impl Shape {
    pub(crate) fn is_up(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|broker| broker.up)
    }

    /// The brokers that run, by id.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values().filter(|broker| broker.up)
    }

    /// The controller: the running broker with the lowest id.
    pub(crate) fn controller(&self) -> Option<i32> {
        self.live().next().map(|broker| broker.id)
    }

    /// A topic, unless brokers are told not to know it for now.
    pub(crate) fn known(&self, now: i64, name: &str) -> Option<&Topic> {
        self.topics
            .get(name)
            .filter(|topic| topic.hidden_until <= now)
    }

    /// The name of the topic with this id, unless it is not known for now.
    pub(crate) fn name_of(&self, now: i64, id: Uuid) -> Option<&str> {
        let name = self.names.get(&id)?;
        self.known(now, name).map(|_| name.as_str())
    }

    /// The replicas of a partition that are in sync.
    pub(crate) fn in_sync(&self, partition: &Partition) -> Vec<i32> {
        let mut live: Vec<i32> = partition
            .replicas
            .iter()
            .copied()
            .filter(|id| self.is_up(*id))
            .collect();
        // The leader is always in sync, and comes first so that a pretended shrinking keeps it.
        live.sort_by_key(|id| Some(*id) != partition.leader);
        live.truncate(partition.in_sync.unwrap_or(usize::MAX).max(1));
        live
    }

    /// Partitions from this index on, spread over the brokers in turn; `first` moves the beginning.
    pub(crate) fn place(
        &self,
        indices: std::ops::Range<usize>,
        factor: usize,
        first: usize,
    ) -> Vec<Partition> {
        let ids: Vec<i32> = self.brokers.keys().copied().collect();
        let factor = factor.clamp(1, ids.len().max(1));
        indices
            .map(|index| {
                let replicas: Vec<i32> = (0..factor.min(ids.len()))
                    .map(|n| ids[(first + index + n) % ids.len()])
                    .collect();
                let leader = replicas.iter().copied().find(|id| self.is_up(*id));
                Partition {
                    leader,
                    leader_epoch: 0,
                    replicas,
                    in_sync: None,
                }
            })
            .collect()
    }

    /// Gives every partition that this broker leads to another replica that is up, or to nobody.
    pub(crate) fn take_down(&mut self, broker: i32) {
        let Some(entry) = self.brokers.get_mut(&broker) else {
            return;
        };
        entry.up = false;
        let brokers = &self.brokers;
        for partition in self
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            if partition.leader == Some(broker) {
                let up = |id: &i32| brokers.get(id).is_some_and(|broker| broker.up);
                partition.leader = partition.replicas.iter().copied().find(up);
                partition.leader_epoch += 1;
            }
        }
    }

    /// Lets a broker run again: it takes those of its partitions that have no leader.
    pub(crate) fn bring_up(&mut self, broker: i32) {
        let Some(entry) = self.brokers.get_mut(&broker) else {
            return;
        };
        entry.up = true;
        for partition in self
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            if partition.leader.is_none() && partition.replicas.contains(&broker) {
                partition.leader = Some(broker);
                partition.leader_epoch += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(brokers: i32, partitions: usize, factor: usize) -> Shape {
        let mut shape = Shape::default();
        for id in 1..=brokers {
            let broker = Broker {
                id,
                host: "h".into(),
                port: 9,
                rack: None,
                up: true,
            };
            shape.brokers.insert(id, broker);
        }
        let partitions = shape.place(0..partitions, factor, 0);
        let topic = Topic {
            id: Uuid([1; 16]),
            config: TopicConfig::default(),
            partitions,
            hidden_until: i64::MIN,
        };
        shape.topics.insert("t".into(), topic);
        shape
    }

    fn leaders(shape: &Shape) -> Vec<(Option<i32>, i32)> {
        shape.topics["t"]
            .partitions
            .iter()
            .map(|p| (p.leader, p.leader_epoch))
            .collect()
    }

    #[test]
    fn partitions_are_spread() {
        let shape = shape(3, 4, 2);
        assert_eq!(
            leaders(&shape),
            [(Some(1), 0), (Some(2), 0), (Some(3), 0), (Some(1), 0)]
        );
        assert_eq!(shape.topics["t"].partitions[2].replicas, [3, 1]);
    }

    #[test]
    fn leaders_move_when_a_broker_goes_and_stay_when_it_returns() {
        let mut shape = shape(3, 3, 2);
        shape.take_down(1);
        assert_eq!(leaders(&shape), [(Some(2), 1), (Some(2), 0), (Some(3), 0)]);
        assert_eq!(shape.in_sync(&shape.topics["t"].partitions[0]), [2]);
        assert_eq!(shape.controller(), Some(2));
        shape.bring_up(1);
        assert_eq!(leaders(&shape), [(Some(2), 1), (Some(2), 0), (Some(3), 0)]);
        assert_eq!(shape.in_sync(&shape.topics["t"].partitions[0]), [2, 1]);
    }

    #[test]
    fn a_partition_with_one_replica_waits_for_it() {
        let mut shape = shape(2, 2, 1);
        shape.take_down(2);
        assert_eq!(leaders(&shape)[1], (None, 1));
        shape.bring_up(2);
        assert_eq!(leaders(&shape)[1], (Some(2), 2));
    }
}
