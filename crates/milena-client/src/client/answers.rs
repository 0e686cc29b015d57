//! The client's own questions: what a broker speaks, and what its cluster looks like.
use std::time::Instant;

use milena_wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, Frame, MetadataRequest,
    MetadataResponse, Request as _, Unsupported, Version, api::metadata::MetadataRequestTopic,
    decode_body, encode_request,
};
use tracing::{debug, warn};

use super::Client;
use crate::config::software;
use crate::connection::Request;
use crate::renewal::brokers_of;
use crate::versions::Versions;
use crate::{
    Action, BrokerFault, CloseReason, ConnectFailure, ConnectionId, Event, MetadataFailure,
};

/// The versions of ApiVersions spoken here.
const API_VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;
/// The versions of Metadata spoken here. Version 0 cannot ask for no topics.
const METADATA: std::ops::RangeInclusive<i16> = 1..=13;
/// From this version on brokers leave it to the client to be silent for as long as they say
/// (KIP-219).
const VERSIONS_THROTTLED_FROM: i16 = 2;
const METADATA_THROTTLED_FROM: i16 = 6;

impl<R> Client<R> {
    /// Asks which versions the broker speaks: in `version`, or in the newest.
    pub(super) fn ask_versions(&mut self, now: Instant, id: ConnectionId, version: Option<i16>) {
        let version = ApiVersionsRequest::version(version.unwrap_or(*API_VERSIONS.end()));
        let (name, number) = (
            software(&self.config.software_name),
            software(&self.config.software_version),
        );
        let request = ApiVersionsRequest {
            client_software_name: &name,
            client_software_version: &number,
        };
        let correlation = self.begin_own(now, id, ApiKey::API_VERSIONS, version, Request::Versions);
        let client_id = self.config.client_id.as_deref();
        let frame = encode_request(client_id, correlation, &request, version);
        self.put_outgoing(now, id, frame);
    }

    /// Asks about the topics that are due.
    pub(super) fn ask_metadata(&mut self, now: Instant, id: ConnectionId) {
        let Some(number) = self.version_for(id, ApiKey::METADATA, METADATA) else {
            return;
        };
        let version = MetadataRequest::version(number);
        let correlation = self.begin_own(now, id, ApiKey::METADATA, version, Request::Metadata);
        let topics: Vec<_> = self
            .refresh
            .begin(now)
            .map(|name| MetadataRequestTopic {
                name: Some(name),
                ..MetadataRequestTopic::default()
            })
            .collect();
        debug!(
            connection = id.0,
            topics = topics.len(),
            "asking for metadata"
        );
        let request = MetadataRequest {
            topics: Some(topics),
            // Older versions cannot say it: they always allow it.
            allow_auto_topic_creation: self.config.allow_auto_topic_creation || number < 4,
            ..MetadataRequest::default()
        };
        let client_id = self.config.client_id.as_deref();
        let frame = encode_request(client_id, correlation, &request, version);
        self.put_outgoing(now, id, frame);
    }

    /// Notes a request of the client's own. Its writing begins when the driver takes the frame.
    fn begin_own(
        &mut self,
        now: Instant,
        id: ConnectionId,
        api: ApiKey,
        version: Version,
        request: Request<R>,
    ) -> i32 {
        let (expects_answer, begun) = (true, false);
        self.begin(now, id, api, version, request, expects_answer, begun)
    }

    /// Hands the frame of the request begun last to the driver.
    fn put_outgoing(&mut self, now: Instant, id: ConnectionId, frame: Result<Frame, Unsupported>) {
        let Some(open) = self.connections.get_mut(&id) else {
            return;
        };
        match frame {
            Ok(frame) => {
                open.outgoing = Some(frame.to_vec());
                self.actions.push_back(Action::Transmit { connection: id });
            }
            Err(why) => self.end(now, id, CloseReason::Io(why.to_string()), true),
        }
    }

