//! Error codes: names, classes, sentences. The table itself is `table.rs`.

use std::fmt;

use table::TABLE;

mod table;

/// The number with which a broker says what went wrong; 0 is success.
///
/// An open set: newer brokers may have codes that are not named here. Those are treated as
/// [`Class::Other`], like [`ErrorCode::UNKNOWN_SERVER_ERROR`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What kind of error a code is: at most one of them (KIP-1050).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// To be retried once the metadata has been asked for anew: it is, or may be, out of date.
    InvalidMetadata,
    /// To be retried once the coordinator has been asked for anew.
    Refresh,
    /// To be retried as it is.
    Retriable,
    /// The application can recover by starting over: a new producer, or a new member of a group.
    ApplicationRecoverable,
    /// The configuration, the credentials or the request itself must change first.
    InvalidConfiguration,
    /// None of these; also success, and codes that are not known.
    Other,
}

struct Entry {
    name: &'static str,
    class: Class,
    message: &'static str,
}

impl ErrorCode {
    fn entry(self) -> Option<&'static Entry> {
        // The table begins at -1 and has no holes; the test below says so.
        TABLE.get(usize::try_from(i32::from(self.0) + 1).ok()?)
    }

    /// Kafka's name for it, if it is known.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// What kind of error it is.
    #[must_use]
    pub fn class(self) -> Class {
        self.entry().map_or(Class::Other, |entry| entry.class)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(
            self.class(),
            Class::InvalidMetadata | Class::Refresh | Class::Retriable
        )
    }

    /// Whether it says that the metadata is out of date.
    #[must_use]
    pub fn is_invalid_metadata(self) -> bool {
        self.class() == Class::InvalidMetadata
    }

    /// Whether it is success.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// A sentence about it: lower case, without full stop.
    #[must_use]
    pub fn message(self) -> &'static str {
        self.entry()
            .map_or("an error code that is not known here", |entry| {
                entry.message
            })
    }

    /// `Err` unless it is success.
    ///
    /// # Errors
    /// The code itself.
    pub fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    /// Every code that is known here, from the lowest on.
    pub fn all() -> impl Iterator<Item = Self> {
        (-1..).zip(&TABLE).map(|(code, _)| Self(code))
    }
}

/// `NAME (6): sentence`.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or("UNKNOWN");
        write!(f, "{name} ({}): {}", self.0, self.message())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().unwrap_or("ErrorCode"), self.0)
    }
}

impl std::error::Error for ErrorCode {}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_holes() {
        assert!(table::CODES.iter().copied().eq(-1..=133));
        assert_eq!(ErrorCode::all().count(), 135);
        assert_eq!(
            ErrorCode::REBOOTSTRAP_REQUIRED.name(),
            Some("REBOOTSTRAP_REQUIRED")
        );
    }

    #[test]
    fn codes_have_their_classes() {
        let invalid_metadata: Vec<i16> = ErrorCode::all()
            .filter(|code| code.is_invalid_metadata())
            .map(|code| code.0)
            .collect();
        assert_eq!(
            invalid_metadata,
            [3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103]
        );
        let others: Vec<i16> = ErrorCode::all()
            .filter(|code| code.is_retriable() && !code.is_invalid_metadata())
            .map(|code| code.0)
            .collect();
        assert_eq!(
            others,
            [
                2, 7, 14, 15, 16, 19, 20, 41, 51, 70, 71, 75, 78, 88, 89, 106, 122, 123, 133
            ]
        );
    }

    #[test]
    fn codes_that_are_not_known_are_not_retried() {
        for code in [i16::MIN, -2, 134, i16::MAX] {
            let code = ErrorCode(code);
            assert_eq!((code.name(), code.class()), (None, Class::Other));
            assert!(!code.is_ok());
        }
        assert_eq!(
            ErrorCode(999).to_string(),
            "UNKNOWN (999): an error code that is not known here"
        );
    }

    #[test]
    fn sentences_are_in_the_style_of_errors() {
        for code in ErrorCode::all() {
            let text = code.message();
            assert!(!text.ends_with('.') && !text.is_empty(), "{code:?}");
        }
    }
}
