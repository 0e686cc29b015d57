//! The cluster as a pure model: requests in, replies out.

mod common;

use common::{NOBODY, answer, ask, batch, frame, produce, produced, read};
use milena_broker::{
    Act, ApiKey, Change, Cluster, ClusterConfig, Cut, ErrorCode, Release, Reply, Rule, TopicConfig,
    Uuid,
};
use milena_record::BatchHeader;
use milena_wire::api::metadata::MetadataRequestTopic;
use milena_wire::{
    ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, MetadataRequest,
    ProduceRequest, Request,
};

fn cluster(brokers: usize) -> Cluster {
    let mut cluster = Cluster::new(ClusterConfig {
        brokers,
        ..ClusterConfig::default()
    });
    cluster.create_topic("t", 3).expect("a topic");
    cluster
}

fn id(cluster: &Cluster) -> Uuid {
    cluster.topic("t").expect("it is there").id
}

/// Produces to partition 0 of `t` at broker 1 and returns error code and offset.
fn send(cluster: &mut Cluster, batch: &[u8]) -> (ErrorCode, i64) {
    let frame = answer(cluster, 1, &produce("t", Uuid::ZERO, 0, batch), 9);
    let (code, offset) = produced(&frame, 9);
    (ErrorCode(code), offset)
}

fn code_of(cluster: &mut Cluster, batch: &[u8]) -> ErrorCode {
    send(cluster, batch).0
}

mod producing {
    use super::*;

    #[test]
    fn every_version_appends() {
        let mut cluster = cluster(1);
        let (id, one) = (id(&cluster), batch(NOBODY, &["a"]));
        for (offset, version) in (0..).zip(ProduceRequest::VERSIONS) {
            let frame = answer(&mut cluster, 1, &produce("t", id, 0, &one), version);
            assert_eq!(produced(&frame, version), (0, offset), "version {version}");
        }
    }

    #[test]
    fn unknown_topics_and_partitions_are_told_apart() {
        let mut cluster = cluster(1);
        let one = batch(NOBODY, &["a"]);
        let mut code = |topic, id, index, version| {
            let frame = answer(&mut cluster, 1, &produce(topic, id, index, &one), version);
            ErrorCode(produced(&frame, version).0)
        };
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(code("u", Uuid::ZERO, 0, 12), unknown);
        assert_eq!(code("t", Uuid::ZERO, 3, 12), unknown);
        assert_eq!(code("t", Uuid::ZERO, -1, 12), unknown);
        assert_eq!(code("t", Uuid::ZERO, 0, 13), ErrorCode::UNKNOWN_TOPIC_ID);
    }

    #[test]
    fn no_acks_get_no_answer_and_an_error_closes() {
        let mut cluster = cluster(1);
        let one = batch(NOBODY, &["a"]);
        let request = ProduceRequest {
            acks: 0,
            ..produce("t", Uuid::ZERO, 0, &one)
        };
        assert!(matches!(ask(&mut cluster, 1, &request, 9), Reply::Nothing));
        let request = ProduceRequest {
            acks: 0,
            ..produce("u", Uuid::ZERO, 0, &one)
        };
        assert!(matches!(ask(&mut cluster, 1, &request, 9), Reply::Close));
        let request = ProduceRequest {
            acks: 2,
            ..produce("t", Uuid::ZERO, 0, &one)
        };
        let frame = answer(&mut cluster, 1, &request, 9);
        assert_eq!(produced(&frame, 9).0, ErrorCode::INVALID_REQUIRED_ACKS.0);
        assert_eq!(cluster.log("t", 0).map(|log| log.records()), Some(1));
    }

