//! What administrators and tools ask of the pure model.

mod common;

use common::{answer, batch, frame, produce, read};
use milena_broker::{Act, ApiKey, Cluster, ClusterConfig, ErrorCode, Reply, Rule, Uuid};
use milena_wire::api::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use milena_wire::api::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use milena_wire::api::delete_topics::DeleteTopicState;
use milena_wire::api::describe_configs::DescribeConfigsResource;
use milena_wire::api::describe_producers::TopicRequest;
use milena_wire::api::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use milena_wire::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    DescribeProducersRequest, DescribeTransactionsRequest, FindCoordinatorRequest,
    InitProducerIdRequest, OffsetFetchRequest, Request,
};

fn cluster(brokers: usize) -> Cluster {
    Cluster::new(ClusterConfig {
        brokers,
        ..ClusterConfig::default()
    })
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic<'_> {
    CreatableTopic {
        name,
        num_partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

fn create(cluster: &mut Cluster, topic: CreatableTopic<'_>) -> ErrorCode {
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..CreateTopicsRequest::default()
    };
    let frame = answer(cluster, 1, &request, 7);
    ErrorCode(read::<CreateTopicsRequest<'_>>(&frame, 7).topics[0].error_code)
}

#[test]
fn topics_are_created_in_every_version() {
    let mut cluster = cluster(3);
    for version in CreateTopicsRequest::VERSIONS {
        let name = format!("v{version}");
        let request = CreateTopicsRequest {
            topics: vec![topic(&name, 4, 2)],
            ..CreateTopicsRequest::default()
        };
        let frame = answer(&mut cluster, 2, &request, version);
        let response = read::<CreateTopicsRequest<'_>>(&frame, version);
        let created = cluster.topic(&name).expect("it was created");
        assert_eq!(response.topics[0].error_code, 0);
        assert_eq!(
            (
                created.partitions.len(),
                created.partitions[0].replicas.len()
            ),
            (4, 2)
        );
        if version >= 7 {
            assert_eq!(response.topics[0].topic_id, created.id);
        }
    }
}

#[test]
fn what_cannot_be_created_is_refused() {
    let mut cluster = cluster(2);
    assert_eq!(create(&mut cluster, topic("t", 1, 1)), ErrorCode::NONE);
    for (topic, code) in [
        (topic("t", 1, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic("a b", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("u", 0, 1), ErrorCode::INVALID_PARTITIONS),
        (topic("u", i32::MAX, 1), ErrorCode::INVALID_PARTITIONS),
        (topic("u", 1, 3), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic("u", 1, 0), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic("u", -1, -1), ErrorCode::NONE),
    ] {
        assert_eq!(create(&mut cluster, topic.clone()), code, "{topic:?}");
    }
    let request = CreateTopicsRequest {
        topics: vec![topic("twice", 1, 1), topic("twice", 1, 1)],
        ..CreateTopicsRequest::default()
    };
    let frame = answer(&mut cluster, 1, &request, 7);
    let response = read::<CreateTopicsRequest<'_>>(&frame, 7);
    assert!(
        response
            .topics
            .iter()
            .all(|one| one.error_code == ErrorCode::INVALID_REQUEST.0)
    );
    assert!(cluster.topic("twice").is_none());
}

#[test]
fn topics_are_configured_and_placed() {
    let mut cluster = cluster(3);
    let mut wanted = topic("t", -1, -1);
    wanted.configs = vec![CreatableTopicConfig {
        name: "max.message.bytes",
        value: Some("77"),
    }];
    wanted.assignments = [[3, 1], [2, 3]]
        .into_iter()
        .zip(0..)
        .map(|(ids, partition_index)| CreatableReplicaAssignment {
            partition_index,
            broker_ids: ids.to_vec(),
        })
        .collect();
    assert_eq!(create(&mut cluster, wanted.clone()), ErrorCode::NONE);
    let created = cluster.topic("t").expect("it was created");
    assert_eq!(created.config.max_message_bytes, 77);
    let leaders: Vec<_> = created.partitions.iter().map(|one| one.leader).collect();
    assert_eq!(leaders, [Some(3), Some(2)]);
    wanted.name = "u";
    wanted.assignments[0].broker_ids = vec![9];
    assert_eq!(
        create(&mut cluster, wanted.clone()),
        ErrorCode::INVALID_REPLICA_ASSIGNMENT
    );
    wanted.assignments.clear();
    wanted.configs[0].value = Some("x");
    assert_eq!(create(&mut cluster, wanted), ErrorCode::INVALID_CONFIG);
}

#[test]
fn a_topic_can_be_checked_only() {
    let mut cluster = cluster(1);
    let request = CreateTopicsRequest {
        topics: vec![topic("t", 1, 1)],
        validate_only: true,
        ..CreateTopicsRequest::default()
    };
    let frame = answer(&mut cluster, 1, &request, 7);
    assert_eq!(
        read::<CreateTopicsRequest<'_>>(&frame, 7).topics[0].error_code,
        0
    );
    assert!(cluster.topic("t").is_none());
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut cluster = cluster(1);
    for version in DeleteTopicsRequest::VERSIONS {
        let id = cluster.create_topic("t", 1).expect("a topic");
        let by_name = DeleteTopicState {
            name: Some("u"),
            topic_id: Uuid::ZERO,
        };
        let by_id = DeleteTopicState {
            name: None,
            topic_id: id,
        };
        let request = match version {
            ..=5 => DeleteTopicsRequest {
                topic_names: vec!["t", "u"],
                ..DeleteTopicsRequest::default()
            },
            _ => DeleteTopicsRequest {
                topics: vec![by_id, by_name],
                ..DeleteTopicsRequest::default()
            },
        };
        let frame = answer(&mut cluster, 1, &request, version);
        let response = read::<DeleteTopicsRequest<'_>>(&frame, version);
        let codes: Vec<_> = response
            .responses
            .iter()
            .map(|one| one.error_code)
            .collect();
        assert_eq!(codes, [0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0]);
        assert_eq!(response.responses[0].name, Some("t"));
        assert!(cluster.topic("t").is_none());
    }
}

#[test]
fn what_is_named_twice_is_left_alone() {
    let mut cluster = cluster(1);
    let refused = ErrorCode::INVALID_REQUEST;
    let id = cluster.create_topic("t", 1).expect("a topic");
    cluster.create_topic("u", 1).expect("a topic");

    let more = |name, count| CreatePartitionsTopic {
        name,
        count,
        assignments: None,
    };
    let request = CreatePartitionsRequest {
        topics: vec![more("t", 2), more("u", 2), more("t", 3)],
        ..CreatePartitionsRequest::default()
    };
    let frame = answer(&mut cluster, 1, &request, 3);
    let response = read::<CreatePartitionsRequest<'_>>(&frame, 3);
    let codes = response.results.iter().map(|one| ErrorCode(one.error_code));
    assert!(codes.eq([refused, ErrorCode::NONE, refused]));
    assert_eq!(
        (cluster.logs("t").count(), cluster.logs("u").count()),
        (1, 2)
    );

    let state = |name, topic_id| DeleteTopicState { name, topic_id };
    let unknown = state(None, Uuid([7; 16]));
    for (topics, wanted) in [
        (vec![state(Some("t"), Uuid::ZERO); 2], [refused; 2]),
        (vec![state(None, id); 2], [refused; 2]),
        (
            vec![state(None, id), state(Some("t"), Uuid::ZERO)],
            [refused; 2],
        ),
        (vec![unknown.clone(); 2], [refused; 2]),
        (
            vec![state(None, id), unknown],
            [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_ID],
        ),
    ] {
        assert!(cluster.topic("t").is_some());
        let request = DeleteTopicsRequest {
            topics,
            ..DeleteTopicsRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 6);
        let response = read::<DeleteTopicsRequest<'_>>(&frame, 6);
        let codes = response.responses.iter();
        assert!(codes.map(|one| ErrorCode(one.error_code)).eq(wanted));
    }
    assert!(cluster.topic("t").is_none());
}

#[test]
fn partitions_are_added() {
    let mut cluster = cluster(3);
    assert_eq!(create(&mut cluster, topic("t", 2, 1)), ErrorCode::NONE);
    let mut add = |name, count, ids: Option<&[i32]>, version| {
        let assignments = ids.map(|ids| {
            ids.iter()
                .map(|id| CreatePartitionsAssignment {
                    broker_ids: vec![*id],
                })
                .collect()
        });
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name,
                count,
                assignments,
            }],
            ..CreatePartitionsRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, version);
        ErrorCode(read::<CreatePartitionsRequest<'_>>(&frame, version).results[0].error_code)
    };
    for (version, count) in CreatePartitionsRequest::VERSIONS.zip(3..) {
        assert_eq!(add("t", count, None, version), ErrorCode::NONE);
        assert_eq!(
            add("t", count, None, version),
            ErrorCode::INVALID_PARTITIONS
        );
    }
    assert_eq!(add("u", 9, None, 3), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(add("t", -1, None, 3), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(
        add("t", 8, Some(&[1]), 3),
        ErrorCode::INVALID_REPLICA_ASSIGNMENT
    );
    assert_eq!(
        add("t", 8, Some(&[1, 7]), 3),
        ErrorCode::INVALID_REPLICA_ASSIGNMENT
    );
    assert_eq!(add("t", 8, Some(&[1, 3]), 3), ErrorCode::NONE);
    assert_eq!(
        (cluster.leader("t", 6), cluster.leader("t", 7)),
        (Some(1), Some(3))
    );
}

#[test]
fn replicas_are_as_many_everywhere_and_on_different_brokers() {
    let mut cluster = cluster(3);
    assert_eq!(create(&mut cluster, topic("t", 1, 2)), ErrorCode::NONE);
    let good = [vec![3, 1], vec![2, 3]];
    let bad = [
        [vec![3, 3], vec![1, 2]],
        [vec![3, 1], vec![2, 2]],
        [vec![3, 1], vec![2]],
        [vec![3, 1], vec![1, 2, 3]],
        [vec![1], vec![1, 2]],
        [vec![], vec![]],
    ];
    let refused = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    // As many everywhere, but not as many as the topic has.
    let fewer = [vec![3], vec![2]];
    for (ids, new, more) in bad
        .into_iter()
        .map(|ids| (ids, refused, refused))
        .chain([(fewer, ErrorCode::NONE, refused)])
        .chain([(good, ErrorCode::NONE, ErrorCode::NONE)])
    {
        let mut wanted = topic("u", -1, -1);
        wanted.assignments = (0..)
            .zip(&ids)
            .map(|(partition_index, ids)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: ids.clone(),
            })
            .collect();
        let request = CreateTopicsRequest {
            topics: vec![wanted],
            validate_only: true,
            ..CreateTopicsRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 7);
        let created = read::<CreateTopicsRequest<'_>>(&frame, 7).topics[0].error_code;
        assert_eq!(ErrorCode(created), new, "{ids:?}");
        let assignments = ids.iter().map(|ids| CreatePartitionsAssignment {
            broker_ids: ids.clone(),
        });
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: "t",
                count: 3,
                assignments: Some(assignments.collect()),
            }],
            ..CreatePartitionsRequest::default()
        };
        let frame = answer(&mut cluster, 1, &request, 3);
        let added = read::<CreatePartitionsRequest<'_>>(&frame, 3).results[0].error_code;
        assert_eq!(ErrorCode(added), more, "{ids:?}");
    }
}

