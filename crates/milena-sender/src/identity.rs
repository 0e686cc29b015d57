//! Asking for the producer's id, and hearing the answer.

use std::time::Instant;

use milena_client::ConnectionId;
use milena_transaction::Identity;
use milena_wire::{
    ApiKey, ErrorCode, Fault, InitProducerIdRequest, InitProducerIdResponse, Request as _, Version,
};

use crate::event::Request;
use crate::frame::WriteJob;
use crate::sender::Sender;

/// Version 6 is not finished in any release of Kafka; it adds nothing for an idempotent producer.
const HIGHEST: i16 = 5;

impl Sender {
    /// The connection to be woken because a producer id is needed; each is named once.
    pub(crate) fn whom_to_ask(&mut self, now: Instant) -> Option<ConnectionId> {
        let wanted = self.config.idempotence && self.producer.wants_identity();
        if !wanted || self.identity_rung || self.identity_back_off.is_some() {
            return None;
        }
        let connection = self.client.least_loaded(now);
        match connection {
            Some(_) => self.identity_rung = true,
            None => self.client.want_any(now),
        }
        connection
    }

    /// Asks for an id on this connection, if one is needed and this is the one to ask.
    pub(crate) fn poll_identity(
        &mut self,
        now: Instant,
        connection: ConnectionId,
    ) -> Option<WriteJob> {
        let wanted = self.config.idempotence && self.producer.wants_identity();
        if !wanted
            || self.identity_back_off.is_some()
            || self.client.least_loaded(now) != Some(connection)
        {
            return None;
        }
        let ours = *InitProducerIdRequest::VERSIONS.start()..=HIGHEST;
        let version = self
            .client
            .version_for(connection, ApiKey::INIT_PRODUCER_ID, ours)?;
        let version = InitProducerIdRequest::version(version);
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let api = ApiKey::INIT_PRODUCER_ID;
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
            for slot in self.board.take_unidentified() {
                self.reschedule(now, slot);
            }
            return Ok(());
        }
        self.counters.error(code);
        tracing::warn!(
            error = code.name().unwrap_or("unknown"),
            "no producer id was granted; asking again, until the records' delivery timeout"
        );
        self.producer.refused();
        self.identity_rung = false;
        self.identity_error = Some(code);
        self.identity_back_off = Some(now + self.config.retry_backoff);
        Ok(())
    }
}
