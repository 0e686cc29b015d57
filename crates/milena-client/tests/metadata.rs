//! When the cluster is asked about, and what becomes of the answers.
mod net;

use std::time::Duration;

use milena_client::{
    CloseReason, Endpoint, Event, LeaderHint, MetadataFailure, MetadataUpdate, Why,
};
use milena_wire::api::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_wire::{ErrorCode, MetadataRequest};
use net::{Net, brokers, config, ms, node, response_frame, secs};

impl Net {
    /// A client that has one topic whose partitions are led by 1, 2 and 3.
    fn with_topic() -> Self {
        let mut net = Self::started(config("b1:9092"));
        net.topic("t", &[(1, 5), (2, 5), (3, 5)]);
        net.client.track_topic(net.now, "t");
        net.run();
        assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
        net.take_events();
        net
    }

    fn leaders(&self, topic: &str) -> Vec<Option<i32>> {
        let partitions = self
            .cluster()
            .topic(topic)
            .map_or(&[][..], |topic| &topic.partitions);
        partitions
            .iter()
            .map(|partition| partition.leader.map(|leader| leader.0))
            .collect()
    }

    fn updates(&self) -> Vec<&MetadataUpdate> {
        let mut updates = Vec::new();
        for event in &self.events {
            if let Event::Metadata(update) = event {
                updates.push(update);
            }
        }
        updates
    }

    fn asked_at(&self) -> Vec<Duration> {
        self.asked().iter().map(|sent| sent.at).collect()
    }

    fn update(&mut self) {
        self.client.request_update(self.now, Why::Asked);
        self.advance(secs(2));
    }

    fn topic_errors(&self) -> Vec<(&str, ErrorCode)> {
        let mut errors = Vec::new();
        for event in &self.events {
            if let Event::TopicError { topic, error } = event {
                errors.push((&**topic, *error));
            }
        }
        errors
    }
}

#[test]
fn the_first_request_names_no_topics() {
    let net = Net::started(config("b1:9092"));
    assert_eq!(net.asked().len(), 1);
    assert!(net.asked()[0].topics.is_empty());
    assert_eq!(net.cluster().id.as_deref(), Some("cluster"));
    assert_eq!(net.cluster().controller, Some(node(1)));
}

#[test]
fn a_new_topic_is_asked_for_at_once_and_alone() {
    let mut net = Net::with_topic();
    net.topic("u", &[(2, 0)]);
    net.client.track_topic(net.now, "u");
    net.run();
    assert_eq!(net.asked().last().expect("asked").topics, ["u"]);
    assert_eq!(net.asked().last().expect("asked").at, ms(0));
    let update = net.updates()[0];
    assert_eq!(
        update
            .changed
            .iter()
            .map(|topic| &**topic)
            .collect::<Vec<_>>(),
        ["u"]
    );
    assert_eq!(update.mentioned, update.changed);
    // What was known stays.
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
    // Once more it is nothing new.
    let asked = net.asked().len();
    net.client.track_topic(net.now, "u");
    net.client.use_topic(net.now, "u");
    net.run();
    assert_eq!(net.asked().len(), asked);
}

#[test]
fn topics_that_come_while_a_request_is_under_way_are_asked_for_next() {
    let mut net = Net::with_topic();
    net.hold_metadata = true;
    net.topic("u", &[(2, 0)]);
    net.topic("v", &[(3, 0)]);
    net.client.track_topic(net.now, "u");
    net.run();
    net.client.track_topic(net.now, "v");
    net.run();
    let first = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    assert_eq!(first.topics, ["u"]);
    net.hold_metadata = false;
    net.tell_metadata(&first);
    net.run();
    assert_eq!(net.asked().last().expect("asked").topics, ["v"]);
    assert_eq!((net.leader("u", 0), net.leader("v", 0)), (Some(2), Some(3)));
}

#[test]
fn metadata_is_renewed_by_age_and_in_full() {
    let mut net = Net::with_topic();
    let before = net.asked().len();
    for _ in 0..3 {
        net.advance(secs(100));
        net.client.use_topic(net.now, "t");
    }
    net.advance(secs(1));
    net.client.use_topic(net.now, "t");
    assert_eq!(net.asked().len(), before + 1);
    let request = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    assert_eq!(
        (request.at, request.topics),
        (secs(300), vec!["t".to_owned()])
    );
    net.advance(secs(600));
    assert_eq!(net.asked_at()[before..], [secs(300), secs(600), secs(900)]);
}

