//! How a client finds its cluster.
mod net;

use std::time::Duration;

use milena_client::{
    Address, Backoff, CloseReason, Config, ConnectFailure, Event, NodeState, NotKafka, Recovery,
    VersionMismatch,
};
use milena_wire::{ApiKey, ErrorCode};
use net::{Mode, Net, brokers, config, ms, node, secs};

/// The servers in the order in which this seed tries them.
fn order(seed: u64) -> Vec<String> {
    let mut net = Net::seeded(config("b1:9092,b2:9092,b3:9092"), seed);
    for (_, at) in brokers(3) {
        net.set(&at, Mode::Blackhole);
    }
    net.advance(secs(1));
    net.dialled().iter().map(|&at| at.to_owned()).collect()
}

#[test]
fn one_server_that_is_a_broker_means_one_connection() {
    let mut net = Net::started(config("b1:9092"));
    assert_eq!(net.dialled(), ["b1:9092"]);
    let connection = net.ready(1);
    assert_eq!(net.client.node_of(connection), Some(node(1)));
    assert_eq!(net.client.connection_to(node(1)), Some(connection));
    assert!(net.closes.is_empty());
    let apis: Vec<_> = net
        .sent
        .iter()
        .map(|sent| (sent.api, sent.version))
        .collect();
    assert_eq!(apis, [(ApiKey::API_VERSIONS, 4), (ApiKey::METADATA, 13)]);
    assert!(
        matches!(net.events[0], Event::Bootstrapped { .. }),
        "{:?}",
        net.events
    );
    assert!(net.events.contains(&Event::NodeReady(node(1))));
    net.advance(secs(250));
    assert_eq!(net.connects.len(), 1);
}

#[test]
fn a_host_is_adopted_whatever_its_case() {
    let net = Net::started(config("B1:9092"));
    assert_eq!(net.dialled(), ["B1:9092"]);
    net.ready(1);
}

#[test]
fn a_dead_first_server_costs_a_quarter_of_a_second() {
    let order = order(1);
    let mut net = Net::new(config("b1:9092,b2:9092,b3:9092"));
    net.set(&order[0], Mode::Blackhole);
    net.advance(ms(249));
    assert_eq!(net.dialled(), [order[0].as_str()]);
    net.advance(ms(1));
    assert_eq!(net.dialled(), [order[0].as_str(), order[1].as_str()]);
    assert_eq!(net.cluster().brokers().len(), 3);
    // The first attempt was given up, and no third one begun.
    assert_eq!(net.closes.len(), 1);
    assert_eq!(net.closes[0].2, CloseReason::Superseded);
    assert_eq!(net.closes[0].1, net.connects[0].1);
    assert_eq!(net.open.len(), 1);
}

#[test]
fn a_server_that_refuses_costs_nothing() {
    let order = order(1);
    let mut net = Net::new(config("b1:9092,b2:9092,b3:9092"));
    net.set(&order[0], Mode::Refused);
    net.run();
    assert_eq!(net.dialled(), [order[0].as_str(), order[1].as_str()]);
    assert_eq!(net.cluster().brokers().len(), 3);
    assert_eq!(net.elapsed(), ms(0));
}

#[test]
fn the_first_to_answer_wins_and_the_others_are_closed() {
    let mut net = Net::new(config("b1:9092,b2:9092,b3:9092"));
    net.hold_versions = true;
    net.advance(ms(600));
    assert_eq!(net.connects.len(), 3);
    let last = net.sent[2].clone();
    net.tell_versions(&last);
    net.run();
    assert_eq!(net.closes.len(), 2);
    assert!(
        net.closes
            .iter()
            .all(|close| close.2 == CloseReason::Superseded)
    );
    // What the others say now comes too late.
    let late = net.sent[0].clone();
    net.tell_versions(&late);
    net.run();
    assert_eq!(
        net.open.keys().copied().collect::<Vec<_>>(),
        [last.connection]
    );
    assert_eq!(net.asked().len(), 1);
}

#[test]
fn servers_are_tried_in_an_order_that_differs_between_clients() {
    let orders: std::collections::BTreeSet<_> = (0..50).map(order).collect();
    assert_eq!(orders.len(), 6);
}

