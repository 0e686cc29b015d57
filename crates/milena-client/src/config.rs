//! What a client may be told; the defaults are those of Kafka's Java client 4.3.
use std::ops::RangeInclusive;
use std::time::Duration;

use milena_wire::ApiKey;

use crate::{Address, Backoff};

/// How a [`Client`](crate::Client) behaves.
///
/// Durations of more than a century count as one.
///
/// # Defaults
/// | field | default |
/// |---|---|
/// | `bootstrap` | empty: must be given |
/// | `client_id` | none |
/// | `software_name`, `software_version` | `milena` and this crate's version |
/// | `max_in_flight` | 5 |
/// | `request_timeout` | 30 s |
/// | `reconnect_backoff` | 50 ms to 1 s |
/// | `retry_backoff` | 100 ms to 1 s |
/// | `connection_setup_timeout` | 10 s to 30 s |
/// | `connections_max_idle` | 9 minutes |
/// | `metadata_max_age` | 5 minutes |
/// | `metadata_max_idle` | 5 minutes |
/// | `bootstrap_stagger` | 250 ms |
/// | `recovery` | [`Recovery::Rebootstrap`] after 5 minutes |
/// | `allow_auto_topic_creation` | true |
/// | `required` | empty |
/// | `announced_writes` | false |
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers to begin with; which is tried first is random.
    pub bootstrap: Vec<Address>,
    /// The name that brokers know this client by in logs, metrics and quotas.
    pub client_id: Option<String>,
    /// The name of the client's software, told to brokers (KIP-511). What a broker would refuse in
    /// it is replaced.
    pub software_name: String,
    /// The version of the client's software, told to brokers (KIP-511). What a broker would refuse
    /// in it is replaced.
    pub software_version: String,
    /// How many requests may be unanswered on one connection; at least 1.
    pub max_in_flight: usize,
    /// How long an answer may take, from [`begin_request`](crate::Client::begin_request) on, before
    /// the connection is given up.
    pub request_timeout: Duration,
    /// The wait before a broker that could not be reached, or was lost, is tried again.
    pub reconnect_backoff: Backoff,
    /// The wait before metadata is asked for again after a failure, or when answers bring nothing
    /// new.
    pub retry_backoff: Backoff,
    /// How long connecting may take (looking up, connecting, handshakes); grows with consecutive
    /// failures.
    pub connection_setup_timeout: Backoff,
    /// How long a connection may be unused before it is closed; `None` for ever.
    pub connections_max_idle: Option<Duration>,
    /// How old metadata may get before it is asked for again without a reason.
    pub metadata_max_age: Duration,
    /// How long a topic is kept in the metadata without being used.
    pub metadata_max_idle: Duration,
    /// How much later than one bootstrap server the next one is tried beside it.
    pub bootstrap_stagger: Duration,
    /// What to do when no broker known from metadata can be reached (KIP-899, KIP-1102).
    pub recovery: Recovery,
    /// Whether brokers that are set up for it may create topics that are asked for.
    pub allow_auto_topic_creation: bool,
    /// APIs, and the versions of them that the owner speaks, without which a broker is of no use.
    /// Metadata is always required.
    pub required: Vec<(ApiKey, RangeInclusive<i16>)>,
    /// Whether the owner reports with [`handle_write_begun`](crate::Client::handle_write_begun)
    /// when it begins to write a frame.
    ///
    /// Then a request that is lost before that is reported as not begun; otherwise every request
    /// counts as begun.
    pub announced_writes: bool,
}

/// What to do when no broker known from metadata can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Begin anew with the bootstrap servers: at once if no broker is left to ask, or when metadata
    /// could not be had for this long.
    Rebootstrap(Duration),
    /// Keep trying the brokers that are known.
    None,
}

impl Config {
    /// The defaults, and the servers to begin with.
    pub fn new(bootstrap: Vec<Address>) -> Self {
        let (ms, secs) = (Duration::from_millis, Duration::from_secs);
        Self {
            bootstrap,
            client_id: None,
            software_name: "milena".to_owned(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            max_in_flight: 5,
            request_timeout: secs(30),
            reconnect_backoff: Backoff::new(ms(50), secs(1)),
            retry_backoff: Backoff::new(ms(100), secs(1)),
            connection_setup_timeout: Backoff::new(secs(10), secs(30)),
            connections_max_idle: Some(secs(540)),
            metadata_max_age: secs(300),
            metadata_max_idle: secs(300),
            bootstrap_stagger: ms(250),
            recovery: Recovery::Rebootstrap(secs(300)),
            allow_auto_topic_creation: true,
            required: Vec::new(),
            announced_writes: false,
        }
    }
}

/// As good as for ever, and yet it can be added to any instant: longer durations count as this one.
pub const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Sooner no attempt has had the time to bring metadata, and each would be ended for the next.
const SHORTEST_TRIGGER: Duration = Duration::from_secs(1);

impl Config {
    /// The same with durations that can be added to any instant.
    pub(crate) fn within_a_century(mut self) -> Self {
        let backoffs = [
            &mut self.reconnect_backoff,
            &mut self.retry_backoff,
            &mut self.connection_setup_timeout,
        ];
        for backoff in backoffs {
            backoff.initial = backoff.initial.min(CENTURY);
            backoff.max = backoff.max.min(CENTURY);
        }
        let others = [
            &mut self.request_timeout,
            &mut self.metadata_max_age,
            &mut self.metadata_max_idle,
            &mut self.bootstrap_stagger,
        ];
        let idle = self.connections_max_idle.as_mut();
        let trigger = match &mut self.recovery {
            Recovery::Rebootstrap(trigger) => {
                *trigger = (*trigger).max(SHORTEST_TRIGGER);
                Some(trigger)
            }
            Recovery::None => None,
        };
        for duration in others.into_iter().chain(idle).chain(trigger) {
            *duration = (*duration).min(CENTURY);
        }
        self
    }
}

/// `text` as brokers accept it for a client's software: letters, digits, `-` and `.`, the first and
/// the last being a letter or digit.
pub(crate) fn software(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let text: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    let text = text.trim_matches(['-', '.']);
    if text.is_empty() {
        "unknown".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_made_acceptable() {
        for (given, sent) in [
            ("milena", "milena"),
            ("my app/2", "my-app-2"),
            ("-.x.-", "x"),
            ("", "unknown"),
            ("é", "unknown"),
        ] {
            assert_eq!(software(given), sent);
        }
    }
}
