//! Kafka's wire protocol: primitives, messages in every version, headers and error codes.
#![forbid(unsafe_code)]

mod api_key;
mod error_code;

pub use api_key::ApiKey;
pub use error_code::{Class, ErrorCode};