#[test]
fn a_partial_answer_does_not_renew_the_age() {
    let mut net = Net::with_topic();
    net.advance(secs(200));
    net.client.use_topic(net.now, "t");
    net.topic("u", &[(2, 0)]);
    net.client.track_topic(net.now, "u");
    net.advance(secs(100));
    assert_eq!(net.asked().last().expect("asked").at, secs(300));
    assert_eq!(net.asked().last().expect("asked").topics, ["t", "u"]);
}

#[test]
fn requested_updates_keep_a_distance() {
    let mut net = Net::with_topic();
    net.advance(secs(10));
    let before = net.asked().len();
    // Nothing new in any answer: the distance grows up to a second.
    let begin = net.elapsed();
    for _ in 0..800 {
        net.client.request_update(net.now, Why::StaleLeader);
        net.advance(ms(10));
    }
    let mut at = net.asked_at().split_off(before);
    assert_eq!(at.remove(0), begin);
    let mut last = begin;
    for (at, middle) in at.into_iter().zip([100, 200, 400, 800, 1000, 1000]) {
        let distance = at - last;
        let (least, most) = (ms(middle * 8 / 10), ms((middle * 12 / 10).min(1000) + 10));
        assert!(
            distance >= least && distance <= most,
            "{middle}: {distance:?}"
        );
        last = at;
    }
}

#[test]
fn news_put_the_distance_back() {
    let mut net = Net::with_topic();
    net.advance(secs(10));
    for _ in 0..500 {
        net.client.request_update(net.now, Why::StaleLeader);
        net.advance(ms(10));
    }
    net.topic("t", &[(1, 6), (2, 5), (3, 5)]);
    net.advance(secs(2));
    assert_eq!(
        net.cluster().topic("t").expect("known").partitions[0].leader_epoch,
        6
    );
    let asked = net.asked().len();
    net.client.request_update(net.now, Why::StaleLeader);
    net.run();
    assert_eq!(net.asked().len(), asked + 1);
    net.client.request_update(net.now, Why::StaleLeader);
    net.advance(ms(120));
    assert_eq!(net.asked().len(), asked + 2);
}

#[test]
fn what_is_requested_during_a_request_is_not_forgotten() {
    let mut net = Net::with_topic();
    net.advance(secs(10));
    net.hold_metadata = true;
    net.client.request_update(net.now, Why::StaleLeader);
    net.run();
    net.client.request_update(net.now, Why::StaleLeader);
    net.run();
    let first = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    let asked = net.asked().len();
    net.hold_metadata = false;
    net.tell_metadata(&first);
    net.advance(secs(2));
    assert_eq!(net.asked().len(), asked + 1);
}

#[test]
fn failures_back_off() {
    let mut net = Net::with_topic();
    net.brokers.clear();
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.advance(secs(8));
    let at = net.asked_at();
    let begin = at.iter().position(|&at| at == secs(10)).expect("asked");
    for (pair, middle) in at[begin..].windows(2).zip([100, 200, 400, 800, 1000, 1000]) {
        let distance = pair[1] - pair[0];
        let (least, most) = (ms(middle * 8 / 10), ms((middle * 12 / 10).min(1000)));
        assert!(
            distance >= least && distance <= most,
            "{middle}: {distance:?}"
        );
    }
    // An answer without brokers is ignored.
    assert!(
        net.events
            .contains(&Event::MetadataFailed(MetadataFailure::NoBrokers))
    );
    assert!(net.updates().is_empty());
    assert_eq!(net.cluster().brokers().len(), 3);
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
    net.brokers = brokers(3);
    net.advance(secs(1));
    assert_eq!(net.updates().len(), 1);
}

#[test]
fn a_lost_request_is_repeated_elsewhere() {
    let mut net = Net::with_topic();
    net.advance(secs(10));
    net.hold_metadata = true;
    net.client.request_update(net.now, Why::Asked);
    net.run();
    let first = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    net.hold_metadata = false;
    net.cut(first.connection);
    assert!(
        net.events
            .contains(&Event::MetadataFailed(MetadataFailure::Lost(
                CloseReason::Peer
            )))
    );
    net.advance(ms(130));
    let second = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    assert_ne!(second.connection, first.connection);
    assert_eq!(second.topics, ["t"]);
    assert_eq!(net.updates().len(), 1);
}

