//! Connections to brokers: when they are made, used, throttled, given up and closed.
mod net;

use std::time::Duration;

use milena_client::{
    Backoff, BrokerFault, Client, CloseReason, Config, ConnectFailure, Event, LostReason,
    NodeState, Recovery,
};
use milena_wire::ApiKey;
use net::{Mode, Net, brokers, config, ms, node, secs};

#[test]
fn no_connection_is_made_that_is_not_wanted() {
    let mut net = Net::new(config("b7:9092"));
    net.brokers = brokers(1000);
    let leaders: Vec<_> = (1..=1000).map(|leader| (leader, 0)).collect();
    net.topic("t", &leaders);
    net.run();
    net.client.track_topic(net.now, "t");
    net.advance(secs(2000));
    assert_eq!(net.cluster().brokers().len(), 1000);
    // The bootstrap server is a broker; everything was asked there.
    assert_eq!(net.dialled(), ["b7:9092"]);
    net.reach(500);
    assert_eq!(net.dialled(), ["b7:9092", "b500:9092"]);
    net.client.want(net.now, node(500));
    net.client.want_any(net.now);
    net.advance(secs(10));
    assert_eq!(net.connects.len(), 2);
}

#[test]
fn any_broker_means_the_connection_that_is_there() {
    let mut net = Net::new(config("b1:9092"));
    net.hold_metadata = true;
    net.client.want_any(net.now);
    assert_eq!(net.client.least_loaded(net.now), None);
    net.run();
    // Metadata is in flight there, and there is room beside it.
    let connection = net.client.least_loaded(net.now).expect("bootstrapped");
    assert_eq!(net.connects.len(), 1);
    assert_eq!(net.client.in_flight(connection), 1);
}

#[test]
fn any_broker_means_a_new_connection_when_there_is_none() {
    let mut net = Net::started(config("b1:9092"));
    net.advance(secs(1));
    let connection = net.ready(1);
    net.hold_metadata = true;
    net.cut(connection);
    net.client.want_any(net.now);
    net.run();
    assert_eq!(net.open.len(), 1);
    assert!(net.client.least_loaded(net.now).is_some());
}

#[test]
fn requests_in_flight_are_bounded_and_written_one_at_a_time() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let mut correlations = Vec::new();
    for request in 0..5 {
        assert_eq!(net.state(1), NodeState::Ready(connection));
        correlations.push(net.begin(connection, request, true));
        // Not before it is wholly written.
        assert_eq!(net.state(1), NodeState::Busy(connection));
        assert_eq!(net.client.least_loaded(net.now), None);
        assert_eq!(net.client.handle_written(net.now, connection), None);
    }
    assert_eq!(net.client.in_flight(connection), 5);
    assert_eq!(net.state(1), NodeState::Busy(connection));
    for (request, correlation) in correlations.into_iter().enumerate() {
        let answer = net
            .reply(connection, correlation)
            .expect("in order")
            .expect("the owner's");
        assert_eq!(answer.request as usize, request);
        assert_eq!(
            (answer.body, answer.api, answer.node),
            (5, ApiKey::PRODUCE, Some(node(1)))
        );
        assert_eq!(net.state(1), NodeState::Ready(connection));
    }
}

#[test]
fn a_request_that_nobody_answers_is_done_when_written() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let first = net.ask(connection, 1);
    net.begin(connection, 2, false);
    assert_eq!(net.state(1), NodeState::Busy(connection));
    assert_eq!(net.client.handle_written(net.now, connection), Some(2));
    assert_eq!(net.client.in_flight(connection), 1);
    assert_eq!(
        net.reply(connection, first)
            .expect("in order")
            .expect("the owner's")
            .request,
        1
    );
}

#[test]
fn an_answer_may_be_read_before_its_request_is_known_to_be_written() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let first = net.begin(connection, 1, true);
    net.reply(connection, first)
        .expect("in order")
        .expect("the owner's");
    assert_eq!(net.state(1), NodeState::Busy(connection));
    assert_eq!(net.client.handle_written(net.now, connection), None);
    assert_eq!(net.state(1), NodeState::Ready(connection));
}

#[test]
fn correlation_ids_count_up() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    assert_eq!(
        net.sent
            .iter()
            .map(|sent| sent.correlation)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(net.ask(connection, 0), 2);
    assert_eq!(net.ask(connection, 0), 3);
}

