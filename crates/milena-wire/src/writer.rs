//! Where messages are written: a buffer that grows, and large shared bytes by reference.

use bytes::Bytes;

use crate::{Encode, Unsayable, Unsupported, Uuid, Version};

/// Shared bytes shorter than this are copied: a segment of their own would cost more.
const COPY_BELOW: usize = 1024;

/// Takes a message's bytes in wire order.
///
/// Small things are copied into one buffer; large shared [`Bytes`] are kept by reference and take
/// their place when the frame is made. Cleared, a writer keeps its memory: a connection that
/// reuses one does not allocate per request.
///
/// Every length is checked: what does not fit into the length field of a version is
/// [`Unsayable::TooLong`], never cut.
#[derive(Debug, Default)]
pub struct Writer {
    own: Vec<u8>,
    cuts: Vec<Cut>,
    /// Bytes that are not in `own` but count: those of `cuts`, and those announced by `outside`.
    elsewhere: usize,
}

/// Shared bytes that belong before `own[at..]`.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) at: usize,
    pub(crate) bytes: Bytes,
}

impl Writer {
    /// An empty writer without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            own: Vec::new(),
            cuts: Vec::new(),
            elsewhere: 0,
        }
    }

    /// An empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            own: Vec::with_capacity(capacity),
            ..Self::new()
        }
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.own.clear();
        self.cuts.clear();
        self.elsewhere = 0;
    }

    /// Gives memory back that is neither in use nor among the first `kept` bytes.
    pub fn shrink_to(&mut self, kept: usize) {
        self.own.shrink_to(kept);
    }

    /// How many bytes were written, shared and announced ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.elsewhere
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that were copied here, without those by reference.
    #[must_use]
    pub fn own(&self) -> &[u8] {
        &self.own
    }

    pub(crate) fn own_mut(&mut self) -> &mut [u8] {
        &mut self.own
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<Cut>) {
        (self.own, self.cuts)
    }

    /// Copies `bytes` as they are.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Takes shared bytes as they are, by reference if they are large.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            return self.put(bytes);
        }
        self.elsewhere += bytes.len();
        self.cuts.push(Cut {
            at: self.own.len(),
            bytes: bytes.clone(),
        });
    }

    /// Announces `len` bytes that the caller will put in at this place himself when he sends:
    /// they count in every length, but are not here. Returns where in [`Writer::own`] they belong.
    ///
    /// This is how the sender writes a Produce request around batches that it never copies.
    pub fn outside(&mut self, len: usize) -> usize {
        self.elsewhere += len;
        self.own.len()
    }

    /// One byte, signed.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.put(&value.to_be_bytes());
    }

    /// Two bytes, signed, big-endian.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }

    /// Two bytes, unsigned, big-endian.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Four bytes, signed, big-endian.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    /// Four bytes, unsigned, big-endian.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Eight bytes, signed, big-endian.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    /// Eight bytes, IEEE 754, big-endian.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.put(&value.to_be_bytes());
    }

    /// One byte, 0 or 1.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.put(&[u8::from(value)]);
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self, value: Uuid) {
        self.put(&value.0);
    }

    /// An unsigned varint: seven bits a byte, low ones first, at most five bytes.
    #[inline]
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.own.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.own.push(value.to_le_bytes()[0]);
    }

    /// A signed varint, zigzag: at most five bytes.
    #[inline]
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A signed varint of 64 bits, zigzag: at most ten bytes.
    #[inline]
    pub fn varlong(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.own.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.own.push(rest.to_le_bytes()[0]);
    }

    /// A string with its length in front.
    #[inline]
    pub fn string(&mut self, version: Version, value: &str) -> Result<(), Unsupported> {
        self.nullable_string(version, Some(value))
    }

    /// A string with its length in front, or null.
    #[inline]
    pub fn nullable_string(
        &mut self,
        version: Version,
        value: Option<&str>,
    ) -> Result<(), Unsupported> {
        if version.flexible {
            self.compact_len(version, value.map(str::len))?;
        } else {
            match value.map(|text| i16::try_from(text.len())) {
                None => self.i16(-1),
                Some(Ok(len)) => self.i16(len),
                Some(Err(_)) => return Err(too_long(version)),
            }
        }
        self.put(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Bytes with their length in front.
    #[inline]
    pub fn bytes(&mut self, version: Version, value: &[u8]) -> Result<(), Unsupported> {
        self.array_len(version, value.len())?;
        self.put(value);
        Ok(())
    }

    /// The length in front of bytes or records, or the number in front of an array.
    #[inline]
    pub fn array_len(&mut self, version: Version, len: usize) -> Result<(), Unsupported> {
        self.nullable_array_len(version, Some(len))
    }

    /// The length in front of bytes or records, or the number in front of an array, or null.
    #[inline]
    pub fn nullable_array_len(
        &mut self,
        version: Version,
        len: Option<usize>,
    ) -> Result<(), Unsupported> {
        if version.flexible {
            return self.compact_len(version, len);
        }
        match len.map(i32::try_from) {
            None => self.i32(-1),
            Some(Ok(len)) => self.i32(len),
            Some(Err(_)) => return Err(too_long(version)),
        }
        Ok(())
    }

    #[inline]
    fn compact_len(&mut self, version: Version, len: Option<usize>) -> Result<(), Unsupported> {
        match len.map(i32::try_from) {
            None => self.uvarint(0),
            Some(Ok(len)) => self.uvarint(len.cast_unsigned() + 1),
            Some(Err(_)) => return Err(too_long(version)),
        }
        Ok(())
    }

    /// Begins the tagged section that ends every struct of a flexible version; in other versions
    /// it takes nothing and writes nothing.
    #[inline]
    pub fn tags(&mut self, version: Version) -> Tags<'_> {
        let count_at = self.own.len();
        if version.flexible {
            self.own.push(0);
        }
        Tags {
            out: self,
            version,
            count_at,
        }
    }

    /// An empty tagged section, or nothing where the version has none.
    #[inline]
    pub fn no_tags(&mut self, version: Version) {
        self.tags(version);
    }

    /// Inserts a length in front of what was written since `from` (`before` bytes in all then).
    fn measure(&mut self, from: usize, before: usize, version: Version) -> Result<(), Unsupported> {
        let len = u32::try_from(self.len() - before).map_err(|_| too_long(version))?;
        let end = self.own.len();
        self.uvarint(len);
        let width = self.own.len() - end;
        self.own[from..].rotate_right(width);
        for cut in self.cuts.iter_mut().rev().take_while(|cut| cut.at >= from) {
            cut.at += width;
        }
        Ok(())
    }
}

