//! Topics by name, partitions by slot, and those who wait for a topic to be known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::bin::Bin;
use crate::failure::BrokerError;
use crate::gate::CloseReason;
use crate::names::{Entry, Names};
use crate::numbered::Numbered;
use crate::topic::{Slot, Topic};

/// Why a topic, or one of its partitions, cannot be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicError {
    /// `max.block.ms` passed before it was known.
    TimedOut {
        /// The topic.
        topic: Arc<str>,
        /// The partition that was waited for, if one was.
        partition: Option<i32>,
        /// What brokers last said of the topic.
        cause: Option<BrokerError>,
    },
    /// Its name is not one that Kafka allows.
    Invalid {
        /// The topic.
        topic: Arc<str>,
    },
    /// The brokers do not let this client write to it.
    Unauthorized {
        /// The topic.
        topic: Arc<str>,
    },
    /// The brokers refused to describe it.
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// Their answer.
        error: BrokerError,
    },
    /// The producer was closed.
    Closed(CloseReason),
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut {
                topic,
                partition,
                cause,
            } => write!(f, "{}", timed_out(topic, *partition, cause)),
            Self::Invalid { topic } => write!(f, "the topic name {topic:?} is not valid"),
            Self::Unauthorized { topic } => write!(f, "not authorized to access the topic {topic}"),
            Self::Refused { topic, error } => {
                write!(f, "the brokers refuse the topic {topic} ({error})")
            }
            Self::Closed(reason) => write!(f, "the producer is closed ({reason})"),
        }
    }
}

impl std::error::Error for TopicError {}

fn timed_out(topic: &str, partition: Option<i32>, cause: &Option<BrokerError>) -> String {
    let mut text = match partition {
        Some(partition) => {
            format!("the topic {topic} has no partition {partition}, waited for max.block.ms")
        }
        None => format!("the topic {topic} was not found within max.block.ms"),
    };
    if let Some(error) = cause {
        text.push_str(&format!(" (last answer: {error})"));
    }
    text
}

/// All topics the producer ever used, and who waits for one.
pub(crate) struct Registry {
    seed: u64,
    /// Written under the lock of the slots.
    names: Names,
    slots: RwLock<Vec<(Arc<Topic>, u32)>>,
    /// Whoever waits looks under this lock whether the topic is known; whoever makes it known does so first, and then
    /// answers under it. Nothing is taken inside.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    waiters: Numbered<Waiter>,
    answers: Numbered<Result<Arc<Topic>, TopicError>>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Topics that are waited for, with who waits and the last error.
    names: BTreeMap<Arc<str>, Named>,
    /// Names that the sender has not heard of yet.
    news: Vec<Arc<str>>,
    closed: Option<CloseReason>,
}

#[derive(Default)]
struct Named {
    waiters: Numbered<()>,
    cause: Option<BrokerError>,
}

struct Waiter {
    name: Arc<str>,
    partition: Option<i32>,
    deadline: Instant,
    waker: Option<Waker>,
}

impl Waiting {
    fn answer(&mut self, id: u64, answer: Result<Arc<Topic>, TopicError>) -> Option<Waker> {
        let waiter = self.remove(id)?;
        self.answers.insert(id, answer);
        waiter.waker
    }

    fn remove(&mut self, id: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(id)?;
        self.deadlines.remove(&(waiter.deadline, id));
        if let Some(named) = self.names.get_mut(&waiter.name) {
            named.waiters.remove(id);
            if named.waiters.is_empty() {
                self.names.remove(&waiter.name);
            }
        }
        Some(waiter)
    }

    fn of(&self, name: &str) -> Vec<u64> {
        let named = self.names.get(name).into_iter();
        named
            .flat_map(|named| named.waiters.iter())
            .map(|(id, _)| id)
            .collect()
    }
}

