//! The whole way of a record without sockets: accumulator, sender, frames, and answers to them.
//!
//! The broker is a model for everything but Produce requests: those are answered by a few lines, so that what is
//! counted is the producer.

use std::future::Future;
use std::io::IoSlice;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use milena_accumulator::{Accumulator, Record, Target, Topic, Value, Want};
use milena_broker::{Cluster, ClusterConfig};
use milena_sender::client::{self, Action, Address, ConnectionId};
use milena_sender::{Config, Cursor, FrameBuffer, Sender, Transmit, WriteJob};
use milena_wire::api::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use milena_wire::{ApiKey, Decode, RequestHeader, encode_response, peek_request};

use crate::layers::{Still, empty};

/// A producer and what it talks to, in one thread.
pub struct Pipeline {
    accumulator: Arc<Accumulator>,
    topic: Arc<Topic>,
    wires: Wires,
    clock: Still,
    value: Vec<u8>,
    used: i32,
}

/// The sender and what takes its frames.
struct Wires {
    sender: Sender,
    cluster: Cluster,
    now: Instant,
    connections: Vec<ConnectionId>,
    frame: FrameBuffer,
    bytes: Vec<u8>,
}

impl Pipeline {
    /// One with a topic of so many partitions, of which the first `used` get records.
    pub fn new(partitions: usize, used: i32, linger: Duration) -> Self {
        let now = Instant::now();
        let accumulator = empty(linger);
        let mut cluster = Cluster::new(ClusterConfig {
            host: "127.0.0.1".to_owned(),
            port: 9092,
            journal: 0,
            ..ClusterConfig::default()
        });
        cluster
            .create_topic("t", partitions)
            .expect("it does not exist yet");
        let config = Config {
            linger,
            client: client::Config::new(vec![Address::new("127.0.0.1", 9092)]),
            ..Config::default()
        };
        let mut wires = Wires {
            sender: Sender::new(config, Arc::clone(&accumulator), 7, now),
            cluster,
            now,
            connections: Vec::new(),
            frame: FrameBuffer::new(),
            bytes: Vec::new(),
        };
        let mut found = pin!(accumulator.wait_topic(now, "t", None, now + Duration::from_secs(60)));
        let mut context = Context::from_waker(Waker::noop());
        let topic = loop {
            if let Poll::Ready(topic) = found.as_mut().poll(&mut context) {
                break topic.expect("the topic exists");
            }
            wires.drive();
        };
        Self {
            accumulator: Arc::clone(&accumulator),
            topic,
            wires,
            clock: Still(now),
            value: vec![7; 100],
            used,
        }
    }

    /// Sends so many records; what does not fill a batch stays.
    pub fn send(&mut self, count: u64) {
        for number in 0..count {
            // One batch after the other, as an unkeyed record is placed.
            self.append((number / 128 % self.used as u64) as i32);
            if number % 1024 == 1023 {
                self.wires.drive();
            }
        }
        self.wires.drive();
    }

    /// Sends so many records, each to another partition than those before, a hundred for each time that `linger`
    /// ends: every record is a batch of its own.
    pub fn scatter(&mut self, count: u64, linger: Duration) {
        for number in 0..count {
            self.append((number % self.used as u64) as i32);
            if number % 100 == 99 {
                self.wires.drive();
                self.wires.now += linger;
                self.clock.0 = self.wires.now;
                self.wires.drive();
            }
        }
    }

    fn append(&self, partition: i32) {
        let record = Record {
            value: Value::Borrowed(&self.value),
            ..Record::default()
        };
        let appended = self.accumulator.append(
            &self.clock,
            &self.topic,
            &(Target::Partition(partition), record),
            Want::Nothing,
            None,
        );
        appended.expect("there is room");
    }
}

impl Wires {
    /// Does everything that can be done without time going on.
    fn drive(&mut self) {
        loop {
            let mut idle = true;
            while let Some(action) = self.sender.poll_action(self.now) {
                idle = false;
                match action {
                    Action::Connect { connection, .. } => {
                        self.cluster.connected(0, 1, connection.0);
                        self.connections.push(connection);
                        self.sender.handle_connected(self.now, connection);
                    }
                    Action::Close { connection, .. } => {
                        self.connections.retain(|open| *open != connection);
                    }
                    _ => {}
                }
            }
            for index in 0..self.connections.len() {
                let connection = self.connections[index];
                while let Some(work) = self.sender.poll_transmit(self.now, connection) {
                    idle = false;
                    match work {
                        Transmit::Write(job) => self.write(connection, job),
                        Transmit::Seal(_) => unreachable!("nothing is compressed here"),
                    }
                }
            }
            while self.sender.poll_wake(self.now).is_some() {
                idle = false;
            }
            while self.sender.poll_event().is_some() {}
            self.sender.take_bin().run();
            if idle {
                return;
            }
        }
    }

    /// Writes a frame as a socket would take it, and brings the answer.
    fn write(&mut self, connection: ConnectionId, job: WriteJob) {
        job.encode(&mut self.frame).expect("the name is short");
        self.bytes.clear();
        let mut cursor = Cursor::default();
        while !self.frame.is_written(&cursor) {
            let mut slices = [IoSlice::new(&[]); 64];
            let filled = self.frame.slices(&job, &cursor, &mut slices);
            let mut written = 0;
            for slice in &slices[..filled] {
                self.bytes.extend_from_slice(slice);
                written += slice.len();
            }
            self.frame.advance(&job, &mut cursor, written);
        }
        self.sender.handle_written(self.now, connection, job);
        let request = &self.bytes[4..];
        let answer = match peek_request(request) {
            Some((ApiKey::PRODUCE, _)) => produced(request),
            _ => self
                .cluster
                .handle(0, 1, connection.0, request)
                .into_bytes()
                .expect("the model answers at once"),
        };
        self.sender
            .handle_frame(self.now, connection, &answer[4..])
            .expect("the answer is well formed");
    }
}

/// Acknowledges everything.
fn produced(request: &[u8]) -> Vec<u8> {
    let (body, (header, version)) = RequestHeader::decode(request).expect("a good header");
    let (_, request) = ProduceRequest::decode(body, version).expect("a good request");
    let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: topic
            .partition_data
            .iter()
            .map(|partition| PartitionProduceResponse {
                index: partition.index,
                log_append_time_ms: -1,
                ..Default::default()
            })
            .collect(),
    });
    let response = ProduceResponse {
        responses: responses.collect(),
        ..Default::default()
    };
    encode_response::<ProduceRequest<'_>>(header.correlation_id, &response, version)
        .expect("the version has it all")
        .to_vec()
}
