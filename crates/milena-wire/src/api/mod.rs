//! The messages, one module per API.

use crate::request::Api;

pub mod api_versions;
pub mod init_producer_id;
pub mod metadata;
pub mod produce;

#[cfg(feature = "all")]
pub mod add_offsets_to_txn;
#[cfg(feature = "all")]
pub mod add_partitions_to_txn;
#[cfg(feature = "all")]
pub mod create_partitions;
#[cfg(feature = "all")]
pub mod create_topics;
#[cfg(feature = "all")]
pub mod delete_topics;
#[cfg(feature = "all")]
pub mod describe_configs;
#[cfg(feature = "all")]
pub mod describe_producers;
#[cfg(feature = "all")]
pub mod describe_transactions;
#[cfg(feature = "all")]
pub mod end_txn;
#[cfg(feature = "all")]
pub mod fetch;
#[cfg(feature = "all")]
pub mod find_coordinator;
#[cfg(feature = "all")]
pub mod get_telemetry_subscriptions;
#[cfg(feature = "all")]
pub mod list_offsets;
#[cfg(feature = "all")]
pub mod offset_fetch;
#[cfg(feature = "all")]
pub mod push_telemetry;
#[cfg(feature = "all")]
pub mod sasl_authenticate;
#[cfg(feature = "all")]
pub mod sasl_handshake;
#[cfg(feature = "all")]
pub mod txn_offset_commit;

/// Every API that is here, by key.
pub const ALL: &[Api] = &[
    Api::of::<produce::ProduceRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<fetch::FetchRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<list_offsets::ListOffsetsRequest<'_>>(),
    Api::of::<metadata::MetadataRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<offset_fetch::OffsetFetchRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<find_coordinator::FindCoordinatorRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<sasl_handshake::SaslHandshakeRequest<'_>>(),
    Api::of::<api_versions::ApiVersionsRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<create_topics::CreateTopicsRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<delete_topics::DeleteTopicsRequest<'_>>(),
    Api::of::<init_producer_id::InitProducerIdRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<add_partitions_to_txn::AddPartitionsToTxnRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<add_offsets_to_txn::AddOffsetsToTxnRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<end_txn::EndTxnRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<txn_offset_commit::TxnOffsetCommitRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<describe_configs::DescribeConfigsRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<sasl_authenticate::SaslAuthenticateRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<create_partitions::CreatePartitionsRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<describe_producers::DescribeProducersRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<describe_transactions::DescribeTransactionsRequest<'_>>(),
    #[cfg(feature = "all")]
    Api::of::<get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest>(),
    #[cfg(feature = "all")]
    Api::of::<push_telemetry::PushTelemetryRequest<'_>>(),
];
