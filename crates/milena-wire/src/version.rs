//! The version a message is read or written in.

/// A version of one API, with what its bytes need to know about it.
///
/// Made by [`Request::version`](crate::Request::version), which knows where an API becomes flexible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The number that the request header carries.
    pub number: i16,
    /// Whether lengths are varints and structs end in tagged fields (KIP-482).
    pub flexible: bool,
}

impl Version {
    /// A version; `flexible` if its encoding is the compact and tagged one.
    #[must_use]
    pub const fn new(number: i16, flexible: bool) -> Self {
        Self { number, flexible }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}", self.number)
    }
}
