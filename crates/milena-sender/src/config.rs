//! What a [`Sender`](crate::Sender) is told once, at build.

use std::time::Duration;

use milena_client::CENTURY;
use milena_record::Compression;

/// How many replicas must have a batch before its records count as delivered (`acks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Acks {
    /// `0`: nobody answers. A record counts as delivered once it is written to the socket; its
    /// offset is unknown, and a failure goes unnoticed.
    None,
    /// `1`: the leader has it. It is lost when the leader dies before a follower copied it.
    Leader,
    /// `all`: every replica in sync has it.
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// The settings of a [`Sender`](crate::Sender). The names and defaults are Kafka's.
///
/// Durations of more than a century count as one. For the rest the sender trusts them: what cannot go together
/// (idempotence without `acks=all`, more than five requests in flight with idempotence) is refused where a user writes it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `acks`, by default all.
    pub acks: Acks,
    /// `enable.idempotence`, by default true.
    pub idempotence: bool,
    /// `compression.type` with its level, by default none.
    pub compression: Compression,
    /// `batch.size` in bytes, by default 16384: also the size that a refused batch is split to.
    pub batch_size: usize,
    /// `max.request.size` in bytes, by default 1048576: how much of several partitions goes into
    /// one request.
    pub max_request_size: usize,
    /// `linger.ms`, by default 5 ms.
    pub linger: Duration,
    /// `delivery.timeout.ms`, by default two minutes, counted from the creation of the batch.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`, by default 30 s: also how long a broker may wait for its followers.
    pub request_timeout: Duration,
    /// `retries`, by default `i32::MAX`.
    pub retries: u32,
    /// `retry.backoff.ms`, by default 100 ms.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`, by default 1 s.
    pub retry_backoff_max: Duration,
    /// `max.in.flight.requests.per.connection`, by default 5: also the batches of one partition
    /// that may be unanswered at a time.
    pub max_in_flight: usize,
    /// The settings of the connections. What is said above (`max_in_flight`, `request_timeout`), and what
    /// the sender needs of a broker, is filled in by the sender.
    pub client: milena_client::Config,
}

impl Config {
    /// The same with durations that can be added to any instant; the client does so with its own.
    pub(crate) fn within_a_century(mut self) -> Self {
        let durations = [
            &mut self.linger,
            &mut self.delivery_timeout,
            &mut self.request_timeout,
            &mut self.retry_backoff,
            &mut self.retry_backoff_max,
        ];
        for duration in durations {
            *duration = (*duration).min(CENTURY);
        }
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: true,
            compression: Compression::none(),
            batch_size: 16_384,
            max_request_size: 1_048_576,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            retries: i32::MAX as u32,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            max_in_flight: 5,
            client: milena_client::Config::new(Vec::new()),
        }
    }
}