#[test]
fn a_lost_connection_is_a_reason_to_ask() {
    let mut net = Net::with_topic();
    let two = net.reach(2);
    net.advance(secs(10));
    let asked = net.asked().len();
    net.cut(two);
    assert_eq!(net.asked().len(), asked + 1);
}

#[test]
fn the_least_loaded_broker_is_asked() {
    let mut net = Net::with_topic();
    let ids = [net.ready(1), net.reach(2), net.reach(3)];
    for (requests, &id) in [3, 1, 2].iter().zip(&ids) {
        for request in 0..*requests {
            net.ask(id, request);
        }
    }
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.run();
    assert_eq!(net.asked().last().expect("asked").to, "b2:9092");
}

#[test]
fn equally_loaded_brokers_take_turns() {
    let mut net = Net::with_topic();
    net.reach(2);
    net.reach(3);
    for _ in 0..60 {
        net.update();
    }
    for broker in ["b1:9092", "b2:9092", "b3:9092"] {
        let count = net.asked().iter().filter(|sent| sent.to == broker).count();
        assert!(count > 8, "{broker}: {count}");
    }
}

#[test]
fn metadata_goes_first_when_a_full_connection_has_room() {
    let mut net = Net::with_topic();
    let one = net.ready(1);
    let correlations: Vec<_> = (0..5).map(|request| net.ask(one, request)).collect();
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.advance(ms(500));
    let asked = net.asked().len();
    let open = net.open.len();
    net.hold_metadata = true;
    net.reply(one, correlations[0]).expect("in order");
    assert_eq!(net.asked().len(), asked + 1);
    assert_eq!(net.open.len(), open);
}

#[test]
fn metadata_does_not_wait_for_a_full_connection_for_ever() {
    let mut net = Net::with_topic();
    let one = net.ready(1);
    for request in 0..5 {
        net.ask(one, request);
    }
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.advance(ms(999));
    assert_eq!(net.open.len(), 1);
    net.advance(ms(1));
    assert_eq!(net.open.len(), 2);
    assert_ne!(net.asked().last().expect("asked").connection, one);
}

#[test]
fn a_topic_that_is_not_used_is_forgotten() {
    let mut net = Net::with_topic();
    net.topic("u", &[(2, 0)]);
    net.client.track_topic(net.now, "u");
    net.run();
    net.take_events();
    for _ in 0..3 {
        net.advance(secs(99));
        net.client.use_topic(net.now, "u");
    }
    net.advance(secs(4));
    assert!(!net.client.is_tracked("t"));
    assert!(net.client.is_tracked("u"));
    assert!(net.cluster().topic("t").is_none());
    assert_eq!(net.cluster().topics().len(), 1);
    let removed: Vec<_> = net
        .updates()
        .iter()
        .flat_map(|update| &update.removed)
        .map(|topic| &**topic)
        .collect();
    assert_eq!(removed, ["t"]);
    net.advance(secs(300));
    assert!(net.asked().last().expect("asked").topics == ["u"]);
    // Used again it is new again.
    net.client.use_topic(net.now, "t");
    net.run();
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
}

#[test]
fn an_answer_that_is_ignored_forgets_no_topic() {
    let mut net = Net::with_topic();
    net.brokers = vec![(-1, "b1:9092".to_owned())];
    net.advance(secs(400));
    let ignored = Event::MetadataFailed(MetadataFailure::NoBrokers);
    assert!(net.events.contains(&ignored));
    assert!(net.client.is_tracked("t"));
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
    net.brokers = brokers(3);
    net.advance(secs(2));
    assert!(!net.client.is_tracked("t"));
    let updates = net.updates();
    let mut removed = updates.iter().flat_map(|update| &update.removed);
    assert!(removed.any(|topic| &**topic == "t"));
}

