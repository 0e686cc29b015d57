//! Which partition a record goes to, as Kafka's own producer decides it.
#![forbid(unsafe_code)]
