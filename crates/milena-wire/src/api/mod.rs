//! The messages, one module per API.

use crate::request::Api;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_configs;
pub mod describe_producers;
pub mod describe_transactions;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_fetch;
pub mod produce;
pub mod push_telemetry;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod txn_offset_commit;

/// Every API that is here, by key.
pub const ALL: &[Api] = &[
    Api::of::<produce::ProduceRequest<'_>>(),
    Api::of::<fetch::FetchRequest<'_>>(),
    Api::of::<list_offsets::ListOffsetsRequest<'_>>(),
    Api::of::<metadata::MetadataRequest<'_>>(),
    Api::of::<offset_fetch::OffsetFetchRequest<'_>>(),
    Api::of::<find_coordinator::FindCoordinatorRequest<'_>>(),
    Api::of::<sasl_handshake::SaslHandshakeRequest<'_>>(),
    Api::of::<api_versions::ApiVersionsRequest<'_>>(),
    Api::of::<create_topics::CreateTopicsRequest<'_>>(),
    Api::of::<delete_topics::DeleteTopicsRequest<'_>>(),
    Api::of::<init_producer_id::InitProducerIdRequest<'_>>(),
    Api::of::<add_partitions_to_txn::AddPartitionsToTxnRequest<'_>>(),
    Api::of::<add_offsets_to_txn::AddOffsetsToTxnRequest<'_>>(),
    Api::of::<end_txn::EndTxnRequest<'_>>(),
    Api::of::<txn_offset_commit::TxnOffsetCommitRequest<'_>>(),
    Api::of::<describe_configs::DescribeConfigsRequest<'_>>(),
    Api::of::<sasl_authenticate::SaslAuthenticateRequest<'_>>(),
    Api::of::<create_partitions::CreatePartitionsRequest<'_>>(),
    Api::of::<describe_producers::DescribeProducersRequest<'_>>(),
    Api::of::<describe_transactions::DescribeTransactionsRequest<'_>>(),
    Api::of::<get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest>(),
    Api::of::<push_telemetry::PushTelemetryRequest<'_>>(),
];
