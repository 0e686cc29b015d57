//! What happens between the producer and its brokers: requests arrive, answers come or do not, connections end.

use std::time::Duration;

use milena_broker::{Change, Reply};
use milena_sender::client::{CloseReason, ConnectFailure, ConnectionId};

use crate::tell;
use crate::world::{Happening, World};

impl World {
    pub(crate) fn happen(&mut self, happening: Happening) {
        let now = self.instant();
        match happening {
            Happening::Connected(connection) => {
                let millis = self.millis();
                let Some(wire) = self.wires.get_mut(&connection) else {
                    return;
                };
                wire.open = true;
                self.cluster.connected(millis, wire.broker, connection.0);
                self.sender.handle_connected(now, connection);
                self.woken.insert(connection);
            }
            Happening::ConnectFailed(connection) => {
                if self.wires.remove(&connection).is_some() {
                    let why = ConnectFailure::Refused("simulated".to_owned());
                    self.sender.handle_connect_failed(now, connection, why);
                }
            }
            Happening::Sealed(connection, sealed) => {
                self.sender.handle_sealed(now, sealed);
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.sealing = false;
                    self.woken.insert(connection);
                }
            }
            Happening::Written(connection) => {
                let Some(job) = self
                    .wires
                    .get_mut(&connection)
                    .and_then(|wire| wire.writing.take())
                else {
                    return;
                };
                self.sender.handle_written(now, connection, job);
                self.woken.insert(connection);
            }
            Happening::Arrives {
                connection,
                broker,
                frame,
            } => self.arrive(connection, broker, frame),
            Happening::Resumes {
                connection,
                broker,
                frame,
                wait,
            } => {
                let millis = self.millis();
                let reply = self.cluster.resume(millis, broker, &frame, wait);
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.holding = false;
                }
                self.reply(connection, broker, frame, reply);
                self.release(connection);
            }
            Happening::Answered { connection, bytes } => self.answered(connection, &bytes),
            Happening::PeerCloses(connection) => {
                self.note(|| format!("broker closes {connection:?}"));
                if self.wires.contains_key(&connection) {
                    self.forget(connection);
                    self.sender
                        .handle_closed(now, connection, CloseReason::Peer);
                }
            }
            Happening::Changes(change) => self.change(change),
            Happening::Pause => {}
        }
    }

    /// A request arrives. A broker carries out what its socket holds even when the client is gone.
    fn arrive(&mut self, connection: ConnectionId, broker: i32, frame: Vec<u8>) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            if wire.closed_there || wire.silent {
                return;
            }
            if wire.holding {
                return wire.held.push(frame);
            }
        }
        let now = self.millis();
        self.note(|| {
            format!(
                "broker {broker} reads on {connection:?}: {}",
                tell::request(&frame)
            )
        });
        let reply = self.cluster.handle(now, broker, connection.0, &frame);
        self.reply(connection, broker, frame, reply);
    }

    fn reply(&mut self, connection: ConnectionId, broker: i32, frame: Vec<u8>, reply: Reply) {
        let flight = self.flight();
        self.note(|| {
            format!(
                "broker {broker} on {connection:?}: {}",
                tell::reply(&frame, &reply)
            )
        });
        match reply {
            Reply::Answer(answer) => {
                let Some(wire) = self.wires.get_mut(&connection) else {
                    return;
                };
                let at = self.now + flight + Duration::from_millis(answer.after_ms);
                wire.answers = wire.answers.max(at);
                let at = wire.answers;
                wire.closed_there |= answer.then_close;
                self.at(
                    at,
                    Happening::Answered {
                        connection,
                        bytes: answer.bytes,
                    },
                );
                if answer.then_close {
                    self.at(
                        at + Duration::from_micros(10),
                        Happening::PeerCloses(connection),
                    );
                }
            }
            Reply::Nothing => {}
            Reply::Silence => {
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.silent = true;
                }
            }
            Reply::Wait(wait) => {
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.holding = true;
                }
                let at = Duration::from_millis(wait.until_ms.max(0) as u64);
                self.at(
                    at,
                    Happening::Resumes {
                        connection,
                        broker,
                        frame,
                        wait,
                    },
                );
            }
            Reply::Close => {
                if let Some(wire) = self.wires.get_mut(&connection) {
                    wire.closed_there = true;
                    let at = wire.answers.max(self.now + flight);
                    self.at(at, Happening::PeerCloses(connection));
                }
            }
        }
    }

    /// Requests that waited behind a held one are carried out, until one of them is held.
    fn release(&mut self, connection: ConnectionId) {
        while let Some(wire) = self.wires.get_mut(&connection) {
            if wire.holding || wire.closed_there || wire.held.is_empty() {
                return;
            }
            let (frame, broker) = (wire.held.remove(0), wire.broker);
            self.arrive(connection, broker, frame);
        }
    }

    fn answered(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let now = self.instant();
        if !self.wires.contains_key(&connection) {
            return;
        }
        let Some(frame) = whole_frame(bytes) else {
            // Half an answer is followed by the connection's end; of garbage the producer makes an end itself.
            let announced = bytes
                .first_chunk::<4>()
                .map(|length| i32::from_be_bytes(*length));
            if announced.is_some_and(|length| length as usize > bytes.len()) {
                return;
            }
            self.forget(connection);
            let reason = CloseReason::Io("garbage".to_owned());
            return self.sender.handle_closed(now, connection, reason);
        };
        self.woken.insert(connection);
        if let Err(fault) = self.sender.handle_frame(now, connection, frame) {
            self.note(|| format!("fault on {connection:?}: {fault}"));
            self.forget(connection);
            self.sender
                .handle_closed(now, connection, CloseReason::Fault(fault));
        }
    }

    /// Carries a change out, and closes the connections of a broker that goes down.
    pub fn change(&mut self, change: Change) {
        self.note(|| format!("{change:?}"));
        let now = self.millis();
        let down = match &change {
            Change::BrokerDown(broker) => Some(*broker),
            _ => None,
        };
        // What cannot be done any more (a topic that is gone) is no fault of the plan's.
        let _ = self.cluster.apply(now, change);
        if let Some(broker) = down {
            let there = self
                .wires
                .iter_mut()
                .filter(|(_, wire)| wire.broker == broker);
            let closed: Vec<_> = there
                .map(|(id, wire)| {
                    wire.closed_there = true;
                    *id
                })
                .collect();
            for connection in closed {
                let at = self.now + self.flight();
                self.at(at, Happening::PeerCloses(connection));
            }
        }
    }
}

/// The frame in these bytes, if they are exactly one.
fn whole_frame(bytes: &[u8]) -> Option<&[u8]> {
    let (length, frame) = bytes.split_first_chunk::<4>()?;
    (i32::from_be_bytes(*length) == i32::try_from(frame.len()).ok()?).then_some(frame)
}
