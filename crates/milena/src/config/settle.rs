//! The rules that settings must keep among each other, and the values that follow from them.

use std::time::Duration;

use milena_tokio::client::{Address, BadAddress, CENTURY};

use super::{ConfigError, MetadataRecovery, ProducerConfig};
use crate::Acks;

/// A configuration that was checked: every default filled in, every rule kept.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) bootstrap: Vec<Address>,
    pub(crate) client_id: Option<String>,
    pub(crate) acks: Acks,
    pub(crate) idempotence: bool,
    pub(crate) retries: u32,
    pub(crate) max_in_flight: usize,
    pub(crate) compression: milena_record::Compression,
    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    pub(crate) max_request_size: usize,
    pub(crate) max_block: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_backoff: (Duration, Duration),
    pub(crate) reconnect_backoff: (Duration, Duration),
    pub(crate) connection_setup_timeout: (Duration, Duration),
    pub(crate) connections_max_idle: Option<Duration>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) metadata_max_age: Duration,
    pub(crate) metadata_max_idle: Duration,
    pub(crate) metadata_recovery: MetadataRecovery,
    pub(crate) rebootstrap_trigger: Duration,
    pub(crate) adaptive_partitioning: bool,
    pub(crate) partitioner_availability_timeout: Duration,
    pub(crate) partitioner_ignore_keys: bool,
}

/// Times that travel or are compared as 32-bit milliseconds.
const MAX_TIME: Duration = Duration::from_millis(i32::MAX as u64);