#[test]
fn an_answer_without_partitions_says_nothing_of_them() {
    let mut net = Net::with_topic();
    net.topic("t", &[]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
    let error = net.cluster().topic("t").expect("known").error;
    assert_eq!(error, ErrorCode::LEADER_NOT_AVAILABLE);
}

#[test]
fn a_topic_nobody_has_told_of_yet_does_not_expire() {
    let mut net = Net::started(config("b1:9092"));
    net.hold_metadata = true;
    net.advance(secs(1));
    net.client.track_topic(net.now, "t");
    net.advance(secs(700));
    assert!(net.client.is_tracked("t"));
    net.topic("t", &[(1, 0)]);
    net.hold_metadata = false;
    net.advance(secs(40));
    assert_eq!(net.leaders("t"), [Some(1)]);
}

#[test]
fn an_unknown_topic_is_asked_for_until_it_is_there() {
    let mut net = Net::started(config("b1:9092"));
    net.client.track_topic(net.now, "t");
    net.run();
    assert_eq!(
        net.topic_errors(),
        [("t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]
    );
    assert_eq!(
        net.cluster().topic("t").expect("heard of").error,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    net.advance(secs(10));
    let asked = net.asked().len();
    assert!((10..20).contains(&asked), "{asked}");
    net.topic("t", &[(1, 0)]);
    net.advance(secs(2));
    assert_eq!(net.leaders("t"), [Some(1)]);
    assert_eq!(
        net.cluster().topic("t").expect("known").error,
        ErrorCode::NONE
    );
    let asked = net.asked().len();
    net.advance(secs(200));
    assert_eq!(net.asked().len(), asked);
}

#[test]
fn a_topic_that_is_denied_for_a_moment_keeps_its_partitions() {
    let mut net = Net::with_topic();
    let topic = net.topics.remove("t").expect("there");
    net.update();
    let known = net.cluster().topic("t").expect("known");
    assert_eq!(known.error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(known.partitions.len(), 3);
    assert_eq!(known.partitions[0].leader_epoch, 5);
    net.topics.insert("t".to_owned(), topic);
    net.advance(secs(2));
    assert_eq!(
        net.cluster().topic("t").expect("known").error,
        ErrorCode::NONE
    );
}

#[test]
fn topics_that_may_not_or_cannot_be_are_told_and_do_not_hurry() {
    let mut net = Net::with_topic();
    for (name, error) in [
        ("secret", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        ("odd", ErrorCode::INVALID_TOPIC_EXCEPTION),
    ] {
        net.topic(name, &[]);
        net.topics.get_mut(name).expect("there").error = error;
        net.client.track_topic(net.now, name);
        net.run();
        assert_eq!(net.topic_errors(), [(name, error)]);
        assert_eq!(net.cluster().topic(name).expect("heard of").error, error);
        net.take_events();
        let asked = net.asked().len();
        net.advance(secs(20));
        assert_eq!(net.asked().len(), asked);
    }
}

#[test]
fn a_name_that_no_topic_can_have_is_told_and_not_asked_for() {
    let mut net = Net::with_topic();
    let asked = net.asked().len();
    for name in ["a/b", &"x".repeat(40_000)] {
        net.client.track_topic(net.now, name);
        net.run();
        let error = ErrorCode::INVALID_TOPIC_EXCEPTION;
        assert_eq!(net.topic_errors(), [(name, error)]);
        assert!(!net.client.is_tracked(name));
        net.take_events();
    }
    assert_eq!(net.asked().len(), asked);
    net.update();
    assert_eq!(net.asked().last().expect("asked").topics, ["t"]);
}

#[test]
fn a_partition_without_leader_is_taken_over_and_asked_for_again() {
    let mut net = Net::with_topic();
    net.topic("t", &[(1, 5), (-1, 6), (3, 5)]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(1), None, Some(3)]);
    let partition = &net.cluster().topic("t").expect("known").partitions[1];
    assert_eq!(partition.error, ErrorCode::LEADER_NOT_AVAILABLE);
    net.topic("t", &[(1, 5), (3, 7), (3, 5)]);
    net.advance(secs(2));
    assert_eq!(net.leaders("t"), [Some(1), Some(3), Some(3)]);
}

#[test]
fn a_leader_without_an_address_is_none() {
    let mut net = Net::with_topic();
    net.topic("t", &[(1, 5), (9, 6), (3, 5)]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(1), None, Some(3)]);
}

#[test]
fn an_older_epoch_is_not_believed() {
    let mut net = Net::with_topic();
    net.topic("t", &[(2, 4), (2, 5), (1, 6)]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(1)]);
    let epochs: Vec<_> = net
        .cluster()
        .topic("t")
        .expect("known")
        .partitions
        .iter()
        .map(|p| p.leader_epoch)
        .collect();
    assert_eq!(epochs, [5, 5, 6]);
}

#[test]
fn a_topic_created_anew_begins_with_a_lower_epoch() {
    let mut net = Net::with_topic();
    let old = net.cluster().topic("t").expect("known").id;
    net.topic("t", &[(3, 0), (3, 0)]);
    net.topics.get_mut("t").expect("there").id = 2;
    net.take_events();
    net.update();
    let topic = net.cluster().topic("t").expect("known");
    assert_ne!(topic.id, old);
    assert_eq!(topic.partitions.len(), 2);
    assert_eq!(net.leaders("t"), [Some(3), Some(3)]);
    assert_eq!(topic.partitions[0].leader_epoch, 0);
    assert!(
        net.updates()
            .iter()
            .any(|update| update.changed.iter().any(|topic| &**topic == "t"))
    );
}

#[test]
fn a_broker_that_knows_fewer_partitions_is_behind() {
    let mut net = Net::with_topic();
    net.topic("t", &[(1, 5)]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3)]);
    net.topic("t", &[(1, 5), (2, 5), (3, 5), (1, 0)]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(1), Some(2), Some(3), Some(1)]);
}

