//! Why a record was not delivered, and whether it may be in the log all the same.

use std::fmt;
use std::sync::Arc;

/// Whether a record whose delivery failed can be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It surely is not: no request with it was begun, or a broker refused it.
    NotWritten,
    /// It may be: a request with it was begun, and its answer never came or left it open.
    PossiblyWritten,
}

/// What kind of failure it was, which says what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// A broker refused the batch; see the code.
    Refused,
    /// `delivery.timeout.ms` passed.
    Expired,
    /// All `retries` were used up.
    RetriesExhausted,
    /// It is larger than the broker or the topic takes (`message.max.bytes`, `max.message.bytes`).
    TooLarge,
    /// The broker found this very record invalid (KIP-467).
    InvalidRecord,
    /// The broker found another record of the same batch invalid; this one can be sent again.
    Companion,
    /// Another producer with the same transactional id has taken over.
    Fenced,
    /// Its transaction was aborted.
    Aborted,
    /// The producer was closed before it was delivered.
    Closed,
    /// The producer met an error it cannot recover from and has to be replaced.
    Fatal,
    /// The producer's runtime was shut down.
    Lost,
}

impl FailureReason {
    fn text(self) -> &'static str {
        match self {
            Self::Refused => "refused by the broker",
            Self::Expired => "not acknowledged within delivery.timeout.ms",
            Self::RetriesExhausted => "all retries were used up",
            Self::TooLarge => "larger than the broker or the topic accepts",
            Self::InvalidRecord => "the broker found the record invalid",
            Self::Companion => "another record of its batch was invalid, send it again",
            Self::Fenced => "another producer with this transactional id has taken over",
            Self::Aborted => "its transaction was aborted",
            Self::Closed => "the producer was closed before it was delivered",
            Self::Fatal => "the producer met an error it cannot recover from, build a new one",
            Self::Lost => "the runtime of the producer was shut down",
        }
    }
}

/// What a broker answered. Nothing here knows Kafka's codes: whoever reads answers gives the name along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerError {
    /// The error code.
    pub code: i16,
    /// Kafka's name for it, if it is known.
    pub name: Option<&'static str>,
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.code),
        }
    }
}

/// What the broker said of one record of a refused batch (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFailure {
    /// The record's place in the batch.
    pub index: u32,
    /// The broker's words for this record.
    pub message: Option<Box<str>>,
}

/// Why a batch failed; shared by all of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFailure {
    /// What kind of failure.
    pub reason: FailureReason,
    /// Whether its records can be in the log.
    pub fate: Fate,
    /// The broker's error, if a broker spoke.
    pub error: Option<BrokerError>,
    /// The broker's words, or more about the cause.
    pub message: Option<Box<str>>,
    /// Records that the broker named, by ascending index. If there are any, the others failed only with them.
    pub records: Vec<RecordFailure>,
}

impl BatchFailure {
    /// A failure without a broker's error.
    pub fn new(reason: FailureReason, fate: Fate) -> Self {
        Self {
            reason,
            fate,
            error: None,
            message: None,
            records: Vec::new(),
        }
    }

    /// A broker's refusal: surely not written.
    pub fn refused(reason: FailureReason, error: BrokerError, message: Option<&str>) -> Self {
        Self {
            error: Some(error),
            message: message.map(Box::from),
            ..Self::new(reason, Fate::NotWritten)
        }
    }
}

/// Why one record was not delivered. Cheap to clone: it shares what its batch's records have in common.
#[derive(Clone, PartialEq, Eq)]
pub struct DeliveryError {
    failure: Arc<BatchFailure>,
    topic: Arc<str>,
    partition: i32,
    index: u32,
}

impl DeliveryError {
    pub(crate) fn new(
        failure: Arc<BatchFailure>,
        topic: Arc<str>,
        partition: i32,
        index: u32,
    ) -> Self {
        Self {
            failure,
            topic,
            partition,
            index,
        }
    }

    /// Whether the record can be in the log.
    pub fn fate(&self) -> Fate {
        self.failure.fate
    }

    /// What kind of failure it was.
    pub fn reason(&self) -> FailureReason {
        match (self.failure.records.len(), self.named()) {
            (0, _) => self.failure.reason,
            (_, None) => FailureReason::Companion,
            // One record named: the batch's error is its own. Several: each is invalid, as in Java.
            (1, Some(_)) if self.failure.reason != FailureReason::Refused => self.failure.reason,
            (_, Some(_)) => FailureReason::InvalidRecord,
        }
    }

    /// The broker's error code for the batch, if a broker spoke.
    pub fn code(&self) -> Option<i16> {
        self.failure.error.map(|error| error.code)
    }

    /// The broker's words for this record, else for its batch.
    pub fn message(&self) -> Option<&str> {
        let own = self.named().and_then(|record| record.message.as_deref());
        own.or(self.failure.message.as_deref())
    }

    /// The record's topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The record's partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    fn named(&self) -> Option<&RecordFailure> {
        let records = &self.failure.records;
        let at = records.binary_search_by_key(&self.index, |record| record.index);
        at.ok().map(|at| &records[at])
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic, partition, ..
        } = self;
        write!(f, "{topic}-{partition}: {}", self.reason().text())?;
        if let Some(error) = self.failure.error {
            write!(f, " ({error})")?;
        }
        if let Some(message) = self.message() {
            write!(f, ": {message}")?;
        }
        match self.fate() {
            Fate::NotWritten => f.write_str(" (not written)"),
            Fate::PossiblyWritten => f.write_str(" (possibly written)"),
        }
    }
}

impl fmt::Debug for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryError({self})")
    }
}

impl std::error::Error for DeliveryError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(records: &[(u32, Option<&str>)], index: u32) -> DeliveryError {
        let error = BrokerError {
            code: 87,
            name: Some("INVALID_RECORD"),
        };
        let mut failure = BatchFailure::refused(FailureReason::Refused, error, Some("batch"));
        failure.records = records
            .iter()
            .map(|&(index, message)| RecordFailure {
                index,
                message: message.map(Box::from),
            })
            .collect();
        DeliveryError::new(Arc::new(failure), "t".into(), 3, index)
    }

    #[test]
    fn named_records_have_their_own_words_and_others_are_companions() {
        let records = [(1, Some("bad key")), (4, None)];
        assert_eq!(error(&records, 1).reason(), FailureReason::InvalidRecord);
        assert_eq!(error(&records, 1).message(), Some("bad key"));
        assert_eq!(error(&records, 4).message(), Some("batch"));
        assert_eq!(error(&records, 2).reason(), FailureReason::Companion);
        assert_eq!(error(&[], 2).reason(), FailureReason::Refused);
    }

    #[test]
    fn the_text_says_where_why_and_whether_it_is_written() {
        assert_eq!(
            error(&[], 0).to_string(),
            "t-3: refused by the broker (INVALID_RECORD): batch (not written)"
        );
    }

    #[test]
    fn an_error_without_a_name_is_told_by_its_number() {
        let error = BrokerError {
            code: 999,
            name: None,
        };
        assert_eq!(error.to_string(), "error 999");
    }
}