#[test]
fn when_all_fail_each_address_is_named_with_its_reason() {
    let servers = "a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8";
    let mut net = Net::new(config(servers));
    net.set("a:1", Mode::Refused);
    net.set("b:2", Mode::NoSuchHost);
    net.set("c:3", Mode::Closing);
    net.set("d:4", Mode::Says(b"HTTP/1.1 400 Bad Request".to_vec()));
    net.set("e:5", Mode::Says(vec![0x15, 3, 3, 0, 2, 2, 22]));
    net.set("f:6", Mode::Says(vec![0x7f, 0xff, 0xff, 0xff]));
    net.set("g:7", Mode::SaysFrame(vec![0, 0, 0, 6, 1, 2, 3]));
    net.ranges_of
        .insert("h:8".to_owned(), vec![(0, 0, 2), (18, 0, 4)]);
    net.run();
    let reports = net.exhausted();
    assert_eq!(reports.len(), 1);
    let find = |host: &str| {
        let found = reports[0].iter().find(|server| server.address.host == host);
        found
            .unwrap_or_else(|| panic!("{host} is missing"))
            .failure
            .clone()
    };
    assert_eq!(reports[0].len(), 8);
    assert_eq!(find("a"), ConnectFailure::Refused("a:1".to_owned()));
    assert_eq!(find("b"), ConnectFailure::Dns("no such host".to_owned()));
    assert_eq!(
        find("c"),
        ConnectFailure::ClosedDuringNegotiation(String::new())
    );
    assert_eq!(find("d"), ConnectFailure::NotKafka(NotKafka::Http));
    assert_eq!(find("e"), ConnectFailure::NotKafka(NotKafka::Tls));
    assert_eq!(
        find("f"),
        ConnectFailure::NotKafka(NotKafka::Length(i32::MAX))
    );
    assert!(matches!(
        find("g"),
        ConnectFailure::NotKafka(NotKafka::Answer(_)) | ConnectFailure::Io(_)
    ));
    let mismatch = VersionMismatch {
        api: ApiKey::METADATA,
        ours: 1..=13,
        theirs: None,
    };
    assert_eq!(find("h"), ConnectFailure::UnsupportedVersion(mismatch));
    for server in reports[0] {
        let text = server.to_string();
        assert!(text.starts_with(&server.address.to_string()), "{text}");
    }
}

#[test]
fn servers_that_stay_silent_are_named_too() {
    let mut net = Net::new(config("a:1,b:2"));
    net.set("a:1", Mode::Blackhole);
    net.set("b:2", Mode::Mute);
    net.advance(secs(45));
    let reports = net.exhausted();
    assert_eq!(reports.len(), 1);
    for server in reports[0] {
        match server.address.host.as_str() {
            "a" => assert!(
                matches!(server.failure, ConnectFailure::TimedOut(_)),
                "{server}"
            ),
            _ => assert_eq!(server.failure, ConnectFailure::NoAnswer("30s".to_owned())),
        }
    }
}

#[test]
fn rounds_are_repeated_after_a_growing_wait() {
    let mut net = Net::new(config("a:1"));
    net.set("a:1", Mode::Refused);
    net.advance(secs(10));
    let times: Vec<_> = net.connects.iter().map(|connect| connect.0).collect();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, middle) in waits.iter().zip([50, 100, 200, 400, 800, 1000, 1000]) {
        let (least, most) = (ms(middle * 8 / 10), ms((middle * 12 / 10).min(1000)));
        assert!(*wait >= least && *wait <= most, "{waits:?}");
    }
    assert_eq!(net.exhausted().len(), net.connects.len());
    net.set("a:1", Mode::Up);
    net.advance(secs(1));
    assert_eq!(net.cluster().brokers().len(), 3);
}

#[test]
fn an_address_that_is_nobodys_is_used_until_a_broker_is_connected() {
    let mut net = Net::started(config("lb:9092"));
    let first = net.connects[0].1;
    assert_eq!(net.client.node_of(first), None);
    assert_eq!(net.dialled(), ["lb:9092"]);
    assert_eq!(net.state(1), NodeState::Disconnected);
    assert_eq!(net.client.least_loaded(net.now), Some(first));
    // Metadata goes through it for as long as there is no other way.
    net.client.track_topic(net.now, "t");
    net.run();
    assert_eq!(net.asked().last().expect("asked").to, "lb:9092");
    assert_eq!(net.dialled(), ["lb:9092"]);
    let two = net.reach(2);
    assert_eq!(net.closes.last().expect("closed").1, first);
    assert_eq!(net.closes.last().expect("closed").2, CloseReason::NotNeeded);
    assert_eq!(net.open.len(), 1);
    assert_eq!(net.client.least_loaded(net.now), Some(two));
}

#[test]
fn what_is_in_flight_on_it_is_waited_for() {
    let mut net = Net::started(config("lb:9092"));
    let first = net.connects[0].1;
    let correlation = net.ask(first, 7);
    let two = net.reach(2);
    assert_eq!(net.open.len(), 2);
    assert_eq!(net.client.least_loaded(net.now), Some(two));
    let answer = net
        .reply(first, correlation)
        .expect("good")
        .expect("the owner's");
    assert_eq!((answer.request, answer.node), (7, None));
    assert_eq!(net.open.len(), 1);
}