    #[test]
    fn sequences_are_checked_across_requests() {
        let mut cluster = cluster(1);
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 0), &["a", "b"])),
            (ErrorCode::NONE, 0)
        );
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 2), &["c"])),
            (ErrorCode::NONE, 2)
        );
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 0), &["a", "b"])),
            (ErrorCode::NONE, 0)
        );
        let gap = send(&mut cluster, &batch((5, 0, 4), &["e"]));
        assert_eq!(gap, (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
        assert_eq!(
            send(&mut cluster, &batch((5, 1, 0), &["d"])),
            (ErrorCode::NONE, 3)
        );
        let old = send(&mut cluster, &batch((5, 0, 3), &["d"]));
        assert_eq!(old, (ErrorCode::INVALID_PRODUCER_EPOCH, -1));
        let log = cluster.log("t", 0).expect("a log");
        assert_eq!((log.records(), log.duplicates()), (4, 1));
    }

    #[test]
    fn too_large_a_batch_is_refused() {
        let mut cluster = cluster(1);
        let config = TopicConfig {
            max_message_bytes: 100,
            ..TopicConfig::default()
        };
        cluster
            .create_topic_with("small", 1, config)
            .expect("a topic");
        let large = batch(NOBODY, &[&"x".repeat(100)]);
        let frame = answer(&mut cluster, 1, &produce("small", Uuid::ZERO, 0, &large), 9);
        assert_eq!(produced(&frame, 9).0, ErrorCode::MESSAGE_TOO_LARGE.0);
    }

    #[test]
    fn before_2_5_an_unknown_producer_must_begin_with_zero() {
        for (release, code) in [
            (Release::V2_1, ErrorCode::UNKNOWN_PRODUCER_ID),
            (Release::V2_8, ErrorCode::NONE),
        ] {
            let config = ClusterConfig {
                release,
                ..ClusterConfig::default()
            };
            let mut cluster = Cluster::new(config);
            cluster.create_topic("t", 1).expect("a topic");
            let one = batch((5, 0, 3), &["a"]);
            let frame = answer(&mut cluster, 1, &produce("t", Uuid::ZERO, 0, &one), 7);
            assert_eq!(produced(&frame, 7).0, code.0, "{release:?}");
        }
    }

    #[test]
    fn the_form_of_a_batch_is_checked() {
        let mut cluster = cluster(1);
        let good = batch(NOBODY, &["a"]);
        let changed = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            bad
        };
        let invalid = ErrorCode::INVALID_RECORD;
        let corrupt = ErrorCode::CORRUPT_MESSAGE;
        assert_eq!(code_of(&mut cluster, b""), invalid);
        assert_eq!(
            code_of(&mut cluster, &good[..60]),
            invalid,
            "no whole batch"
        );
        assert_eq!(
            code_of(&mut cluster, &good.repeat(2)),
            invalid,
            "two batches"
        );
        assert_eq!(code_of(&mut cluster, &changed(16, 1)), invalid, "format 1");
        assert_eq!(code_of(&mut cluster, &changed(16, 3)), corrupt, "format 3");
        assert_eq!(
            code_of(&mut cluster, &changed(7, 1)),
            invalid,
            "base offset"
        );
        assert_eq!(
            code_of(&mut cluster, &changed(65, 9)),
            corrupt,
            "a flipped byte"
        );
        assert_eq!(
            code_of(&mut cluster, &changed(11, 3)),
            corrupt,
            "no room for a header"
        );
        assert_eq!(code_of(&mut cluster, &good), ErrorCode::NONE);
    }

    #[test]
    fn the_header_of_a_batch_is_checked() {
        let mut cluster = cluster(1);
        let bytes = batch(NOBODY, &["a"]);
        let good = BatchHeader::decode(&bytes).expect("a header");
        let mut code = |header: BatchHeader| {
            let body = &bytes[BatchHeader::LEN..];
            code_of(&mut cluster, &[&header.encode([body])[..], body].concat())
        };
        let invalid = ErrorCode::INVALID_RECORD;
        assert_eq!(
            code(BatchHeader {
                record_count: 0,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code(BatchHeader {
                record_count: -1,
                last_offset_delta: -2,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code(BatchHeader {
                last_offset_delta: 5,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code(BatchHeader {
                last_offset_delta: i32::MAX,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code(BatchHeader {
                producer_id: 4,
                producer_epoch: 0,
                ..good
            }),
            invalid
        );
        let attributes = good.attributes.with_control(true);
        assert_eq!(code(BatchHeader { attributes, ..good }), invalid);
        let attributes = good.attributes.with_transactional(true);
        assert_eq!(
            code(BatchHeader { attributes, ..good }),
            ErrorCode::INVALID_TXN_STATE
        );
        let attributes = good.attributes.with_log_append_time(true);
        assert_eq!(
            code(BatchHeader { attributes, ..good }),
            ErrorCode::INVALID_TIMESTAMP
        );
    }

    #[test]
    fn keyless_records_of_a_compacted_topic_are_named() {
        let mut cluster = cluster(1);
        let config = TopicConfig {
            compact: true,
            ..TopicConfig::default()
        };
        cluster.create_topic_with("c", 1, config).expect("a topic");
        let keyless = batch(NOBODY, &["a", "b"]);
        let frame = answer(&mut cluster, 1, &produce("c", Uuid::ZERO, 0, &keyless), 9);
        let response = read::<ProduceRequest<'_>>(&frame, 9);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::INVALID_RECORD.0);
        let named: Vec<i32> = partition
            .record_errors
            .iter()
            .map(|one| one.batch_index)
            .collect();
        assert_eq!(named, [0, 1]);
        assert!(partition.error_message.is_some());
    }

    #[test]
    fn timestamps_out_of_bounds_are_named() {
        let mut cluster = cluster(1);
        // The records are of 50 ms, the cluster's clock says 1000.
        for (before, after, code) in [
            (950, i64::MAX, ErrorCode::NONE),
            (949, i64::MAX, ErrorCode::INVALID_TIMESTAMP),
            (i64::MAX, 0, ErrorCode::NONE),
            (0, i64::MAX, ErrorCode::INVALID_TIMESTAMP),
        ] {
            let config = TopicConfig {
                timestamp_before_max_ms: before,
                timestamp_after_max_ms: after,
                ..TopicConfig::default()
            };
            let _ = cluster.apply(0, Change::DeleteTopic("bounds".into()));
            cluster
                .create_topic_with("bounds", 1, config)
                .expect("a topic");
            let two = batch(NOBODY, &["a", "b"]);
            let frame = answer(&mut cluster, 1, &produce("bounds", Uuid::ZERO, 0, &two), 9);
            let response = read::<ProduceRequest<'_>>(&frame, 9);
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!(partition.error_code, code.0, "{before} {after}");
            assert_eq!(
                partition.record_errors.len(),
                2 * usize::from(code != ErrorCode::NONE)
            );
        }
    }

    #[test]
    fn replicas_must_be_in_sync_for_all_acks_only() {
        let mut cluster = cluster(3);
        let config = TopicConfig {
            min_insync_replicas: 2,
            ..TopicConfig::default()
        };
        cluster
            .create_topic_with("safe", 3, config)
            .expect("a topic");
        let topic = || "safe".to_owned();
        let leader = cluster.leader("safe", 0).expect("a leader");
        let shrink = Change::SetInSync {
            topic: topic(),
            partition: 0,
            replicas: Some(1),
        };
        cluster.apply(0, shrink).expect("it is there");
        let one = batch(NOBODY, &["a"]);
        let mut code = |acks| {
            let request = ProduceRequest {
                acks,
                ..produce("safe", Uuid::ZERO, 0, &one)
            };
            ErrorCode(produced(&answer(&mut cluster, leader, &request, 9), 9).0)
        };
        assert_eq!(code(-1), ErrorCode::NOT_ENOUGH_REPLICAS);
        assert_eq!(code(1), ErrorCode::NONE);
    }

    #[test]
    fn the_brokers_clock_is_answered() {
        let mut cluster = cluster(1);
        let config = TopicConfig {
            log_append_time: true,
            ..TopicConfig::default()
        };
        cluster
            .create_topic_with("clock", 1, config)
            .expect("a topic");
        let one = batch(NOBODY, &["a"]);
        let frame = answer(&mut cluster, 1, &produce("clock", Uuid::ZERO, 0, &one), 9);
        let response = read::<ProduceRequest<'_>>(&frame, 9);
        assert_eq!(
            response.responses[0].partition_responses[0].log_append_time_ms,
            1000
        );
    }

    #[test]
    fn several_partitions_are_answered_in_order() {
        let mut cluster = cluster(1);
        let one = batch(NOBODY, &["a"]);
        let mut request = produce("t", Uuid::ZERO, 2, &one);
        for index in [9, 0] {
            let mut data = request.topic_data[0].partition_data[0].clone();
            data.index = index;
            request.topic_data[0].partition_data.push(data);
        }
        let frame = answer(&mut cluster, 1, &request, 9);
        let response = read::<ProduceRequest<'_>>(&frame, 9);
        let partitions = &response.responses[0].partition_responses;
        let all: Vec<_> = partitions
            .iter()
            .map(|one| (one.index, one.error_code))
            .collect();
        assert_eq!(all, [(2, 0), (9, 3), (0, 0)]);
    }
}

mod leading {
    use super::*;

    #[test]
    fn another_broker_names_the_leader() {
        let mut cluster = cluster(3);
        let id = id(&cluster);
        let move_to = |to| Change::MoveLeader {
            topic: "t".into(),
            partition: 0,
            to,
        };
        cluster.apply(0, move_to(Some(3))).expect("moved");
        let one = batch(NOBODY, &["a"]);
        let frame = answer(&mut cluster, 1, &produce("t", id, 0, &one), 13);
        let response = read::<ProduceRequest<'_>>(&frame, 13);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER.0);
        assert_eq!(
            (
                partition.current_leader.leader_id,
                partition.current_leader.leader_epoch
            ),
            (3, 1)
        );
        let endpoint = &response.node_endpoints[0];
        assert_eq!(
            (endpoint.node_id, endpoint.host, endpoint.port),
            (3, "127.0.0.1", 9094)
        );
        let frame = answer(&mut cluster, 3, &produce("t", id, 0, &one), 13);
        assert_eq!(produced(&frame, 13), (0, 0));
        let log = cluster.log("t", 0).expect("a log");
        let stored = log.batches().next().expect("a batch");
        let epoch = BatchHeader::decode(&stored.bytes).map(|header| header.partition_leader_epoch);
        assert_eq!(epoch, Ok(1));
    }

    #[test]
    fn old_versions_name_no_leader() {
        let mut cluster = cluster(2);
        let one = batch(NOBODY, &["a"]);
        let frame = answer(&mut cluster, 2, &produce("t", Uuid::ZERO, 0, &one), 9);
        let response = read::<ProduceRequest<'_>>(&frame, 9);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 6);
        assert!(response.node_endpoints.is_empty());
    }

    #[test]
    fn dedupe_survives_a_move() {
        let mut cluster = cluster(2);
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 0), &["a"])),
            (ErrorCode::NONE, 0)
        );
        let change = Change::MoveLeader {
            topic: "t".into(),
            partition: 0,
            to: Some(2),
        };
        cluster.apply(0, change).expect("moved");
        let again = batch((5, 0, 0), &["a"]);
        let frame = answer(&mut cluster, 2, &produce("t", Uuid::ZERO, 0, &again), 9);
        assert_eq!(produced(&frame, 9), (0, 0));
        assert_eq!(cluster.log("t", 0).map(|log| log.records()), Some(1));
    }

    #[test]
    fn a_broker_that_is_down_closes() {
        let mut cluster = cluster(2);
        cluster.apply(0, Change::BrokerDown(1)).expect("it was up");
        let request = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        assert!(matches!(ask(&mut cluster, 1, &request, 9), Reply::Close));
        let frame = answer(&mut cluster, 2, &request, 9);
        let response = read::<MetadataRequest<'_>>(&frame, 9);
        assert_eq!(
            response
                .brokers
                .iter()
                .map(|one| one.node_id)
                .collect::<Vec<_>>(),
            [2]
        );
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.leader_id, partition.leader_epoch), (2, 1));
        assert_eq!(
            (&partition.isr_nodes[..], &partition.offline_replicas[..]),
            (&[2][..], &[1][..])
        );
    }

    #[test]
    fn a_partition_without_leader_is_told() {
        let mut cluster = cluster(1);
        let change = Change::MoveLeader {
            topic: "t".into(),
            partition: 1,
            to: None,
        };
        cluster.apply(0, change).expect("moved");
        let request = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 12);
        let response = read::<MetadataRequest<'_>>(&frame, 12);
        let partition = &response.topics[0].partitions[1];
        assert_eq!((partition.leader_id, partition.error_code), (-1, 5));
    }

    #[test]
    fn a_broker_can_live_in_the_past() {
        let mut cluster = cluster(2);
        cluster
            .apply(0, Change::FreezeMetadata(2))
            .expect("it is there");
        let change = Change::MoveLeader {
            topic: "t".into(),
            partition: 0,
            to: Some(2),
        };
        cluster.apply(0, change).expect("moved");
        let mut seen = |broker| {
            let request = MetadataRequest {
                topics: None,
                ..MetadataRequest::default()
            };
            let frame = answer(&mut cluster, broker, &request, 9);
            let response = read::<MetadataRequest<'_>>(&frame, 9);
            let partition = &response.topics[0].partitions[0];
            (partition.leader_id, partition.leader_epoch)
        };
        assert_eq!(seen(1), (2, 1));
        assert_eq!(seen(2), (1, 0));
    }
}

