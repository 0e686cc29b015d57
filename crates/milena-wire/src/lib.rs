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
    DEFAULT_FRAME_LIMIT, Frame, begin_request, decode_body, decode_response, encode_request,
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
    api_versions::{ApiVersionsRequest, ApiVersionsResponse},
    init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
    metadata::{MetadataRequest, MetadataResponse},
    produce::{ProduceRequest, ProduceResponse},
};
