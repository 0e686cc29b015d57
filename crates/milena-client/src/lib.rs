//! Brokers, their versions, metadata and what is in flight, without sockets or clock.
#![forbid(unsafe_code)]