#[test]
fn configurations_are_described() {
    let mut cluster = cluster(1);
    cluster.create_topic("t", 1).expect("a topic");
    let resource = |resource_type, resource_name, configuration_keys| DescribeConfigsResource {
        resource_type,
        resource_name,
        configuration_keys,
    };
    let request = DescribeConfigsRequest {
        resources: vec![
            resource(2, "t", Some(vec!["max.message.bytes"])),
            resource(2, "u", None),
            resource(4, "1", None),
            resource(4, "x", None),
            resource(9, "x", None),
        ],
        ..DescribeConfigsRequest::default()
    };
    for version in DescribeConfigsRequest::VERSIONS {
        let frame = answer(&mut cluster, 1, &request, version);
        let response = read::<DescribeConfigsRequest<'_>>(&frame, version);
        let codes: Vec<_> = response.results.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 3, 0, 42, 42]);
        let configs = &response.results[0].configs;
        assert_eq!((configs.len(), configs[0].value), (1, Some("1048588")));
        assert!(response.results[2].configs.len() > 3);
    }
}

#[test]
fn producers_are_described() {
    let mut cluster = cluster(1);
    cluster.create_topic("t", 2).expect("a topic");
    let batch = batch((7, 2, 0), &["a", "b"]);
    answer(&mut cluster, 1, &produce("t", Uuid::ZERO, 1, &batch), 9);
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: "t",
            partition_indexes: vec![0, 1, 2],
        }],
    };
    let frame = answer(&mut cluster, 1, &request, 0);
    let response = read::<DescribeProducersRequest<'_>>(&frame, 0);
    let partitions = &response.topics[0].partitions;
    assert_eq!(partitions[0].active_producers, []);
    assert_eq!(
        partitions[2].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0
    );
    let producer = &partitions[1].active_producers[0];
    assert_eq!((producer.producer_id, producer.producer_epoch), (7, 2));
    assert_eq!((producer.last_sequence, producer.last_timestamp), (1, 50));
}

