//! Sockets, timers and tasks for the Kafka producer milena.
#![forbid(unsafe_code)]