mod metadata {
    use super::*;

    fn wanted<'a>(name: Option<&'a str>, topic_id: Uuid) -> MetadataRequest<'a> {
        let topics = Some(vec![MetadataRequestTopic { name, topic_id }]);
        MetadataRequest {
            topics,
            ..MetadataRequest::default()
        }
    }

    /// Error code and number of partitions of the only topic in an answer.
    fn topic(cluster: &mut Cluster, request: &MetadataRequest<'_>) -> (ErrorCode, usize) {
        let frame = answer(cluster, 1, request, 12);
        let response = read::<MetadataRequest<'_>>(&frame, 12);
        (
            ErrorCode(response.topics[0].error_code),
            response.topics[0].partitions.len(),
        )
    }

    #[test]
    fn every_version_is_answered() {
        let mut cluster = cluster(3);
        for version in MetadataRequest::VERSIONS {
            let request = wanted(Some("t"), Uuid::ZERO);
            let frame = answer(&mut cluster, 1, &request, version);
            let response = read::<MetadataRequest<'_>>(&frame, version);
            assert_eq!(
                (response.brokers.len(), response.topics[0].partitions.len()),
                (3, 3)
            );
        }
    }

    #[test]
    fn all_topics_none_and_by_id() {
        let mut cluster = cluster(1);
        let id = id(&cluster);
        let mut count = |topics, version| {
            let request = MetadataRequest {
                topics,
                ..MetadataRequest::default()
            };
            let frame = answer(&mut cluster, 1, &request, version);
            read::<MetadataRequest<'_>>(&frame, version).topics.len()
        };
        assert_eq!(count(None, 12), 1);
        assert_eq!(count(Some(Vec::new()), 12), 0);
        assert_eq!(count(Some(Vec::new()), 0), 1);
        assert_eq!(topic(&mut cluster, &wanted(None, id)), (ErrorCode::NONE, 3));
        let unknown = wanted(None, Uuid([7; 16]));
        assert_eq!(
            topic(&mut cluster, &unknown),
            (ErrorCode::UNKNOWN_TOPIC_ID, 0)
        );
    }

    #[test]
    fn a_missing_topic_is_created_for_the_next_one_who_asks() {
        let mut cluster = cluster(1);
        let request = wanted(Some("new"), Uuid::ZERO);
        assert_eq!(
            topic(&mut cluster, &request),
            (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0)
        );
        assert_eq!(topic(&mut cluster, &request), (ErrorCode::NONE, 1));
        let illegal = wanted(Some("a b"), Uuid::ZERO);
        assert_eq!(
            topic(&mut cluster, &illegal),
            (ErrorCode::INVALID_TOPIC_EXCEPTION, 0)
        );
        let request = wanted(Some("other"), Uuid::ZERO);
        let request = MetadataRequest {
            allow_auto_topic_creation: false,
            ..request
        };
        for _ in 0..2 {
            assert_eq!(
                topic(&mut cluster, &request),
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0)
            );
        }
    }

    #[test]
    fn a_topic_is_answered_once_however_often_it_is_asked_for() {
        let mut cluster = cluster(1);
        cluster.create_topic("u", 1).expect("a topic");
        let id = cluster.topic("u").expect("just created").id;
        let named = |name, topic_id| MetadataRequestTopic { name, topic_id };
        let unknown = Uuid([7; 16]);
        let mut topics = Vec::new();
        for n in 0..3 {
            // What is named is the same topic with any id.
            topics.push(named(Some("t"), Uuid([n; 16])));
            topics.push(named(None, id));
            topics.push(named(Some("new"), Uuid::ZERO));
            topics.push(named(None, unknown));
        }
        let request = MetadataRequest {
            topics: Some(topics),
            ..MetadataRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 12);
        let response = read::<MetadataRequest<'_>>(&frame, 12);
        let told: Vec<_> = response
            .topics
            .iter()
            .map(|one| (one.name, ErrorCode(one.error_code), one.partitions.len()))
            .collect();
        assert_eq!(
            told,
            [
                (Some("t"), ErrorCode::NONE, 3),
                (Some("u"), ErrorCode::NONE, 1),
                (Some("new"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0),
                (None, ErrorCode::UNKNOWN_TOPIC_ID, 0),
            ]
        );
        assert!(cluster.topic("new").is_some());
    }

    #[test]
    fn an_error_is_answered_instead_of_creating_a_topic_or_after_it() {
        let code = ErrorCode::UNKNOWN_SERVER_ERROR;
        for (act, created) in [(Act::Error(code), false), (Act::ErrorAfter(code), true)] {
            let mut cluster = cluster(1);
            cluster.add_rule(Rule::on(ApiKey::METADATA).topic("new").act(act));
            let request = wanted(Some("new"), Uuid::ZERO);
            for _ in 0..2 {
                assert_eq!(topic(&mut cluster, &request), (code, 0));
                assert_eq!(cluster.topic("new").is_some(), created);
            }
        }
    }

    #[test]
    fn no_topic_is_created_where_that_is_off() {
        let config = ClusterConfig {
            auto_create: None,
            ..ClusterConfig::default()
        };
        let mut cluster = Cluster::new(config);
        for _ in 0..2 {
            let request = wanted(Some("new"), Uuid::ZERO);
            assert_eq!(
                topic(&mut cluster, &request),
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0)
            );
        }
    }

    #[test]
    fn a_hidden_topic_is_unknown_for_a_while_and_keeps_its_producers() {
        let mut cluster = cluster(1);
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 0), &["a"])),
            (ErrorCode::NONE, 0)
        );
        // The helpers ask at 1000.
        let hide = |for_ms| Change::HideTopic {
            topic: "t".into(),
            for_ms,
        };
        cluster.apply(1000, hide(10)).expect("it is there");
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(
            topic(&mut cluster, &wanted(Some("t"), Uuid::ZERO)),
            (unknown, 0)
        );
        assert_eq!(send(&mut cluster, &batch((5, 0, 1), &["b"])), (unknown, -1));
        cluster.apply(1000, hide(0)).expect("it is there");
        assert_eq!(
            topic(&mut cluster, &wanted(Some("t"), Uuid::ZERO)),
            (ErrorCode::NONE, 3)
        );
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 1), &["b"])),
            (ErrorCode::NONE, 1)
        );
    }

    #[test]
    fn a_recreated_topic_has_another_id_and_is_empty() {
        let mut cluster = cluster(1);
        let old = id(&cluster);
        assert_eq!(
            send(&mut cluster, &batch((5, 0, 0), &["a"])),
            (ErrorCode::NONE, 0)
        );
        cluster
            .apply(0, Change::RecreateTopic("t".into()))
            .expect("it is there");
        assert_ne!(id(&cluster), old);
        let one = batch((5, 0, 7), &["a"]);
        let frame = answer(&mut cluster, 1, &produce("t", old, 0, &one), 13);
        assert_eq!(produced(&frame, 13).0, ErrorCode::UNKNOWN_TOPIC_ID.0);
        assert_eq!(
            send(&mut cluster, &one),
            (ErrorCode::NONE, 0),
            "it knows no producers"
        );
    }

    #[test]
    fn partitions_are_added() {
        let mut cluster = cluster(2);
        let add = |total| Change::AddPartitions {
            topic: "t".into(),
            total,
        };
        assert_eq!(cluster.apply(0, add(3)), Err(ErrorCode::INVALID_PARTITIONS));
        assert_eq!(
            cluster.apply(0, add(usize::MAX)),
            Err(ErrorCode::INVALID_PARTITIONS)
        );
        cluster.apply(0, add(5)).expect("more");
        assert_eq!(topic(&mut cluster, &wanted(Some("t"), Uuid::ZERO)).1, 5);
        let leaders: Vec<_> = (0..5).map(|index| cluster.leader("t", index)).collect();
        assert_eq!(leaders, [Some(1), Some(2), Some(1), Some(2), Some(1)]);
        assert!(cluster.log("t", 4).is_some());
    }

    #[test]
    fn a_thousand_brokers_are_listed() {
        let mut cluster = cluster(1000);
        let frame = answer(&mut cluster, 1000, &wanted(Some("t"), Uuid::ZERO), 12);
        assert_eq!(read::<MetadataRequest<'_>>(&frame, 12).brokers.len(), 1000);
    }
}