#[test]
fn an_advertised_address_out_of_reach_is_named_with_the_server_that_was_reached() {
    let mut net = Net::started(config("lb:9092"));
    net.set("b2:9092", Mode::NoSuchHost);
    net.client.want(net.now, node(2));
    net.run();
    let trap = Event::AdvertisedUnreachable {
        node: node(2),
        bootstrap: Address::new("lb", 9092),
        advertised: Address::new("b2", 9092),
        failure: ConnectFailure::Dns("no such host".to_owned()),
    };
    assert!(net.events.contains(&trap), "{:?}", net.events);
    assert!(
        net.events
            .iter()
            .any(|event| matches!(event, Event::NodeLost { node: id, .. } if *id == node(2)))
    );
    // The server that can be reached stays in use, and the broker is tried again when it is wanted.
    net.advance(secs(5));
    assert_eq!(net.open.len(), 1);
    assert!(net.dialled().iter().filter(|&&at| at == "lb:9092").count() == 1);
    net.set("b2:9092", Mode::Up);
    net.reach(2);
}

#[test]
fn a_winner_that_is_lost_before_metadata_means_another_round() {
    let mut net = Net::new(config("b1:9092"));
    net.hold_metadata = true;
    net.run();
    let first = net.connects[0].1;
    net.cut(first);
    assert_eq!(net.connects.len(), 1);
    net.hold_metadata = false;
    net.advance(ms(200));
    assert_eq!(net.dialled(), ["b1:9092", "b1:9092"]);
    assert_eq!(net.cluster().brokers().len(), 3);
}

#[test]
fn a_broker_whose_connection_is_lost_is_found_again() {
    let mut net = Net::started(config("b1:9092"));
    net.brokers = brokers(1);
    net.advance(secs(1));
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    assert_eq!(net.cluster().brokers().len(), 1);
    net.advance(secs(1));
    let connection = net.ready(1);
    net.set("b1:9092", Mode::Refused);
    net.cut(connection);
    // Nobody else is known, so the bootstrap servers are asked at once.
    assert!(net.events.contains(&Event::Rebootstrap));
    assert_eq!(net.state(1), NodeState::Unknown);
    net.take_events();
    net.advance(secs(20));
    assert!(
        net.connects.len() > 10 && net.connects.len() < 40,
        "{}",
        net.connects.len()
    );
    net.set("b1:9092", Mode::Up);
    net.advance(secs(2));
    net.ready(1);
    assert_eq!(net.open.len(), 1);
}

#[test]
fn without_recovery_only_known_brokers_are_tried() {
    let mut config = config("lb:9092");
    config.recovery = Recovery::None;
    let mut net = Net::started(config);
    net.brokers = brokers(1);
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.advance(secs(1));
    let connection = net.reach(1);
    net.set("b1:9092", Mode::Refused);
    net.cut(connection);
    net.advance(secs(10));
    assert!(!net.events.contains(&Event::Rebootstrap));
    assert_eq!(
        net.dialled().iter().filter(|&&at| at == "lb:9092").count(),
        1
    );
    net.set("b1:9092", Mode::Up);
    net.advance(secs(3));
    net.ready(1);
}

#[test]
fn metadata_that_cannot_be_had_for_long_means_beginning_anew() {
    let mut net = Net::started(config("b1:9092"));
    net.advance(secs(1));
    net.hold_metadata = true;
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    // Each broker is asked in turn and given up after the request timeout.
    net.advance(secs(299));
    assert!(!net.events.contains(&Event::Rebootstrap));
    assert!(net.asked().len() >= 9, "{}", net.asked().len());
    net.advance(secs(1));
    assert!(net.events.contains(&Event::Rebootstrap));
    assert_eq!(
        net.closes.last().expect("closed").2,
        CloseReason::Rebootstrap
    );
    assert_eq!(net.dialled().last(), Some(&"b1:9092"));
    net.take_events();
    // It takes as long again until the next time.
    net.advance(secs(299));
    assert!(!net.events.contains(&Event::Rebootstrap));
    net.advance(secs(1));
    assert!(net.events.contains(&Event::Rebootstrap));
    net.hold_metadata = false;
    net.advance(secs(40));
    assert_eq!(net.cluster().brokers().len(), 3);
}

