//! Kafka's record batches: format 2, compression and checksums.
#![forbid(unsafe_code)]
