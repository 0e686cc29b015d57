//! Kafka's wire protocol: primitives, messages in every version, headers and error codes.
#![forbid(unsafe_code)]

pub mod api;
mod api_key;
mod error_code;
mod fault;
mod frame;
mod header;
mod message;
mod records;
mod request;
mod schema;
mod types;
mod uuid;
mod version;
mod writer;

pub use api_key::ApiKey;
pub use error_code::{Class, ErrorCode};
pub use fault::{Fault, Parsed, Unsayable, Unsupported, Why};
#[doc(hidden)]
pub use fault::{null, place};
pub use frame::{
    DEFAULT_FRAME_LIMIT, Frame, Split, begin_request, decode_body, decode_response, encode_request,
    encode_response, end_frame, frame_len, peek_correlation, peek_request, split_frame,
};
pub use header::{RequestHeader, ResponseHeader};
pub use records::Records;
pub use request::{Api, NEVER, Request, api, version_of};
pub use schema::{Field, Schema};
pub use types::{Decode, Encode, Message, Type, Typed, tags, uvarint, varint, varlong, whole};
pub use uuid::Uuid;
pub use version::Version;
pub use writer::{Tags, Writer};

#[doc(inline)]
pub use api::{
    add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
    add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse},
    api_versions::{ApiVersionsRequest, ApiVersionsResponse},
    create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse},
    create_topics::{CreateTopicsRequest, CreateTopicsResponse},
    delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse},
    describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse},
    describe_producers::{DescribeProducersRequest, DescribeProducersResponse},
    describe_transactions::{DescribeTransactionsRequest, DescribeTransactionsResponse},
    end_txn::{EndTxnRequest, EndTxnResponse},
    fetch::{FetchRequest, FetchResponse},
    find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse},
    get_telemetry_subscriptions::{
        GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
    },
    init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
    list_offsets::{ListOffsetsRequest, ListOffsetsResponse},
    metadata::{MetadataRequest, MetadataResponse},
    offset_fetch::{OffsetFetchRequest, OffsetFetchResponse},
    produce::{ProduceRequest, ProduceResponse},
    push_telemetry::{PushTelemetryRequest, PushTelemetryResponse},
    sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse},
    sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse},
    txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse},
};
