//! One connection: how far it is, and what is unanswered on it.
//!
//! ```text
//!  Connecting ──connected──► Negotiating ──versions known──► Ready
//!      │                          │ ▲                          │
//!      │                          └─┘ the broker knows only    │
//!      │                              an older ApiVersions     │
//!      └───────────► gone ◄───────┴────────────────────────────┘
//! ```
//! TLS and SASL belong to `Connecting`. What is gone is forgotten: its id never comes back.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use milena_wire::{ApiKey, Version};

use crate::versions::Versions;
use crate::{Address, NodeId};

#[derive(Debug)]
pub(crate) struct Connection<R> {
    /// The broker it leads to, if known: a bootstrap server is nobody until metadata says who
    /// listens there.
    pub(crate) node: Option<NodeId>,
    /// Which bootstrap server it leads to, while several are tried side by side.
    pub(crate) server: Option<usize>,
    pub(crate) address: Address,
    pub(crate) state: State,
    pub(crate) versions: Versions,
    /// Unanswered requests, oldest first.
    pub(crate) in_flight: VecDeque<InFlight<R>>,
    /// The frame that is being written; the next one may only begin after it.
    pub(crate) writing: Option<Writing>,
    /// A frame of the client's own, until the driver fetches it.
    pub(crate) outgoing: Option<Vec<u8>>,
    pub(crate) throttled_until: Option<Instant>,
    pub(crate) last_used: Instant,
    /// Gets no more requests, and is closed once nothing is in flight.
    pub(crate) leaving: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting { until: Instant, allowed: Duration },
    Negotiating,
    Ready,
}

#[derive(Debug)]
pub(crate) struct InFlight<R> {
    pub(crate) correlation: i32,
    pub(crate) api: ApiKey,
    pub(crate) version: Version,
    pub(crate) since: Instant,
    /// How long the broker asked for silence meanwhile: that time does not count.
    pub(crate) paused: Duration,
    pub(crate) expects_answer: bool,
    pub(crate) request: Request<R>,
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Request<R> {
    Owner(R),
    Versions,
    Metadata,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing {
    pub(crate) correlation: i32,
    pub(crate) begun: bool,
}

impl<R> Connection<R> {
    pub(crate) fn new(now: Instant, address: Address, allowed: Duration) -> Self {
        Self {
            node: None,
            server: None,
            address,
            state: State::Connecting {
                until: now + allowed,
                allowed,
            },
            versions: Versions::default(),
            in_flight: VecDeque::new(),
            writing: None,
            outgoing: None,
            throttled_until: None,
            last_used: now,
            leaving: false,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Whether another request may be begun, the broker's wish for silence aside.
    pub(crate) fn has_room(&self, max_in_flight: usize) -> bool {
        self.writing.is_none() && self.in_flight.len() < max_in_flight.max(1)
    }

    pub(crate) fn throttle(&self, now: Instant) -> Option<Instant> {
        self.throttled_until.filter(|&until| until > now)
    }

    /// Whether a request may be begun now.
    pub(crate) fn can_send(&self, now: Instant, max_in_flight: usize) -> bool {
        self.is_ready()
            && !self.leaving
            && self.throttle(now).is_none()
            && self.has_room(max_in_flight)
    }

    /// Nothing is unanswered and nothing is being written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty() && self.writing.is_none()
    }

    /// When the oldest request will have waited too long for its answer.
    ///
    /// Pauses are added to all that is in flight and nothing is begun during one, so no younger
    /// request is due before it.
    pub(crate) fn answer_due(&self, timeout: Duration) -> Option<Instant> {
        self.in_flight
            .front()
            .map(|oldest| oldest.since + oldest.paused + timeout)
    }

    /// The next moment at which time alone does something to this connection.
    pub(crate) fn deadline(
        &self,
        timeout: Duration,
        max_idle: Option<Duration>,
    ) -> Option<Instant> {
        match self.state {
            State::Connecting { until, .. } => Some(until),
            _ if !self.in_flight.is_empty() => self.answer_due(timeout),
            _ => max_idle.map(|idle| self.last_used + idle),
        }
    }

    pub(crate) fn pause(&mut self, now: Instant, pause: Duration) {
        let until = now + pause;
        self.throttled_until = Some(self.throttled_until.map_or(until, |other| other.max(until)));
        for request in &mut self.in_flight {
            request.paused += pause;
        }
    }
}
