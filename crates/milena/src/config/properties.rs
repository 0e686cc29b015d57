//! Settings by the names that the Java client and librdkafka give them.

use std::time::Duration;

use super::{ConfigError, MetadataRecovery, ProducerConfig, split_list};
use crate::{Acks, Compression};

impl ProducerConfig {
    /// Reads a configuration from property names and values.
    ///
    /// The names are those of the Java client; librdkafka's aliases (`metadata.broker.list`,
    /// `queue.buffering.max.ms`, …) are understood too. Values are read by Java's rules: white
    /// space around them is dropped, choices are case-sensitive, times are whole milliseconds.
    ///
    /// Java's names for classes are accepted where they say what happens anyway (serializers of
    /// bytes and strings). What is known to Kafka but not served yet is refused, never ignored.
    ///
    /// # Errors
    /// The first name or value that cannot be used. The rules among settings are checked later,
    /// by [`validate`](Self::validate), [`build`](Self::build) or [`connect`](Self::connect).
    pub fn from_properties<K, V>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut reader = Reader::default();
        for (key, value) in properties {
            reader.read(key.as_ref(), value.as_ref())?;
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    config: ProducerConfig,
    /// Names already seen: as Kafka calls the property, as it was given.
    seen: Vec<(&'static str, String)>,
    codec: Option<String>,
    levels: Vec<(&'static str, i32)>,
}

impl Reader {
    fn read(&mut self, given: &str, value: &str) -> Result<(), ConfigError> {
        let given = given.trim();
        let key = canonical(given).ok_or_else(|| ConfigError::Unknown {
            key: given.to_owned(),
            nearest: nearest(given),
        })?;
        if let Some((_, other)) = self.seen.iter().find(|(seen, _)| *seen == key) {
            return Err(ConfigError::Duplicate {
                key: given.to_owned(),
                other: other.clone(),
            });
        }
        self.seen.push((key, given.to_owned()));
        let value = Value {
            key: given,
            text: value.trim(),
        };
        self.set(key, &value)
    }

    fn set(&mut self, key: &'static str, value: &Value<'_>) -> Result<(), ConfigError> {
        let config = &mut self.config;
        match key {
            "acks" => config.acks = Some(value.acks()?),
            "batch.size" => config.batch_size = value.size()?,
            "bootstrap.servers" => config.bootstrap_servers = split_list(value.text),
            "buffer.memory" => config.buffer_memory = value.memory()?,
            "client.id" => config.client_id = Some(value.text.to_owned()),
            "compression.gzip.level"
            | "compression.lz4.level"
            | "compression.zstd.level"
            | "compression.level" => {
                self.levels.push((
                    key,
                    value.int(i64::from(i32::MIN), i64::from(i32::MAX))? as i32,
                ));
            }
            "compression.type" => self.codec = Some(value.text.to_owned()),
            "connections.max.idle.ms" => config.connections_max_idle = value.optional_millis()?,
            "delivery.timeout.ms" => config.delivery_timeout = Some(value.millis_int()?),
            "enable.idempotence" => config.idempotence = Some(value.boolean()?),
            "linger.ms" => config.linger = value.millis()?,
            "max.block.ms" => config.max_block = value.millis()?,
            "max.in.flight.requests.per.connection" => {
                config.max_in_flight = value.int(1, INT)? as usize
            }
            "max.request.size" => config.max_request_size = value.size()?,
            "metadata.max.age.ms" => config.metadata_max_age = value.millis()?,
            "metadata.max.idle.ms" => config.metadata_max_idle = value.millis()?,
            "metadata.recovery.rebootstrap.trigger.ms" => {
                config.rebootstrap_trigger = value.millis()?
            }
            "metadata.recovery.strategy" => config.metadata_recovery = value.recovery()?,
            "partitioner.adaptive.partitioning.enable" => {
                config.adaptive_partitioning = value.boolean()?
            }
            "partitioner.availability.timeout.ms" => {
                config.partitioner_availability_timeout = value.millis()?
            }
            "partitioner.ignore.keys" => config.partitioner_ignore_keys = value.boolean()?,
            "receive.buffer.bytes" => config.receive_buffer = value.optional_size()?,
            "reconnect.backoff.max.ms" => config.reconnect_backoff.1 = Some(value.millis()?),
            "reconnect.backoff.ms" => config.reconnect_backoff.0 = Some(value.millis()?),
            "request.timeout.ms" => config.request_timeout = value.millis_int()?,
            "retries" => config.retries = Some(value.int(0, INT)? as u32),
            "retry.backoff.max.ms" => config.retry_backoff.1 = value.millis()?,
            "retry.backoff.ms" => config.retry_backoff.0 = value.millis()?,
            "send.buffer.bytes" => config.send_buffer = value.optional_size()?,
            "socket.connection.setup.timeout.max.ms" => {
                config.connection_setup_timeout.1 = value.millis()?
            }
            "socket.connection.setup.timeout.ms" => {
                config.connection_setup_timeout.0 = value.millis()?
            }
            _ => return value.accept_if_harmless(key),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ProducerConfig, ConfigError> {
        let codec = self.codec.as_deref().unwrap_or("none");
        // Kafka's own names only, which are lower case.
        let known = Compression::ALL
            .into_iter()
            .find(|known| known.name() == codec);
        self.config.compression = known.ok_or_else(|| ConfigError::Invalid {
            key: "compression.type".to_owned(),
            value: codec.to_owned(),
            expected: "it must be none, gzip, snappy, lz4 or zstd".to_owned(),
        })?;
        let own = format!("compression.{codec}.level");
        for &(key, level) in &self.levels {
            check_level(key, level)?;
            // librdkafka's -1 leaves it to the codec.
            let any = key == "compression.level" && level != -1;
            if any && has_levels(self.config.compression) || key == own {
                self.config.compression_level = Some(level);
            }
        }
        Ok(self.config)
    }
}

/// librdkafka's level is for whatever codec there is, and of no effect for those without.
fn has_levels(codec: Compression) -> bool {
    !matches!(codec, Compression::None | Compression::Snappy)
}

/// Levels are checked even when their codec is not the one used, as in the Java client.
fn check_level(key: &'static str, level: i32) -> Result<(), ConfigError> {
    let expected = match key {
        "compression.gzip.level" if level != -1 && !(1..=9).contains(&level) => {
            "it must be 1 to 9, or -1"
        }
        "compression.lz4.level" if !(1..=17).contains(&level) => "it must be 1 to 17",
        "compression.zstd.level" if !(-131_072..=22).contains(&level) => "it must be -131072 to 22",
        _ => return Ok(()),
    };
    Err(ConfigError::Invalid {
        key: key.to_owned(),
        value: level.to_string(),
        expected: expected.to_owned(),
    })
}

const INT: i64 = i32::MAX as i64;

/// A value with the name it was given under, for the texts of errors.
struct Value<'a> {
    key: &'a str,
    text: &'a str,
}

impl Value<'_> {
    fn invalid(&self, expected: impl Into<String>) -> ConfigError {
        ConfigError::Invalid {
            key: self.key.to_owned(),
            value: self.text.to_owned(),
            expected: expected.into(),
        }
    }

    fn int(&self, least: i64, most: i64) -> Result<i64, ConfigError> {
        match self.text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(self.invalid(format!("it must be a whole number from {least} to {most}"))),
        }
    }

    fn size(&self) -> Result<usize, ConfigError> {
        self.int(0, INT).map(|n| n as usize)
    }

    fn memory(&self) -> Result<usize, ConfigError> {
        let unit = if self.key == "queue.buffering.max.kbytes" {
            1024
        } else {
            1
        };
        let bytes = self.int(0, i64::MAX / unit)? * unit;
        usize::try_from(bytes).map_err(|_| self.invalid("it must fit into this machine's memory"))
    }

    fn optional_size(&self) -> Result<Option<usize>, ConfigError> {
        // librdkafka writes the system's default as 0, Java as -1.
        let least = if self.key.starts_with("socket.") {
            0
        } else {
            -1
        };
        let number = self.int(least, INT)?;
        Ok((number != least).then_some(number as usize))
    }

    fn millis(&self) -> Result<Duration, ConfigError> {
        self.int(0, i64::MAX)
            .map(|n| Duration::from_millis(n as u64))
    }

    fn millis_int(&self) -> Result<Duration, ConfigError> {
        let number = self.int(0, INT)?;
        // librdkafka's message.timeout.ms means no limit when it is 0.
        let number = if self.key == "message.timeout.ms" && number == 0 {
            INT
        } else {
            number
        };
        Ok(Duration::from_millis(number as u64))
    }

    fn optional_millis(&self) -> Result<Option<Duration>, ConfigError> {
        let number = self.int(i64::MIN, i64::MAX)?;
        Ok(u64::try_from(number).ok().map(Duration::from_millis))
    }

    fn boolean(&self) -> Result<bool, ConfigError> {
        match self.text {
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.invalid("it must be true or false")),
        }
    }

    fn acks(&self) -> Result<Acks, ConfigError> {
        match self.text {
            "all" | "-1" => Ok(Acks::All),
            "1" => Ok(Acks::Leader),
            "0" => Ok(Acks::None),
            _ => Err(self.invalid("it must be all, -1, 1 or 0")),
        }
    }

    fn recovery(&self) -> Result<MetadataRecovery, ConfigError> {
        match self.text.to_ascii_lowercase().as_str() {
            "rebootstrap" => Ok(MetadataRecovery::Rebootstrap),
            "none" => Ok(MetadataRecovery::None),
            _ => Err(self.invalid("it must be rebootstrap or none")),
        }
    }

    /// Properties with one value that says what happens anyway; any other value is refused.
    fn accept_if_harmless(&self, key: &str) -> Result<(), ConfigError> {
        let text = self.text;
        let (harmless, reason) = match key {
            "client.dns.lookup" => (text == "use_all_dns_ips", "yet except as use_all_dns_ips"),
            "enable.metrics.push" => (text.eq_ignore_ascii_case("false"), "yet except as false"),
            "interceptor.classes" | "metric.reporters" | "config.providers" => {
                (text.is_empty(), "yet except as an empty list")
            }
            "key.serializer" | "value.serializer" => (
                serializes_as_is(text),
                "with this class: milena takes bytes and strings as they are",
            ),
            "partitioner.class" => (
                text.is_empty(),
                "yet: only the built-in partitioner is served",
            ),
            "security.protocol" => (
                text.eq_ignore_ascii_case("PLAINTEXT"),
                "yet except as PLAINTEXT",
            ),
            "socket.keepalive.enable" => (
                text.eq_ignore_ascii_case("true"),
                "except as true: keepalive is always on",
            ),
            "socket.nagle.disable" => (
                text.eq_ignore_ascii_case("true"),
                "except as true: no-delay is always on",
            ),
            "transaction.two.phase.commit.enable" => {
                (text.eq_ignore_ascii_case("false"), "yet except as false")
            }
            "batch.num.messages" | "queue.buffering.max.messages" => (
                false,
                ": batches and buffers are bounded by bytes, see batch.size and buffer.memory",
            ),
            _ => (false, "yet"),
        };
        if harmless {
            return Ok(());
        }
        Err(ConfigError::NotSupported {
            key: self.key.to_owned(),
            reason,
        })
    }
}

/// Java's serializers whose output is what milena takes: the bytes of the value.
fn serializes_as_is(class: &str) -> bool {
    let name = class.strip_prefix("org.apache.kafka.common.serialization.");
    matches!(
        name,
        Some(
            "ByteArraySerializer" | "ByteBufferSerializer" | "BytesSerializer" | "StringSerializer"
        )
    )
}

/// Kafka's own name of a property, if it is one.
fn canonical(given: &str) -> Option<&'static str> {
    if let Some((_, name)) = ALIASES.iter().find(|(alias, _)| *alias == given) {
        return Some(name);
    }
    KEYS.iter().copied().find(|key| *key == given).or_else(|| {
        // Families whose members are Kafka's, though none is served yet.
        [
            "ssl.",
            "sasl.",
            "config.providers.",
            "metrics.context.",
            "metrics.jmx.",
        ]
        .into_iter()
        .find(|family| given.starts_with(family))
    })
}

