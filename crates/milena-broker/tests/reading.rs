//! Fetch and ListOffsets against the pure model.

mod common;

use common::{NOBODY, answer, ask, batch, frame, produce, produced, read};
use milena_broker::{
    Act, ApiKey, Change, Cluster, ClusterConfig, ErrorCode, Reply, Rule, TopicConfig, Uuid,
};
use milena_wire::api::fetch::{FetchPartition, FetchTopic};
use milena_wire::api::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use milena_wire::{FetchRequest, ListOffsetsRequest, Request};

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(ClusterConfig {
        brokers: 2,
        ..ClusterConfig::default()
    });
    cluster.create_topic("t", 2).expect("a topic");
    cluster
}

fn id(cluster: &Cluster) -> Uuid {
    cluster.topic("t").expect("it is there").id
}

fn send(cluster: &mut Cluster, values: &[&str]) -> i64 {
    let batch = batch(NOBODY, values);
    let frame = answer(cluster, 1, &produce("t", Uuid::ZERO, 0, &batch), 9);
    let (code, offset) = produced(&frame, 9);
    assert_eq!(code, 0);
    offset
}

fn fetch(id: Uuid, fetch_offset: i64) -> FetchRequest<'static> {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: -1,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: "t",
            topic_id: id,
            partitions: vec![partition],
        }],
        ..FetchRequest::default()
    }
}

/// What a Fetch of partition 0 found: error code, end of the log and offsets of the batches.
fn fetched(
    cluster: &mut Cluster,
    request: &FetchRequest<'_>,
    version: i16,
) -> (i16, i64, Vec<i64>) {
    let frame = answer(cluster, 1, request, version);
    let response = read::<FetchRequest<'_>>(&frame, version);
    assert_eq!((response.error_code, response.session_id), (0, 0));
    let partition = &response.responses[0].partitions[0];
    let bytes = partition
        .records
        .and_then(|records| records.as_slice())
        .unwrap_or_default();
    let batches = milena_record::batches(bytes).map(|batch| {
        let batch = batch.expect("in form");
        batch.verify_crc().expect("its checksum");
        batch.header().base_offset
    });
    (
        partition.error_code,
        partition.high_watermark,
        batches.collect(),
    )
}

#[test]
fn every_version_reads_what_was_written() {
    let mut cluster = cluster();
    for values in [&["a", "b"][..], &["c"], &["d", "e", "f"]] {
        send(&mut cluster, values);
    }
    let id = id(&cluster);
    for version in FetchRequest::VERSIONS {
        assert_eq!(
            fetched(&mut cluster, &fetch(id, 0), version),
            (0, 6, vec![0, 2, 3])
        );
        assert_eq!(
            fetched(&mut cluster, &fetch(id, 4), version),
            (0, 6, vec![3])
        );
    }
}

#[test]
fn sizes_are_limited_but_one_batch_is_always_given() {
    let mut cluster = cluster();
    for _ in 0..3 {
        send(&mut cluster, &["a"]);
    }
    let id = id(&cluster);
    let small = FetchRequest {
        max_bytes: 1,
        ..fetch(id, 0)
    };
    assert_eq!(fetched(&mut cluster, &small, 12).2, [0]);
    let mut small = fetch(id, 1);
    small.topics[0].partitions[0].partition_max_bytes = 0;
    assert_eq!(fetched(&mut cluster, &small, 12).2, [1]);
    let negative = FetchRequest {
        max_bytes: i32::MIN,
        ..fetch(id, 0)
    };
    assert_eq!(fetched(&mut cluster, &negative, 12).2, [0]);
}

