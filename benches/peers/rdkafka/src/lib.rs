//! librdkafka's settings, the same for both producers of the rdkafka crate.

#![forbid(unsafe_code)]

use peer_harness::{Load, Mode, Settings};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};

/// The version measured.
pub const VERSION: &str = "0.39.0 (librdkafka 2.12.1)";

/// librdkafka's settings for a run.
pub fn config(settings: &Settings) -> ClientConfig {
    let (linger, batch) = match settings.mode {
        Mode::Common => (settings.linger_ms(), settings.batch_size),
        // Its defaults, which its own performance tool measures with.
        Mode::Best => (5, 1_000_000),
    };
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", linger.to_string())
        .set("batch.size", batch.to_string())
        .set("message.max.bytes", (8 << 20).to_string())
        .set("queue.buffering.max.messages", "10000000")
        .set(
            "queue.buffering.max.kbytes",
            (settings.buffer_memory >> 10).to_string(),
        )
        .set(
            "max.in.flight.requests.per.connection",
            settings.in_flight.to_string(),
        )
        .set("compression.type", &settings.compression)
        .set("partitioner", "murmur2_random");
    config
}

/// The headers of a record.
pub fn headers(load: &Load) -> Option<OwnedHeaders> {
    if load.headers().is_empty() {
        return None;
    }
    let mut headers = OwnedHeaders::new_with_capacity(load.headers().len());
    for (key, value) in load.headers() {
        headers = headers.insert(Header {
            key,
            value: Some(value.as_ref()),
        });
    }
    Some(headers)
}
