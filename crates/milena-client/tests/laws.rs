//! What holds whatever the network does: random scenarios from seeds.
mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use milena_client::{
    Action, Address, Client, CloseReason, Config, ConnectFailure, ConnectionId, Event, LeaderHint,
    NodeId, NodeState, NotKafka, Rng, Why,
};
use milena_wire::api::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_wire::{
    ApiKey, ApiVersionsRequest, ErrorCode, MetadataRequest, RequestHeader, Uuid, Version,
    decode_body,
};
use net::{ms, node, response_frame, secs, versions};

const MAX_IN_FLIGHT: usize = 5;
const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

/// A connection as the chaotic driver sees it.
struct Open {
    connected: bool,
    /// Frames to be answered: correlation, API, version, topics.
    unanswered: Vec<(i32, ApiKey, i16, Vec<String>)>,
    unwritten: bool,
}

/// A driver and a cluster that do anything at any time.
struct Chaos {
    client: Client<u64>,
    now: Instant,
    rng: Rng,
    open: BTreeMap<ConnectionId, Open>,
    /// The owner's requests that have no outcome yet.
    pending: BTreeSet<u64>,
    next: u64,
    answered: u64,
    /// How often anything goes wrong, in percent.
    wild: usize,
}

impl Chaos {
    #[expect(
        clippy::disallowed_methods,
        reason = "virtual time has to begin somewhere"
    )]
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let mut config = Config::new(vec![
            Address::new("b1", 1),
            Address::new("b2", 2),
            Address::new("lb", 3),
        ]);
        config.max_in_flight = MAX_IN_FLIGHT;
        config.announced_writes = seed.is_multiple_of(2);
        Self {
            client: Client::new(config, seed, now),
            now,
            rng: Rng::new(!seed),
            open: BTreeMap::new(),
            pending: BTreeSet::new(),
            next: 0,
            answered: 0,
            wild: [1, 3, 10, 40][seed as usize % 4],
        }
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.rng.below(100) < percent
    }

    fn wrong(&mut self) -> bool {
        self.chance(self.wild)
    }

    fn any(&mut self) -> Option<ConnectionId> {
        let ids: Vec<_> = self.open.keys().copied().collect();
        ids.get(self.rng.below(ids.len())).copied()
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut idle = true;
            while let Some(action) = self.client.poll_action(self.now) {
                idle = false;
                match action {
                    Action::Connect { connection, .. } => {
                        let open = Open {
                            connected: false,
                            unanswered: Vec::new(),
                            unwritten: false,
                        };
                        assert!(self.open.insert(connection, open).is_none());
                    }
                    Action::Close { connection, .. } => {
                        assert!(
                            self.open.remove(&connection).is_some(),
                            "closed what is not open"
                        );
                    }
                    Action::Transmit { connection } => assert!(self.open.contains_key(&connection)),
                    other => panic!("{other:?}"),
                }
            }
            for (&id, open) in &mut self.open {
                if let Some(frame) = self.client.poll_transmit(self.now, id) {
                    idle = false;
                    assert!(open.connected && !open.unwritten, "one write at a time");
                    let (body, (header, version)) =
                        RequestHeader::decode(&frame[4..]).expect("good");
                    let mut topics = Vec::new();
                    if header.api_key == ApiKey::METADATA {
                        let request: MetadataRequest<'_> =
                            decode_body(body, version).expect("good");
                        let asked = request.topics.into_iter().flatten();
                        topics = asked
                            .filter_map(|topic| Some(topic.name?.to_owned()))
                            .collect();
                    }
                    open.unwritten = true;
                    open.unanswered.push((
                        header.correlation_id,
                        header.api_key,
                        version.number,
                        topics,
                    ));
                }
            }
            while let Some(event) = self.client.poll_event() {
                idle = false;
                match event {
                    Event::Lost { request, .. } => {
                        assert!(self.pending.remove(&request), "an outcome twice");
                    }
                    Event::NodeLost { node, .. } if self.chance(50) => {
                        self.client.want(self.now, node)
                    }
                    _ => {}
                }
            }
            if idle {
                return self.check();
            }
        }
        panic!("no end of things to do");
    }

    fn check(&self) {
        let mut nodes = BTreeSet::new();
        for (id, node) in self.client.connections() {
            assert!(self.open.contains_key(&id), "the driver does not know {id}");
            assert!(self.client.in_flight(id) <= MAX_IN_FLIGHT);
            if let Some(node) = node {
                assert!(nodes.insert(node), "two connections to {node}");
            }
        }
        assert_eq!(self.client.connections().len(), self.open.len());
        assert!(
            self.client.poll_timeout().is_some(),
            "nothing would ever happen again"
        );
        for (_, topic) in self.client.cluster().topics() {
            for (at, partition) in topic.partitions.iter().enumerate() {
                assert_eq!(partition.index as usize, at);
            }
        }
    }

    fn step(&mut self) {
        let wild = self.wrong();
        match if wild {
            7 + self.rng.below(7)
        } else {
            self.rng.below(7)
        } {
            0 | 1 => self.connect(),
            2 => self.write(),
            3 | 4 => self.answer(),
            5 => self.ask(),
            6 => self.pass(ms(50)),
            7 => self.pass(secs(20)),
            8 => self.fail(),
            9 => self.garbage(),
            10 => {
                let topic = TOPICS[self.rng.below(TOPICS.len())];
                self.client.track_topic(self.now, topic);
            }
            11 => self.client.request_update(self.now, Why::Asked),
            12 => {
                let hint = LeaderHint {
                    topic: TOPICS[self.rng.below(TOPICS.len())],
                    partition: self.rng.below(3) as i32,
                    leader: node(self.rng.below(6) as i32),
                    leader_epoch: self.rng.below(20) as i32 - 1,
                };
                self.client.apply_leader_hints(self.now, &[hint], &[]);
            }
            _ => {
                if let Some(id) = self.any() {
                    let pause = self.rng.below(3000) as i32 - 500;
                    self.client.note_throttle(self.now, id, pause);
                }
                self.client.want_any(self.now);
            }
        }
        self.settle();
    }

    fn connect(&mut self) {
        let Some(id) = self.any() else { return };
        let Some(open) = self.open.get_mut(&id).filter(|open| !open.connected) else {
            return;
        };
        open.connected = true;
        self.client.handle_connected(self.now, id);
    }

    fn write(&mut self) {
        let Some(id) = self.any() else { return };
        let Some(open) = self.open.get_mut(&id).filter(|open| open.unwritten) else {
            return;
        };
        open.unwritten = false;
        self.client.handle_write_begun(self.now, id);
        if let Some(done) = self.client.handle_written(self.now, id) {
            assert!(self.pending.remove(&done), "an outcome twice");
        }
    }

    fn ask(&mut self) {
        let id = node(self.rng.below(5) as i32);
        if self.chance(20) {
            self.client.want(self.now, id);
        }
        let NodeState::Ready(connection) = self.client.state(self.now, id) else {
            return;
        };
        let answered = self.chance(80);
        let version = Version::new(9, true);
        let request = self.next;
        self.next += 1;
        let correlation = self.client.begin_request(
            self.now,
            connection,
            ApiKey::PRODUCE,
            version,
            request,
            answered,
        );
        assert!(self.pending.insert(request));
        let open = self.open.get_mut(&connection).expect("open");
        assert!(!open.unwritten, "one write at a time");
        open.unwritten = true;
        if answered {
            open.unanswered
                .push((correlation, ApiKey::PRODUCE, 9, Vec::new()));
        }
    }

    fn answer(&mut self) {
        let Some(id) = self.any() else { return };
        let open = self.open.get_mut(&id).expect("open");
        if open.unanswered.is_empty() || (open.unwritten && open.unanswered.len() == 1) {
            return;
        }
        let (correlation, api, version, topics) = open.unanswered.remove(0);
        let mut frame = match api {
            ApiKey::API_VERSIONS => self.versions(correlation, version),
            ApiKey::METADATA => self.metadata(correlation, version, &topics),
            _ => [&correlation.to_be_bytes()[..], &[0, 1, 2, 3]].concat(),
        };
        if self.wrong() && self.chance(20) {
            let at = self.rng.below(frame.len());
            frame[at] ^= 1 << self.rng.below(8);
        }
        if let Ok(Some(answer)) = self.client.handle_frame(self.now, id, &frame) {
            assert!(self.pending.remove(&answer.request), "an outcome twice");
            self.answered += 1;
            assert!(answer.body <= frame.len());
        }
    }

    fn versions(&mut self, correlation: i32, version: i16) -> Vec<u8> {
        let max = if self.wrong() {
            self.rng.below(4) as i16
        } else {
            4
        };
        let ranges = [(0, 3, 13), (3, 0, 13), (18, 0, max)];
        let (error, number) = if version <= max {
            (ErrorCode::NONE, version)
        } else {
            (ErrorCode::UNSUPPORTED_VERSION, 0)
        };
        response_frame::<ApiVersionsRequest<'_>>(correlation, &versions(error, &ranges), number)
    }

    fn metadata(&mut self, correlation: i32, version: i16, topics: &[String]) -> Vec<u8> {
        let mut broker = |node_id: i32| MetadataResponseBroker {
            node_id,
            host: if self.rng.below(1000) >= self.wild {
                "b1"
            } else {
                "elsewhere"
            },
            port: node_id,
            rack: None,
        };
        let brokers: Vec<_> = (1..5).map(&mut broker).collect();
        let keep = if self.wrong() { self.rng.below(5) } else { 4 };
        let mut topic = |name| MetadataResponseTopic {
            error_code: [0, 0, 0, 3, 5, 17, 29][self.rng.below(7)],
            name: Some(name),
            topic_id: Uuid([self.rng.below(2) as u8; 16]),
            partitions: (0..self.rng.below(4) as i32)
                .map(|partition_index| MetadataResponsePartition {
                    partition_index,
                    leader_id: self.rng.below(5) as i32 - 1,
                    leader_epoch: self.rng.below(20) as i32 - 1,
                    ..MetadataResponsePartition::default()
                })
                .collect(),
            ..MetadataResponseTopic::default()
        };
        let topics = topics.iter().map(|name| topic(name)).collect();
        let anew = self.wrong() && self.chance(10);
        let response = MetadataResponse {
            brokers: brokers[..keep].to_vec(),
            topics,
            error_code: if anew && version >= 13 {
                ErrorCode::REBOOTSTRAP_REQUIRED.0
            } else {
                0
            },
            ..MetadataResponse::default()
        };
        response_frame::<MetadataRequest<'_>>(correlation, &response, version)
    }

    fn fail(&mut self) {
        let Some(id) = self.any() else { return };
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        if open.connected {
            let reasons = [
                CloseReason::Peer,
                CloseReason::Io("reset".to_owned()),
                CloseReason::NotKafka(NotKafka::Http),
            ];
            let reason = reasons[self.rng.below(3)].clone();
            self.client.handle_closed(self.now, id, reason);
        } else {
            self.client.handle_connect_failed(
                self.now,
                id,
                ConnectFailure::Refused("no".to_owned()),
            );
        }
    }

    fn garbage(&mut self) {
        let Some(id) = self.any() else { return };
        if !self.open[&id].connected || self.chance(70) {
            return;
        }
        let frame: Vec<u8> = (0..self.rng.below(40))
            .map(|_| self.rng.below(256) as u8)
            .collect();
        if let Ok(Some(answer)) = self.client.handle_frame(self.now, id, &frame) {
            assert!(self.pending.remove(&answer.request), "an outcome twice");
            // The answer that was meant for it comes too late now.
            self.open.get_mut(&id).expect("open").unanswered.remove(0);
        }
    }

    fn pass(&mut self, most: Duration) {
        let end = self.now + self.rng.jittered(most / 2, 1.0);
        for _ in 0..1000 {
            match self.client.poll_timeout() {
                Some(at) if at <= end => {
                    self.now = at.max(self.now);
                    self.client.handle_timeout(self.now);
                    assert!(
                        self.client.poll_timeout().is_none_or(|at| at > self.now),
                        "due again at once"
                    );
                    self.settle();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the clock does not get on");
    }
}

#[test]
fn whatever_happens_each_request_has_one_outcome_and_everything_heals() {
    let (mut begun, mut answered, mut updates) = (0, 0, 0);
    for seed in 0..200 {
        let mut chaos = Chaos::new(seed);
        chaos.settle();
        for _ in 0..1500 {
            chaos.step();
        }
        // From here on every broker does what it should: each can be reached before long.
        chaos.wild = 0;
        chaos.pass(secs(120));
        chaos.settle();
        for id in [1, 3] {
            let mut steps = 0;
            // A bit that was wrong may have asked for days of silence.
            while !matches!(
                chaos.client.state(chaos.now, NodeId(id)),
                NodeState::Ready(_) | NodeState::Throttled(_)
            ) {
                chaos.client.want(chaos.now, NodeId(id));
                chaos.settle();
                chaos.step();
                steps += 1;
                assert!(
                    steps < 20_000,
                    "seed {seed}: {:?}",
                    chaos.client.state(chaos.now, NodeId(id))
                );
            }
        }
        chaos.client.shut_down(chaos.now);
        while let Some(event) = chaos.client.poll_event() {
            if let Event::Lost { request, .. } = event {
                assert!(
                    chaos.pending.remove(&request),
                    "seed {seed}: an outcome twice"
                );
            }
        }
        assert!(
            chaos.pending.is_empty(),
            "seed {seed}: no outcome for {:?}",
            chaos.pending
        );
        begun += chaos.next;
        answered += chaos.answered;
        updates += chaos.client.cluster().version();
    }
    // It was not for want of anything happening.
    assert!(
        begun > 5_000 && answered > 2_000 && begun - answered > 500,
        "{begun} {answered}"
    );
    assert!(updates > 1_000, "{updates}");
}
