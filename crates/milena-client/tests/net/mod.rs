//! A network of scripted servers under virtual time: the driver's and the brokers' part in a
//! scenario.
#![allow(dead_code, reason = "each test file uses another part of it")]
#![allow(unreachable_pub, reason = "a module of each test file")]
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use milena_client::{
    Action, Address, Answer, BrokerFault, Client, CloseReason, Cluster, Config, ConnectFailure,
    ConnectionId, Event, NodeId, NodeState, NotKafka, Unreachable,
};
use milena_wire::api::api_versions::ApiVersion;
use milena_wire::api::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, MetadataRequest, MetadataResponse,
    Request, RequestHeader, Uuid, Version, decode_body, encode_response,
};

/// What becomes of those who connect to an address.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// A broker.
    Up,
    /// Nobody listens.
    Refused,
    /// The host is not known.
    NoSuchHost,
    /// The attempt gets no answer.
    Blackhole,
    /// Connects, and answers nothing.
    Mute,
    /// Connects, and closes when asked for its versions.
    Closing,
    /// Connects, and answers with these bytes.
    Says(Vec<u8>),
    /// Connects, and answers these bytes as a frame.
    SaysFrame(Vec<u8>),
}

/// Stands for a leader that has no listener for this client.
pub const NO_LISTENER: i32 = -2;

/// A topic as brokers tell it: its leaders and their epochs.
#[derive(Clone, Debug)]
pub struct Topic {
    pub id: u8,
    pub error: ErrorCode,
    pub partitions: Vec<(i32, i32)>,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Duration,
    pub connection: ConnectionId,
    pub to: String,
    pub api: ApiKey,
    pub version: i16,
    pub correlation: i32,
    pub topics: Vec<String>,
}

