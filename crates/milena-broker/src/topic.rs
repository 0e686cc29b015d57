//! What a topic can be told: its configuration, as far as a producer can notice it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

/// How a topic treats what is produced to it.
///
/// Can be set field by field, or by Kafka's property names with [`TopicConfig::set`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Whether records get the broker's clock instead of the producer's (`message.timestamp.type=LogAppendTime`).
    /// Off by default.
    pub log_append_time: bool,
    /// The largest batch, in bytes (`max.message.bytes`). By default 1,048,588.
    pub max_message_bytes: usize,
    /// How many replicas must be in sync for acks=all (`min.insync.replicas`). By default 1.
    pub min_insync_replicas: usize,
    /// How many brokers hold each partition. By default 3, or all of a smaller cluster.
    pub replication_factor: usize,
    /// Whether a record needs a key (`cleanup.policy=compact`). Nothing is compacted. Off by default.
    pub compact: bool,
    /// Whether a compacted topic loses old records too (`cleanup.policy=compact,delete`). Nothing is deleted. Off by
    /// default.
    pub delete_too: bool,
    /// How far in the future a record's timestamp may be, in milliseconds (`message.timestamp.after.max.ms`).
    ///
    /// Without limit by default; Kafka's default is an hour, which a test under virtual time could not keep.
    pub timestamp_after_max_ms: i64,
    /// How far in the past a record's timestamp may be, in milliseconds (`message.timestamp.before.max.ms`). Without
    /// limit by default.
    pub timestamp_before_max_ms: i64,
    /// Whether batches are counted and dropped instead of kept (`milena.discard`): for benchmarks. Off by default.
    pub discard: bool,
    /// Properties that have no effect, but are shown by DescribeConfigs.
    pub others: BTreeMap<String, String>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            log_append_time: false,
            max_message_bytes: 1_048_588,
            min_insync_replicas: 1,
            replication_factor: 3,
            compact: false,
            delete_too: false,
            timestamp_after_max_ms: i64::MAX,
            timestamp_before_max_ms: i64::MAX,
            discard: false,
            others: BTreeMap::new(),
        }
    }
}

/// What values a property has that is not modelled.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// From 0 to 1.
    Ratio,
    Switch,
    /// Of compression.
    Codec,
    Text,
}

impl Kind {
    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Number => value.parse::<i64>().is_ok(),
            Self::Ratio => value
                .parse::<f64>()
                .is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
            Self::Switch => matches!(value, "true" | "false"),
            Self::Codec => matches!(
                value,
                "uncompressed" | "zstd" | "lz4" | "snappy" | "gzip" | "producer"
            ),
            Self::Text => true,
        }
    }
}

/// The properties of topics that Kafka has and the model does without.
const OTHERS: &[(&str, Kind)] = &[
    ("compression.gzip.level", Kind::Number),
    ("compression.lz4.level", Kind::Number),
    ("compression.type", Kind::Codec),
    ("compression.zstd.level", Kind::Number),
    ("delete.retention.ms", Kind::Number),
    ("file.delete.delay.ms", Kind::Number),
    ("flush.messages", Kind::Number),
    ("flush.ms", Kind::Number),
    ("follower.replication.throttled.replicas", Kind::Text),
    ("index.interval.bytes", Kind::Number),
    ("leader.replication.throttled.replicas", Kind::Text),
    ("local.retention.bytes", Kind::Number),
    ("local.retention.ms", Kind::Number),
    ("max.compaction.lag.ms", Kind::Number),
    ("min.cleanable.dirty.ratio", Kind::Ratio),
    ("min.compaction.lag.ms", Kind::Number),
    ("preallocate", Kind::Switch),
    ("remote.log.copy.disable", Kind::Switch),
    ("remote.log.delete.on.disable", Kind::Switch),
    ("remote.storage.enable", Kind::Switch),
    ("retention.bytes", Kind::Number),
    ("retention.ms", Kind::Number),
    ("segment.bytes", Kind::Number),
    ("segment.index.bytes", Kind::Number),
    ("segment.jitter.ms", Kind::Number),
    ("segment.ms", Kind::Number),
    ("unclean.leader.election.enable", Kind::Switch),
];

/// A property that topics do not have, or that cannot have this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidProperty {
    /// Its name.
    pub name: String,
    /// The value that was given.
    pub value: String,
}

impl fmt::Display for InvalidProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value } = self;
        write!(
            f,
            "no topic property {name} can be {value:?}: see topic configs in Kafka's documentation"
        )
    }
}

impl std::error::Error for InvalidProperty {}

