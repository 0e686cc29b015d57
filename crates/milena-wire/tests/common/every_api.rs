//! The list of messages, for the tests and the fuzz targets.

/// Calls a macro with every message: `module request(lifetime) response(lifetime)`, in the
/// order of the API keys.
macro_rules! every_api {
    ($callback:ident) => {
        $callback! {
            produce ProduceRequest ProduceResponse,
            fetch FetchRequest FetchResponse,
            list_offsets ListOffsetsRequest ListOffsetsResponse,
            metadata MetadataRequest MetadataResponse,
            offset_fetch OffsetFetchRequest OffsetFetchResponse,
            find_coordinator FindCoordinatorRequest FindCoordinatorResponse,
            sasl_handshake SaslHandshakeRequest SaslHandshakeResponse,
            api_versions ApiVersionsRequest ApiVersionsResponse,
            create_topics CreateTopicsRequest CreateTopicsResponse,
            delete_topics DeleteTopicsRequest DeleteTopicsResponse,
            init_producer_id InitProducerIdRequest InitProducerIdResponse,
            add_partitions_to_txn AddPartitionsToTxnRequest AddPartitionsToTxnResponse,
            add_offsets_to_txn AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
            end_txn EndTxnRequest EndTxnResponse,
            txn_offset_commit TxnOffsetCommitRequest TxnOffsetCommitResponse,
            describe_configs DescribeConfigsRequest DescribeConfigsResponse,
            sasl_authenticate SaslAuthenticateRequest SaslAuthenticateResponse,
            create_partitions CreatePartitionsRequest CreatePartitionsResponse,
            describe_producers DescribeProducersRequest DescribeProducersResponse,
            describe_transactions DescribeTransactionsRequest DescribeTransactionsResponse,
            get_telemetry_subscriptions GetTelemetrySubscriptionsRequest
                GetTelemetrySubscriptionsResponse,
            push_telemetry PushTelemetryRequest PushTelemetryResponse,
        }
    };
}
pub(crate) use every_api;