#[test]
fn epochs_of_old_brokers_are_not_trusted() {
    let mut net = Net::new(config("b1:9092"));
    net.ranges = vec![(3, 0, 8), (18, 0, 3)];
    net.topic("t", &[(1, 5), (2, 5)]);
    net.client.track_topic(net.now, "t");
    net.run();
    assert_eq!(
        net.cluster().topic("t").expect("known").partitions[0].leader_epoch,
        -1
    );
    assert!(net.cluster().topic("t").expect("known").id.is_zero());
    // So a lower one changes the leader all the same, and partitions may be fewer.
    net.topic("t", &[(3, 1)]);
    net.update();
    assert_eq!(net.leaders("t"), [Some(3)]);
}

#[test]
fn unchanged_answers_change_nothing() {
    let mut net = Net::with_topic();
    net.update();
    let update = net.updates().pop().expect("updated");
    assert!(update.changed.is_empty() && update.removed.is_empty() && !update.brokers_changed);
    assert_eq!(update.mentioned.len(), 1);
    assert_eq!(update.version, net.cluster().version());
}

#[test]
fn answers_about_topics_nobody_asked_for_are_ignored() {
    let mut net = Net::with_topic();
    net.hold_metadata = true;
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.run();
    let mut asked = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    net.topic("other", &[(1, 1)]);
    asked.topics.push("other".to_owned());
    net.tell_metadata(&asked);
    net.run();
    assert_eq!(net.cluster().topics().len(), 1);
}

#[test]
fn a_hint_moves_a_leader_at_once() {
    let mut net = Net::with_topic();
    let hint = |partition, leader, leader_epoch| LeaderHint {
        topic: "t",
        partition,
        leader: node(leader),
        leader_epoch,
    };
    let asked = net.asked().len();
    assert_eq!(
        net.client
            .apply_leader_hints(net.now, &[hint(0, 3, 6)], &[]),
        1
    );
    net.run();
    assert_eq!(net.leaders("t"), [Some(3), Some(2), Some(3)]);
    let update = net.updates().pop().expect("updated");
    assert_eq!(update.changed.len(), 1);
    assert!(!update.brokers_changed);
    assert_eq!(net.asked().len(), asked);
    net.take_events();
    // Not newer, incomplete, of a broker or partition that is not known.
    let ignored = [
        hint(0, 1, 6),
        hint(0, 1, 5),
        hint(1, -1, 9),
        hint(1, 3, -1),
        hint(1, 9, 9),
        hint(7, 1, 9),
        hint(-1, 1, 9),
    ];
    assert_eq!(net.client.apply_leader_hints(net.now, &ignored, &[]), 0);
    let other = LeaderHint {
        topic: "u",
        ..hint(0, 1, 9)
    };
    assert_eq!(net.client.apply_leader_hints(net.now, &[other], &[]), 0);
    net.run();
    assert!(net.events.is_empty());
    // Metadata older than the hint does not undo it.
    net.update();
    assert_eq!(net.leaders("t"), [Some(3), Some(2), Some(3)]);
}