mod negotiating {
    use super::*;

    fn ask_versions(cluster: &mut Cluster, version: i16) -> Vec<u8> {
        let request = ApiVersionsRequest {
            client_software_name: "test",
            client_software_version: "1",
        };
        answer(cluster, 1, &request, version)
    }

    #[test]
    fn versions_are_listed() {
        let mut cluster = cluster(1);
        for version in ApiVersionsRequest::VERSIONS {
            let frame = ask_versions(&mut cluster, version);
            let response = read::<ApiVersionsRequest<'_>>(&frame, version);
            assert_eq!(response.range_of(ApiKey::PRODUCE), Some(0..=13));
            assert_eq!(response.range_of(ApiKey::INIT_PRODUCER_ID), Some(0..=5));
        }
    }

    #[test]
    fn an_unknown_version_is_answered_in_version_0() {
        for (release, known) in [(Release::V2_1, None), (Release::V2_8, Some(0..=3))] {
            let config = ClusterConfig {
                release,
                ..ClusterConfig::default()
            };
            let mut cluster = Cluster::new(config);
            let frame = ask_versions(&mut cluster, 4);
            let asked = ApiVersionsRequest::version(4);
            let (response, version) =
                ApiVersionsResponse::decode_any(&frame[4..], asked).expect("version 0");
            assert_eq!((version.number, response.error_code), (0, 35));
            assert_eq!(response.range_of(ApiKey::API_VERSIONS), known);
        }
    }