#[test]
fn an_answer_out_of_turn_ends_the_connection() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let first = net.ask(connection, 1);
    let second = net.ask(connection, 2);
    net.take_events();
    let fault = net.reply(connection, second).expect_err("out of turn");
    assert_eq!(
        fault,
        BrokerFault::Correlation {
            expected: first,
            got: second
        }
    );
    assert_eq!(
        net.closes.last().expect("closed").2,
        CloseReason::Fault(fault)
    );
    assert_eq!(
        net.lost(),
        [
            (1, LostReason::Disconnected, true),
            (2, LostReason::Disconnected, true)
        ]
    );
    // Whatever still comes of it is ignored.
    assert_eq!(net.reply(connection, first), Ok(None));
    net.client
        .handle_closed(net.now, connection, CloseReason::Peer);
    assert_eq!(net.client.handle_written(net.now, connection), None);
}

#[test]
fn an_answer_to_nothing_ends_the_connection() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    assert_eq!(net.reply(connection, 77), Err(BrokerFault::Unexpected(77)));
    assert_eq!(net.closes.len(), 1);
}

#[test]
fn a_silent_broker_is_given_up_with_all_that_is_in_flight() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    net.advance(secs(1));
    net.ask(connection, 1);
    net.advance(secs(10));
    net.ask(connection, 2);
    net.begin(connection, 3, true);
    net.take_events();
    net.advance(ms(19_999));
    assert!(net.lost().is_empty());
    net.advance(ms(1));
    assert_eq!(
        net.lost(),
        [
            (1, LostReason::Timeout, true),
            (2, LostReason::Timeout, true),
            (3, LostReason::Timeout, true)
        ]
    );
    assert_eq!(
        net.closes.last().expect("closed").2,
        CloseReason::RequestTimeout
    );
    assert!(!net.open.contains_key(&connection));
}

#[test]
fn answers_put_the_timeout_off() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let first = net.ask(connection, 1);
    net.advance(secs(20));
    net.ask(connection, 2);
    net.reply(connection, first).expect("in order");
    net.advance(secs(29));
    assert!(net.lost().is_empty());
    net.advance(secs(1));
    assert_eq!(net.lost(), [(2, LostReason::Timeout, true)]);
}

#[test]
fn a_loss_says_whether_writing_had_begun() {
    let mut config = config("b1:9092");
    config.announced_writes = true;
    let mut net = Net::started(config);
    let connection = net.ready(1);
    net.ask(connection, 1);
    net.begin(connection, 2, true);
    net.take_events();
    net.cut(connection);
    assert_eq!(
        net.lost(),
        [
            (1, LostReason::Disconnected, true),
            (2, LostReason::Disconnected, false)
        ]
    );

    net.advance(secs(1));
    let connection = net.reach(1);
    net.begin(connection, 3, true);
    net.client.handle_write_begun(net.now, connection);
    net.take_events();
    net.cut(connection);
    assert_eq!(net.lost(), [(3, LostReason::Disconnected, true)]);
    // One that is begun on what is gone was surely not written.
    net.take_events();
    net.begin(connection, 4, true);
    net.run();
    assert_eq!(net.lost(), [(4, LostReason::Disconnected, false)]);
}

#[test]
fn a_throttled_broker_is_left_alone() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let first = net.ask(connection, 1);
    net.ask(connection, 2);
    net.client.note_throttle(net.now, connection, 10_000);
    net.reply(connection, first).expect("in order");
    let until = net.now + secs(10);
    assert_eq!(net.state(1), NodeState::Throttled(until));
    assert_eq!(net.client.least_loaded(net.now), None);
    // It never ends earlier than once said.
    net.client.note_throttle(net.now, connection, 5);
    assert_eq!(net.state(1), NodeState::Throttled(until));
    net.client.note_throttle(net.now, connection, -1);
    net.client.note_throttle(net.now, connection, 0);
    net.advance(secs(10));
    assert_eq!(net.state(1), NodeState::Ready(connection));
    // The pause does not count as waiting for the answer.
    net.advance(ms(29_999 - 10_000 + 10_000));
    assert!(net.lost().is_empty());
    net.advance(ms(10));
    assert_eq!(net.lost(), [(2, LostReason::Timeout, true)]);
}

#[test]
fn who_wants_any_broker_is_connected_to_one_that_may_be_spoken_to() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    net.client.note_throttle(net.now, connection, 10_000);
    assert_eq!(net.client.least_loaded(net.now), None);
    net.client.want_any(net.now);
    net.run();
    let other = net.client.least_loaded(net.now).expect("another one");
    assert_ne!(net.client.node_of(other), Some(node(1)));
}