#[test]
fn a_broker_may_ask_for_beginning_anew() {
    let mut net = Net::started(config("lb:9092"));
    let one = net.reach(1);
    let two = net.reach(2);
    net.ask(two, 9);
    net.advance(secs(1));
    net.metadata_error = ErrorCode::REBOOTSTRAP_REQUIRED;
    net.hold_metadata = true;
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    let asked = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    net.take_events();
    net.tell_metadata(&asked);
    net.metadata_error = ErrorCode::NONE;
    net.hold_metadata = false;
    net.run();
    // Every connection is closed, what was in flight is given back, and the bootstrap server is
    // asked.
    let closed: Vec<_> = net
        .closes
        .iter()
        .filter(|close| close.2 == CloseReason::Rebootstrap)
        .map(|close| close.1)
        .collect();
    assert!(closed.contains(&one) && closed.contains(&two));
    assert_eq!(
        net.lost(),
        [(9, milena_client::LostReason::Disconnected, true)]
    );
    assert!(net.events.contains(&Event::Rebootstrap));
    assert_eq!(net.dialled().last(), Some(&"lb:9092"));
    net.advance(ms(200));
    assert_eq!(net.cluster().brokers().len(), 3);
}

#[test]
fn after_beginning_anew_no_old_address_is_used() {
    let mut net = Net::started(config("b1:9092"));
    net.brokers = vec![(1, "new1:9092".to_owned()), (2, "new2:9092".to_owned())];
    net.set("b1:9092", Mode::Refused);
    net.set("b2:9092", Mode::Refused);
    net.set("b3:9092", Mode::Refused);
    let connection = net.ready(1);
    net.cut(connection);
    net.advance(secs(5));
    // The name of the bootstrap server leads to the new brokers now.
    net.set("b1:9092", Mode::Up);
    net.advance(secs(3));
    let before = net.connects.len();
    net.reach(1);
    net.reach(2);
    assert_eq!(net.dialled()[before..], ["new1:9092", "new2:9092"]);
    net.client.want(net.now, node(3));
    net.run();
    assert_eq!(net.state(3), NodeState::Unknown);
}

#[test]
fn shutting_down_ends_everything() {
    let mut net = Net::started(config("b1:9092"));
    let two = net.reach(2);
    net.ask(two, 3);
    net.take_events();
    net.client.shut_down(net.now);
    net.run();
    assert!(net.open.is_empty());
    assert_eq!(
        net.lost(),
        [(3, milena_client::LostReason::Disconnected, true)]
    );
    assert_eq!(net.client.poll_timeout(), None);
    net.client.want(net.now, node(1));
    net.client.want_any(net.now);
    net.client.track_topic(net.now, "t");
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.advance(secs(1000));
    assert!(net.open.is_empty());
}

#[test]
fn shutting_down_while_bootstrapping_leaves_nothing() {
    let mut net = Net::new(config("b1:9092,b2:9092"));
    net.hold_versions = true;
    net.advance(ms(300));
    assert_eq!(net.open.len(), 2);
    net.client.shut_down(net.now);
    net.run();
    assert!(net.open.is_empty());
    net.advance(secs(100));
    assert_eq!(net.connects.len(), 2);
}

#[test]
fn without_servers_there_is_nothing_to_do() {
    let mut net = Net::new(Config::new(Vec::new()));
    net.advance(secs(5));
    assert!(net.connects.is_empty());
    assert!(net.exhausted().iter().all(|servers| servers.is_empty()));
}

#[test]
fn it_is_closed_also_after_answering_the_last_question_about_the_cluster() {
    let mut net = Net::started(config("lb:9092"));
    net.advance(secs(1));
    net.hold_metadata = true;
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    net.reach(2);
    assert_eq!(net.open.len(), 2);
    let asked = net.asked().last().map(|&sent| sent.clone()).expect("asked");
    assert_eq!(asked.to, "lb:9092");
    net.tell_metadata(&asked);
    net.run();
    assert_eq!(net.open.len(), 1);
    assert_eq!(net.closes.last().expect("closed").2, CloseReason::NotNeeded);
}

#[test]
fn a_broker_that_leaves_the_cluster_while_it_is_being_connected_to_is_let_go() {
    let mut net = Net::started(config("b1:9092"));
    net.hold_versions = true;
    net.client.want(net.now, node(2));
    net.run();
    let asked = net.sent.last().expect("asked").clone();
    net.brokers.remove(1);
    net.advance(secs(1));
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    net.take_events();
    net.tell_versions(&asked);
    net.run();
    assert!(!net.open.contains_key(&asked.connection));
    assert!(!net.events.contains(&Event::NodeReady(node(2))));
}

#[test]
fn without_servers_and_back_off_there_is_an_end() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut config = Config::new(Vec::new());
        config.reconnect_backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        Net::new(config);
        let _ = done.send(());
    });
    let ended = ended.recv_timeout(Duration::from_secs(5));
    ended.expect("it goes round and round");
}
