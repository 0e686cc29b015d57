//! Requests and what is answered to them: one file per kind.

mod api_versions;
mod describe;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_fetch;
mod produce;
mod topics;

use std::ops::RangeInclusive;

use milena_wire::{
    ApiKey, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, Decode,
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, ErrorCode, Fault, FetchRequest, FindCoordinatorRequest,
    InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest, ProduceRequest,
    Request, RequestHeader, Unsupported, Version, decode_body, encode_response, peek_request,
};

use crate::cluster::Cluster;
use crate::journal::Seen;
use crate::log::Log;
use crate::reply::{Answer, Reply, Wait};
use crate::rule::{Cut, Effects, Target};
use crate::shape::{Partition, Shape, Topic};

/// The requests that are answered, in the versions that are implemented.
pub(crate) const IMPLEMENTED: &[(ApiKey, RangeInclusive<i16>)] = &[
    (ApiKey::PRODUCE, ProduceRequest::VERSIONS),
    (ApiKey::FETCH, FetchRequest::VERSIONS),
    (ApiKey::LIST_OFFSETS, ListOffsetsRequest::VERSIONS),
    (ApiKey::METADATA, MetadataRequest::VERSIONS),
    (ApiKey::FIND_COORDINATOR, FindCoordinatorRequest::VERSIONS),
    (ApiKey::API_VERSIONS, ApiVersionsRequest::VERSIONS),
    (ApiKey::CREATE_TOPICS, CreateTopicsRequest::VERSIONS),
    (ApiKey::DELETE_TOPICS, DeleteTopicsRequest::VERSIONS),
    (ApiKey::INIT_PRODUCER_ID, 0..=InitProducerIdRequest::STABLE),
    (ApiKey::DESCRIBE_CONFIGS, DescribeConfigsRequest::VERSIONS),
    (ApiKey::CREATE_PARTITIONS, CreatePartitionsRequest::VERSIONS),
    (
        ApiKey::DESCRIBE_PRODUCERS,
        DescribeProducersRequest::VERSIONS,
    ),
    (
        ApiKey::DESCRIBE_TRANSACTIONS,
        DescribeTransactionsRequest::VERSIONS,
    ),
    (ApiKey::OFFSET_FETCH, OffsetFetchRequest::VERSIONS),
];

/// A request that is being handled.
pub(crate) struct Call<'a> {
    pub(crate) now: i64,
    pub(crate) broker: i32,
    pub(crate) header: RequestHeader<'a>,
    pub(crate) version: Version,
    pub(crate) body: &'a [u8],
    /// What was decided when it arrived, if it has waited since.
    pub(crate) waited: Option<Wait>,
}

/// The connection cannot go on: the bytes are no request, or no answer to it can be written.
#[derive(Debug)]
pub(crate) struct Hopeless;

impl From<Fault> for Hopeless {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl From<Unsupported> for Hopeless {
    fn from(_: Unsupported) -> Self {
        Self
    }
}

impl<'a> Call<'a> {
    pub(crate) fn decode<T: Decode<'a>>(&self) -> Result<T, Hopeless> {
        Ok(decode_body(self.body, self.version)?)
    }

    /// The answer as it would be without faults, with what rules do to it.
    pub(crate) fn answer<Q: Request>(
        &self,
        effects: &Effects,
        response: &Q::Response<'_>,
    ) -> Result<Reply, Hopeless> {
        let correlation = self.header.correlation_id.wrapping_add(effects.correlation);
        Ok(effects.dress(encode_response::<Q>(correlation, response, self.version)?.to_vec()))
    }
}

impl Effects {
    /// What happens to a request before it is carried out, if it is not carried out now.
    pub(crate) fn before(&mut self, now: i64) -> Option<Reply> {
        if self.silence {
            return Some(Reply::Silence);
        }
        if self.cut == Some(Cut::Before) {
            return Some(Reply::Close);
        }
        let hold = std::mem::take(&mut self.hold_ms);
        (hold > 0).then(|| {
            let until_ms = now.saturating_add_unsigned(hold);
            Reply::Wait(Wait {
                until_ms,
                on_append: false,
                effects: Box::new(self.clone()),
            })
        })
    }

