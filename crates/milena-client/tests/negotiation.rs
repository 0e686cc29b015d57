//! How client and broker agree on versions.
mod net;

use milena_client::{BrokerFault, CloseReason, ConnectFailure, Event, NotKafka};
use milena_wire::api::api_versions::FinalizedFeatureKey;
use milena_wire::{ApiKey, ApiVersionsRequest, ErrorCode};
use net::{Mode, Net, config, ms, node, response_frame, secs, versions};

/// The versions in which a client asks for versions, when the broker knows these ranges.
fn tries(ranges: &[(i16, i16, i16)]) -> Vec<i16> {
    let mut net = Net::new(config("b1:9092"));
    net.ranges = ranges.to_vec();
    net.run();
    assert_eq!(net.connects.len(), 1, "{:?}", net.events);
    net.sent
        .iter()
        .filter(|sent| sent.api == ApiKey::API_VERSIONS)
        .map(|sent| sent.version)
        .collect()
}

/// The failure of the only server, which answers the first request with this.
fn refused(error: ErrorCode, ranges: &[(i16, i16, i16)], version: i16) -> ConnectFailure {
    let mut net = Net::new(config("b1:9092"));
    net.hold_versions = true;
    net.run();
    let frame = response_frame::<ApiVersionsRequest<'_>>(0, &versions(error, ranges), version);
    assert!(
        net.client
            .handle_frame(net.now, net.sent[0].connection, &frame)
            .is_err()
    );
    net.run();
    assert!(net.open.is_empty());
    net.exhausted()[0][0].failure.clone()
}

#[test]
fn a_current_broker_is_asked_once() {
    assert_eq!(tries(&[(0, 3, 13), (3, 0, 13), (18, 0, 4)]), [4]);
    assert_eq!(tries(&[(0, 3, 13), (3, 0, 13), (18, 0, 9)]), [4]);
}

#[test]
fn an_older_broker_is_asked_again_in_what_it_offers() {
    assert_eq!(tries(&[(0, 0, 8), (3, 0, 8), (18, 0, 2)]), [4, 2]);
    assert_eq!(tries(&[(0, 0, 8), (3, 0, 8), (18, 0, 3)]), [4, 3]);
}

#[test]
fn a_broker_that_offers_nothing_is_asked_in_version_0() {
    let mut net = Net::new(config("b1:9092"));
    net.hold_versions = true;
    net.run();
    let connection = net.sent[0].connection;
    let refusal = versions(ErrorCode::UNSUPPORTED_VERSION, &[]);
    let frame = response_frame::<ApiVersionsRequest<'_>>(0, &refusal, 0);
    assert_eq!(
        net.client.handle_frame(net.now, connection, &frame),
        Ok(None)
    );
    net.run();
    assert_eq!((net.sent[1].version, net.sent[1].correlation), (0, 1));
    net.hold_versions = false;
    net.tell_versions(&net.sent[1].clone());
    net.run();
    assert_eq!(net.cluster().brokers().len(), 3);
}

