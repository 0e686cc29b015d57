//! What can be wrong with a configuration.

use std::fmt;

/// Why a configuration cannot be used; the text names the property and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two settings that exclude each other.
    Conflict(String),
    /// A property was given twice, perhaps once by an alias.
    Duplicate {
        /// The property as it was given the second time.
        key: String,
        /// As it was given the first time.
        other: String,
    },
    /// A value that the property cannot have.
    Invalid {
        /// The property, by Kafka's name.
        key: String,
        /// The value that was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A required property is missing.
    Missing {
        /// The property, by Kafka's name.
        key: &'static str,
    },
    /// A property that Kafka's clients know and this one does not serve.
    NotSupported {
        /// The property as it was given.
        key: String,
        /// What to use instead, or when it comes.
        reason: &'static str,
    },
    /// A property that nobody knows.
    Unknown {
        /// The property as it was given.
        key: String,
        /// The known property whose name is nearest.
        nearest: Option<&'static str>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(text) => f.write_str(text),
            Self::Duplicate { key, other } => {
                write!(f, "{key} is set twice: {other} means the same")
            }
            Self::Invalid {
                key,
                value,
                expected,
            } => write!(f, "{key} cannot be {value:?}: {expected}"),
            Self::Missing { key } => write!(f, "{key} is not set"),
            Self::NotSupported { key, reason } => {
                write!(f, "{key} is not supported{}", why(reason))
            }
            Self::Unknown { key, nearest } => {
                write!(f, "{key} is not a property of a producer{}", meant(nearest))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

fn why(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" {reason}")
    }
}

fn meant(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(": did you mean {name}?"))
}