    /// An answer's bytes, with what rules do to them.
    fn dress(&self, mut bytes: Vec<u8>) -> Reply {
        if self.drop_answer {
            return Reply::Nothing;
        }
        if self.cut == Some(Cut::After) {
            return Reply::Close;
        }
        if let Some(raw) = &self.raw {
            bytes.clone_from(raw);
        }
        if self.truncate > 0 && bytes.len() >= 4 {
            bytes.truncate(bytes.len().saturating_sub(self.truncate).max(4));
            let len = (bytes.len() - 4) as u32;
            bytes[..4].copy_from_slice(&len.to_be_bytes());
        }
        let then_close = self.cut == Some(Cut::InAnswer);
        if then_close {
            bytes.truncate(bytes.len() / 2);
        }
        Reply::Answer(Answer {
            bytes,
            after_ms: self.delay_ms,
            then_close,
        })
    }

    /// What happens after a request was carried out that wants no answer.
    pub(crate) fn unanswered(&self) -> Reply {
        match self.cut {
            Some(_) => Reply::Close,
            None => Reply::Nothing,
        }
    }
}

impl Cluster {
    /// A connection to a broker was opened. `connection` is a number that is not used again.
    pub fn connected(&mut self, now: i64, broker: i32, connection: u64) {
        self.journal.opened(now, broker, connection);
    }

    /// A connection was closed, by whichever side.
    pub fn disconnected(&mut self, now: i64, connection: u64) {
        self.judged.remove(&connection);
        self.journal.closed(now, connection);
    }

    /// Says how many requests of a connection are held unanswered, for the journal: the cluster itself cannot know
    /// when its answers are written.
    pub fn set_unanswered(&mut self, connection: u64, requests: usize) {
        self.journal.set_unanswered(connection, requests);
    }

    /// Whether [`arriving`](Self::arriving) has anything to say at the moment.
    pub fn wants_arriving(&self) -> bool {
        self.rules.cut_in_request()
    }

    /// Half of a request has arrived, at least its first four bytes: whether the connection is to be cut now.
    ///
    /// Need not be called. If it is not, [`handle`](Self::handle) closes instead of carrying the request out.
    pub fn arriving(&mut self, broker: i32, connection: u64, half: &[u8]) -> bool {
        let Some((api, _)) = peek_request(half) else {
            return false;
        };
        self.judged.insert(connection);
        self.rules.cuts_arriving(&mut self.rng, broker, api)
    }

    /// A request has arrived: a whole frame without the length in front.
    pub fn handle(&mut self, now: i64, broker: i32, connection: u64, frame: &[u8]) -> Reply {
        let Some((api, version)) = peek_request(frame) else {
            return Reply::Close;
        };
        let correlation = frame.get(4..8).and_then(|bytes| bytes.try_into().ok());
        self.journal.note(Seen {
            at_ms: now,
            broker,
            connection,
            api,
            version,
            correlation: correlation.map_or(0, i32::from_be_bytes),
            size: frame.len(),
            unanswered: 0,
        });
        if !self.shape.is_up(broker) {
            return Reply::Close;
        }
        let judged = !self.judged.is_empty() && self.judged.remove(&connection);
        if !judged && self.rules.cuts_arriving(&mut self.rng, broker, api) {
            return Reply::Close;
        }
        self.serve(now, broker, frame, None)
    }

    /// Goes on with a request that had to wait: the same frame, and what [`Reply::Wait`] said.
    pub fn resume(&mut self, now: i64, broker: i32, frame: &[u8], wait: Wait) -> Reply {
        if !self.shape.is_up(broker) {
            return Reply::Close;
        }
        self.serve(now, broker, frame, Some(wait))
    }