pub struct Net {
    pub client: Client<u32>,
    pub start: Instant,
    pub now: Instant,
    /// Servers that are not `Up`.
    pub modes: BTreeMap<String, Mode>,
    pub brokers: Vec<(i32, String)>,
    pub topics: BTreeMap<String, Topic>,
    pub ranges: Vec<(i16, i16, i16)>,
    /// Overrules `ranges` for one server.
    pub ranges_of: BTreeMap<String, Vec<(i16, i16, i16)>>,
    pub metadata_error: ErrorCode,
    pub throttle_ms: i32,
    /// Metadata requests stay unanswered.
    pub hold_metadata: bool,
    /// Requests for versions stay unanswered.
    pub hold_versions: bool,
    /// Written frames are not reported as such.
    pub hold_writes: bool,
    /// Attempts under way and open connections, as the driver has them.
    pub open: BTreeMap<ConnectionId, String>,
    pub connects: Vec<(Duration, ConnectionId, String, Duration)>,
    pub closes: Vec<(Duration, ConnectionId, CloseReason)>,
    pub sent: Vec<Sent>,
    pub events: Vec<Event<u32>>,
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn node(id: i32) -> NodeId {
    NodeId(id)
}

pub fn config(servers: &str) -> Config {
    Config::new(Address::parse_list(servers).expect("good addresses"))
}

/// `count` brokers: 1 at b1:9092, and so on.
pub fn brokers(count: i32) -> Vec<(i32, String)> {
    (1..=count).map(|id| (id, format!("b{id}:9092"))).collect()
}

impl Net {
    /// A cluster of three, all of it up, and a client that has done nothing yet.
    pub fn new(config: Config) -> Self {
        Self::seeded(config, 1)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time has to begin somewhere"
    )]
    pub fn seeded(config: Config, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            client: Client::new(config, seed, start),
            start,
            now: start,
            modes: BTreeMap::new(),
            brokers: brokers(3),
            topics: BTreeMap::new(),
            ranges: vec![(0, 3, 13), (3, 0, 13), (18, 0, 4), (22, 0, 5)],
            ranges_of: BTreeMap::new(),
            metadata_error: ErrorCode::NONE,
            throttle_ms: 0,
            hold_metadata: false,
            hold_versions: false,
            hold_writes: false,
            open: BTreeMap::new(),
            connects: Vec::new(),
            closes: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A client that has found its cluster by b1, which is one of its brokers.
    pub fn started(config: Config) -> Self {
        let mut net = Self::new(config);
        net.run();
        assert_eq!(
            net.cluster().brokers().len(),
            net.brokers.len(),
            "{:?}",
            net.events
        );
        net
    }

    pub fn topic(&mut self, name: &str, leaders: &[(i32, i32)]) {
        let topic = Topic {
            id: 1,
            error: ErrorCode::NONE,
            partitions: leaders.to_vec(),
        };
        self.topics.insert(name.to_owned(), topic);
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn cluster(&self) -> &Cluster {
        self.client.cluster()
    }

    pub fn state(&self, id: i32) -> NodeState {
        self.client.state(self.now, node(id))
    }

    pub fn ready(&self, id: i32) -> ConnectionId {
        match self.state(id) {
            NodeState::Ready(connection) => connection,
            other => panic!("broker {id} is {other:?}"),
        }
    }

    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.cluster().topic(topic)?.partition(partition)?.leader;
        leader.map(|leader| leader.0)
    }

    /// Does all there is to do at this moment.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            let mut idle = true;
            while let Some(action) = self.client.poll_action(self.now) {
                idle = false;
                self.act(action);
            }
            for id in self.open.keys().copied().collect::<Vec<_>>() {
                while let Some(frame) = self.client.poll_transmit(self.now, id) {
                    idle = false;
                    self.transmit(id, &frame);
                }
            }
            while let Some(event) = self.client.poll_event() {
                idle = false;
                self.events.push(event);
            }
            if idle {
                return;
            }
        }
        panic!("no end of things to do: {:?}", self.connects);
    }

    /// Lets time pass, stopping wherever the client wants to.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.run();
        for _ in 0..100_000 {
            match self.client.poll_timeout() {
                Some(at) if at <= end => {
                    self.now = at.max(self.now);
                    self.client.handle_timeout(self.now);
                    let next = self.client.poll_timeout();
                    assert!(next.is_none_or(|next| next > self.now), "due again at once");
                    self.run();
                }
                _ => {
                    self.now = end;
                    return self.run();
                }
            }
        }
        panic!("the clock does not get on: {:?}", self.elapsed());
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect {
                connection,
                address,
                timeout,
            } => {
                let address = address.to_string();
                self.connects
                    .push((self.elapsed(), connection, address.clone(), timeout));
                self.open.insert(connection, address.clone());
                match self.mode(&address) {
                    Mode::Refused => {
                        self.fail(connection, ConnectFailure::Refused(address));
                    }
                    Mode::NoSuchHost => {
                        self.fail(connection, ConnectFailure::Dns("no such host".to_owned()));
                    }
                    Mode::Blackhole => {}
                    _ => self.client.handle_connected(self.now, connection),
                }
            }
            Action::Close { connection, reason } => {
                assert!(
                    self.open.remove(&connection).is_some(),
                    "closed twice: {connection}"
                );
                self.closes.push((self.elapsed(), connection, reason));
            }
            Action::Transmit { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    pub fn mode(&self, address: &str) -> Mode {
        self.modes.get(address).cloned().unwrap_or(Mode::Up)
    }

    pub fn set(&mut self, address: &str, mode: Mode) {
        self.modes.insert(address.to_owned(), mode);
    }

    fn fail(&mut self, connection: ConnectionId, failure: ConnectFailure) {
        self.open.remove(&connection);
        self.client
            .handle_connect_failed(self.now, connection, failure);
    }

    /// The other side closes.
    pub fn cut(&mut self, connection: ConnectionId) {
        assert!(
            self.open.remove(&connection).is_some(),
            "{connection} is not open"
        );
        self.client
            .handle_closed(self.now, connection, CloseReason::Peer);
        self.run();
    }

    fn transmit(&mut self, id: ConnectionId, frame: &[u8]) {
        let to = self.open.get(&id).expect("open").clone();
        let (length, rest) = frame.split_at(4);
        assert_eq!(
            length,
            i32::try_from(rest.len()).expect("small").to_be_bytes()
        );
        let (body, (header, version)) = RequestHeader::decode(rest).expect("a request");
        let mut sent = Sent {
            at: self.elapsed(),
            connection: id,
            to: to.clone(),
            api: header.api_key,
            version: header.api_version,
            correlation: header.correlation_id,
            topics: Vec::new(),
        };
        if header.api_key == ApiKey::METADATA {
            let request: MetadataRequest<'_> = decode_body(body, version).expect("metadata");
            let topics = request.topics.expect("never all topics");
            sent.topics = topics
                .iter()
                .map(|topic| topic.name.expect("by name").to_owned())
                .collect();
        }
        self.sent.push(sent.clone());
        if !self.hold_writes {
            assert_eq!(self.client.handle_written(self.now, id), None);
        }
        match (header.api_key, self.mode(&to)) {
            (_, Mode::Mute) => {}
            (_, Mode::Closing) => self.cut(id),
            (_, Mode::Says(bytes)) => {
                let prefix = *bytes.first_chunk().expect("four bytes");
                let why = NotKafka::check_length(prefix, 1 << 20).expect_err("not a frame");
                self.open.remove(&id);
                self.client
                    .handle_closed(self.now, id, CloseReason::NotKafka(why));
            }
            (_, Mode::SaysFrame(bytes)) => {
                let _ = self.client.handle_frame(self.now, id, &bytes);
            }
            (ApiKey::API_VERSIONS, _) if !self.hold_versions => self.tell_versions(&sent),
            (ApiKey::METADATA, _) if !self.hold_metadata => self.tell_metadata(&sent),
            _ => {}
        }
    }

    /// Answers as the brokers of this network do.
    pub fn tell_versions(&mut self, sent: &Sent) {
        let ranges = self.ranges_of.get(&sent.to).unwrap_or(&self.ranges);
        let known = ranges
            .iter()
            .any(|&(key, _, max)| key == 18 && sent.version <= max);
        let error = if known {
            ErrorCode::NONE
        } else {
            ErrorCode::UNSUPPORTED_VERSION
        };
        let response = versions(error, ranges);
        let number = if known { sent.version } else { 0 };
        let answer = response_frame::<ApiVersionsRequest<'_>>(sent.correlation, &response, number);
        let _ = self.client.handle_frame(self.now, sent.connection, &answer);
    }

    pub fn tell_metadata(&mut self, sent: &Sent) {
        let brokers: Vec<_> = self
            .brokers
            .iter()
            .map(|(id, at)| (*id, split(at)))
            .collect();
        let topics = sent
            .topics
            .iter()
            .map(|name| (name.as_str(), self.topics.get(name)));
        let response = MetadataResponse {
            throttle_time_ms: self.throttle_ms,
            brokers: brokers
                .iter()
                .map(|&(id, (host, port))| broker(id, host, port))
                .collect(),
            cluster_id: Some("cluster"),
            controller_id: 1,
            topics: topics
                .map(|(name, topic)| told(name, topic, sent.version))
                .collect(),
            error_code: if sent.version >= 13 {
                self.metadata_error.0
            } else {
                0
            },
            ..MetadataResponse::default()
        };
        let answer =
            response_frame::<MetadataRequest<'_>>(sent.correlation, &response, sent.version);
        let _ = self.client.handle_frame(self.now, sent.connection, &answer);
    }

    /// Writes a request of the owner's.
    pub fn ask(&mut self, id: ConnectionId, request: u32) -> i32 {
        let correlation = self.begin(id, request, true);
        assert_eq!(self.client.handle_written(self.now, id), None);
        correlation
    }

    pub fn begin(&mut self, id: ConnectionId, request: u32, expects_answer: bool) -> i32 {
        let version = Version::new(9, true);
        self.client.begin_request(
            self.now,
            id,
            ApiKey::PRODUCE,
            version,
            request,
            expects_answer,
        )
    }

    /// Answers a request of the owner's with an empty body.
    pub fn reply(
        &mut self,
        id: ConnectionId,
        correlation: i32,
    ) -> Result<Option<Answer<u32>>, BrokerFault> {
        let mut frame = correlation.to_be_bytes().to_vec();
        frame.push(0);
        let result = self.client.handle_frame(self.now, id, &frame);
        self.run();
        result
    }

    /// Connects to a broker.
    pub fn reach(&mut self, id: i32) -> ConnectionId {
        self.client.want(self.now, node(id));
        self.run();
        self.ready(id)
    }

    /// Where it connected to, in order.
    pub fn dialled(&self) -> Vec<&str> {
        self.connects
            .iter()
            .map(|(_, _, address, _)| address.as_str())
            .collect()
    }

    /// The metadata requests so far.
    pub fn asked(&self) -> Vec<&Sent> {
        self.sent
            .iter()
            .filter(|sent| sent.api == ApiKey::METADATA)
            .collect()
    }

    pub fn take_events(&mut self) -> Vec<Event<u32>> {
        std::mem::take(&mut self.events)
    }

    pub fn exhausted(&self) -> Vec<&[Unreachable]> {
        let mut reports = Vec::new();
        for event in &self.events {
            if let Event::Exhausted(servers) = event {
                reports.push(servers.as_slice());
            }
        }
        reports
    }

    pub fn lost(&self) -> Vec<(u32, milena_client::LostReason, bool)> {
        let lost = |event: &Event<u32>| match *event {
            Event::Lost {
                request,
                why,
                begun,
                ..
            } => Some((request, why, begun)),
            _ => None,
        };
        self.events.iter().filter_map(lost).collect()
    }
}

