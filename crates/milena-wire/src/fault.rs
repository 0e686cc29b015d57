//! What can be wrong with bytes that are read, and with a message that is written.

use std::fmt;

use nom::error::{ErrorKind, FromExternalError, ParseError};

/// Why some bytes are not the message they should be.
///
/// Whoever reads a connection closes it on a fault: nothing after it can be trusted.
/// `Copy`, and made without allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The struct that was being read.
    pub message: &'static str,
    /// The field of it.
    pub field: &'static str,
    /// What was wrong.
    pub why: Why,
    /// How many bytes of the input had not been read yet.
    pub left: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            field,
            why,
            left,
        } = self;
        write!(f, "{why} in {message}.{field}, {left} bytes before the end")
    }
}

impl std::error::Error for Fault {}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The bytes end too early.
    Short,
    /// A length, or a count, that its bytes cannot hold.
    Length,
    /// Null where the version allows none.
    Null,
    /// A varint that does not end within its width.
    Varint,
    /// A string that is not UTF-8.
    Utf8,
    /// Tags out of order, or one given twice.
    TagOrder,
    /// Bytes remain after the end of a message or of a tagged field.
    Trailing,
    /// The length in front of a frame is negative or above the limit.
    Frame,
    /// An answer to another question than the one that was asked.
    Correlation,
    /// An API key or version that is not known here.
    Version,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "bytes end too early",
            Self::Length => "a length exceeds the bytes that follow",
            Self::Null => "null is not allowed in this version",
            Self::Varint => "a varint is too long",
            Self::Utf8 => "a string is not UTF-8",
            Self::TagOrder => "tags are not in ascending order",
            Self::Trailing => "bytes are left over after the end",
            Self::Frame => {
                "the length of a frame is negative or above the limit; is this a Kafka listener?"
            }
            Self::Correlation => "the correlation id is not the expected one",
            Self::Version => "this api key or version is not known",
        })
    }
}

impl std::error::Error for Why {}

/// What a reader returns: the bytes that are left and the value, or a [`Fault`].
pub type Parsed<'a, T> = nom::IResult<&'a [u8], T, Fault>;

impl Fault {
    /// A fault found at `input`, not yet in any field.
    #[must_use]
    pub const fn new(why: Why, input: &[u8]) -> Self {
        Self {
            message: "",
            field: "",
            why,
            left: input.len(),
        }
    }

    /// The same as nom's error.
    pub(crate) const fn raise<T>(why: Why, input: &[u8]) -> Result<T, nom::Err<Self>> {
        Err(nom::Err::Error(Self::new(why, input)))
    }

    /// Names the place, unless something inside it already did.
    #[must_use]
    pub fn within(mut self, message: &'static str, field: &'static str) -> Self {
        if self.message.is_empty() {
            self.message = message;
            self.field = field;
        }
        self
    }
}

impl From<nom::Err<Self>> for Fault {
    fn from(error: nom::Err<Self>) -> Self {
        match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
            nom::Err::Incomplete(_) => Self::new(Why::Short, &[]),
        }
    }
}

impl<'a> ParseError<&'a [u8]> for Fault {
    fn from_error_kind(input: &'a [u8], _: ErrorKind) -> Self {
        Self::new(Why::Short, input)
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> FromExternalError<&'a [u8], std::str::Utf8Error> for Fault {
    fn from_external_error(input: &'a [u8], _: ErrorKind, _: std::str::Utf8Error) -> Self {
        Self::new(Why::Utf8, input)
    }
}

/// Puts the place into a fault on its way out. Used by [`message!`](crate::message).
#[cold]
#[doc(hidden)]
pub fn place(
    error: nom::Err<Fault>,
    message: &'static str,
    field: &'static str,
) -> nom::Err<Fault> {
    error.map(|fault| fault.within(message, field))
}

/// Null in a version that has none. Used by [`message!`](crate::message).
#[cold]
#[doc(hidden)]
pub fn null(input: &[u8], message: &'static str, field: &'static str) -> nom::Err<Fault> {
    nom::Err::Error(Fault::new(Why::Null, input).within(message, field))
}

/// A message holds something that cannot be said in the version asked for.
///
/// Nothing of what was written may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The struct that was being written.
    pub message: &'static str,
    /// The field of it.
    pub field: &'static str,
    /// The version.
    pub version: i16,
    /// What is the matter with it.
    pub why: Unsayable,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            field,
            version,
            why,
        } = self;
        write!(
            f,
            "{message}.{field} {why} in version {version}; use another version or change the field"
        )
    }
}

impl std::error::Error for Unsupported {}

/// The kinds of [`Unsupported`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsayable {
    /// The version lacks the field, and its value is neither the default nor ignorable.
    Absent,
    /// The field is null, which the version has no way to say.
    Null,
    /// A string, an array or the whole frame is longer than its length field can say.
    TooLong,
    /// The API has no such version.
    NoSuchVersion,
}

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "does not exist",
            Self::Null => "cannot be null",
            Self::TooLong => "is too long",
            Self::NoSuchVersion => "cannot be written",
        })
    }
}

impl std::error::Error for Unsayable {}

impl Unsupported {
    /// A trouble found in `version`, not yet in any field.
    #[must_use]
    #[cold]
    pub const fn new(why: Unsayable, version: i16) -> Self {
        Self {
            message: "",
            field: "",
            version,
            why,
        }
    }

    /// Names the place, unless something inside it already did.
    #[must_use]
    #[cold]
    pub const fn within(mut self, message: &'static str, field: &'static str) -> Self {
        if self.message.is_empty() {
            self.message = message;
            self.field = field;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_place_stays() {
        let fault = Fault::new(Why::Short, b"abc")
            .within("Inner", "a")
            .within("Outer", "b");
        assert_eq!((fault.message, fault.field, fault.left), ("Inner", "a", 3));
        assert_eq!(
            fault.to_string(),
            "bytes end too early in Inner.a, 3 bytes before the end"
        );
    }
}