#[test]
fn a_broker_that_goes_on_refusing_is_given_up() {
    let mut net = Net::new(config("b1:9092"));
    net.hold_versions = true;
    net.run();
    let connection = net.sent[0].connection;
    // It claims to know the very version that it refuses, or a newer one: only version 0 is left.
    let refusal = versions(ErrorCode::UNSUPPORTED_VERSION, &[(18, 0, 4)]);
    for (correlation, version) in [(0, 4), (1, 0)] {
        assert_eq!(net.sent.last().expect("asked").version, version);
        let frame = response_frame::<ApiVersionsRequest<'_>>(correlation, &refusal, 0);
        let _ = net.client.handle_frame(net.now, connection, &frame);
        net.run();
    }
    assert_eq!(net.sent.len(), 2);
    assert!(net.open.is_empty());
    let failure = ConnectFailure::Rejected(ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(net.exhausted()[0][0].failure, failure);
}

#[test]
fn any_other_error_ends_the_attempt() {
    let failure = refused(ErrorCode::INVALID_REQUEST, &[], 4);
    assert_eq!(
        failure,
        ConnectFailure::Rejected(ErrorCode::INVALID_REQUEST)
    );
    assert!(failure.to_string().contains("INVALID_REQUEST"), "{failure}");
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_attempt() {
    let mut net = Net::new(config("b1:9092"));
    net.hold_versions = true;
    net.run();
    let fault = net
        .client
        .handle_frame(net.now, net.sent[0].connection, &[0, 0, 0, 0, 1]);
    assert!(
        matches!(fault, Err(BrokerFault::Unreadable(_))),
        "{fault:?}"
    );
    net.run();
    let failure = &net.exhausted()[0][0].failure;
    assert!(
        matches!(failure, ConnectFailure::NotKafka(NotKafka::Answer(_))),
        "{failure:?}"
    );
}

#[test]
fn a_broker_without_an_api_that_is_needed_is_of_no_use() {
    for (ranges, says) in [
        (&[(3, 0, 0), (18, 0, 4)][..], "versions 0 to 0 of Metadata"),
        (&[(18, 0, 4)][..], "does not offer Metadata"),
        (
            &[(3, 0, 8), (0, 0, 2), (18, 0, 4)][..],
            "versions 0 to 2 of Produce",
        ),
        (&[(3, 0, 13), (18, 0, 4)][..], "does not offer Produce"),
    ] {
        let mut config = config("b1:9092");
        config.required = vec![(ApiKey::PRODUCE, 3..=13)];
        let mut net = Net::new(config);
        net.ranges = ranges.to_vec();
        net.run();
        let text = net.exhausted()[0][0].to_string();
        assert!(
            text.starts_with("b1:9092: ") && text.contains(says),
            "{text}"
        );
    }
}

#[test]
fn a_broker_of_the_cluster_that_is_too_old_is_lost_with_the_reason() {
    let mut net = Net::started(config("b1:9092"));
    net.ranges_of
        .insert("b2:9092".to_owned(), vec![(3, 0, 0), (18, 0, 4)]);
    net.client.want(net.now, node(2));
    net.run();
    let lost = net.events.iter().find_map(|event| match event {
        Event::NodeLost { node: id, reason } if *id == node(2) => Some(reason),
        _ => None,
    });
    assert!(
        matches!(
            lost,
            Some(CloseReason::Failed(ConnectFailure::UnsupportedVersion(_)))
        ),
        "{lost:?}"
    );
}

#[test]
fn the_version_of_a_request_is_the_highest_in_common() {
    let mut net = Net::new(config("b1:9092"));
    net.ranges = vec![(0, 3, 8), (3, 0, 9), (18, 0, 3)];
    net.run();
    let connection = net.ready(1);
    let client = &net.client;
    assert_eq!(
        client.version_for(connection, ApiKey::PRODUCE, 3..=13),
        Some(8)
    );
    assert_eq!(
        client.version_for(connection, ApiKey::PRODUCE, 9..=13),
        None
    );
    assert_eq!(client.version_for(connection, ApiKey::END_TXN, 0..=5), None);
    assert_eq!(net.asked()[0].version, 9);
}

#[test]
fn brokers_may_speak_different_versions() {
    let mut net = Net::started(config("b1:9092"));
    net.ranges_of
        .insert("b2:9092".to_owned(), vec![(0, 3, 7), (3, 0, 5), (18, 0, 2)]);
    let (one, two) = (net.ready(1), net.reach(2));
    assert_eq!(
        net.client.version_for(one, ApiKey::PRODUCE, 3..=13),
        Some(13)
    );
    assert_eq!(
        net.client.version_for(two, ApiKey::PRODUCE, 3..=13),
        Some(7)
    );
    // They are asked for anew with each connection.
    net.cut(two);
    assert_eq!(net.client.version_for(two, ApiKey::PRODUCE, 3..=13), None);
    net.ranges_of.clear();
    net.advance(secs(1));
    let two = net.reach(2);
    assert_eq!(
        net.client.version_for(two, ApiKey::PRODUCE, 3..=13),
        Some(13)
    );
}

#[test]
fn nothing_is_sent_before_versions_are_known() {
    let mut net = Net::started(config("b1:9092"));
    net.hold_versions = true;
    net.client.want(net.now, node(2));
    net.run();
    assert_eq!(net.state(2), milena_client::NodeState::Connecting);
    assert_eq!(net.client.connection_to(node(2)), None);
    let asked = net.sent.last().expect("asked").clone();
    net.tell_versions(&asked);
    net.run();
    assert_eq!(net.client.connection_to(node(2)), Some(asked.connection));
}

#[test]
fn a_broker_that_does_not_say_its_versions_is_given_up() {
    let mut net = Net::started(config("b1:9092"));
    net.set("b2:9092", Mode::Mute);
    net.client.want(net.now, node(2));
    net.advance(ms(29_999));
    assert!(net.closes.is_empty());
    net.advance(ms(1));
    let failure = ConnectFailure::NoAnswer("30s".to_owned());
    assert_eq!(net.closes[0].2, CloseReason::Failed(failure));
}

#[test]
fn a_pause_asked_for_with_the_versions_is_kept() {
    for (version, ranges) in [(4, (18, 0, 4)), (2, (18, 0, 2)), (1, (18, 0, 1))] {
        let mut net = Net::new(config("b1:9092"));
        net.ranges = vec![(3, 0, 13), ranges];
        net.hold_versions = true;
        net.run();
        if version < 4 {
            net.tell_versions(&net.sent[0].clone());
            net.run();
        }
        let asked = net.sent.last().expect("asked").clone();
        assert_eq!(asked.version, version);
        let mut answer = versions(ErrorCode::NONE, &net.ranges);
        answer.throttle_time_ms = 500;
        let frame = response_frame::<ApiVersionsRequest<'_>>(asked.correlation, &answer, version);
        net.client
            .handle_frame(net.now, asked.connection, &frame)
            .expect("good");
        net.run();
        // Below version 2 the broker itself holds the connection back.
        assert_eq!(net.asked().is_empty(), version >= 2);
        net.advance(ms(500));
        assert_eq!(net.asked().len(), 1);
    }
}

#[test]
fn features_of_the_cluster_are_told() {
    let mut net = Net::new(config("b1:9092"));
    net.hold_versions = true;
    net.run();
    let mut answer = versions(ErrorCode::NONE, &[(3, 0, 13)]);
    answer.finalized_features_epoch = 3;
    answer.finalized_features = vec![FinalizedFeatureKey {
        name: "transaction.version",
        max_version_level: 2,
        min_version_level: 1,
    }];
    let frame = response_frame::<ApiVersionsRequest<'_>>(0, &answer, 4);
    net.client
        .handle_frame(net.now, net.sent[0].connection, &frame)
        .expect("good");
    assert_eq!(net.client.feature("transaction.version"), Some(2));
    assert_eq!(net.client.feature("other"), None);
}