pub fn response_frame<Q: Request>(
    correlation: i32,
    response: &Q::Response<'_>,
    version: i16,
) -> Vec<u8> {
    let frame = encode_response::<Q>(correlation, response, Q::version(version)).expect("sayable");
    frame.to_vec()[4..].to_vec()
}

pub fn versions(error: ErrorCode, ranges: &[(i16, i16, i16)]) -> ApiVersionsResponse<'static> {
    let api = |&(api_key, min_version, max_version)| ApiVersion {
        api_key,
        min_version,
        max_version,
    };
    let api_keys = ranges.iter().map(api).collect();
    ApiVersionsResponse {
        error_code: error.0,
        api_keys,
        ..ApiVersionsResponse::default()
    }
}

fn split(address: &str) -> (&str, i32) {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    (host, port.parse().expect("a port"))
}

fn broker(node_id: i32, host: &str, port: i32) -> MetadataResponseBroker<'_> {
    MetadataResponseBroker {
        node_id,
        host,
        port,
        rack: None,
    }
}

fn told<'a>(name: &'a str, topic: Option<&Topic>, version: i16) -> MetadataResponseTopic<'a> {
    let Some(topic) = topic else {
        return MetadataResponseTopic {
            error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0,
            name: Some(name),
            ..MetadataResponseTopic::default()
        };
    };
    let partition =
        |(index, &(leader_id, leader_epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
            error_code: match leader_id {
                NO_LISTENER => ErrorCode::LISTENER_NOT_FOUND.0,
                ..0 => ErrorCode::LEADER_NOT_AVAILABLE.0,
                _ => 0,
            },
            partition_index: i32::try_from(index).expect("few"),
            leader_id,
            leader_epoch,
            replica_nodes: vec![leader_id],
            isr_nodes: vec![leader_id],
            offline_replicas: Vec::new(),
        };
    let mut id = Uuid::ZERO;
    if version >= 10 {
        id.0[15] = topic.id;
    }
    // As brokers do, in no order.
    let mut partitions: Vec<_> = topic.partitions.iter().enumerate().map(partition).collect();
    partitions.reverse();
    MetadataResponseTopic {
        error_code: topic.error.0,
        name: Some(name),
        topic_id: id,
        partitions: if topic.error == ErrorCode::NONE {
            partitions
        } else {
            Vec::new()
        },
        ..MetadataResponseTopic::default()
    }
}