    pub(super) fn on_versions(
        &mut self,
        now: Instant,
        id: ConnectionId,
        body: &[u8],
        asked: Version,
    ) -> Result<(), BrokerFault> {
        let (answer, version) = ApiVersionsResponse::decode_any(body, asked)?;
        let error = ErrorCode(answer.error_code);
        if error == ErrorCode::UNSUPPORTED_VERSION && asked.number > 0 {
            // A broker since 2.4 says which versions it knows. Anything not below the last try
            // would go on for ever.
            let known = answer
                .range_of(ApiKey::API_VERSIONS)
                .map_or(0, |range| *range.end());
            let next = if API_VERSIONS.contains(&known) && known < asked.number {
                known
            } else {
                0
            };
            self.ask_versions(now, id, Some(next));
            return Ok(());
        }
        if error != ErrorCode::NONE {
            return Err(BrokerFault::Rejected(error));
        }
        let versions = Versions::of(&answer);
        let required = self.config.required.iter().map(|(api, ours)| (*api, ours));
        if let Err(mismatch) =
            versions.check(std::iter::once((ApiKey::METADATA, &METADATA)).chain(required))
        {
            let api = mismatch.api;
            self.end(
                now,
                id,
                CloseReason::Failed(ConnectFailure::UnsupportedVersion(mismatch)),
                true,
            );
            self.drive(now);
            return Err(BrokerFault::UnsupportedVersion(api));
        }
        if let Some(open) = self.connections.get_mut(&id) {
            open.versions = versions;
        }
        self.features.learn(&answer);
        if version.number >= VERSIONS_THROTTLED_FROM {
            self.note_throttle(now, id, answer.throttle_time_ms);
        }
        self.on_ready(now, id);
        self.drive(now);
        Ok(())
    }

    pub(super) fn on_metadata(
        &mut self,
        now: Instant,
        id: ConnectionId,
        body: &[u8],
        version: Version,
    ) -> Result<(), BrokerFault> {
        let answer: MetadataResponse<'_> = match decode_body(body, version) {
            Ok(answer) => answer,
            Err(fault) => {
                self.refresh.failed(now, &mut self.rng);
                return Err(fault.into());
            }
        };
        if version.number >= METADATA_THROTTLED_FROM {
            self.note_throttle(now, id, answer.throttle_time_ms);
        }
        let error = ErrorCode(answer.error_code);
        if error == ErrorCode::REBOOTSTRAP_REQUIRED {
            self.refresh.failed(now, &mut self.rng);
            self.events
                .push_back(Event::MetadataFailed(MetadataFailure::Refused(error)));
            if self.config.recovery != crate::Recovery::None {
                self.rebootstrap(now, true);
            }
        } else if error != ErrorCode::NONE {
            self.metadata_failed(now, MetadataFailure::Refused(error));
        } else {
            self.apply_metadata(now, &answer, version);
        }
        self.drive(now);
        Ok(())
    }

    fn metadata_failed(&mut self, now: Instant, failure: MetadataFailure) {
        warn!(%failure, "metadata cannot be used");
        self.refresh.failed(now, &mut self.rng);
        self.events.push_back(Event::MetadataFailed(failure));
    }

    fn apply_metadata(&mut self, now: Instant, answer: &MetadataResponse<'_>, version: Version) {
        let brokers = brokers_of(answer);
        if brokers.is_empty() {
            return self.metadata_failed(now, MetadataFailure::NoBrokers);
        }
        let full = self.refresh.asked().is_some_and(|asked| asked.full);
        // Before the answer makes new topics old ones: those never expire.
        let expired = if full {
            self.refresh.expire(now)
        } else {
            Vec::new()
        };
        expired
            .iter()
            .for_each(|topic| self.cluster.remove_topic(topic));
        let track = |topic: &str| self.refresh.mentioned(topic);
        let mut applied = self.cluster.apply(answer, brokers, version.number, track);
        applied.update.removed = expired;
        self.refresh.succeeded(now, applied.learned, &mut self.rng);
        if applied.stale {
            self.refresh.want_full();
        }
        self.bootstrap.succeeded();
        if applied.update.brokers_changed {
            self.sync_nodes(now);
        }
        self.adopt(now);
        for (topic, error) in applied.errors {
            debug!(%topic, code = error.0, "a topic cannot be used");
            self.events.push_back(Event::TopicError { topic, error });
        }
        self.events.push_back(Event::Metadata(applied.update));
    }
}