    #[test]
    fn rules_meet_a_question_in_an_unknown_version() {
        let asked = |acts: &[Act]| {
            let mut cluster = Cluster::new(ClusterConfig {
                release: Release::V2_8,
                ..ClusterConfig::default()
            });
            let rule = Rule::on(ApiKey::API_VERSIONS).times(1);
            let rule = acts.iter().cloned().fold(rule, Rule::act);
            let rule = cluster.add_rule(rule);
            let reply = ask(&mut cluster, 1, &ApiVersionsRequest::default(), 4);
            assert_eq!(cluster.fired(rule), 1);
            (cluster, reply)
        };
        assert!(matches!(asked(&[Act::Silence]).1, Reply::Silence));
        assert!(matches!(asked(&[Act::DropAnswer]).1, Reply::Nothing));
        for cut in [Cut::Before, Cut::After] {
            assert!(matches!(asked(&[Act::Cut(cut)]).1, Reply::Close));
        }
        let code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
        let acts = [
            Act::Error(code),
            Act::Delay(9),
            Act::Throttle(5),
            Act::WrongCorrelation(1),
        ];
        let Reply::Answer(answer) = asked(&acts).1 else {
            panic!("no answer")
        };
        assert_eq!(answer.after_ms, 9);
        assert_eq!(answer.bytes[4..8], [0, 0, 0, 8]);
        assert_eq!(answer.bytes[8..10], code.0.to_be_bytes());

        let (mut cluster, reply) = asked(&[Act::Hold(30)]);
        let Reply::Wait(wait) = reply else {
            panic!("no wait: {reply:?}")
        };
        let request = frame(&ApiVersionsRequest::default(), 4);
        let answer = cluster.resume(1030, 1, &request[4..], wait).into_bytes();
        assert_eq!(answer.expect("an answer")[4..10], [0, 0, 0, 7, 0, 35]);
    }

