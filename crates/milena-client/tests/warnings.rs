//! What is wrong with topics is told at `warn`, once for each change.
mod net;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use milena_client::Why;
use milena_wire::ErrorCode;
use net::{NO_LISTENER, Net, config, secs};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the warnings as text.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().expect("no panic").push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_topic_that_changes_for_the_worse_is_warned_of_once() {
    let warnings = Warnings::default();
    let _here = tracing::subscriber::set_default(warnings.clone());
    let mut net = Net::started(config("b1:9092"));
    net.topic("t", &[(1, 5), (2, 5), (3, 5)]);
    net.client.track_topic(net.now, "t");
    net.run();
    assert_eq!(warnings.take(), [""; 0]);
    let update = |net: &mut Net| {
        for _ in 0..3 {
            net.client.request_update(net.now, Why::Asked);
            net.advance(secs(2));
        }
        warnings.take()
    };

    net.topic("t", &[(NO_LISTENER, 6), (NO_LISTENER, 6), (3, 5)]);
    let told = update(&mut net);
    assert!(
        told.len() == 1
            && told[0].contains("LISTENER_NOT_FOUND")
            && told[0].contains("partitions=2"),
        "{told:?}"
    );
    net.topic("t", &[(1, 7), (2, 7), (3, 5)]);
    assert_eq!(update(&mut net), [""; 0]);

    net.topics.get_mut("t").expect("there").error = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let told = update(&mut net);
    assert!(
        told.len() == 1 && told[0].contains("TOPIC_AUTHORIZATION_FAILED"),
        "{told:?}"
    );
    net.topics.get_mut("t").expect("there").error = ErrorCode::NONE;
    assert_eq!(update(&mut net), [""; 0]);
}
