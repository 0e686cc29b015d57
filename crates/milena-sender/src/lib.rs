//! Decides what a Kafka producer says to its brokers, without clock, sockets or threads.
#![forbid(unsafe_code)]