impl ProducerConfig {
    /// Checks every setting and the rules among them, as [`build`](Self::build) does first.
    ///
    /// # Errors
    /// The first rule that is broken. Nothing is sent, resolved or started.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.settle().map(drop)
    }

    pub(crate) fn settle(&self) -> Result<Settings, ConfigError> {
        self.check_ranges()?;
        let idempotence = self.settle_idempotence()?;
        let linger = self.linger.min(MAX_TIME);
        Ok(Settings {
            bootstrap: self.settle_bootstrap()?,
            client_id: self.client_id.clone(),
            acks: self.acks.unwrap_or_default(),
            idempotence,
            retries: self.retries.unwrap_or(i32::MAX as u32),
            max_in_flight: self.max_in_flight,
            compression: self.settle_compression()?,
            batch_size: self.batch_size.max(1),
            linger,
            buffer_memory: self.buffer_memory,
            max_request_size: self.max_request_size,
            max_block: self.max_block.min(CENTURY),
            delivery_timeout: self.settle_delivery_timeout(linger)?,
            request_timeout: self.request_timeout,
            retry_backoff: settle_range("retry.backoff", self.retry_backoff),
            reconnect_backoff: self.settle_reconnect_backoff(),
            connection_setup_timeout: settle_range(
                "socket.connection.setup.timeout",
                self.connection_setup_timeout,
            ),
            connections_max_idle: self.connections_max_idle.map(|idle| idle.min(CENTURY)),
            send_buffer: self.send_buffer,
            receive_buffer: self.receive_buffer,
            metadata_max_age: self.metadata_max_age.min(CENTURY),
            metadata_max_idle: self.metadata_max_idle.min(CENTURY),
            metadata_recovery: self.metadata_recovery,
            rebootstrap_trigger: self.rebootstrap_trigger.min(CENTURY),
            adaptive_partitioning: self.adaptive_partitioning,
            partitioner_availability_timeout: self.partitioner_availability_timeout.min(CENTURY),
            partitioner_ignore_keys: self.partitioner_ignore_keys,
        })
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let int = i32::MAX as usize;
        at_most("batch.size", self.batch_size, int)?;
        at_most("max.request.size", self.max_request_size, int)?;
        at_most("retries", self.retries.unwrap_or(0) as usize, int)?;
        at_most("send.buffer.bytes", self.send_buffer.unwrap_or(0), int)?;
        at_most(
            "receive.buffer.bytes",
            self.receive_buffer.unwrap_or(0),
            int,
        )?;
        // A request's header says its length by 16 bits.
        let client_id = self.client_id.as_ref().map_or(0, String::len);
        if client_id > i16::MAX as usize {
            return Err(invalid(
                "client.id",
                format_args!("a name of {client_id} bytes"),
                "it must have at most 32767 bytes",
            ));
        }
        if self.max_in_flight == 0 {
            return Err(invalid(
                "max.in.flight.requests.per.connection",
                0,
                "it must be at least 1",
            ));
        }
        for (key, time) in [
            ("request.timeout.ms", self.request_timeout),
            (
                "delivery.timeout.ms",
                self.delivery_timeout.unwrap_or_default(),
            ),
        ] {
            if time > MAX_TIME {
                return Err(invalid(
                    key,
                    time.as_millis(),
                    "it must be at most 2147483647",
                ));
            }
        }
        if self.metadata_max_idle < Duration::from_secs(5) {
            let given = self.metadata_max_idle.as_millis();
            return Err(invalid(
                "metadata.max.idle.ms",
                given,
                "it must be at least 5000",
            ));
        }
        if self.batch_size > self.buffer_memory {
            return Err(ConfigError::Conflict(format!(
                "batch.size ({}) is larger than buffer.memory ({}), so no batch could ever be opened: raise buffer.memory",
                self.batch_size, self.buffer_memory,
            )));
        }
        Ok(())
    }

    fn settle_bootstrap(&self) -> Result<Vec<Address>, ConfigError> {
        let key = "bootstrap.servers";
        if self.bootstrap_servers.is_empty() {
            return Err(ConfigError::Missing { key });
        }
        let mut addresses = Vec::with_capacity(self.bootstrap_servers.len());
        for server in &self.bootstrap_servers {
            let address: Address = server
                .parse()
                .map_err(|why: BadAddress| invalid(key, server, &why.to_string()))?;
            if addresses
                .iter()
                .any(|other: &Address| other.is_same(&address))
            {
                tracing::warn!(%address, "listed twice in bootstrap.servers, used once");
            } else {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// Whether records are sent idempotently (KIP-679, and the rules Kafka 4.0 made stricter).
    fn settle_idempotence(&self) -> Result<bool, ConfigError> {
        if self.idempotence == Some(false) {
            return Ok(false);
        }
        if self.max_in_flight > 5 {
            return Err(ConfigError::Conflict(format!(
                "max.in.flight.requests.per.connection is {}, but idempotence keeps order for at most 5: \
                 lower it, or set enable.idempotence to false",
                self.max_in_flight,
            )));
        }
        let acks = self.acks.unwrap_or_default();
        let obstacle = if self.retries == Some(0) {
            "retries is 0, but idempotence needs retries"
        } else if acks != Acks::All {
            "acks is not all, but idempotence needs acks from all in-sync replicas"
        } else {
            return Ok(true);
        };
        if self.idempotence == Some(true) {
            return Err(ConfigError::Conflict(format!(
                "{obstacle}: change it, or do not set enable.idempotence",
            )));
        }
        tracing::info!("idempotence is off: {obstacle}");
        Ok(false)
    }

    fn settle_compression(&self) -> Result<milena_record::Compression, ConfigError> {
        let built =
            milena_record::Compression::with_level(self.compression, self.compression_level);
        built.map_err(|error| match self.compression_level {
            Some(level) => {
                let key = format!("compression.{}.level", self.compression.name());
                invalid(&key, level, &error.to_string())
            }
            None => invalid(
                "compression.type",
                self.compression.name(),
                &error.to_string(),
            ),
        })
    }

    fn settle_delivery_timeout(&self, linger: Duration) -> Result<Duration, ConfigError> {
        let least = linger.saturating_add(self.request_timeout).min(MAX_TIME);
        let timeout = self.delivery_timeout.unwrap_or(Duration::from_secs(120));
        if timeout >= least {
            return Ok(timeout);
        }
        if self.delivery_timeout.is_some() {
            return Err(ConfigError::Conflict(format!(
                "delivery.timeout.ms ({}) must be at least linger.ms ({}) plus request.timeout.ms ({}): \
                 raise it to {}, or lower the others",
                timeout.as_millis(),
                linger.as_millis(),
                self.request_timeout.as_millis(),
                least.as_millis(),
            )));
        }
        tracing::warn!(
            "delivery.timeout.ms is raised to {} ms, linger.ms plus request.timeout.ms",
            least.as_millis()
        );
        Ok(least)
    }

    fn settle_reconnect_backoff(&self) -> (Duration, Duration) {
        let default = (Duration::from_millis(50), Duration::from_secs(1));
        match self.reconnect_backoff {
            (None, None) => default,
            (None, Some(max)) => (default.0.min(max), max.min(CENTURY)),
            (Some(first), None) => {
                tracing::warn!(
                    "reconnect.backoff.ms is set alone: the wait stays the same after each failure"
                );
                (first.min(CENTURY), first.min(CENTURY))
            }
            (Some(first), Some(max)) => settle_range("reconnect.backoff", (first, max)),
        }
    }
}

/// A first time above the greatest one makes the time constant, as in the Java client.
fn settle_range(what: &str, (first, max): (Duration, Duration)) -> (Duration, Duration) {
    let (first, max) = (first.min(CENTURY), max.min(CENTURY));
    if first > max {
        tracing::warn!("{what}.ms is above {what}.max.ms: the latter is used throughout");
    }
    (first.min(max), max)
}

fn at_most(key: &str, value: usize, max: usize) -> Result<(), ConfigError> {
    if value > max {
        return Err(invalid(key, value, &format!("it must be at most {max}")));
    }
    Ok(())
}

fn invalid(key: &str, value: impl ToString, expected: &str) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: value.to_string(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compression;

    fn config() -> ProducerConfig {
        ProducerConfig::new().bootstrap_servers("b:9092")
    }

    fn text(config: ProducerConfig) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_the_java_clients() {
        let settings = config().settle().unwrap();
        assert!(settings.idempotence);
        assert_eq!(settings.acks.code(), -1);
        assert_eq!(settings.retries, 2_147_483_647);
        assert_eq!(settings.delivery_timeout, Duration::from_secs(120));
        assert_eq!(
            settings.reconnect_backoff,
            (Duration::from_millis(50), Duration::from_secs(1))
        );
    }

    #[test]
    fn bootstrap_servers_are_required_and_read() {
        assert_eq!(text(ProducerConfig::new()), "bootstrap.servers is not set");
        assert_eq!(
            text(ProducerConfig::new().bootstrap_servers(" ")),
            "bootstrap.servers is not set"
        );
        assert!(
            text(ProducerConfig::new().bootstrap_servers("a:1,,b:2"))
                .contains("bootstrap.servers cannot be \"\"")
        );
        assert!(text(ProducerConfig::new().bootstrap_servers("a:99999")).contains("a:99999"));
        let twice = ProducerConfig::new()
            .bootstrap_servers("a:1,b:2,a:1")
            .settle()
            .unwrap();
        assert_eq!(twice.bootstrap.len(), 2);
    }

    #[test]
    fn idempotence_gives_way_unless_it_was_asked_for() {
        assert!(!config().acks(Acks::Leader).settle().unwrap().idempotence);
        assert!(!config().retries(0).settle().unwrap().idempotence);
        assert!(text(config().acks(Acks::None).idempotence(true)).contains("acks"));
        assert!(text(config().retries(0).idempotence(true)).contains("retries"));
        assert!(text(config().max_in_flight(6)).contains("max.in.flight"));
        // As in Kafka 4: the bound on requests in flight counts even where acks switched it off.
        assert!(text(config().max_in_flight(6).acks(Acks::Leader)).contains("max.in.flight"));
        assert!(
            !config()
                .max_in_flight(6)
                .idempotence(false)
                .settle()
                .unwrap()
                .idempotence
        );
        assert!(text(config().max_in_flight(0)).contains("at least 1"));
    }

    #[test]
    fn the_delivery_timeout_covers_linger_and_one_request() {
        let tight = config().delivery_timeout(Duration::from_millis(30_004));
        assert_eq!(
            text(tight),
            "delivery.timeout.ms (30004) must be at least linger.ms (5) plus request.timeout.ms (30000): \
             raise it to 30005, or lower the others",
        );
        let raised = config()
            .request_timeout(Duration::from_secs(200))
            .settle()
            .unwrap();
        assert_eq!(raised.delivery_timeout, Duration::from_millis(200_005));
        let forever = config().linger(Duration::MAX).settle().unwrap();
        assert_eq!(forever.delivery_timeout, MAX_TIME);
    }

    #[test]
    fn backoffs_never_exceed_their_maximum() {
        let ms = Duration::from_millis;
        let inverted = config().retry_backoff(ms(500), ms(100)).settle().unwrap();
        assert_eq!(inverted.retry_backoff, (ms(100), ms(100)));
        let mut alone = config();
        alone.reconnect_backoff = (Some(ms(70)), None);
        assert_eq!(alone.settle().unwrap().reconnect_backoff, (ms(70), ms(70)));
    }

    #[test]
    fn a_level_must_be_one_of_the_codec() {
        assert!(
            config()
                .compression(Compression::Gzip)
                .compression_level(6)
                .validate()
                .is_ok()
        );
        assert!(text(config().compression_level(6)).contains("no levels"));
        assert!(
            text(
                config()
                    .compression(Compression::Gzip)
                    .compression_level(10)
            )
            .contains("compression.gzip.level")
        );
    }

    #[test]
    fn no_time_is_too_long_for_the_clock() {
        let (now, long) = (std::time::Instant::now(), Duration::MAX);
        let settings = config()
            .max_block(long)
            .retry_backoff(long, long)
            .reconnect_backoff(long, long)
            .connection_setup_timeout(long, long)
            .connections_max_idle(Some(long))
            .metadata_max_age(long)
            .metadata_max_idle(long)
            .rebootstrap_trigger(long)
            .linger(long)
            .settle()
            .unwrap();
        let (retry, reconnect) = (settings.retry_backoff, settings.reconnect_backoff);
        let setup = settings.connection_setup_timeout;
        for time in [
            settings.max_block,
            settings.linger,
            settings.delivery_timeout,
            settings.connections_max_idle.unwrap(),
            settings.metadata_max_age,
            settings.metadata_max_idle,
            settings.rebootstrap_trigger,
        ]
        .into_iter()
        .chain([retry, reconnect, setup].map(|(_, most)| most))
        {
            assert!(now.checked_add(time * 2).is_some(), "{time:?}");
        }
    }

    #[test]
    fn a_client_id_must_fit_into_a_request() {
        let longest = i16::MAX as usize;
        assert!(config().client_id("x".repeat(longest)).validate().is_ok());
        assert!(text(config().client_id("x".repeat(longest + 1))).contains("client.id"));
    }

    #[test]
    fn sizes_must_fit() {
        assert!(text(config().batch_size(64).buffer_memory(63)).contains("raise buffer.memory"));
        assert!(text(config().max_request_size(1 << 31)).contains("max.request.size"));
        assert!(text(config().metadata_max_idle(Duration::from_secs(4))).contains("5000"));
        assert_eq!(config().batch_size(0).settle().unwrap().batch_size, 1);
    }
}
