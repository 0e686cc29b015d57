//! A Kafka broker as a pure model, and served over TCP, for tests.
#![forbid(unsafe_code)]
