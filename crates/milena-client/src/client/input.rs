//! What the network and the clock did.
use std::time::{Duration, Instant};

use milena_wire::{Fault, ResponseHeader, Why, peek_correlation};

use super::Client;
use crate::connection::{InFlight, Request, State};
use crate::{Answer, BrokerFault, CloseReason, ConnectFailure, ConnectionId, NotKafka};

impl<R> Client<R> {
    /// The connection is open, and whatever handshake it needs is done.
    pub fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        if !matches!(open.state, State::Connecting { .. }) {
            return;
        }
        open.state = State::Negotiating;
        open.last_used = now;
        let (node, server) = (open.node, open.server);
        if let Some(node) = node.and_then(|node| self.nodes.get_mut(&node)) {
            node.connect_failures = 0;
        }
        if let Some(server) = server {
            self.bootstrap.connected(server);
        }
        self.ask_versions(now, connection, None);
    }

    /// The connection could not be made.
    pub fn handle_connect_failed(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        failure: ConnectFailure,
    ) {
        self.end(now, connection, CloseReason::Failed(failure), false);
        self.drive(now);
    }

    /// The driver is about to write the frame of the request that was begun last; see
    /// [`Config::announced_writes`](crate::Config::announced_writes).
    pub fn handle_write_begun(&mut self, _now: Instant, connection: ConnectionId) {
        if let Some(writing) = self
            .connections
            .get_mut(&connection)
            .and_then(|open| open.writing.as_mut())
        {
            writing.begun = true;
        }
    }

    /// The frame that was begun last is wholly written. Gives back a request that nobody answers.
    pub fn handle_written(&mut self, now: Instant, connection: ConnectionId) -> Option<R> {
        let open = self.connections.get_mut(&connection)?;
        let writing = open.writing.take()?;
        open.last_used = now;
        let unanswered =
            |last: &InFlight<R>| last.correlation == writing.correlation && !last.expects_answer;
        let done = if open.in_flight.back().is_some_and(unanswered) {
            open.in_flight.pop_back()
        } else {
            None
        };
        let leaving = open.leaving;
        self.after_room(now, connection, leaving);
        match done?.request {
            Request::Owner(request) => Some(request),
            Request::Versions | Request::Metadata => None,
        }
    }

    /// The connection is closed, by the broker or because it failed.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId, reason: CloseReason) {
        self.end(now, connection, reason, false);
        self.drive(now);
    }

    /// A frame has arrived (without the length in front of it). Gives the answer if it is to one of
    /// the owner's requests; the client's own questions are dealt with here. A frame on a
    /// connection that was given up is ignored.
    ///
    /// # Errors
    /// The broker does not keep to the protocol, or is of no use. The connection is given up: a
    /// [`Close`](crate::Action::Close) is among the actions.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        frame: &[u8],
    ) -> Result<Option<Answer<R>>, BrokerFault> {
        let result = self.answer(now, connection, frame);
        if let Err(fault) = &result {
            self.give_up(now, connection, *fault);
        }
        result
    }

    fn answer(
        &mut self,
        now: Instant,
        id: ConnectionId,
        frame: &[u8],
    ) -> Result<Option<Answer<R>>, BrokerFault> {
        let Some(open) = self.connections.get_mut(&id) else {
            return Ok(None);
        };
        open.last_used = now;
        let got = peek_correlation(frame).ok_or_else(|| {
            Fault::new(Why::Short, frame).within("ResponseHeader", "correlation_id")
        })?;
        let oldest = open.in_flight.front().ok_or(BrokerFault::Unexpected(got))?;
        if oldest.correlation != got || !oldest.expects_answer {
            return Err(BrokerFault::Correlation {
                expected: oldest.correlation,
                got,
            });
        }
        let (rest, _) =
            ResponseHeader::decode(frame, oldest.api, oldest.version).map_err(Fault::from)?;
        let body = frame.len() - rest.len();
        let Some(InFlight {
            api,
            version,
            since,
            request,
            ..
        }) = open.in_flight.pop_front()
        else {
            return Err(BrokerFault::Unexpected(got));
        };
        let (node, leaving) = (open.node, open.leaving);
        match request {
            Request::Owner(request) => {
                self.after_room(now, id, leaving);
                let latency = now.saturating_duration_since(since);
                Ok(Some(Answer {
                    request,
                    connection: id,
                    node,
                    api,
                    version,
                    body,
                    latency,
                }))
            }
            Request::Versions => {
                self.on_versions(now, id, rest, version)?;
                self.release(now, id);
                Ok(None)
            }
            Request::Metadata => {
                self.on_metadata(now, id, rest, version)?;
                self.release(now, id);
                Ok(None)
            }
        }
    }

    /// Something was answered or written: metadata may have waited for that, or the end of the
    /// connection.
    fn after_room(&mut self, now: Instant, id: ConnectionId, leaving: bool) {
        if leaving {
            self.release(now, id);
        }
        if self.metadata_waits.is_some() || self.any_wanted {
            self.drive(now);
        }
    }

    #[cold]
    fn give_up(&mut self, now: Instant, id: ConnectionId, fault: BrokerFault) {
        let ready = self
            .connections
            .get(&id)
            .is_some_and(|open| open.is_ready());
        let reason = match fault {
            BrokerFault::Unreadable(fault) if !ready => {
                CloseReason::Failed(ConnectFailure::NotKafka(NotKafka::Answer(fault)))
            }
            BrokerFault::Rejected(code) => CloseReason::Failed(ConnectFailure::Rejected(code)),
            fault => CloseReason::Fault(fault),
        };
        self.end(now, id, reason, true);
        self.drive(now);
    }

    /// A broker asked for silence (KIP-219): nothing is sent to it for `ms` milliseconds, and what
    /// is in flight has that much longer.
    ///
    /// To be called for answers in versions that leave it to the client. Zero and less are ignored.
    pub fn note_throttle(&mut self, now: Instant, connection: ConnectionId, ms: i32) {
        let Ok(ms @ 1..) = u64::try_from(ms) else {
            return;
        };
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        open.pause(now, Duration::from_millis(ms));
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.shut_down || self.timer.is_none_or(|timer| timer > now) {
            return;
        }
        self.timer = None;
        let (timeout, max_idle) = (
            self.config.request_timeout,
            self.config.connections_max_idle,
        );
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let late: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, open)| due(open.deadline(timeout, max_idle)))
            .map(|(&id, _)| id)
            .collect();
        for id in late {
            self.expire(now, id);
        }
        // A connection that is waited on now may be idle long before that wait would be over.
        let idle_from_now = max_idle.map(|idle| now + idle);
        let next = self
            .connections
            .values()
            .filter_map(|open| open.deadline(timeout, max_idle))
            .chain(idle_from_now)
            .min();
        if let Some(next) = next {
            self.arm(next);
        }
        self.drive(now);
    }

    fn expire(&mut self, now: Instant, id: ConnectionId) {
        let Some(open) = self.connections.get(&id) else {
            return;
        };
        let reason = match open.state {
            State::Connecting { allowed, .. } => {
                CloseReason::Failed(ConnectFailure::TimedOut(format!("{allowed:?}")))
            }
            _ if open.in_flight.is_empty() => CloseReason::Idle,
            _ => CloseReason::RequestTimeout,
        };
        self.end(now, id, reason, true);
    }
}