#[test]
fn errors_are_told_at_once() {
    let mut cluster = cluster();
    send(&mut cluster, &["a"]);
    let id = id(&cluster);
    let mut code = |request: &FetchRequest<'_>, version| {
        let (code, end, batches) = fetched(&mut cluster, request, version);
        assert_eq!((end, batches.len()), (-1, 0));
        ErrorCode(code)
    };
    assert_eq!(code(&fetch(id, 2), 12), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(code(&fetch(id, -1), 12), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(
        code(&fetch(Uuid([1; 16]), 0), 13),
        ErrorCode::UNKNOWN_TOPIC_ID
    );
    let mut request = fetch(id, 0);
    request.topics[0].partitions[0].partition = 9;
    assert_eq!(code(&request, 12), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    request.topics[0].partitions[0].partition = 1;
    assert_eq!(code(&request, 12), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let mut request = fetch(id, 0);
    request.topics[0].partitions[0].current_leader_epoch = 3;
    assert_eq!(code(&request, 12), ErrorCode::UNKNOWN_LEADER_EPOCH);
}

#[test]
fn an_old_epoch_is_fenced_and_the_leader_named() {
    let mut cluster = cluster();
    let id = id(&cluster);
    let move_to = |to| Change::MoveLeader {
        topic: "t".into(),
        partition: 0,
        to: Some(to),
    };
    cluster.apply(0, move_to(2)).expect("moved");
    let frame = answer(&mut cluster, 1, &fetch(id, 0), 16);
    let response = read::<FetchRequest<'_>>(&frame, 16);
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER.0);
    assert_eq!(
        (
            partition.current_leader.leader_id,
            partition.current_leader.leader_epoch
        ),
        (2, 1)
    );
    assert_eq!(response.node_endpoints[0].node_id, 2);
    cluster.apply(0, move_to(1)).expect("moved");
    let mut request = fetch(id, 0);
    request.topics[0].partitions[0].current_leader_epoch = 1;
    let (code, ..) = fetched(&mut cluster, &request, 11);
    assert_eq!(ErrorCode(code), ErrorCode::FENCED_LEADER_EPOCH);
}

#[test]
fn a_reader_waits_for_records_or_the_end_of_its_time() {
    let mut cluster = cluster();
    let bytes = frame(&fetch(id(&cluster), 0), 12);
    let Reply::Wait(wait) = cluster.handle(1000, 1, 1, &bytes[4..]) else {
        panic!()
    };
    assert_eq!((wait.until_ms, wait.on_append), (1500, true));
    let Reply::Wait(wait) = cluster.resume(1200, 1, &bytes[4..], wait) else {
        panic!()
    };
    assert_eq!(wait.until_ms, 1500, "its time does not begin again");
    assert!(matches!(
        cluster.resume(1500, 1, &bytes[4..], wait.clone()),
        Reply::Answer(_)
    ));
    let before = cluster.appends();
    send(&mut cluster, &["a"]);
    assert!(cluster.appends() > before);
    let Reply::Answer(answer) = cluster.resume(1300, 1, &bytes[4..], wait) else {
        panic!()
    };
    let response = read::<FetchRequest<'_>>(&answer.bytes[4..], 12);
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
}

#[test]
fn a_held_reader_waits_its_own_time_afterwards() {
    let mut cluster = cluster();
    cluster.add_rule(Rule::on(ApiKey::FETCH).times(1).act(Act::Hold(100)));
    let bytes = frame(&fetch(id(&cluster), 0), 12);
    let Reply::Wait(wait) = cluster.handle(1000, 1, 1, &bytes[4..]) else {
        panic!()
    };
    assert_eq!((wait.until_ms, wait.on_append), (1100, false));
    let Reply::Wait(wait) = cluster.resume(1100, 1, &bytes[4..], wait) else {
        panic!()
    };
    assert_eq!((wait.until_ms, wait.on_append), (1600, true));
}

#[test]
fn sessions_are_not_kept() {
    let mut cluster = cluster();
    let request = FetchRequest {
        session_id: 5,
        session_epoch: 1,
        ..fetch(id(&cluster), 0)
    };
    let frame = answer(&mut cluster, 1, &request, 12);
    let response = read::<FetchRequest<'_>>(&frame, 12);
    assert_eq!(response.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
}

/// Timestamp and offset of what ListOffsets finds in partition 0.
fn listed(cluster: &mut Cluster, timestamp: i64, version: i16) -> (i64, i64) {
    let partition = ListOffsetsPartition {
        partition_index: 0,
        current_leader_epoch: -1,
        timestamp,
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: "t",
            partitions: vec![partition],
        }],
        ..ListOffsetsRequest::default()
    };
    let frame = answer(cluster, 1, &request, version);
    let response = read::<ListOffsetsRequest<'_>>(&frame, version);
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    (partition.timestamp, partition.offset)
}

#[test]
fn offsets_are_listed_in_every_version() {
    let mut cluster = cluster();
    send(&mut cluster, &["a", "b"]);
    send(&mut cluster, &["c"]);
    for version in ListOffsetsRequest::VERSIONS {
        assert_eq!(listed(&mut cluster, -1, version), (-1, 3));
        assert_eq!(listed(&mut cluster, -2, version), (-1, 0));
        // All records of the helpers are of 50 ms.
        assert_eq!(listed(&mut cluster, 50, version), (50, 0));
        assert_eq!(listed(&mut cluster, 51, version), (-1, -1));
    }
    assert_eq!(listed(&mut cluster, -3, 7), (50, 0));
    cluster.log_mut("t", 0).expect("a log").delete_before(2);
    assert_eq!(listed(&mut cluster, -2, 7), (-1, 2));
}

#[test]
fn a_partition_that_is_asked_for_twice_is_refused_once() {
    let mut cluster = cluster();
    send(&mut cluster, &["a", "b"]);
    let partitions = [0, 7, 0].map(|partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp: -1,
    });
    let topic = |partitions: &[_]| ListOffsetsTopic {
        name: "t",
        partitions: partitions.to_vec(),
    };
    let invalid = (0, ErrorCode::INVALID_REQUEST.0, -1);
    let unknown = (7, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0, -1);
    for topics in [
        vec![topic(&partitions)],
        vec![topic(&partitions[..2]), topic(&partitions[2..])],
    ] {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics,
            ..ListOffsetsRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 7);
        let response = read::<ListOffsetsRequest<'_>>(&frame, 7);
        assert_eq!(response.topics.len(), 1);
        let answers = response.topics[0].partitions.iter();
        let found: Vec<_> = answers
            .map(|one| (one.partition_index, one.error_code, one.offset))
            .collect();
        assert_eq!(found, [invalid, unknown]);
    }
}

