//! Which brokers there are, and who leads the partitions of topics.
//!
//! - 1: null asks for all topics, an empty array for none; racks, the controller.
//! - 2: the cluster's id (KIP-78).
//! - 4: whether a missing topic may be created (KIP-204).
//! - 5: replicas that are offline (KIP-112).
//! - 6: a throttled client is to stay silent by itself (KIP-219).
//! - 7: epochs of leaders (KIP-320).
//! - 8: what the client is allowed to do (KIP-430).
//! - 9: flexible (KIP-482). The first version whose epochs of leaders can be trusted.
//! - 10: ids of topics (KIP-516).
//! - 11: no longer what the client may do with the cluster (KIP-700).
//! - 12: topics may be asked for by id.
//! - 13: an error of the whole answer (KIP-1102).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, Uuid, message};

impl Request for MetadataRequest<'_> {
    const KEY: ApiKey = ApiKey::METADATA;
    const VERSIONS: RangeInclusive<i16> = 0..=13;
    const FLEXIBLE: i16 = 9;
    type Response<'a> = MetadataResponse<'a>;
}

message! {
    /// Asks for brokers and topics.
    pub struct MetadataRequest<'a> {
        /// The topics; null for all. In version 0 all are asked for with an empty array.
        0.. => topics: Option<Vec<MetadataRequestTopic<'a>>> = Some(Vec::new()); nullable(1..),
        /// Whether the broker may create a topic that is missing, if it is configured to.
        4.. => allow_auto_topic_creation: bool = true,
        /// Whether to say what the client may do with the cluster.
        8..=10 => include_cluster_authorized_operations: bool,
        /// Whether to say what the client may do with each topic.
        8.. => include_topic_authorized_operations: bool,
    }

    /// A topic to ask for.
    pub struct MetadataRequestTopic<'a> {
        /// Its id, or zero.
        10.. => topic_id: Uuid; ignorable,
        /// Its name; null if it is asked for by id.
        0.. => name: Option<&'a str> = Some(""); nullable(10..),
    }

    /// Brokers and topics.
    pub struct MetadataResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        3.. => throttle_time_ms: i32; ignorable,
        /// The brokers that are alive.
        0.. => brokers: Vec<MetadataResponseBroker<'a>>,
        /// The cluster's id.
        2.. => cluster_id: Option<&'a str> = None; ignorable,
        /// The controller's id, or -1.
        1.. => controller_id: i32 = -1; ignorable,
        /// The topics.
        0.. => topics: Vec<MetadataResponseTopic<'a>>,
        /// What the client may do with the cluster, as bits; the lowest number if not asked for.
        8..=10 => cluster_authorized_operations: i32 = i32::MIN,
        /// Why all of it was refused, or 0.
        13.. => error_code: i16; ignorable,
    }

    /// A broker.
    pub struct MetadataResponseBroker<'a> {
        /// Its id.
        0.. => node_id: i32,
        /// Where clients reach it.
        0.. => host: &'a str,
        /// Where clients reach it.
        0.. => port: i32,
        /// The rack it stands in.
        1.. => rack: Option<&'a str> = None; ignorable,
    }

    /// A topic.
    pub struct MetadataResponseTopic<'a> {
        /// Why it cannot be had, or 0.
        0.. => error_code: i16,
        /// Its name; null if it was asked for by an id that is not known.
        0.. => name: Option<&'a str> = Some(""); nullable(12..),
        /// Its id.
        10.. => topic_id: Uuid; ignorable,
        /// Whether it is one of Kafka's own.
        1.. => is_internal: bool; ignorable,
        /// Its partitions, in no order.
        0.. => partitions: Vec<MetadataResponsePartition>,
        /// What the client may do with it, as bits; the lowest number if not asked for.
        8.. => topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    pub struct MetadataResponsePartition {
        /// What is the matter with it, or 0.
        0.. => error_code: i16,
        /// Its number.
        0.. => partition_index: i32,
        /// Who leads it; -1 if nobody does.
        0.. => leader_id: i32,
        /// Grows with each change of its leader; -1 if not known.
        7.. => leader_epoch: i32 = -1; ignorable,
        /// Who has it.
        0.. => replica_nodes: Vec<i32>,
        /// Who has it and keeps up.
        0.. => isr_nodes: Vec<i32>,
        /// Who should have it and is away.
        5.. => offline_replicas: Vec<i32>; ignorable,
    }
}