impl Registry {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            names: Names::default(),
            slots: RwLock::default(),
            waiting: Mutex::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        let entry = self.names.find(name)?;
        entry.is_known().then_some(&entry.topic)
    }

    pub(crate) fn slot(&self, slot: Slot) -> Option<(Arc<Topic>, u32)> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(slot.0 as usize).cloned()
    }

    pub(crate) fn slots(&self) -> u32 {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.len() as u32
    }

    pub(crate) fn topics(&self) -> usize {
        self.names.known()
    }

    /// Takes over what the metadata says of a topic. Returns the slots of partitions that are new.
    pub(crate) fn put(
        &self,
        name: &str,
        id: [u8; 16],
        leaders: &[Option<i32>],
        bin: &mut Bin,
    ) -> Vec<Slot> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let entry = self.names.find(name);
        let built = entry.map_or(0, |entry| entry.topic.built());
        let first = slots.len() as u32;
        let new: Vec<Slot> = (0..(leaders.len() as u32).saturating_sub(built))
            .map(|at| Slot(first + at))
            .collect();
        let topic = match entry {
            Some(entry) => {
                entry.topic.grow(&new);
                Arc::clone(&entry.topic)
            }
            None => {
                let seed = self.seed ^ u64::from(first).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                Arc::new(Topic::new(name.into(), seed, &new))
            }
        };
        let index = (built..).zip(&new).map(|(index, _)| index);
        slots.extend(index.map(|index| (Arc::clone(&topic), index)));
        topic.update(id, leaders);
        // Found by appenders from here on, when everything about it is right.
        match entry {
            Some(entry) => {
                entry.set_known(true);
            }
            None => self.names.insert(Arc::clone(&topic)),
        }
        drop(slots);
        self.answer_known(&topic, bin);
        new
    }

    fn answer_known(&self, topic: &Arc<Topic>, bin: &mut Bin) {
        let mut waiting = self.waiting();
        for id in waiting.of(topic.name()) {
            let wants = waiting.waiters.get(id).and_then(|w| w.partition);
            if wants.is_none_or(|partition| partition < topic.partition_count()) {
                let woken = waiting.answer(id, Ok(Arc::clone(topic)));
                woken.into_iter().for_each(|waker| bin.wake(waker));
            }
        }
    }

    pub(crate) fn forget(&self, name: &str) -> bool {
        let entry = self.names.find(name);
        entry.is_some_and(|entry| entry.set_known(false))
    }

    /// Ends all waits for a topic.
    pub(crate) fn fail(&self, name: &str, error: &TopicError, bin: &mut Bin) {
        let mut waiting = self.waiting();
        for id in waiting.of(name) {
            let woken = waiting.answer(id, Err(error.clone()));
            woken.into_iter().for_each(|waker| bin.wake(waker));
        }
    }

    /// Remembers why a topic is not known yet, for those whose time runs out.
    pub(crate) fn note_error(&self, name: &str, error: BrokerError) {
        if let Some(named) = self.waiting().names.get_mut(name) {
            named.cause = Some(error);
        }
    }

    /// Begins to wait. Returns the waiter's number, and whether the sender has to look: the topic was not asked for
    /// yet, or the deadline is the earliest.
    pub(crate) fn join(
        &self,
        now: Instant,
        name: &str,
        partition: Option<i32>,
        deadline: Instant,
    ) -> (u64, bool) {
        let mut waiting = self.waiting();
        let entry = self.names.find(name);
        let id = waiting.next;
        waiting.next += 1;
        if let Some(reason) = waiting.closed {
            waiting.answers.insert(id, Err(TopicError::Closed(reason)));
            return (id, false);
        }
        if let Some(entry) = entry.filter(|entry| entry.is_known())
            && partition.is_none_or(|partition| partition < entry.topic.partition_count())
        {
            let answer = Ok(Arc::clone(&entry.topic));
            waiting.answers.insert(id, answer);
            return (id, false);
        }
        let name: Arc<str> = match waiting.names.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => entry.map_or_else(|| name.into(), |entry: &Entry| Arc::clone(&entry.name)),
        };
        if deadline <= now {
            let error = TopicError::TimedOut {
                cause: waiting.names.get(&name).and_then(|named| named.cause),
                topic: name,
                partition,
            };
            waiting.answers.insert(id, Err(error));
            return (id, false);
        }
        let earliest = waiting
            .deadlines
            .first()
            .is_none_or(|(at, _)| deadline < *at);
        let named = waiting.names.entry(Arc::clone(&name)).or_default();
        let first = named.waiters.is_empty();
        named.waiters.insert(id, ());
        if first {
            waiting.news.push(Arc::clone(&name));
        }
        waiting.deadlines.insert((deadline, id));
        waiting.waiters.insert(
            id,
            Waiter {
                name,
                partition,
                deadline,
                waker: None,
            },
        );
        (id, first || earliest)
    }

    fn poll(&self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Arc<Topic>, TopicError>> {
        let waker = cx.waker().clone();
        let mut waiting = self.waiting();
        if let Some(answer) = waiting.answers.remove(id) {
            drop(waiting);
            drop(waker);
            return Poll::Ready(answer);
        }
        let replaced = match waiting.waiters.get_mut(id) {
            Some(waiter) => waiter.waker.replace(waker),
            None => Some(waker),
        };
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }

    fn leave(&self, id: u64) {
        let mut waiting = self.waiting();
        let answer = waiting.answers.remove(id);
        let waiter = waiting.remove(id);
        drop(waiting);
        drop((answer, waiter));
    }

    pub(crate) fn drain_wanted(&self, into: &mut Vec<Arc<str>>) {
        let mut waiting = self.waiting();
        let news = std::mem::take(&mut waiting.news);
        let wanted = |name: &Arc<str>| waiting.names.contains_key(name);
        into.extend(news.into_iter().filter(wanted));
    }

    pub(crate) fn is_wanted(&self, name: &str) -> bool {
        self.waiting().names.contains_key(name)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiting().deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn fire_deadlines(&self, now: Instant, bin: &mut Bin) {
        let mut waiting = self.waiting();
        while let Some((at, id)) = waiting.deadlines.first().copied() {
            if at > now {
                break;
            }
            let Some(waiter) = waiting.waiters.get(id) else {
                waiting.deadlines.remove(&(at, id));
                continue;
            };
            let named = waiting.names.get(&waiter.name);
            let error = TopicError::TimedOut {
                topic: Arc::clone(&waiter.name),
                partition: waiter.partition,
                cause: named.and_then(|named| named.cause),
            };
            let woken = waiting.answer(id, Err(error));
            woken.into_iter().for_each(|waker| bin.wake(waker));
        }
    }

    /// Ends all waits, now and until it is opened again.
    pub(crate) fn close(&self, reason: CloseReason, bin: &mut Bin) {
        let mut waiting = self.waiting();
        waiting.closed = Some(reason);
        while let Some((id, _)) = waiting.waiters.first() {
            let woken = waiting.answer(id, Err(TopicError::Closed(reason)));
            woken.into_iter().for_each(|waker| bin.wake(waker));
        }
    }

    pub(crate) fn open(&self) {
        self.waiting().closed = None;
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiting().waiters.len()
    }
}

/// Waits until a topic is known.
///
/// Cancel-safe: dropping it leaves no trace.
#[must_use = "futures do nothing unless awaited"]
pub struct WaitTopic {
    registry: Arc<Registry>,
    id: Option<u64>,
}

impl WaitTopic {
    pub(crate) fn new(registry: &Arc<Registry>, id: u64) -> Self {
        Self {
            registry: Arc::clone(registry),
            id: Some(id),
        }
    }
}

impl fmt::Debug for WaitTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitTopic").finish_non_exhaustive()
    }
}

impl Future for WaitTopic {
    type Output = Result<Arc<Topic>, TopicError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(self.registry.poll(id, cx));
        self.id = None;
        Poll::Ready(answer)
    }
}

impl Drop for WaitTopic {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.registry.leave(id);
        }
    }
}
