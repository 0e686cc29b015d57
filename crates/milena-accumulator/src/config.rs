//! What the accumulator is told at build.

use std::time::Duration;

use milena_record::Compression;

/// Sizes, limits and choices; each field names the Kafka property it stands for.
#[derive(Clone, Debug)]
pub struct Config {
    /// `batch.size` in bytes, header included. 0 means one record per batch.
    pub batch_size: usize,
    /// `buffer.memory` in bytes: all that records waiting or in flight may take, and their batches
    /// [besides](crate::Batch::UPKEEP).
    pub buffer_memory: usize,
    /// `max.request.size` in bytes: the most one record, and one batch before compression, may take.
    pub max_request_size: usize,
    /// `linger.ms`: how long an open batch is held back for more records.
    pub linger: Duration,
    /// `compression.type`: with a codec, batches are filled by an estimate of what they will compress to.
    pub compression: Compression,
    /// `partitioner.adaptive.partitioning.enable`: unkeyed records go more often where queues are short (KIP-794).
    pub adaptive: bool,
    /// `partitioner.availability.timeout.ms`: leaders that took nothing for so long are passed over; `None` is off.
    pub availability_timeout: Option<Duration>,
    /// `partitioner.ignore.keys`: keyed records are spread like unkeyed ones.
    pub ignore_keys: bool,
}

impl Default for Config {
    /// Kafka's own defaults of 4.3.
    fn default() -> Self {
        Self {
            batch_size: 16_384,
            buffer_memory: 32 << 20,
            max_request_size: 1 << 20,
            linger: Duration::from_millis(5),
            compression: Compression::none(),
            adaptive: true,
            availability_timeout: None,
            ignore_keys: false,
        }
    }
}

/// So many partitions can have a chunk each, what their batches take besides left aside.
const SHARERS: usize = 16 << 10;

/// Bytes of one pooled chunk: a quarter of a batch if many partitions can have one each, else an eighth.
///
/// Each chunk of a batch costs a visit to the pool; but where there is less than one for every partition in use, batches
/// are closed with a record or two.
pub(crate) fn chunk_size(config: &Config) -> usize {
    let quarter = (config.batch_size / 4).next_power_of_two();
    let chunk = match quarter.saturating_mul(SHARERS) <= config.buffer_memory {
        true => quarter,
        false => quarter / 2,
    };
    chunk
        .clamp(1 << 10, 16 << 10)
        .min(config.batch_size.max(1))
        .min(config.buffer_memory.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_a_quarter_or_an_eighth_of_a_batch_within_bounds() {
        let chunk = |batch_size, buffer_memory| {
            chunk_size(&Config {
                batch_size,
                buffer_memory,
                ..Config::default()
            })
        };
        assert_eq!(chunk(16_384, 1 << 25), 2048);
        assert_eq!(chunk(16_384, 1 << 26), 4096);
        assert_eq!(chunk(1 << 16, 1 << 26), 8192);
        assert_eq!(chunk(1 << 20, 1 << 25), 16_384);
        assert_eq!(chunk(2000, 1 << 25), 1024);
        assert_eq!(chunk(100, 1 << 25), 100);
        assert_eq!(chunk(0, 1 << 25), 1);
        assert_eq!(chunk(16_384, 500), 500);
    }
}