#[test]
fn a_hint_may_bring_a_broker_along() {
    let mut net = Net::with_topic();
    let two = net.reach(2);
    net.take_events();
    let hints = [
        LeaderHint {
            topic: "t",
            partition: 0,
            leader: node(9),
            leader_epoch: 6,
        },
        LeaderHint {
            topic: "t",
            partition: 1,
            leader: node(2),
            leader_epoch: 6,
        },
    ];
    let endpoint = |id, host, port| Endpoint {
        node: node(id),
        host,
        port,
        rack: None,
    };
    let endpoints = [
        endpoint(9, "b9", 9092),
        endpoint(2, "moved", 9092),
        endpoint(4, "unused", 1),
    ];
    assert_eq!(
        net.client.apply_leader_hints(net.now, &hints, &endpoints),
        2
    );
    net.run();
    assert_eq!(net.leaders("t"), [Some(9), Some(2), Some(3)]);
    assert!(net.updates().pop().expect("updated").brokers_changed);
    assert_eq!(net.closes.last().map(|close| close.1), Some(two));
    net.reach(9);
    net.reach(2);
    assert_eq!(
        net.dialled()[net.connects.len() - 2..],
        ["b9:9092", "moved:9092"]
    );
    assert!(net.cluster().broker(node(4)).is_none());
    // An endpoint that is none leads nowhere.
    let hint = LeaderHint {
        topic: "t",
        partition: 0,
        leader: node(8),
        leader_epoch: 7,
    };
    for bad in [
        endpoint(8, "", 1),
        endpoint(8, "b8", 0),
        endpoint(8, "b8", 70_000),
        endpoint(8, "b8", -1),
    ] {
        assert_eq!(net.client.apply_leader_hints(net.now, &[hint], &[bad]), 0);
    }
}

#[test]
fn a_pause_asked_for_with_metadata_is_kept() {
    let mut net = Net::with_topic();
    net.throttle_ms = 400;
    net.update();
    // The pause was over after 400 ms; it would not be for another 400 ms if it came with each
    // answer.
    net.hold_metadata = true;
    net.advance(secs(1));
    net.hold_metadata = false;
    net.client.request_update(net.now, Why::Asked);
    net.run();
    let until = net.now + ms(400);
    assert_eq!(net.state(1), milena_client::NodeState::Throttled(until));
}

#[test]
fn nonsense_in_an_answer_is_left_out() {
    let mut net = Net::with_topic();
    net.hold_metadata = true;
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.run();
    let asked = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    let broker = |node_id, host, port| MetadataResponseBroker {
        node_id,
        host,
        port,
        rack: None,
    };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        leader_epoch: 9,
        ..MetadataResponsePartition::default()
    };
    let answer = MetadataResponse {
        brokers: vec![
            broker(1, "b1", 9092),
            broker(-5, "b", 1),
            broker(2, "", 1),
            broker(3, "b3", 99_999),
        ],
        controller_id: 77,
        topics: vec![
            MetadataResponseTopic {
                name: None,
                ..MetadataResponseTopic::default()
            },
            MetadataResponseTopic {
                name: Some("t"),
                partitions: vec![partition(0), partition(i32::MAX), partition(-1)],
                ..MetadataResponseTopic::default()
            },
            MetadataResponseTopic {
                name: Some("t"),
                partitions: vec![partition(0), partition(0)],
                ..MetadataResponseTopic::default()
            },
        ],
        ..MetadataResponse::default()
    };
    let frame = response_frame::<MetadataRequest<'_>>(asked.correlation, &answer, asked.version);
    assert_eq!(
        net.client.handle_frame(net.now, asked.connection, &frame),
        Ok(None)
    );
    net.run();
    assert_eq!(net.cluster().brokers().len(), 1);
    assert_eq!(net.cluster().controller, None);
    assert_eq!(net.cluster().topic("t").expect("known").partitions.len(), 3);
}

#[test]
fn an_unreadable_answer_ends_the_connection_and_is_repeated() {
    let mut net = Net::with_topic();
    net.hold_metadata = true;
    net.advance(secs(10));
    net.client.request_update(net.now, Why::Asked);
    net.run();
    let asked = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    let mut frame = asked.correlation.to_be_bytes().to_vec();
    frame.extend([0, 0, 0, 0, 0, 255, 255, 255]);
    net.client
        .handle_frame(net.now, asked.connection, &frame)
        .expect_err("unreadable");
    net.hold_metadata = false;
    net.run();
    assert!(!net.open.contains_key(&asked.connection));
    net.advance(secs(1));
    assert_eq!(net.updates().len(), 1);
}
