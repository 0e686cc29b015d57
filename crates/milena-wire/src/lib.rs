//! Kafka's wire protocol: primitives, messages in every version, headers and error codes.
#![forbid(unsafe_code)]