    #[test]
    fn versions_that_are_not_spoken_close() {
        let config = ClusterConfig {
            release: Release::V2_1,
            ..ClusterConfig::default()
        };
        let mut cluster = Cluster::new(config);
        let request = MetadataRequest::default();
        assert!(matches!(ask(&mut cluster, 1, &request, 8), Reply::Close));
        assert!(matches!(
            ask(&mut cluster, 1, &request, 7),
            Reply::Answer(_)
        ));
    }

    #[test]
    fn software_needs_a_name() {
        let mut cluster = cluster(1);
        let request = ApiVersionsRequest {
            client_software_name: "",
            client_software_version: "1",
        };
        let frame = answer(&mut cluster, 1, &request, 3);
        let response = read::<ApiVersionsRequest<'_>>(&frame, 3);
        assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST.0);
    }

    #[test]
    fn producers_get_ids() {
        let mut cluster = cluster(1);
        let mut ask = |transactional_id| {
            let request = InitProducerIdRequest {
                transactional_id,
                ..InitProducerIdRequest::default()
            };
            let frame = answer(&mut cluster, 1, &request, 4);
            let response = read::<InitProducerIdRequest<'_>>(&frame, 4);
            (
                response.error_code,
                response.producer_id,
                response.producer_epoch,
            )
        };
        assert_eq!((ask(None), ask(None)), ((0, 1000, 0), (0, 1001, 0)));
        assert_eq!(
            (ask(Some("x")), ask(Some("x"))),
            ((0, 1002, 0), (0, 1002, 1))
        );
        assert_eq!(ask(Some("")).0, ErrorCode::INVALID_REQUEST.0);
    }
}

mod faults {
    use super::*;

    #[test]
    fn an_error_before_and_one_after() {
        let mut cluster = cluster(1);
        let one = batch((5, 0, 0), &["a"]);
        let rule = |act| {
            Rule::on(ApiKey::PRODUCE)
                .partition("t", 0)
                .times(1)
                .act(act)
        };
        cluster.add_rule(rule(Act::Error(ErrorCode::NOT_ENOUGH_REPLICAS)));
        assert_eq!(code_of(&mut cluster, &one), ErrorCode::NOT_ENOUGH_REPLICAS);
        assert_eq!(cluster.log("t", 0).map(|log| log.records()), Some(0));
        cluster.add_rule(rule(Act::ErrorAfter(ErrorCode::REQUEST_TIMED_OUT)));
        assert_eq!(code_of(&mut cluster, &one), ErrorCode::REQUEST_TIMED_OUT);
        assert_eq!(cluster.log("t", 0).map(|log| log.records()), Some(1));
        assert_eq!(
            send(&mut cluster, &one),
            (ErrorCode::NONE, 0),
            "a duplicate"
        );
    }