impl TopicConfig {
    /// Sets a property by its name in Kafka. One that is not modelled is remembered and has no effect.
    ///
    /// # Errors
    /// Kafka has no such property, or it cannot have this value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), InvalidProperty> {
        let invalid = || InvalidProperty {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        match name {
            "message.timestamp.type" => {
                self.log_append_time = match value {
                    "LogAppendTime" => true,
                    "CreateTime" => false,
                    _ => return Err(invalid()),
                }
            }
            "max.message.bytes" => self.max_message_bytes = value.parse().map_err(|_| invalid())?,
            "min.insync.replicas" => {
                let least = value.parse::<NonZeroUsize>().map_err(|_| invalid())?;
                self.min_insync_replicas = least.get();
            }
            "cleanup.policy" => {
                (self.compact, self.delete_too) = cleanup(value).ok_or_else(invalid)?;
            }
            "message.timestamp.after.max.ms" => {
                self.timestamp_after_max_ms = milliseconds(value).ok_or_else(invalid)?;
            }
            "milena.discard" => self.discard = value.parse().map_err(|_| invalid())?,
            "message.timestamp.before.max.ms" => {
                self.timestamp_before_max_ms = milliseconds(value).ok_or_else(invalid)?;
            }
            _ => {
                let known = OTHERS.iter().find(|(other, _)| *other == name);
                if !known.is_some_and(|(_, kind)| kind.accepts(value)) {
                    return Err(invalid());
                }
                self.others.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    /// All properties by their names in Kafka, and whether each differs from the default.
    pub fn properties(&self) -> Vec<(String, String, bool)> {
        let default = Self::default();
        let cleanup = match (self.compact, self.delete_too) {
            (false, _) => "delete",
            (true, false) => "compact",
            (true, true) => "compact,delete",
        };
        let stamp = if self.log_append_time {
            "LogAppendTime"
        } else {
            "CreateTime"
        };
        let mut all = vec![
            ("cleanup.policy".into(), cleanup.into(), self.compact),
            (
                "max.message.bytes".into(),
                self.max_message_bytes.to_string(),
                self.max_message_bytes != default.max_message_bytes,
            ),
            (
                "message.timestamp.after.max.ms".into(),
                self.timestamp_after_max_ms.to_string(),
                self.timestamp_after_max_ms != default.timestamp_after_max_ms,
            ),
            (
                "message.timestamp.before.max.ms".into(),
                self.timestamp_before_max_ms.to_string(),
                self.timestamp_before_max_ms != default.timestamp_before_max_ms,
            ),
            (
                "message.timestamp.type".into(),
                stamp.into(),
                self.log_append_time,
            ),
            (
                "min.insync.replicas".into(),
                self.min_insync_replicas.to_string(),
                self.min_insync_replicas != default.min_insync_replicas,
            ),
        ];
        all.extend(
            self.others
                .iter()
                .map(|(name, value)| (name.clone(), value.clone(), true)),
        );
        all
    }
}

/// Whether a topic is compacted, and whether it loses old records then too; `None` for what is no policy.
fn cleanup(value: &str) -> Option<(bool, bool)> {
    let (mut compact, mut delete) = (false, false);
    for policy in value.split(',') {
        match policy.trim() {
            "compact" => compact = true,
            "delete" => delete = true,
            _ => return None,
        }
    }
    Some((compact, compact && delete))
}

/// A limit for the distance of a timestamp.
fn milliseconds(value: &str) -> Option<i64> {
    value.parse().ok().filter(|ms| *ms >= 0)
}

/// Whether Kafka accepts this name for a topic: 1 to 249 letters, digits, dots, dashes and underscores.
pub(crate) fn is_legal_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_set_by_name() {
        let mut config = TopicConfig::default();
        for (name, value) in [
            ("message.timestamp.type", "LogAppendTime"),
            ("max.message.bytes", "1000"),
            ("min.insync.replicas", "2"),
            ("cleanup.policy", "delete,compact"),
            ("segment.bytes", "7"),
        ] {
            config.set(name, value).expect(name);
        }
        assert!(config.log_append_time && config.compact);
        assert_eq!(
            (config.max_message_bytes, config.min_insync_replicas),
            (1000, 2)
        );
        assert!(
            config
                .properties()
                .contains(&("segment.bytes".into(), "7".into(), true))
        );
        assert!(config.set("max.message.bytes", "lots").is_err());
        assert!(config.set("retention.ms", "soon").is_err());
        assert!(config.set("no.such.thing", "1").is_err());
    }

    #[test]
    fn policies_are_a_list() {
        for (value, shown) in [
            ("delete", "delete"),
            ("compact", "compact"),
            ("delete, compact", "compact,delete"),
            (" compact ,delete", "compact,delete"),
        ] {
            let mut config = TopicConfig::default();
            config.set("cleanup.policy", value).expect(value);
            let changed = shown != "delete";
            assert_eq!(config.compact, changed, "{value}");
            let property = ("cleanup.policy".into(), shown.into(), changed);
            assert!(config.properties().contains(&property), "{value}");
        }
        let mut config = TopicConfig::default();
        for bad in ["", " ", "bogus", "compact,bogus", "compact,", "Compact"] {
            assert!(config.set("cleanup.policy", bad).is_err(), "{bad:?}");
        }
        assert_eq!(config, TopicConfig::default());
    }

    #[test]
    fn values_are_checked_as_kafka_does() {
        let mut config = TopicConfig::default();
        for (name, good, bad) in [
            ("retention.ms", "-1", &["NaN", "1.5", "inf", ""][..]),
            ("segment.bytes", "1048576", &["1e6"]),
            ("min.cleanable.dirty.ratio", "0.5", &["NaN", "1.5", "-1"]),
            ("min.insync.replicas", "1", &["0", "-1"]),
            ("message.timestamp.after.max.ms", "0", &["-1"]),
            ("message.timestamp.before.max.ms", "0", &["-1"]),
            ("compression.type", "uncompressed", &["none", "bogus", ""]),
            ("compression.type", "producer", &["Producer"]),
        ] {
            config.set(name, good).expect(name);
            for value in bad {
                assert!(config.set(name, value).is_err(), "{name}={value}");
            }
            let kept = config.properties();
            assert!(kept.iter().any(|one| one.0 == name && one.1 == good));
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(is_legal_name("orders.v1_x-y"));
        for bad in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(!is_legal_name(bad), "{bad}");
        }
    }
}
