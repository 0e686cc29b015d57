//! When to ask for metadata, and about which topics.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Backoff, Rng};

/// The clock of metadata and the topics it is kept for.
///
/// A *full* request is about all tracked topics, a *partial* one about those that are new.
#[derive(Debug)]
pub(crate) struct Refresh {
    max_age: Duration,
    max_idle: Duration,
    backoff: Backoff,
    topics: BTreeMap<Arc<str>, Tracked>,
    /// How many of the topics are new.
    new: usize,
    want_full: bool,
    want_partial: bool,
    /// Grows with each new topic, so that an answer tells whether topics were added after its
    /// request.
    topics_version: u64,
    last_full: Option<Instant>,
    not_before: Option<Instant>,
    /// Not before this, because the last answers told nothing new. Does not hold back what is due
    /// by age.
    not_before_unless_aged: Option<Instant>,
    failures: u32,
    equivalent: u32,
    asked: Option<Asked>,
    /// Since when metadata is wanted without success.
    pub(crate) wanted_since: Option<Instant>,
}

#[derive(Debug)]
struct Tracked {
    expires: Instant,
    /// No answer has mentioned it yet.
    new: bool,
}

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) full: bool,
    topics_version: u64,
}

impl Refresh {
    pub(crate) fn new(max_age: Duration, max_idle: Duration, backoff: Backoff) -> Self {
        Self {
            max_age,
            max_idle,
            backoff,
            topics: BTreeMap::new(),
            new: 0,
            want_full: true,
            want_partial: false,
            topics_version: 0,
            last_full: None,
            not_before: None,
            not_before_unless_aged: None,
            failures: 0,
            equivalent: 0,
            asked: None,
            wanted_since: None,
        }
    }

    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked
    }

    /// Whether a topic is kept in the metadata.
    pub(crate) fn is_tracked(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Tracks a topic, or renews its expiry; true if it is new.
    pub(crate) fn track(&mut self, now: Instant, topic: &str) -> bool {
        let expires = now + self.max_idle;
        if let Some(tracked) = self.topics.get_mut(topic) {
            tracked.expires = expires;
            return false;
        }
        self.topics
            .insert(topic.into(), Tracked { expires, new: true });
        self.new += 1;
        self.want_partial = true;
        self.topics_version += 1;
        self.not_before = None;
        self.not_before_unless_aged = None;
        self.equivalent = 0;
        true
    }

    pub(crate) fn want_full(&mut self) {
        self.want_full = true;
    }

    /// When the next request may be sent; `None` while one is under way.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let aged = self.last_full.map(|last| last + self.max_age);
        let wanted = if self.want_full || self.want_partial {
            now
        } else {
            aged.unwrap_or(now)
        };
        let allowed = |limit: Option<Instant>, at: Instant| limit.map_or(at, |limit| limit.max(at));
        let at = allowed(self.not_before_unless_aged, wanted);
        let at = aged.map_or(at, |aged| at.min(aged.max(wanted)));
        Some(allowed(self.not_before, at))
    }

    /// A request is being sent: the topics it is about.
    pub(crate) fn begin(&mut self, now: Instant) -> impl Iterator<Item = &Arc<str>> {
        let aged = self.last_full.is_none_or(|last| now >= last + self.max_age);
        if aged {
            self.equivalent = 0;
        }
        let full = self.want_full || aged || self.new == 0;
        if full {
            self.want_full = false;
        }
        self.asked = Some(Asked {
            full,
            topics_version: self.topics_version,
        });
        self.topics
            .iter()
            .filter(move |(_, tracked)| full || tracked.new)
            .map(|(name, _)| name)
    }

    /// The request came to nothing, or there was no way to send one.
    pub(crate) fn failed(&mut self, now: Instant, rng: &mut Rng) {
        if let Some(asked) = self.asked.take() {
            self.want_full |= asked.full;
        }
        self.equivalent = 0;
        self.not_before_unless_aged = None;
        self.not_before = Some(now + self.backoff.delay(self.failures, rng));
        self.failures = self.failures.saturating_add(1);
    }

    /// The answer was taken over; `learned` if it told anything new.
    pub(crate) fn succeeded(&mut self, now: Instant, learned: bool, rng: &mut Rng) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.failures = 0;
        self.wanted_since = None;
        self.equivalent = if learned {
            0
        } else {
            self.equivalent.saturating_add(1)
        };
        // An answer may leave out a topic that it was asked about.
        self.want_partial = self.new > 0;
        if asked.full {
            self.last_full = Some(now);
        }
        self.not_before = Some(now + self.backoff.delay(0, rng));
        self.not_before_unless_aged = self
            .equivalent
            .checked_sub(1)
            .map(|earlier| now + self.backoff.delay(earlier, rng));
        if asked.topics_version < self.topics_version {
            // Topics that came meanwhile are asked for at once.
            self.not_before = None;
            self.not_before_unless_aged = None;
        }
    }

    /// An answer mentions the topic, for better or worse: its name as it is kept, if it is tracked.
    pub(crate) fn mentioned(&mut self, topic: &str) -> Option<Arc<str>> {
        let (name, _) = self.topics.get_key_value(topic)?;
        let name = Arc::clone(name);
        if let Some(tracked) = self.topics.get_mut(topic)
            && std::mem::take(&mut tracked.new)
        {
            self.new -= 1;
        }
        Some(name)
    }

    /// Forgets the topics that were not used for too long and returns them. Those that are new
    /// stay.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Arc<str>> {
        let expired: Vec<_> = self
            .topics
            .iter()
            .filter(|(_, tracked)| tracked.expires <= now && !tracked.new)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in &expired {
            self.topics.remove(name);
        }
        expired
    }
}