    #[test]
    fn by_topic_id_too() {
        let mut cluster = cluster(1);
        let id = id(&cluster);
        let code = ErrorCode::KAFKA_STORAGE_ERROR;
        cluster.add_rule(Rule::on(ApiKey::PRODUCE).partition("t", 0).error(code));
        let one = batch(NOBODY, &["a"]);
        for (index, wanted) in [(0, code), (1, ErrorCode::NONE)] {
            let frame = answer(&mut cluster, 1, &produce("", id, index, &one), 13);
            assert_eq!(produced(&frame, 13).0, wanted.0);
        }
    }

    #[test]
    fn records_are_blamed() {
        let mut cluster = cluster(1);
        let blamed = vec![(1, Some("no".to_owned())), (3, None)];
        cluster.add_rule(Rule::on(ApiKey::PRODUCE).act(Act::RecordErrors(blamed)));
        let one = batch(NOBODY, &["a"; 5]);
        let frame = answer(&mut cluster, 1, &produce("t", Uuid::ZERO, 0, &one), 9);
        let response = read::<ProduceRequest<'_>>(&frame, 9);
        let errors = &response.responses[0].partition_responses[0].record_errors;
        let errors: Vec<_> = errors
            .iter()
            .map(|one| (one.batch_index, one.batch_index_error_message))
            .collect();
        assert_eq!(errors, [(1, Some("no")), (3, None)]);
    }

    #[test]
    fn partitions_are_left_out_repeated_and_added() {
        let one = batch(NOBODY, &["a"]);
        let indices = |act| {
            let mut cluster = cluster(1);
            cluster.add_rule(Rule::on(ApiKey::PRODUCE).act(act));
            let frame = answer(&mut cluster, 1, &produce("t", Uuid::ZERO, 0, &one), 9);
            let response = read::<ProduceRequest<'_>>(&frame, 9);
            let partitions = &response.responses[0].partition_responses;
            partitions.iter().map(|one| one.index).collect::<Vec<_>>()
        };
        assert_eq!(indices(Act::OmitPartition), []);
        assert_eq!(indices(Act::RepeatPartition), [0, 0]);
        assert_eq!(indices(Act::AddPartition(77)), [0, 77]);
    }

    #[test]
    fn answers_are_delayed_throttled_spoilt_and_dropped() {
        let mut cluster = cluster(1);
        let request = InitProducerIdRequest {
            transactional_id: None,
            ..Default::default()
        };
        let mut once = |act| {
            cluster.add_rule(Rule::on(ApiKey::INIT_PRODUCER_ID).times(1).act(act));
            ask(&mut cluster, 1, &request, 4)
        };
        let Reply::Answer(late) = once(Act::Delay(30)) else {
            panic!()
        };
        assert_eq!(late.after_ms, 30);
        let Reply::Answer(throttled) = once(Act::Throttle(99)) else {
            panic!()
        };
        assert_eq!(
            read::<InitProducerIdRequest<'_>>(&throttled.bytes[4..], 4).throttle_time_ms,
            99
        );
        let Reply::Answer(wrong) = once(Act::WrongCorrelation(2)) else {
            panic!()
        };
        assert_eq!(wrong.bytes[4..8], 9i32.to_be_bytes());
        let Reply::Answer(short) = once(Act::Truncate(3)) else {
            panic!()
        };
        assert_eq!(short.bytes.len(), late.bytes.len() - 3);
        assert_eq!(
            short.bytes[..4],
            (short.bytes.len() as u32 - 4).to_be_bytes()
        );
        let Reply::Answer(raw) = once(Act::Raw(vec![1, 2, 3])) else {
            panic!()
        };
        assert_eq!(raw.bytes, [1, 2, 3]);
        let Reply::Answer(half) = once(Act::Cut(Cut::InAnswer)) else {
            panic!()
        };
        assert!(half.then_close && half.bytes.len() == late.bytes.len() / 2);
        assert!(matches!(once(Act::DropAnswer), Reply::Nothing));
        assert!(matches!(once(Act::Silence), Reply::Silence));
        for cut in [Cut::InRequest, Cut::Before, Cut::After] {
            assert!(matches!(once(Act::Cut(cut)), Reply::Close), "{cut:?}");
        }
        assert!(matches!(
            ask(&mut cluster, 1, &request, 4),
            Reply::Answer(_)
        ));
    }