#[test]
fn a_partition_that_is_named_often_is_described_once() {
    let mut cluster = cluster(1);
    let id = cluster.create_topic("t", 1).unwrap();
    for producer in 0..1000 {
        let batch = batch((producer, 0, 0), &["v"]);
        answer(&mut cluster, 1, &produce("t", id, 0, &batch), 9);
    }
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: "t",
            partition_indexes: vec![0; 1000],
        }],
    };
    let asked = frame(&request, 0).len();
    let told = answer(&mut cluster, 1, &request, 0).len();
    assert!(told < 100 * asked, "{asked} bytes are answered with {told}");
}

#[test]
fn coordinators_are_found_in_every_version() {
    for group_coordinators in [false, true] {
        let config = ClusterConfig {
            brokers: 3,
            group_coordinators,
            ..ClusterConfig::default()
        };
        let mut cluster = Cluster::new(config);
        for version in FindCoordinatorRequest::VERSIONS {
            let mut code = |key_type| {
                let request = match version {
                    ..=3 => FindCoordinatorRequest {
                        key: "x",
                        key_type,
                        ..FindCoordinatorRequest::default()
                    },
                    _ => FindCoordinatorRequest {
                        key_type,
                        coordinator_keys: vec!["x"],
                        ..FindCoordinatorRequest::default()
                    },
                };
                let frame = answer(&mut cluster, 1, &request, version);
                let response = read::<FindCoordinatorRequest<'_>>(&frame, version);
                match response.coordinators.first() {
                    Some(one) => (one.error_code, one.node_id > 0),
                    None => (response.error_code, response.node_id > 0),
                }
            };
            let group = if group_coordinators {
                (0, true)
            } else {
                (15, false)
            };
            assert_eq!(code(FindCoordinatorRequest::GROUP), group);
            if version > 0 {
                assert_eq!(code(FindCoordinatorRequest::TRANSACTION), (0, true));
            }
        }
    }
}

