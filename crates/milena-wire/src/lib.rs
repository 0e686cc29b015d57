//! Kafka's wire protocol: primitives, messages in every version, headers and error codes.
//!
//! This crate turns bytes into structs and structs into bytes, in every version that Kafka 4.3
//! supports. It knows nothing of sockets, time, retries, or which topics exist: that is for
//! whoever uses it. Reading borrows from the frame and allocates for arrays alone; writing
//! copies small things into one buffer that can be used again, and takes large ones by reference.
//! Bytes that are not what they should be are a [`Fault`], never a panic, and cost little memory.
//!
//! # Asking a broker what it speaks
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use milena_wire::{
//!     ApiKey, ApiVersionsRequest, ApiVersionsResponse, DEFAULT_FRAME_LIMIT, ErrorCode, Request,
//!     ResponseHeader, encode_request, frame_len,
//! };
//!
//! let request = ApiVersionsRequest {
//!     client_software_name: "an-example",
//!     client_software_version: "1.0",
//! };
//! let version = ApiVersionsRequest::version(ApiVersionsRequest::STABLE);
//!
//! let mut broker = TcpStream::connect("localhost:9092")?;
//! broker.write_all(&encode_request(Some("me"), 1, &request, version)?.to_vec())?;
//!
//! // A frame is a length and as many bytes.
//! let mut length = [0; 4];
//! broker.read_exact(&mut length)?;
//! let mut frame = vec![0; frame_len(&length, DEFAULT_FRAME_LIMIT)?.unwrap_or(0)];
//! broker.read_exact(&mut frame)?;
//!
//! // A broker that is older than this version answers in version 0.
//! let (body, header) = ResponseHeader::decode(&frame, ApiKey::API_VERSIONS, version)
//!     .map_err(milena_wire::Fault::from)?;
//! assert_eq!(header.correlation_id, 1);
//! let (answer, _) = ApiVersionsResponse::decode_any(body, version)?;
//! println!("{}", ErrorCode(answer.error_code));
//! for api in &answer.api_keys {
//!     println!("{}: {} to {}", ApiKey(api.api_key), api.min_version, api.max_version);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Other answers are read with [`decode_response`].
//!
//! # Messages
//!
//! Each API has a module in [`api`](mod@api), with the structs of its request and its answer; fields have
//! Kafka's names in snake case, and their documentation says in which versions they are there.
//! A request implements [`Request`]: its key, its versions, and what answers it. Structs have all
//! fields of all versions and a [`Default`], so that `..Default::default()` stands for those
//! that do not matter. The defaults are Kafka's own, which sometimes surprises: a string that may
//! be null is *empty* by default, unless Kafka says otherwise.
//!
//! Written in a version that lacks a field, the field is dropped if Kafka calls it ignorable or it
//! has its default; otherwise the message is [`Unsupported`] there. Read in a version that lacks a
//! field, the field has its default. Tagged fields that are not known are passed over.
//!
//! Messages are declared with [`message!`], which others can use for APIs that are not here. Tests
//! compare every declaration with Kafka's own schemas, and the bytes with those that Kafka writes.
//!
//! Without the feature `all`, which is on by default, only those are here that a producer uses.
//!
//! # Numbers
//!
//! [`ApiKey`] and [`ErrorCode`] are open sets: any number is one, the known ones have names.
//! Error codes have a [`Class`], which says whether to try again, and whether to ask for metadata
//! before.
#![forbid(unsafe_code)]

pub mod api;
mod api_key;
mod error_code;
mod fault;
mod frame;
mod header;
mod message;
pub mod produced;
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
pub use types::{
    Decode, Encode, Message, Type, Typed, array_len, tags, uvarint, varint, varlong, whole,
};
pub use uuid::Uuid;
pub use version::Version;
pub use writer::{Tags, Writer};

#[cfg(feature = "all")]
#[doc(inline)]
pub use api::{
    add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
    add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse},
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
    list_offsets::{ListOffsetsRequest, ListOffsetsResponse},
    offset_fetch::{OffsetFetchRequest, OffsetFetchResponse},
    push_telemetry::{PushTelemetryRequest, PushTelemetryResponse},
    sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse},
    sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse},
    txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse},
};
#[doc(inline)]
pub use api::{
    api_versions::{ApiVersionsRequest, ApiVersionsResponse},
    init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
    metadata::{MetadataRequest, MetadataResponse},
    produce::{ProduceRequest, ProduceResponse},
};