    #[test]
    fn a_held_request_is_resumed_with_what_was_decided() {
        let mut cluster = cluster(1);
        let act = Act::Error(ErrorCode::NOT_ENOUGH_REPLICAS);
        cluster.add_rule(
            Rule::on(ApiKey::PRODUCE)
                .times(1)
                .act(Act::Hold(500))
                .act(act),
        );
        let one = batch(NOBODY, &["a"]);
        let bytes = frame(&produce("t", Uuid::ZERO, 0, &one), 9);
        let Reply::Wait(wait) = cluster.handle(1000, 1, 1, &bytes[4..]) else {
            panic!()
        };
        assert_eq!((wait.until_ms, wait.on_append), (1500, false));
        let Reply::Answer(answer) = cluster.resume(1500, 1, &bytes[4..], wait) else {
            panic!()
        };
        assert_eq!(
            produced(&answer.bytes[4..], 9).0,
            ErrorCode::NOT_ENOUGH_REPLICAS.0
        );
    }

    #[test]
    fn a_rule_changes_the_cluster() {
        let mut cluster = cluster(2);
        let change = Change::MoveLeader {
            topic: "t".into(),
            partition: 0,
            to: Some(2),
        };
        let rule = Rule::on(ApiKey::PRODUCE)
            .skip(1)
            .times(1)
            .act(Act::Change(change));
        let rule = cluster.add_rule(rule);
        let one = batch(NOBODY, &["a"]);
        assert_eq!(code_of(&mut cluster, &one), ErrorCode::NONE);
        assert_eq!(
            code_of(&mut cluster, &one),
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        );
        assert_eq!((cluster.leader("t", 0), cluster.fired(rule)), (Some(2), 1));
    }

    #[test]
    fn errors_of_other_requests() {
        let mut cluster = cluster(1);
        let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        cluster.add_rule(Rule::on(ApiKey::INIT_PRODUCER_ID).error(code));
        let request = InitProducerIdRequest {
            transactional_id: None,
            ..Default::default()
        };
        let frame = answer(&mut cluster, 1, &request, 4);
        assert_eq!(
            read::<InitProducerIdRequest<'_>>(&frame, 4).error_code,
            code.0
        );
        let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        cluster.add_rule(Rule::on(ApiKey::METADATA).topic("t").error(code));
        let request = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 12);
        assert_eq!(
            read::<MetadataRequest<'_>>(&frame, 12).topics[0].error_code,
            code.0
        );
        cluster.add_rule(Rule::on(ApiKey::METADATA).error(ErrorCode::REBOOTSTRAP_REQUIRED));
        let frame = answer(&mut cluster, 1, &request, 13);
        let response = read::<MetadataRequest<'_>>(&frame, 13);
        assert_eq!(response.error_code, ErrorCode::REBOOTSTRAP_REQUIRED.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let mut cluster = Cluster::new(ClusterConfig {
                seed,
                ..ClusterConfig::default()
            });
            cluster.create_topic("t", 1).expect("a topic");
            let rule = Rule::on(ApiKey::PRODUCE)
                .probability(0.5)
                .error(ErrorCode(7));
            cluster.add_rule(rule);
            let one = batch(NOBODY, &["a"]);
            (0..50)
                .map(|_| code_of(&mut cluster, &one).0)
                .collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}

mod hostile {
    use super::*;

    /// Well-formed requests to be spoilt.
    fn requests() -> Vec<Vec<u8>> {
        let one = batch((5, 0, 0), &["a", "b"]);
        let names = ApiVersionsRequest {
            client_software_name: "x",
            client_software_version: "1",
        };
        let topics = Some(vec![MetadataRequestTopic {
            name: Some("t"),
            topic_id: Uuid::ZERO,
        }]);
        let metadata = MetadataRequest {
            topics,
            ..MetadataRequest::default()
        };
        vec![
            frame(&produce("t", Uuid::ZERO, 0, &one), 3),
            frame(&produce("t", Uuid::ZERO, 0, &one), 9),
            frame(&names, 3),
            frame(&metadata, 4),
            frame(&metadata, 12),
            frame(
                &InitProducerIdRequest {
                    transactional_id: Some("x"),
                    ..Default::default()
                },
                4,
            ),
        ]
    }

    #[test]
    fn cut_short_requests_close() {
        let mut cluster = cluster(1);
        for request in requests() {
            for len in 4..request.len() {
                let reply = cluster.handle(0, 1, 1, &request[4..len]);
                assert!(
                    matches!(reply, Reply::Close),
                    "{len} bytes of {request:?}: {reply:?}"
                );
            }
        }
    }

    #[test]
    fn spoilt_requests_do_no_harm() {
        let mut cluster = cluster(1);
        let mut random = 1u64;
        let mut next = move || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize
        };
        for request in requests() {
            for _ in 0..3000 {
                let mut bytes = request[4..].to_vec();
                for _ in 0..1 + next() % 3 {
                    let at = next() % bytes.len();
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff, next() as u8][next() % 6];
                }
                let _ = cluster.handle(0, 1, 1, &bytes);
            }
        }
        assert_eq!(
            code_of(&mut cluster, &batch(NOBODY, &["a"])),
            ErrorCode::NONE
        );
    }

    #[test]
    fn other_bytes_close() {
        let mut cluster = cluster(1);
        for bytes in [&b""[..], b"\0", b"GET / HTTP/1.1\r\n", &[0xff; 40], &[0; 7]] {
            assert!(
                matches!(cluster.handle(0, 1, 1, bytes), Reply::Close),
                "{bytes:?}"
            );
        }
        assert!(matches!(
            cluster.handle(0, 99, 1, &requests()[2][4..]),
            Reply::Close
        ));
    }
}