#[test]
fn a_key_may_have_any_sum() {
    let mut cluster = cluster(3);
    // What its first 14 bytes come to wraps to the largest number that there is.
    let request = FindCoordinatorRequest {
        key_type: FindCoordinatorRequest::TRANSACTION,
        coordinator_keys: vec!["09BFEGJ90EL5HMz"],
        ..FindCoordinatorRequest::default()
    };
    let frame = answer(&mut cluster, 1, &request, 6);
    let response = read::<FindCoordinatorRequest<'_>>(&frame, 6);
    assert_eq!(response.coordinators[0].error_code, 0);
}

#[test]
fn nobody_has_committed_anything() {
    let mut cluster = Cluster::new(ClusterConfig {
        group_coordinators: true,
        ..ClusterConfig::default()
    });
    cluster.create_topic("t", 1).expect("a topic");
    let id = cluster.topic("t").expect("just created").id;
    for version in OffsetFetchRequest::VERSIONS {
        let request = if version < 8 {
            OffsetFetchRequest {
                group_id: "g",
                topics: Some(vec![OffsetFetchRequestTopic {
                    name: "t",
                    partition_indexes: vec![0, 7],
                }]),
                ..OffsetFetchRequest::default()
            }
        } else {
            OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup {
                    group_id: "g",
                    topics: Some(vec![OffsetFetchRequestTopics {
                        name: "t",
                        topic_id: id,
                        partition_indexes: vec![0, 7],
                    }]),
                    ..OffsetFetchRequestGroup::default()
                }],
                ..OffsetFetchRequest::default()
            }
        };
        let frame = answer(&mut cluster, 1, &request, version);
        let response = read::<OffsetFetchRequest<'_>>(&frame, version);
        let one = response.topics.iter().flat_map(|topic| &topic.partitions);
        let one = one.map(|there| {
            (
                there.partition_index,
                there.committed_offset,
                there.error_code,
            )
        });
        let many = response.groups.iter().flat_map(|group| &group.topics);
        let many = many.flat_map(|topic| &topic.partitions);
        let many = many.map(|there| {
            (
                there.partition_index,
                there.committed_offset,
                there.error_code,
            )
        });
        let told: Vec<_> = one.chain(many).collect();
        assert_eq!(told, [(0, -1, 0), (7, -1, 0)], "version {version}");
    }
}

