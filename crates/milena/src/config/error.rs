//! What can be wrong with a configuration.

/// Why a configuration cannot be used; the text names the property and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two settings that exclude each other.
    #[error("{0}")]
    Conflict(String),
    /// A property was given twice, perhaps once by an alias.
    #[error("{key} is set twice: {other} means the same")]
    Duplicate {
        /// The property as it was given the second time.
        key: String,
        /// As it was given the first time.
        other: String,
    },
    /// A value that the property cannot have.
    #[error("{key} cannot be {value:?}: {expected}")]
    Invalid {
        /// The property, by Kafka's name.
        key: String,
        /// The value that was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A required property is missing.
    #[error("{key} is not set")]
    Missing {
        /// The property, by Kafka's name.
        key: &'static str,
    },
    /// A property that Kafka's clients know and this one does not serve.
    #[error("{key} is not supported{}", why(.reason))]
    NotSupported {
        /// The property as it was given.
        key: String,
        /// What to use instead, or when it comes.
        reason: &'static str,
    },
    /// A property that nobody knows.
    #[error("{key} is not a property of a producer{}", meant(.nearest))]
    Unknown {
        /// The property as it was given.
        key: String,
        /// The known property whose name is nearest.
        nearest: Option<&'static str>,
    },
}

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