#[test]
fn durations_without_end_are_endured() {
    let forever = Backoff::new(Duration::MAX, Duration::MAX);
    let settings = Config {
        request_timeout: Duration::MAX,
        reconnect_backoff: forever,
        retry_backoff: forever,
        connection_setup_timeout: forever,
        connections_max_idle: Some(Duration::MAX),
        metadata_max_age: Duration::MAX,
        metadata_max_idle: Duration::MAX,
        bootstrap_stagger: Duration::MAX,
        recovery: Recovery::Rebootstrap(Duration::MAX),
        ..config("b0:9092,b1:9092,b2:9092")
    };
    // The wait after a round of attempts that failed.
    let mut net = Net::new(settings.clone());
    for server in ["b0:9092", "b1:9092", "b2:9092"] {
        net.modes.insert(server.to_owned(), Mode::Refused);
    }
    net.advance(secs(1_000_000));
    assert!(!net.connects.is_empty());
    // Metadata, requests, a silence, and the loss of a broker.
    let mut net = Net::new(config("b1:9092"));
    net.client = Client::new(settings, 1, net.now);
    net.run();
    net.topic("t", &[(1, 0), (2, 0)]);
    net.client.track_topic(net.now, "t");
    net.advance(secs(1));
    let connection = net.reach(2);
    let first = net.ask(connection, 1);
    net.client.note_throttle(net.now, connection, i32::MAX);
    net.reply(connection, first).expect("in order");
    net.client.handle_timeout(net.now);
    net.cut(connection);
    net.client.want(net.now, node(2));
    net.client.want_any(net.now);
    net.advance(secs(1_000_000));
    assert!(matches!(net.state(2), NodeState::BackingOff(_)));
}

#[test]
fn a_reconnect_does_not_end_a_pause() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.reach(2);
    net.client.note_throttle(net.now, connection, 60_000);
    let until = net.now + secs(60);
    net.cut(connection);
    net.advance(secs(1));
    net.client.want(net.now, node(2));
    net.run();
    assert_eq!(net.state(2), NodeState::Throttled(until));
}

#[test]
fn metadata_waits_for_a_throttled_broker_if_there_is_no_other() {
    let mut net = Net::started(config("b1:9092"));
    net.brokers = brokers(1);
    net.advance(secs(1));
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    let connection = net.ready(1);
    net.advance(secs(1));
    let asked = net.asked().len();
    net.client.note_throttle(net.now, connection, 3_000);
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.advance(ms(2_999));
    assert_eq!(net.asked().len(), asked);
    net.advance(ms(1));
    assert_eq!(net.asked().len(), asked + 1);
    assert_eq!(net.connects.len(), 1);
}

/// How long the client says it will wait before it tries b2 again.
fn wait_for_two(net: &Net) -> Duration {
    match net.state(2) {
        NodeState::BackingOff(until) => until - net.now,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reconnecting_backs_off_exponentially_until_a_broker_is_usable() {
    let mut net = Net::started(config("b1:9092"));
    net.set("b2:9092", Mode::Refused);
    for middle in [50, 100, 200, 400, 800, 1000, 1000] {
        net.client.want(net.now, node(2));
        net.run();
        let wait = wait_for_two(&net);
        let (least, most) = (ms(middle * 8 / 10), ms((middle * 12 / 10).min(1000)));
        assert!(wait >= least && wait <= most, "{middle}: {wait:?}");
        net.advance(wait);
        assert_eq!(net.state(2), NodeState::Disconnected);
    }
    net.set("b2:9092", Mode::Up);
    let connection = net.reach(2);
    net.cut(connection);
    assert!(wait_for_two(&net) <= ms(60));
}

#[test]
fn what_is_wanted_during_the_wait_happens_after_it() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.reach(2);
    net.cut(connection);
    let before = net.connects.len();
    net.client.want(net.now, node(2));
    net.client.want(net.now, node(2));
    let wait = wait_for_two(&net);
    net.advance(wait - ms(1));
    assert_eq!(net.connects.len(), before);
    net.advance(ms(1));
    assert_eq!(net.connects.len(), before + 1);
    net.ready(2);
}

#[test]
fn a_lost_broker_is_not_reached_again_unless_wanted() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.reach(2);
    net.cut(connection);
    net.advance(secs(100));
    assert_eq!(net.state(2), NodeState::Disconnected);
}