#[test]
fn what_is_discarded_cannot_be_read() {
    let topic = TopicConfig {
        discard: true,
        ..TopicConfig::default()
    };
    let mut cluster = Cluster::new(ClusterConfig {
        topic,
        ..ClusterConfig::default()
    });
    cluster.create_topic("t", 1).expect("a topic");
    assert_eq!(
        (send(&mut cluster, &["a"]), send(&mut cluster, &["b"])),
        (0, 1)
    );
    assert_eq!(listed(&mut cluster, -2, 7), (-1, 2));
    let (code, ..) = fetched(&mut cluster, &fetch(Uuid::ZERO, 0), 12);
    assert_eq!(ErrorCode(code), ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn spoilt_requests_do_no_harm() {
    let mut cluster = cluster();
    send(&mut cluster, &["a"]);
    let mut random = 9u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize
    };
    for version in [4, 11, 12, 13, 18] {
        let good = frame(&fetch(id(&cluster), 0), version);
        for len in 4..good.len() {
            assert!(matches!(
                cluster.handle(0, 1, 1, &good[4..len]),
                Reply::Close
            ));
        }
        for _ in 0..3000 {
            let mut bytes = good[4..].to_vec();
            for _ in 0..1 + next() % 3 {
                let at = next() % bytes.len();
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, next() as u8][next() % 6];
            }
            if let Reply::Wait(wait) = cluster.handle(0, 1, 1, &bytes) {
                let _ = cluster.resume(i64::MAX, 1, &bytes, wait);
            }
        }
    }
    assert!(matches!(
        ask(&mut cluster, 1, &fetch(Uuid::ZERO, 0), 12),
        Reply::Answer(_)
    ));
}
