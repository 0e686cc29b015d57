//! What the accumulator and the client have to tell.

use std::time::Instant;

use milena_accumulator::What;
use milena_client::Event as ClientEvent;

use crate::event::{Event, Request};
use crate::partition::Waiting;
use crate::sender::Sender;
use crate::settle::lost_code;

impl Sender {
    /// Reads the accumulator's inbox: batches that opened or filled, topics that are asked for.
    pub(crate) fn hear(&mut self, now: Instant) {
        let mut news = std::mem::take(&mut self.news);
        self.accumulator.drain_news(&mut news);
        // In two rounds: the first has nothing to do but to fetch them, and waits for all of them at once.
        for item in &news {
            if let Some(partition) = self.board.get_mut(item.slot) {
                // News can be older than what a take has told since: it never takes back.
                partition.waiting = match (item.what, partition.waiting) {
                    (What::Opened { at }, Waiting::Nothing) => Waiting::Open(at),
                    (What::Opened { .. }, known) => known,
                    (What::Filled { at }, _) => Waiting::Full(at),
                };
            }
        }
        for item in news.drain(..) {
            self.reschedule(now, item.slot);
        }
        self.news = news;
        let pressed = self.accumulator.pressed();
        if pressed && !self.was_pressed {
            self.ring_all();
        }
        self.was_pressed = pressed;
        self.ask_for_topics(now);
        self.look_at_nodes(now);
    }

    /// Takes what the client has to tell.
    pub(crate) fn pump(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            self.handle_client_event(now, event);
        }
    }

    fn handle_client_event(&mut self, now: Instant, event: ClientEvent<Request>) {
        match event {
            ClientEvent::Lost {
                request: Request::Produce(slots),
                why,
                begun,
                ..
            } => {
                self.handle_lost(now, slots, why, begun);
            }
            ClientEvent::Lost {
                request: Request::InitProducerId,
                why,
                ..
            } => self.identity_refused(now, lost_code(why)),
            ClientEvent::Bootstrapped { .. } => {
                self.search.rung = None;
                self.events.push(Event::Connected);
            }
            ClientEvent::Exhausted(list) => self.events.push(Event::Unreachable(list)),
            ClientEvent::NodeReady(node) => {
                self.unreachable.remove(&node);
                self.search.rung = None;
                self.board.ring(node);
            }
            ClientEvent::NodeLost { node, reason } => {
                let broker = self.client.cluster().broker(node);
                let at =
                    broker.map_or_else(String::new, |broker| format!(" at {}", broker.address));
                // What is known of an advertised address says more.
                self.unreachable.get_or_insert_with(node, || {
                    format!("no connection to broker {}{at}: {reason}", node.0)
                });
                if self.board.wants(node) {
                    self.client.want(now, node);
                }
            }
            ClientEvent::AdvertisedUnreachable {
                node,
                bootstrap,
                advertised,
                failure,
            } => {
                let explanation = format!(
                    "broker {} advertises {advertised}, which cannot be reached: {failure}; {bootstrap} could: \
                     check advertised.listeners",
                    node.0
                );
                tracing::warn!("{explanation}");
                self.unreachable.insert(node, explanation.clone());
                self.events.push(Event::AdvertisedUnreachable {
                    node,
                    advertised,
                    explanation,
                });
            }
            ClientEvent::Metadata(update) => self.learn(now, &update),
            ClientEvent::TopicError { topic, error } => self.topic_error(&topic, error),
            _ => {}
        }
    }
}
