//! From settings to running tasks.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milena_accumulator::Accumulator;
use milena_tokio::{Connector, Driver, Network, TcpConnector, client, sender};

use crate::config::{Edges, MetadataRecovery, ProducerConfig, Settings};
use crate::error::BuildError;
use crate::producer::Producer;
use crate::shared::Shared;

/// Checks, and starts the tasks as the last step: nothing runs before all is built.
pub(crate) fn start(config: &ProducerConfig) -> Result<Producer, BuildError> {
    let settings = config.settle()?;
    let client_id = settings.client_id.clone().unwrap_or_else(next_client_id);
    let seed = random_seed();
    let accumulator = Arc::new(Accumulator::new(settings.accumulator(), seed));
    let network = network(&settings, &config.edges);
    let driver = Driver::start(
        settings.sender(&client_id),
        Arc::clone(&accumulator),
        network,
        seed.rotate_left(32),
    )?;
    tracing::info!(client_id, "producer started");
    tracing::debug!(client_id, ?settings, "producer settings");
    let shared = Shared::new(accumulator, driver, settings.max_block, client_id);
    Ok(Producer {
        shared: Arc::new(shared),
    })
}

fn network(settings: &Settings, edges: &Edges) -> Network {
    let tcp = || -> Arc<dyn Connector> {
        Arc::new(TcpConnector {
            send_buffer: settings.send_buffer,
            receive_buffer: settings.receive_buffer,
            unsent_limit: unsent_limit(settings.batch_size),
        })
    };
    let own = Network::default();
    Network {
        resolver: edges.resolver.clone().unwrap_or(own.resolver),
        connector: edges.connector.clone().unwrap_or_else(tcp),
        frame_limit: own.frame_limit,
    }
}

/// The usual limit, or two batches: those of a megabyte would be written in too many pieces.
fn unsent_limit(batch_size: usize) -> Option<u32> {
    let two_batches = u32::try_from(batch_size.saturating_mul(2)).unwrap_or(u32::MAX);
    let usual = TcpConnector::default().unsent_limit;
    usual.map(|usual| usual.max(two_batches))
}

impl Settings {
    fn accumulator(&self) -> milena_accumulator::Config {
        let availability = self.partitioner_availability_timeout;
        milena_accumulator::Config {
            batch_size: self.batch_size,
            buffer_memory: self.buffer_memory,
            max_request_size: self.max_request_size,
            linger: self.linger,
            compression: self.compression,
            adaptive: self.adaptive_partitioning,
            availability_timeout: (!availability.is_zero()).then_some(availability),
            ignore_keys: self.partitioner_ignore_keys,
        }
    }

    fn sender(&self, client_id: &str) -> sender::Config {
        sender::Config {
            acks: self.acks,
            idempotence: self.idempotence,
            compression: self.compression,
            batch_size: self.batch_size,
            max_request_size: self.max_request_size,
            linger: self.linger,
            delivery_timeout: self.delivery_timeout,
            request_timeout: self.request_timeout,
            retries: self.retries,
            retry_backoff: self.retry_backoff.0,
            retry_backoff_max: self.retry_backoff.1,
            max_in_flight: self.max_in_flight,
            client: self.client(client_id),
        }
    }

    fn client(&self, client_id: &str) -> client::Config {
        let backoff = |(first, max)| client::Backoff::new(first, max);
        client::Config {
            client_id: Some(client_id.to_owned()),
            max_in_flight: self.max_in_flight,
            request_timeout: self.request_timeout,
            reconnect_backoff: backoff(self.reconnect_backoff),
            retry_backoff: backoff(self.retry_backoff),
            connection_setup_timeout: backoff(self.connection_setup_timeout),
            connections_max_idle: self.connections_max_idle,
            metadata_max_age: self.metadata_max_age,
            metadata_max_idle: self.metadata_max_idle,
            recovery: match self.metadata_recovery {
                MetadataRecovery::Rebootstrap => {
                    client::Recovery::Rebootstrap(self.rebootstrap_trigger)
                }
                MetadataRecovery::None => client::Recovery::None,
            },
            ..client::Config::new(self.bootstrap.clone())
        }
    }
}

fn next_client_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("producer-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The standard library keys its hash maps at random: that is all the randomness needed here.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_batches_may_wait_to_be_sent_and_128_kib_in_any_case() {
        let limits = [0, 16 << 10, 64 << 10, 1 << 20, usize::MAX].map(unsent_limit);
        let expected = [128 << 10, 128 << 10, 128 << 10, 2 << 20, u32::MAX];
        assert_eq!(limits, expected.map(Some));
    }
}
