//! What a cluster has seen of its clients: requests and connections, for tests that count them.

use std::collections::{BTreeMap, VecDeque};

use milena_wire::ApiKey;

/// A request that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// When, in milliseconds of the cluster's clock.
    pub at_ms: i64,
    /// At which broker.
    pub broker: i32,
    /// On which connection.
    pub connection: u64,
    /// What kind of request.
    pub api: ApiKey,
    /// Its version.
    pub version: i16,
    /// Its correlation id.
    pub correlation: i32,
    /// Its size in bytes, without the length in front.
    pub size: usize,
    /// How many requests of this connection were being held unanswered when it arrived.
    pub unanswered: usize,
}

/// The life of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionLife {
    /// The broker it leads to.
    pub broker: i32,
    /// When it was opened, in milliseconds of the cluster's clock.
    pub opened_ms: i64,
    /// When it was closed, by whichever side.
    pub closed_ms: Option<i64>,
    /// How many requests arrived on it.
    pub requests: u64,
    /// The most requests that it had unanswered at once, the one that arrived included.
    pub most_unanswered: usize,
    pending: usize,
}

/// How many connections a broker has and had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// Open now.
    pub open: usize,
    /// The most that were open at once.
    pub most: usize,
    /// Opened in all.
    pub total: u64,
}

/// How many closed connections are remembered.
const CLOSED_KEPT: usize = 10_000;

/// Requests and connections that a cluster has seen.
///
/// Counts are kept for ever; of single requests the newest are kept, as many as
/// [`ClusterConfig::journal`](crate::ClusterConfig) says, and of closed connections the newest 10,000.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    capacity: usize,
    requests: VecDeque<Seen>,
    counts: BTreeMap<(i32, ApiKey), u64>,
    connections: BTreeMap<u64, ConnectionLife>,
    closed: VecDeque<u64>,
    brokers: BTreeMap<i32, ConnectionCounts>,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// The newest requests, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Seen> {
        self.requests.iter()
    }

    /// How many requests of this kind all brokers have seen.
    pub fn count(&self, api: ApiKey) -> u64 {
        self.counts
            .iter()
            .filter(|((_, key), _)| *key == api)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many requests of this kind one broker has seen.
    pub fn count_at(&self, broker: i32, api: ApiKey) -> u64 {
        self.counts.get(&(broker, api)).copied().unwrap_or(0)
    }

    /// The connections of a broker, counted.
    pub fn connections_of(&self, broker: i32) -> ConnectionCounts {
        self.brokers.get(&broker).copied().unwrap_or_default()
    }

    /// The connections of all brokers, counted; `most` is the sum of what each broker had.
    pub fn connections(&self) -> ConnectionCounts {
        let mut sum = ConnectionCounts::default();
        for counts in self.brokers.values() {
            sum.open += counts.open;
            sum.most += counts.most;
            sum.total += counts.total;
        }
        sum
    }

    /// Every connection, open or not, by its number.
    pub fn lives(&self) -> impl DoubleEndedIterator<Item = (u64, &ConnectionLife)> {
        self.connections
            .iter()
            .map(|(number, life)| (*number, life))
    }

    /// Forgets requests, counts and closed connections; open connections stay counted.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.counts.clear();
        for number in self.closed.drain(..) {
            self.connections.remove(&number);
        }
        for counts in self.brokers.values_mut() {
            *counts = ConnectionCounts {
                open: counts.open,
                most: counts.open,
                total: counts.open as u64,
            };
        }
    }

    pub(crate) fn opened(&mut self, now: i64, broker: i32, connection: u64) {
        let life = ConnectionLife {
            broker,
            opened_ms: now,
            closed_ms: None,
            requests: 0,
            most_unanswered: 0,
            pending: 0,
        };
        if self
            .connections
            .get(&connection)
            .is_some_and(|known| known.closed_ms.is_none())
        {
            return;
        }
        self.connections.insert(connection, life);
        let counts = self.brokers.entry(broker).or_default();
        counts.open += 1;
        counts.total += 1;
        counts.most = counts.most.max(counts.open);
    }

    pub(crate) fn closed(&mut self, now: i64, connection: u64) {
        let Some(life) = self.connections.get_mut(&connection) else {
            return;
        };
        if life.closed_ms.is_some() {
            return;
        }
        life.closed_ms = Some(now);
        if let Some(counts) = self.brokers.get_mut(&life.broker) {
            counts.open = counts.open.saturating_sub(1);
        }
        self.closed.push_back(connection);
        if self.closed.len() > CLOSED_KEPT
            && let Some(oldest) = self.closed.pop_front()
        {
            self.connections.remove(&oldest);
        }
    }

    /// Says how many requests of a connection are held unanswered, before its next one is noted.
    pub(crate) fn set_unanswered(&mut self, connection: u64, pending: usize) {
        if let Some(life) = self.connections.get_mut(&connection) {
            life.pending = pending;
        }
    }

    pub(crate) fn note(&mut self, mut seen: Seen) {
        self.opened(seen.at_ms, seen.broker, seen.connection);
        if let Some(life) = self.connections.get_mut(&seen.connection) {
            seen.unanswered = life.pending;
            life.requests += 1;
            life.most_unanswered = life.most_unanswered.max(life.pending + 1);
        }
        *self.counts.entry((seen.broker, seen.api)).or_default() += 1;
        if self.capacity == 0 {
            return;
        }
        if self.requests.len() == self.capacity {
            self.requests.pop_front();
        }
        self.requests.push_back(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(broker: i32, connection: u64, api: ApiKey) -> Seen {
        Seen {
            at_ms: 5,
            broker,
            connection,
            api,
            version: 0,
            correlation: 0,
            size: 10,
            unanswered: 0,
        }
    }

    #[test]
    fn connections_are_counted_per_broker() {
        let mut journal = Journal::new(10);
        journal.opened(0, 1, 100);
        journal.opened(0, 1, 101);
        journal.closed(7, 100);
        journal.closed(8, 100);
        journal.opened(9, 2, 102);
        assert_eq!(
            journal.connections_of(1),
            ConnectionCounts {
                open: 1,
                most: 2,
                total: 2
            }
        );
        assert_eq!(
            journal.connections(),
            ConnectionCounts {
                open: 2,
                most: 3,
                total: 3
            }
        );
        let (_, first) = journal.lives().next().expect("three are known");
        assert_eq!(first.closed_ms, Some(7));
    }

    #[test]
    fn only_the_newest_requests_are_kept_but_all_are_counted() {
        let mut journal = Journal::new(2);
        for _ in 0..5 {
            journal.note(seen(1, 1, ApiKey::PRODUCE));
        }
        journal.note(seen(2, 2, ApiKey::METADATA));
        assert_eq!(journal.requests().count(), 2);
        assert_eq!(journal.count(ApiKey::PRODUCE), 5);
        assert_eq!(
            (
                journal.count_at(2, ApiKey::METADATA),
                journal.count_at(1, ApiKey::METADATA)
            ),
            (1, 0)
        );
    }

    #[test]
    fn unanswered_requests_are_noted() {
        let mut journal = Journal::new(9);
        journal.opened(0, 1, 1);
        journal.set_unanswered(1, 4);
        journal.note(seen(1, 1, ApiKey::PRODUCE));
        journal.set_unanswered(1, 0);
        journal.note(seen(1, 1, ApiKey::PRODUCE));
        assert_eq!(
            journal.lives().map(|(_, life)| life.most_unanswered).max(),
            Some(5)
        );
        assert_eq!(
            journal
                .requests()
                .map(|seen| seen.unanswered)
                .collect::<Vec<_>>(),
            [4, 0]
        );
    }
}