#[test]
fn without_a_higher_cap_the_wait_is_constant() {
    let mut config = config("b1:9092");
    config.reconnect_backoff = Backoff::new(ms(70), ms(70));
    let mut net = Net::started(config);
    net.set("b2:9092", Mode::Refused);
    for _ in 0..5 {
        net.client.want(net.now, node(2));
        net.run();
        assert_eq!(net.state(2), NodeState::BackingOff(net.now + ms(70)));
        net.advance(ms(70));
    }
}

#[test]
fn the_time_for_connecting_grows_with_failures() {
    let mut net = Net::started(config("b1:9092"));
    net.set("b2:9092", Mode::Blackhole);
    for middle in [10, 20, 30, 30] {
        net.client.want(net.now, node(2));
        net.run();
        assert_eq!(net.state(2), NodeState::Connecting);
        let &(begun, attempt, _, timeout) = net.connects.last().expect("connects");
        assert!(
            timeout >= ms(middle * 800) && timeout <= ms((middle * 1200).min(30_000)),
            "{timeout:?}"
        );
        net.take_events();
        net.advance(timeout);
        let (at, closed, reason) = net.closes.last().expect("closed").clone();
        assert_eq!((at - begun, closed), (timeout, attempt));
        assert_eq!(
            reason,
            CloseReason::Failed(ConnectFailure::TimedOut(format!("{timeout:?}")))
        );
        assert!(
            net.events
                .iter()
                .any(|event| matches!(event, Event::NodeLost { node: id, .. } if id.0 == 2))
        );
        net.advance(secs(1));
    }
    // A connection, whatever becomes of it, puts it back.
    net.set("b2:9092", Mode::Closing);
    net.client.want(net.now, node(2));
    net.advance(secs(2));
    net.set("b2:9092", Mode::Blackhole);
    net.client.want(net.now, node(2));
    net.run();
    assert!(net.connects.last().expect("connects").3 <= ms(12_000));
}

#[test]
fn an_idle_connection_is_closed_and_made_again_when_wanted() {
    let mut config = config("b1:9092");
    config.connections_max_idle = Some(secs(60));
    config.metadata_max_age = secs(10_000);
    let mut net = Net::started(config);
    let two = net.reach(2);
    net.advance(secs(30));
    let correlation = net.ask(two, 1);
    net.reply(two, correlation).expect("in order");
    net.take_events();
    net.advance(secs(30));
    // The first was unused for a minute, the second for half of it.
    assert_eq!(net.closes.len(), 1);
    assert_eq!(net.closes[0].2, CloseReason::Idle);
    assert_eq!(net.state(1), NodeState::Disconnected);
    net.advance(secs(30));
    assert!(net.open.is_empty());
    assert_eq!(net.closes[1].0, secs(90));
    assert_eq!(net.state(2), NodeState::Disconnected);
    let lost = |id| Event::NodeLost {
        node: node(id),
        reason: CloseReason::Idle,
    };
    assert!(net.events.contains(&lost(1)) && net.events.contains(&lost(2)));
    // Nothing is the matter with the brokers, so no reason to ask or to wait.
    net.advance(secs(100));
    assert!(net.open.is_empty());
    net.reach(2);
}

#[test]
fn a_connection_that_is_waited_on_is_not_idle() {
    let mut config = config("b1:9092");
    config.connections_max_idle = Some(secs(2));
    config.metadata_max_age = secs(10_000);
    let mut net = Net::started(config);
    let connection = net.ready(1);
    let correlation = net.ask(connection, 1);
    net.advance(secs(20));
    assert!(net.closes.is_empty());
    net.reply(connection, correlation).expect("in order");
    net.advance(ms(1999));
    assert!(net.closes.is_empty());
    net.advance(ms(1));
    assert_eq!(net.closes.len(), 1);
}

#[test]
fn without_a_limit_idle_connections_stay() {
    let mut config = config("b1:9092");
    config.connections_max_idle = None;
    config.metadata_max_age = secs(1_000_000_000);
    let mut net = Net::started(config);
    net.reach(2);
    net.advance(secs(100_000_000));
    assert!(net.closes.is_empty());
    assert_eq!(net.open.len(), 2);
}

#[test]
fn connections_that_brokers_close_are_forgotten_and_one_is_made_to_ask() {
    let mut net = Net::new(config("b1:9092"));
    net.brokers = brokers(20);
    net.run();
    let open: Vec<_> = (1..=20).map(|id| net.reach(id)).collect();
    net.advance(secs(100));
    for connection in open {
        net.cut(connection);
    }
    net.run();
    assert!(net.open.len() <= 1, "{:?}", net.open);
}