    fn serve(&mut self, now: i64, broker: i32, frame: &[u8], waited: Option<Wait>) -> Reply {
        let Some((api_key, api_version)) = peek_request(frame) else {
            return Reply::Close;
        };
        let spoken = self.versions.speaks(api_key, api_version);
        let read = if spoken {
            RequestHeader::decode(frame).ok()
        } else {
            unread(api_key, api_version, frame)
        };
        let Some((body, (header, version))) = read else {
            return Reply::Close;
        };
        let call = Call {
            now,
            broker,
            header,
            version,
            body,
            waited,
        };
        let reply = if spoken {
            self.dispatch(&call)
        } else {
            self.unspoken(&call)
        };
        reply.unwrap_or(Reply::Close)
    }

    fn dispatch(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        match call.header.api_key {
            ApiKey::PRODUCE => self.produce(call),
            ApiKey::FETCH => self.fetch(call),
            ApiKey::LIST_OFFSETS => self.list_offsets(call),
            ApiKey::METADATA => self.metadata(call),
            ApiKey::FIND_COORDINATOR => self.find_coordinator(call),
            ApiKey::API_VERSIONS => self.api_versions(call),
            ApiKey::CREATE_TOPICS => self.create_topics(call),
            ApiKey::DELETE_TOPICS => self.delete_topics(call),
            ApiKey::INIT_PRODUCER_ID => self.init_producer_id(call),
            ApiKey::DESCRIBE_CONFIGS => self.describe_configs(call),
            ApiKey::CREATE_PARTITIONS => self.create_partitions(call),
            ApiKey::DESCRIBE_PRODUCERS => self.describe_producers(call),
            ApiKey::DESCRIBE_TRANSACTIONS => self.describe_transactions(call),
            ApiKey::OFFSET_FETCH => self.offset_fetch(call),
            _ => Err(Hopeless),
        }
    }

    /// What rules do to a request that names these topics; changes of the cluster are made here.
    ///
    /// The targets are not looked for where there are no rules.
    pub(crate) fn meet(
        &mut self,
        call: &Call<'_>,
        targets: impl FnOnce(&Shape) -> Vec<Target>,
    ) -> Effects {
        if let Some(wait) = &call.waited {
            return (*wait.effects).clone();
        }
        if self.rules.is_empty() {
            return Effects::default();
        }
        let targets = targets(&self.shape);
        let mut effects =
            self.rules
                .meet(&mut self.rng, call.broker, call.header.api_key, &targets);
        for change in std::mem::take(&mut effects.changes) {
            // A rule that cannot be carried out, as one that deletes a topic twice, changes nothing.
            let _ = self.apply(call.now, change);
        }
        effects
    }

    /// A partition that this broker leads: its topic, itself and its log.
    ///
    /// `epoch` is the leader's epoch as the client knows it, or -1.
    pub(crate) fn led(
        &self,
        call: &Call<'_>,
        name: &str,
        index: i32,
        epoch: i32,
    ) -> Result<(&Topic, &Partition, &Log), ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let topic = self.shape.known(call.now, name).ok_or(unknown)?;
        let place = usize::try_from(index).map_err(|_| unknown)?;
        let partition = topic.partitions.get(place).ok_or(unknown)?;
        if (0..partition.leader_epoch).contains(&epoch) {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if epoch > partition.leader_epoch {
            return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
        }
        if partition.leader != Some(call.broker) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let log = self
            .logs
            .get(&topic.id)
            .and_then(|logs| logs.get(place))
            .ok_or(unknown)?;
        Ok((topic, partition, log))
    }
}

/// What can be read of a request in a version that is not spoken: its header is the same in all as far as the correlation
/// id. It is answered, if at all, in version 0.
fn unread(
    api_key: ApiKey,
    api_version: i16,
    frame: &[u8],
) -> Option<(&[u8], (RequestHeader<'_>, Version))> {
    let correlation_id = milena_wire::peek_correlation(frame.get(4..)?)?;
    let header = RequestHeader {
        api_key,
        api_version,
        correlation_id,
        client_id: None,
    };
    Some((&[], (header, Version::new(0, false))))
}
