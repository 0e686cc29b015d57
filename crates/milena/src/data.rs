//! Bytes as users hand them over.

use bytes::Bytes;

/// Bytes of a key, a value or a header: borrowed, or owned and cheap to share.
#[derive(Clone, Debug)]
pub struct Data<'a>(Repr<'a>);

#[derive(Clone, Debug)]
enum Repr<'a> {
    Borrowed(&'a [u8]),
    Shared(Bytes),
}

impl Data<'_> {
    /// The same bytes, borrowing nothing; what is shared already is not copied.
    pub fn into_owned(self) -> Data<'static> {
        Data(Repr::Shared(match self.0 {
            Repr::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Repr::Shared(bytes) => bytes,
        }))
    }
}

impl std::ops::Deref for Data<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Data<'a> {
    #[inline]
    fn from(bytes: &'a T) -> Self {
        Self(Repr::Borrowed(bytes.as_ref()))
    }
}

impl From<Bytes> for Data<'_> {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Shared(bytes))
    }
}

impl From<Vec<u8>> for Data<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Repr::Shared(bytes.into()))
    }
}

impl From<String> for Data<'_> {
    fn from(text: String) -> Self {
        Self(Repr::Shared(text.into()))
    }
}

/// A key or a value, or none: an `Option<Data>` would be larger.
#[derive(Clone)]
pub(crate) enum Part<'a> {
    Slice(Option<&'a [u8]>),
    Shared(Bytes),
}

impl<'a> Part<'a> {
    pub(crate) const NULL: Self = Self::Slice(None);

    #[inline]
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Slice(slice) => *slice,
            Self::Shared(bytes) => Some(bytes),
        }
    }

    pub(crate) fn into_owned(self) -> Part<'static> {
        match self {
            Self::Slice(None) => Part::NULL,
            Self::Slice(Some(slice)) => Part::Shared(Bytes::copy_from_slice(slice)),
            Self::Shared(bytes) => Part::Shared(bytes),
        }
    }
}

impl<'a> From<Data<'a>> for Part<'a> {
    #[inline]
    fn from(data: Data<'a>) -> Self {
        match data.0 {
            Repr::Borrowed(slice) => Self::Slice(Some(slice)),
            Repr::Shared(bytes) => Self::Shared(bytes),
        }
    }
}
