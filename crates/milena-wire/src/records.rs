//! Record batches inside a message: opaque bytes that are never copied when read, and need not
//! be when written.

use std::fmt;

use bytes::Bytes;

use crate::{Decode, Encode, Parsed, Type, Typed, Unsupported, Version, Writer};

/// Record batches, in one piece or in several.
///
/// What is read is always [`Records::Slice`]. Equality is that of the bytes.
#[derive(Clone, Copy)]
pub enum Records<'a> {
    /// Bytes in one piece; copied when written.
    Slice(&'a [u8]),
    /// Shared bytes, one piece after the other; large ones are written by reference.
    Shared(&'a [Bytes]),
}

impl<'a> Records<'a> {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (one, more): (Option<&'a [u8]>, &'a [Bytes]) = match *self {
            Self::Slice(bytes) => (Some(bytes), &[]),
            Self::Shared(pieces) => (None, pieces),
        };
        one.into_iter().chain(more.iter().map(|piece| &piece[..]))
    }

    /// The bytes, if they are in one piece, as they are after reading.
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Slice(bytes) => Some(bytes),
            Self::Shared([]) => Some(&[]),
            Self::Shared([one]) => Some(one),
            Self::Shared(_) => None,
        }
    }
}

impl PartialEq for Records<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.pieces().flatten().eq(other.pieces().flatten())
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({} bytes)", self.len())
    }
}

impl Typed for Records<'_> {
    const TYPE: Type = Type::Records;
    fn min_size(version: Version) -> usize {
        <&[u8]>::min_size(version)
    }
}

impl Typed for Option<Records<'_>> {
    const TYPE: Type = Type::Nullable(&Type::Records);
    fn min_size(version: Version) -> usize {
        <&[u8]>::min_size(version)
    }
}

impl Encode for Records<'_> {
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        out.array_len(version, self.len())?;
        match self {
            Self::Slice(bytes) => out.put(bytes),
            Self::Shared(pieces) => pieces.iter().for_each(|piece| out.put_shared(piece)),
        }
        Ok(())
    }
}

impl Encode for Option<Records<'_>> {
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        match self {
            Some(records) => records.encode(out, version),
            None => out.nullable_array_len(version, None),
        }
    }
}

impl<'a> Decode<'a> for Records<'a> {
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        let (rest, bytes) = <&[u8]>::decode(input, version)?;
        Ok((rest, Self::Slice(bytes)))
    }
}

impl<'a> Decode<'a> for Option<Records<'a>> {
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        let (rest, bytes) = <Option<&[u8]>>::decode(input, version)?;
        Ok((rest, bytes.map(Records::Slice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn shared_pieces_are_written_by_reference_and_read_as_one() {
        let large = Bytes::from(vec![7; 5000]);
        let pieces = [Bytes::from_static(b"head"), large.clone()];
        let records = Records::Shared(&pieces);
        for version in [Version::new(3, false), Version::new(9, true)] {
            let mut out = Writer::new();
            records.encode(&mut out, version).unwrap();
            out.i8(1);
            assert!(out.own().len() < 20);
            let frame = Frame::from(out);
            assert!(
                frame
                    .segments()
                    .any(|piece| piece.as_ptr() == large.as_ptr())
            );
            let bytes = frame.to_vec();
            let (rest, read) = Records::decode(&bytes, version).unwrap();
            assert_eq!((rest, read), (&[1][..], records));
            assert_eq!(read.as_slice().unwrap().len(), 5004);
        }
    }
}