/// A tagged section being written, tags ascending.
#[derive(Debug)]
pub struct Tags<'w> {
    out: &'w mut Writer,
    version: Version,
    count_at: usize,
}

impl Tags<'_> {
    /// Adds one field. The caller leaves out those that have their default.
    ///
    /// At most 127 of them.
    pub fn put<T: Encode>(&mut self, tag: u32, value: &T) -> Result<(), Unsupported> {
        debug_assert!(
            self.version.flexible,
            "tagged fields need a flexible version"
        );
        self.out.uvarint(tag);
        let (from, before) = (self.out.own.len(), self.out.len());
        value.encode(self.out, self.version)?;
        self.out.measure(from, before, self.version)?;
        self.out.own[self.count_at] += 1;
        Ok(())
    }
}

#[cold]
fn too_long(version: Version) -> Unsupported {
    Unsupported::new(Unsayable::TooLong, version.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_the_bytes_of_the_protocol_guide() {
        let bytes = |write: &dyn Fn(&mut Writer)| {
            let mut out = Writer::new();
            write(&mut out);
            out.own
        };
        assert_eq!(bytes(&|out| out.uvarint(0)), [0]);
        assert_eq!(bytes(&|out| out.uvarint(300)), [0xac, 0x02]);
        assert_eq!(
            bytes(&|out| out.uvarint(u32::MAX)),
            [0xff, 0xff, 0xff, 0xff, 0x0f]
        );
        assert_eq!(bytes(&|out| out.varint(-1)), [1]);
        assert_eq!(
            bytes(&|out| out.varint(i32::MIN)),
            [0xff, 0xff, 0xff, 0xff, 0x0f]
        );
        assert_eq!(bytes(&|out| out.varlong(i64::MIN)).len(), 10);
        assert_eq!(bytes(&|out| out.varlong(64)), [0x80, 0x01]);
    }

    #[test]
    fn a_string_too_long_for_its_length_field_is_refused() {
        let text = "x".repeat(40_000);
        let mut out = Writer::new();
        let refused = out.string(Version::new(1, false), &text).unwrap_err();
        assert_eq!(refused.why, Unsayable::TooLong);
        out.string(Version::new(2, true), &text).unwrap();
        assert_eq!(out.len(), 40_003);
    }
}