/// The known name with the fewest edits, if it is near enough to be a slip.
fn nearest(given: &str) -> Option<&'static str> {
    let names = KEYS
        .iter()
        .copied()
        .chain(ALIASES.iter().map(|(alias, _)| *alias));
    let lower = given.to_ascii_lowercase().replace(['_', '-'], ".");
    let (distance, name) = names.map(|name| (edits(&lower, name), name)).min()?;
    (distance <= 3.max(given.len() / 3)).then_some(name)
}

/// Levenshtein's distance, byte by byte.
fn edits(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// librdkafka's names, and Kafka's for the same.
const ALIASES: &[(&str, &str)] = &[
    ("compression.codec", "compression.type"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.max.bytes", "max.request.size"),
    ("message.send.max.retries", "retries"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("queue.buffering.max.kbytes", "buffer.memory"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
    ("socket.receive.buffer.bytes", "receive.buffer.bytes"),
    ("socket.send.buffer.bytes", "send.buffer.bytes"),
    ("socket.timeout.ms", "request.timeout.ms"),
    ("topic.metadata.refresh.interval.ms", "metadata.max.age.ms"),
];

/// Every property that has a meaning here or in the Java client; `ssl.` and `sasl.` are families.
const KEYS: &[&str] = &[
    "acks",
    "batch.num.messages",
    "batch.size",
    "bootstrap.resolve.timeout.ms",
    "bootstrap.servers",
    "buffer.memory",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.gzip.level",
    "compression.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "config.providers",
    "connections.max.idle.ms",
    "delivery.timeout.ms",
    "enable.idempotence",
    "enable.metrics.push",
    "interceptor.classes",
    "key.serializer",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "metadata.cluster.check.enable",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.class",
    "partitioner.ignore.keys",
    "partitioner.rack.aware",
    "queue.buffering.max.messages",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "security.protocol",
    "security.providers",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "transaction.timeout.ms",
    "transaction.two.phase.commit.enable",
    "transactional.id",
    "value.serializer",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(properties: &[(&str, &str)]) -> Result<ProducerConfig, ConfigError> {
        ProducerConfig::from_properties(properties.iter().copied())
    }

    fn text(key: &str, value: &str) -> String {
        read(&[(key, value)]).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_a_java_application_has() {
        let config = read(&[
            ("bootstrap.servers", "b1:9092 , b2:9092"),
            (
                "key.serializer",
                "org.apache.kafka.common.serialization.StringSerializer",
            ),
            (
                "value.serializer",
                "org.apache.kafka.common.serialization.ByteArraySerializer",
            ),
            ("security.protocol", "plaintext"),
            ("acks", " all "),
            ("linger.ms", "20"),
            ("enable.idempotence", "TRUE"),
            ("connections.max.idle.ms", "-1"),
            ("send.buffer.bytes", "-1"),
            ("metadata.recovery.strategy", "NONE"),
        ])
        .unwrap();
        assert_eq!(config.bootstrap_servers, ["b1:9092", "b2:9092"]);
        assert_eq!(config.acks, Some(Acks::All));
        assert_eq!(config.idempotence, Some(true));
        assert_eq!(config.linger, Duration::from_millis(20));
        assert_eq!(config.connections_max_idle, None);
        assert_eq!(config.send_buffer, None);
        let own = read(&[("send.buffer.bytes", "65536")]).unwrap();
        assert_eq!(own.send_buffer, Some(65_536));
        assert_eq!(config.metadata_recovery, MetadataRecovery::None);
        config.validate().unwrap();
    }

    #[test]
    fn reads_librdkafkas_names() {
        let config = read(&[
            ("metadata.broker.list", "b:1"),
            ("queue.buffering.max.kbytes", "64"),
            ("queue.buffering.max.ms", "7"),
            ("message.timeout.ms", "0"),
            ("request.required.acks", "-1"),
            ("socket.send.buffer.bytes", "0"),
            ("compression.type", "zstd"),
            ("compression.level", "-1"),
        ])
        .unwrap();
        assert_eq!(config.bootstrap_servers, ["b:1"]);
        assert_eq!(config.compression_level, None);
        assert_eq!(config.buffer_memory, 65_536);
        assert_eq!(config.linger, Duration::from_millis(7));
        assert_eq!(
            config.delivery_timeout,
            Some(Duration::from_millis(INT as u64))
        );
        assert_eq!(config.send_buffer, None);
    }

    #[test]
    fn an_unknown_name_tells_the_nearest() {
        assert_eq!(
            text("linger", "5"),
            "linger is not a property of a producer: did you mean linger.ms?"
        );
        assert_eq!(
            text("batch_size", "5"),
            "batch_size is not a property of a producer: did you mean batch.size?"
        );
        assert_eq!(
            text("group.id", "5"),
            "group.id is not a property of a producer"
        );
        assert!(text("bootstrap.server", "b:1").ends_with("did you mean bootstrap.servers?"));
    }

    #[test]
    fn later_features_are_refused_by_name() {
        for (key, value) in [
            ("ssl.truststore.location", "/x"),
            ("sasl.jaas.config", "secret"),
            ("security.protocol", "SASL_SSL"),
            ("transactional.id", "t"),
            ("partitioner.class", "com.example.Mine"),
            (
                "value.serializer",
                "io.confluent.kafka.serializers.KafkaAvroSerializer",
            ),
            ("config.providers.file.class", "x"),
        ] {
            let text = text(key, value);
            assert!(
                text.starts_with(&format!("{key} is not supported")),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn values_are_read_by_javas_rules() {
        assert!(text("acks", "ALL").contains("all, -1, 1 or 0"));
        assert!(text("acks", "2").contains("acks cannot be \"2\""));
        assert!(text("linger.ms", "-1").contains("linger.ms"));
        assert!(text("linger.ms", "0.5").contains("whole number"));
        assert!(text("enable.idempotence", "yes").contains("true or false"));
        assert!(text("delivery.timeout.ms", "2147483648").contains("2147483647"));
        assert!(text("max.in.flight.requests.per.connection", "0").contains("from 1"));
    }

    #[test]
    fn nothing_is_set_twice() {
        let error = read(&[("linger.ms", "1"), ("queue.buffering.max.ms", "2")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "queue.buffering.max.ms is set twice: linger.ms means the same"
        );
    }

    #[test]
    fn compression_and_its_levels() {
        assert_eq!(
            read(&[("compression.type", "none")]).unwrap().compression,
            Compression::None
        );
        assert!(text("compression.type", "brotli").contains("none, gzip, snappy, lz4 or zstd"));
        assert!(text("compression.type", "GZIP").contains("GZIP"));
        assert!(text("compression.gzip.level", "0").contains("1 to 9"));
        assert!(text("compression.lz4.level", "18").contains("1 to 17"));
        assert!(text("compression.zstd.level", "23").contains("22"));
    }

    #[test]
    fn every_name_in_the_table_is_known() {
        for key in KEYS.iter().chain(ALIASES.iter().map(|(alias, _)| alias)) {
            let result = read(&[(key, "\u{1}")]);
            assert!(!matches!(result, Err(ConfigError::Unknown { .. })), "{key}");
        }
    }
}