#[test]
fn a_broker_at_another_address_is_another_broker() {
    let mut net = Net::started(config("b1:9092"));
    let two = net.reach(2);
    net.ask(two, 8);
    net.take_events();
    net.brokers[1].1 = "elsewhere:9092".to_owned();
    net.advance(secs(1));
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    assert_eq!(
        net.closes.last().map(|close| (close.1, close.2.clone())),
        Some((two, CloseReason::Moved))
    );
    assert_eq!(net.lost(), [(8, LostReason::Disconnected, true)]);
    assert_eq!(net.state(2), NodeState::Disconnected);
    net.reach(2);
    assert_eq!(net.dialled().last(), Some(&"elsewhere:9092"));
}

#[test]
fn a_broker_that_left_the_cluster_may_still_answer() {
    let mut net = Net::started(config("b1:9092"));
    let two = net.reach(2);
    let correlation = net.ask(two, 8);
    net.brokers.remove(1);
    net.advance(secs(1));
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    // It was not the one to ask: it has something in flight.
    assert_ne!(net.asked().last().expect("asked").connection, two);
    assert_eq!(net.state(2), NodeState::Unknown);
    assert!(net.open.contains_key(&two));
    assert_eq!(
        net.reply(two, correlation)
            .expect("in order")
            .expect("the owner's")
            .request,
        8
    );
    let last = net.closes.last().expect("closed");
    assert_eq!((last.1, &last.2), (two, &CloseReason::NotNeeded));
}

#[test]
fn a_broker_that_comes_back_keeps_its_connection() {
    let mut net = Net::started(config("b1:9092"));
    let two = net.reach(2);
    let correlation = net.ask(two, 8);
    let away = net.brokers.remove(1);
    let update = |net: &mut Net| {
        net.advance(secs(1));
        net.client
            .request_update(net.now, milena_client::Why::Asked);
        net.run();
    };
    update(&mut net);
    assert_eq!(net.state(2), NodeState::Unknown);
    net.brokers.push(away);
    update(&mut net);
    assert_eq!(net.state(2), NodeState::Ready(two));
    net.reply(two, correlation).expect("in order");
    assert_eq!(net.state(2), NodeState::Ready(two));
}

#[test]
fn reports_of_unknown_connections_are_ignored() {
    let mut net = Net::started(config("b1:9092"));
    let unknown = milena_client::ConnectionId(99);
    net.client.handle_connected(net.now, unknown);
    net.client
        .handle_connect_failed(net.now, unknown, ConnectFailure::Dns(String::new()));
    net.client
        .handle_closed(net.now, unknown, CloseReason::Peer);
    net.client.handle_write_begun(net.now, unknown);
    net.client.note_throttle(net.now, unknown, 5);
    assert_eq!(net.client.handle_written(net.now, unknown), None);
    assert_eq!(net.client.handle_frame(net.now, unknown, &[]), Ok(None));
    assert_eq!(net.client.poll_transmit(net.now, unknown), None);
    // A connection that is open is not connected once more.
    let connection = net.ready(1);
    net.client.handle_connected(net.now, connection);
    net.run();
    assert_eq!(net.ready(1), connection);
}

#[test]
fn a_broker_may_be_wanted_before_it_is_known() {
    let mut net = Net::new(config("b1:9092"));
    net.client.want(net.now, node(2));
    net.client.want(net.now, node(77));
    net.run();
    net.ready(2);
    assert_eq!(net.connects.len(), 2);
    net.brokers.push((77, "late:9092".to_owned()));
    net.advance(secs(1));
    net.client
        .request_update(net.now, milena_client::Why::Asked);
    net.run();
    net.ready(77);
}

#[test]
fn what_is_wanted_survives_beginning_anew() {
    let mut net = Net::new(config("lb:9092"));
    net.brokers = vec![(2, "b2:9092".to_owned())];
    net.run();
    let two = net.reach(2);
    net.set("b2:9092", Mode::Refused);
    net.cut(two);
    net.client.want(net.now, node(2));
    net.set("lb:9092", Mode::Refused);
    net.advance(secs(20));
    assert!(net.events.contains(&Event::Rebootstrap));
    assert_eq!(net.state(2), NodeState::Unknown);
    net.client.want(net.now, node(2));
    net.set("b2:9092", Mode::Up);
    net.set("lb:9092", Mode::Up);
    net.advance(secs(3));
    net.ready(2);
}
