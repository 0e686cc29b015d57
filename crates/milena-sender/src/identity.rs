//! Asking for the producer's id, and hearing the answer.

use std::collections::VecDeque;
use std::time::Instant;

use milena_accumulator::{FailureReason, Slot};
use milena_client::{Backoff, ConnectionId};
use milena_transaction::Identity;
use milena_wire::{
    ApiKey, ErrorCode, Fault, InitProducerIdRequest, InitProducerIdResponse, Request as _, Version,
};

use crate::event::Request;
use crate::frame::WriteJob;
use crate::partition::{Reason, Schedule, Waiting};
use crate::sender::Sender;
use crate::settle::{broker_error, failure};

/// Version 6 is not finished in any release of Kafka; it adds nothing for an idempotent producer.
const HIGHEST: i16 = 5;

/// How the search for a producer id stands.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Why the last request came to nothing.
    refusal: Option<ErrorCode>,
    /// How often in a row that happened.
    refusals: u32,
    /// Until when not to ask again.
    pub(crate) back_off: Option<Instant>,
    /// Who was woken to ask.
    pub(crate) rung: Option<ConnectionId>,
    /// It was refused for good: nobody asks before there is something to send again.
    on_demand: bool,
}

impl Sender {
    fn asks_for_identity(&mut self) -> bool {
        self.config.idempotence
            && self.producer.wants_identity()
            && self.search.back_off.is_none()
            && (!self.search.on_demand || self.board.has_unidentified())
    }

    /// The connection to be woken because a producer id is needed; each is named once, while it is the one to ask.
    pub(crate) fn whom_to_ask(&mut self, now: Instant) -> Option<ConnectionId> {
        if !self.asks_for_identity() {
            return None;
        }
        let connection = self.client.least_loaded(now);
        if connection.is_none() {
            self.client.want_any(now);
        }
        let before = std::mem::replace(&mut self.search.rung, connection);
        connection.filter(|_| before != connection)
    }

    /// Asks for an id on this connection, if one is needed and this is the one to ask.
    pub(crate) fn poll_identity(
        &mut self,
        now: Instant,
        connection: ConnectionId,
    ) -> Option<WriteJob> {
        if !self.asks_for_identity() || self.client.least_loaded(now) != Some(connection) {
            return None;
        }
        let ours = *InitProducerIdRequest::VERSIONS.start()..=HIGHEST;
        let api = ApiKey::INIT_PRODUCER_ID;
        let Some(version) = self.client.version_for(connection, api, ours) else {
            self.identity_refused(now, ErrorCode::UNSUPPORTED_VERSION);
            return None;
        };
        let version = InitProducerIdRequest::version(version);
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let correlation =
            self.client
                .begin_request(now, connection, api, version, Request::InitProducerId, true);
        self.producer.requested();
        // Only the client id can be too long, and it went into every request before this one.
        let frame =
            milena_wire::encode_request(self.client_id.as_deref(), correlation, &request, version)
                .ok()?;
        Some(WriteJob::frame(frame.to_vec()))
    }

    /// The answer to [`poll_identity`](Self::poll_identity).
    pub(crate) fn handle_identity(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        version: Version,
        body: &[u8],
    ) -> Result<(), Fault> {
        let read = milena_wire::decode_body::<InitProducerIdResponse>(body, version);
        let response = read.inspect_err(|_| self.producer.refused())?;
        if response.throttle_time_ms > 0 {
            self.client
                .note_throttle(now, connection, response.throttle_time_ms);
        }
        let code = ErrorCode(response.error_code);
        if code == ErrorCode::NONE && response.producer_id >= 0 && response.producer_epoch >= 0 {
            let identity = Identity {
                id: response.producer_id,
                epoch: response.producer_epoch,
            };
            tracing::debug!(
                id = identity.id,
                epoch = identity.epoch,
                "got a producer id"
            );
            self.producer.granted(identity);
            self.search = Search::default();
            for slot in self.board.take_unidentified() {
                self.reschedule(now, slot);
            }
            return Ok(());
        }
        self.counters.error(code);
        let code = if code.is_ok() {
            // An answer without an id.
            ErrorCode::UNKNOWN_SERVER_ERROR
        } else {
            code
        };
        self.identity_refused(now, code);
        Ok(())
    }

    /// A request for an id came to nothing.
    ///
    /// If that may change by itself it is asked for again after a back-off that grows. If not, what waits for an id
    /// fails, and the next record asks again: rights can be granted while the producer runs.
    pub(crate) fn identity_refused(&mut self, now: Instant, code: ErrorCode) {
        let name = code.name().unwrap_or("unknown");
        if self.search.refusal == Some(code) {
            tracing::debug!(error = name, "no producer id was granted");
        } else {
            tracing::warn!(error = name, code = code.0, "no producer id was granted");
        }
        self.producer.refused();
        let backoff = Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max);
        let delay = backoff.delay(self.search.refusals, &mut self.rng);
        self.search = Search {
            refusal: Some(code),
            refusals: self.search.refusals.saturating_add(1),
            back_off: Some(now + delay),
            rung: None,
            on_demand: !code.is_retriable(),
        };
        if !code.is_retriable() {
            for slot in self.board.take_unidentified() {
                self.fail_unidentified(now, slot, code);
            }
        }
    }

    /// Fails what a partition holds, if it waits for a producer id: none of it was ever sent under its present name.
    fn fail_unidentified(&mut self, now: Instant, slot: Slot, code: ErrorCode) {
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        if partition.schedule != Schedule::Parked(Reason::NoProducerId) {
            return;
        }
        partition.waiting = Waiting::Nothing;
        let mut parcels = partition
            .known_aside()
            .map_or_else(VecDeque::new, |aside| std::mem::take(&mut aside.sealed));
        while let Some(taken) = self.accumulator.take(slot) {
            parcels.push_back(partition.adopt(taken.batch));
        }
        for parcel in parcels {
            let mut failure = failure(FailureReason::Refused, &parcel);
            failure.error = Some(broker_error(code));
            failure.message = Some(explanation(code).into());
            self.fail(slot, parcel, failure);
        }
        self.settle(now, slot);
    }

    /// Why a partition that begins its sequence has no producer id to begin it with; `None` if it has one.
    pub(crate) fn why_unidentified(&self) -> Option<String> {
        let missing = self.config.idempotence && self.producer.identity().is_none();
        missing.then(|| match self.search.refusal {
            None => "no broker answered the request for a producer id".to_owned(),
            Some(code) => explanation(code),
        })
    }
}

/// What a refusal of `InitProducerId` means, in words.
fn explanation(code: ErrorCode) -> String {
    let why = match code {
        ErrorCode::UNSUPPORTED_VERSION => {
            "the broker does not know this request: set enable.idempotence to false to do without"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "the client may neither IdempotentWrite to the cluster nor, since Kafka 2.8, Write to any topic: \
             grant it, or set enable.idempotence to false"
        }
        code => code.message(),
    };
    let name = code.name().unwrap_or("an unknown error");
    format!("no producer id was granted: InitProducerId failed with {name}: {why}")
}