#[test]
fn transactional_ids_are_described() {
    let mut cluster = cluster(1);
    let init = InitProducerIdRequest {
        transactional_id: Some("orders"),
        transaction_timeout_ms: 4000,
        ..InitProducerIdRequest::default()
    };
    let frame = answer(&mut cluster, 1, &init, 4);
    let granted = read::<InitProducerIdRequest<'_>>(&frame, 4);
    let request = DescribeTransactionsRequest {
        transactional_ids: vec!["orders", "nobody"],
    };
    let frame = answer(&mut cluster, 1, &request, 0);
    let response = read::<DescribeTransactionsRequest<'_>>(&frame, 0);
    let [orders, nobody] = &response.transaction_states[..] else {
        panic!("{response:?}");
    };
    assert_eq!(
        (
            orders.error_code,
            orders.transaction_state,
            orders.transaction_timeout_ms
        ),
        (0, "Empty", 4000)
    );
    assert_eq!(
        (orders.producer_id, orders.producer_epoch),
        (granted.producer_id, granted.producer_epoch)
    );
    assert_eq!(nobody.error_code, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND.0);
}

#[test]
fn rules_meet_topics() {
    let mut cluster = cluster(1);
    let code = ErrorCode::THROTTLING_QUOTA_EXCEEDED;
    cluster.add_rule(
        Rule::on(ApiKey::CREATE_TOPICS)
            .topic("t")
            .times(1)
            .error(code),
    );
    assert_eq!(create(&mut cluster, topic("u", 1, 1)), ErrorCode::NONE);
    assert_eq!(create(&mut cluster, topic("t", 1, 1)), code);
    assert_eq!(create(&mut cluster, topic("t", 1, 1)), ErrorCode::NONE);
}

#[test]
fn what_is_carried_out_can_be_answered_with_an_error() {
    let mut cluster = cluster(1);
    let code = ErrorCode::REQUEST_TIMED_OUT;
    let rule = cluster.add_rule(Rule::always().act(Act::ErrorAfter(code)));
    assert_eq!(create(&mut cluster, topic("t", 1, 1)), code);
    assert!(cluster.topic("t").is_some());

    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "t",
            count: 3,
            assignments: None,
        }],
        ..CreatePartitionsRequest::default()
    };
    let frame = answer(&mut cluster, 1, &request, 3);
    let extended = read::<CreatePartitionsRequest<'_>>(&frame, 3);
    assert_eq!(ErrorCode(extended.results[0].error_code), code);
    assert_eq!(cluster.logs("t").count(), 3);

    let request = DeleteTopicsRequest {
        topic_names: vec!["t"],
        ..DeleteTopicsRequest::default()
    };
    let frame = answer(&mut cluster, 1, &request, 5);
    let deleted = read::<DeleteTopicsRequest<'_>>(&frame, 5);
    assert_eq!(ErrorCode(deleted.responses[0].error_code), code);
    assert!(cluster.topic("t").is_none());

    let request = InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    };
    let given = |cluster: &mut Cluster| {
        let frame = answer(cluster, 1, &request, 4);
        let given = read::<InitProducerIdRequest<'_>>(&frame, 4);
        (ErrorCode(given.error_code), given.producer_id)
    };
    assert_eq!(given(&mut cluster), (code, -1));
    cluster.remove_rule(rule);
    assert_eq!(given(&mut cluster), (ErrorCode::NONE, 1001));
}

#[test]
fn cut_short_requests_close() {
    let mut cluster = cluster(1);
    cluster.create_topic("t", 1).expect("a topic");
    let state = DeleteTopicState {
        name: Some("t"),
        topic_id: Uuid::ZERO,
    };
    let frames = [
        frame(
            &CreateTopicsRequest {
                topics: vec![topic("x", 1, 1)],
                ..Default::default()
            },
            7,
        ),
        frame(
            &DeleteTopicsRequest {
                topics: vec![state],
                ..Default::default()
            },
            6,
        ),
        frame(
            &DescribeProducersRequest {
                topics: vec![TopicRequest {
                    name: "t",
                    partition_indexes: vec![0],
                }],
            },
            0,
        ),
    ];
    for frame in frames {
        for len in 4..frame.len() {
            assert!(matches!(
                cluster.handle(0, 1, 1, &frame[4..len]),
                Reply::Close
            ));
        }
    }
    assert!(cluster.topic("x").is_none() && cluster.topic("t").is_some());
}
