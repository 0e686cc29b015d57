//! How each type of the protocol reads and is written, and what a type is called in a schema.

use nom::Parser;
use nom::bytes::complete::take;
use nom::combinator::{map, map_res};
use nom::number::complete::{be_f64, be_i8, be_i16, be_i32, be_i64, be_u8, be_u16, be_u32};

use crate::{Fault, Parsed, Unsupported, Uuid, Version, Why, Writer};

/// Writes itself in a version.
pub trait Encode {
    /// Appends the bytes to `out`. On an error `out` holds a part of them and is of no use.
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported>;
}

/// Reads itself in a version, borrowing what it can.
pub trait Decode<'a>: Sized {
    /// Reads from the beginning of `input` and returns what follows.
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self>;
}

/// What a schema says about a type.
pub trait Typed {
    /// Its place among Kafka's types.
    const TYPE: Type;

    /// The fewest bytes that a value takes. An array that claims more elements than
    /// its bytes can hold is refused by it before anything is allocated.
    fn min_size(version: Version) -> usize;
}

/// Kafka's types of fields.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Array(&'static Self),
    Struct(&'static crate::Schema),
    Nullable(&'static Self),
}

/// A struct declared by [`message!`](crate::message); may be nullable.
pub trait Message: Typed + Encode {}

macro_rules! fixed {
    ($($ty:ty, $kind:ident, $size:literal, $write:ident, $read:expr;)*) => {$(
        impl Typed for $ty {
            const TYPE: Type = Type::$kind;
            #[inline]
            fn min_size(_: Version) -> usize { $size }
        }
        impl Encode for $ty {
            #[inline]
            fn encode(&self, out: &mut Writer, _: Version) -> Result<(), Unsupported> {
                out.$write(*self);
                Ok(())
            }
        }
        impl<'a> Decode<'a> for $ty {
            #[inline]
            fn decode(input: &'a [u8], _: Version) -> Parsed<'a, Self> {
                $read.parse(input)
            }
        }
    )*};
}

fixed! {
    bool, Bool, 1, bool, map(be_u8, |byte| byte != 0);
    i8, Int8, 1, i8, be_i8;
    i16, Int16, 2, i16, be_i16;
    u16, Uint16, 2, u16, be_u16;
    i32, Int32, 4, i32, be_i32;
    u32, Uint32, 4, u32, be_u32;
    i64, Int64, 8, i64, be_i64;
    f64, Float64, 8, f64, be_f64;
    Uuid, Uuid, 16, uuid, map(nom::number::complete::be_u128, |id| Self(id.to_be_bytes()));
}

/// An unsigned varint of 32 bits, at most five bytes.
pub fn uvarint(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, value) = groups(input, 5)?;
    match u32::try_from(value) {
        Ok(value) => Ok((rest, value)),
        Err(_) => Fault::raise(Why::Varint, input),
    }
}

/// A signed, zigzag varint of 32 bits, at most five bytes.
pub fn varint(input: &[u8]) -> Parsed<'_, i32> {
    map(uvarint, |n| (n >> 1).cast_signed() ^ -(n & 1).cast_signed()).parse(input)
}

/// A signed, zigzag varint of 64 bits, at most ten bytes.
pub fn varlong(input: &[u8]) -> Parsed<'_, i64> {
    map(
        |input| groups(input, 10),
        |n| (n >> 1).cast_signed() ^ -(n & 1).cast_signed(),
    )
    .parse(input)
}

/// Seven bits a byte, low ones first, in at most `most` bytes.
#[inline]
fn groups(input: &[u8], most: usize) -> Parsed<'_, u64> {
    let mut value = 0;
    for (index, byte) in input.iter().take(most).enumerate() {
        // The tenth byte has room for one bit only.
        if index == 9 && *byte > 1 {
            return Fault::raise(Why::Varint, input);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((&input[index + 1..], value));
        }
    }
    let why = if input.len() < most {
        Why::Short
    } else {
        Why::Varint
    };
    Fault::raise(why, input)
}

/// The number in front of an array, or the length in front of bytes or records; `None` is null.
///
/// It is at most the number of bytes that follow, since every element takes one at least.
pub fn array_len(input: &[u8], version: Version) -> Parsed<'_, Option<usize>> {
    length(input, true, version)
}

/// A length of 16 (`wide`: 32) bits, or a compact one; `None` is null.
#[inline]
fn length(input: &[u8], wide: bool, version: Version) -> Parsed<'_, Option<usize>> {
    let (rest, len) = match (version.flexible, wide) {
        (true, _) => map(uvarint, |n| i64::from(n) - 1).parse(input)?,
        (false, true) => map(be_i32, i64::from).parse(input)?,
        (false, false) => map(be_i16, i64::from).parse(input)?,
    };
    match usize::try_from(len) {
        Ok(len) if len <= rest.len() => Ok((rest, Some(len))),
        Err(_) if len == -1 => Ok((rest, None)),
        _ => Fault::raise(Why::Length, input),
    }
}

/// Refuses null for a type that has none.
#[inline]
fn not_null<'a, T>(input: &'a [u8], parsed: Parsed<'a, Option<T>>) -> Parsed<'a, T> {
    match parsed? {
        (rest, Some(value)) => Ok((rest, value)),
        (_, None) => Fault::raise(Why::Null, input),
    }
}

/// The types that have a length in front, each with its nullable twin.
macro_rules! counted {
    ($([$($param:tt)*] $ty:ty, $kind:expr, $wide:literal;)*) => {$(
        impl<$($param)*> Typed for $ty {
            const TYPE: Type = $kind;
            #[inline]
            fn min_size(version: Version) -> usize {
                if version.flexible { 1 } else if $wide { 4 } else { 2 }
            }
        }
        impl<$($param)*> Typed for Option<$ty> {
            const TYPE: Type = Type::Nullable(&<$ty>::TYPE);
            #[inline]
            fn min_size(version: Version) -> usize { <$ty>::min_size(version) }
        }
    )*};
}

counted! {
    ['a] &'a str, Type::String, false;
    ['a] &'a [u8], Type::Bytes, true;
    [T: Typed] Vec<T>, Type::Array(&T::TYPE), true;
}

impl Encode for &str {
    #[inline]
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        out.string(version, self)
    }
}

impl Encode for Option<&str> {
    #[inline]
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        out.nullable_string(version, *self)
    }
}

impl<'a> Decode<'a> for Option<&'a str> {
    #[inline]
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        match length(input, false, version)? {
            (input, None) => Ok((input, None)),
            (input, Some(n)) => map(map_res(take(n), str::from_utf8), Some).parse(input),
        }
    }
}

impl<'a> Decode<'a> for &'a str {
    #[inline]
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        not_null(input, Decode::decode(input, version))
    }
}

impl Encode for &[u8] {
    #[inline]
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        out.bytes(version, self)
    }
}

impl Encode for Option<&[u8]> {
    #[inline]
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        match self {
            Some(bytes) => out.bytes(version, bytes),
            None => out.nullable_array_len(version, None),
        }
    }
}

impl<'a> Decode<'a> for Option<&'a [u8]> {
    #[inline]
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        match length(input, true, version)? {
            (input, None) => Ok((input, None)),
            (input, Some(n)) => map(take(n), Some).parse(input),
        }
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    #[inline]
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        not_null(input, Decode::decode(input, version))
    }
}

impl<T: Encode> Encode for Vec<T> {
    #[inline]
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        out.array_len(version, self.len())?;
        self.iter().try_for_each(|item| item.encode(out, version))
    }
}

impl<T: Encode> Encode for Option<Vec<T>> {
    #[inline]
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        match self {
            Some(items) => items.encode(out, version),
            None => out.nullable_array_len(version, None),
        }
    }
}

impl<'a, T: Decode<'a> + Typed> Decode<'a> for Option<Vec<T>> {
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        let (mut rest, count) = length(input, true, version)?;
        let Some(count) = count else {
            return Ok((rest, None));
        };
        // What cannot fit is refused before memory is taken for it.
        if count.saturating_mul(T::min_size(version).max(1)) > rest.len() {
            return Fault::raise(Why::Length, input);
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            let (after, item) = T::decode(rest, version)?;
            items.push(item);
            rest = after;
        }
        Ok((rest, Some(items)))
    }
}

impl<'a, T: Decode<'a> + Typed> Decode<'a> for Vec<T> {
    #[inline]
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        not_null(input, Decode::decode(input, version))
    }
}

impl<T: Message> Typed for Option<T> {
    const TYPE: Type = Type::Nullable(&T::TYPE);
    fn min_size(_: Version) -> usize {
        1
    }
}

impl<T: Message> Encode for Option<T> {
    fn encode(&self, out: &mut Writer, version: Version) -> Result<(), Unsupported> {
        match self {
            None => out.i8(-1),
            Some(value) => {
                out.i8(1);
                value.encode(out, version)?;
            }
        }
        Ok(())
    }
}

impl<'a, T: Message + Decode<'a>> Decode<'a> for Option<T> {
    fn decode(input: &'a [u8], version: Version) -> Parsed<'a, Self> {
        match be_i8(input)? {
            (input, ..=-1) => Ok((input, None)),
            (input, _) => map(|input| T::decode(input, version), Some).parse(input),
        }
    }
}

/// Reads the tagged section that ends a struct of a flexible version; reads nothing in others.
///
/// `known` gets each tag with exactly its bytes and passes over those it does not know.
pub fn tags<'a>(
    input: &'a [u8],
    version: Version,
    mut known: impl FnMut(u32, &'a [u8]) -> Result<(), nom::Err<Fault>>,
) -> Parsed<'a, ()> {
    if !version.flexible {
        return Ok((input, ()));
    }
    let (mut input, count) = uvarint(input)?;
    let mut next = 0;
    for _ in 0..count {
        let (rest, tag) = uvarint(input)?;
        if u64::from(tag) < next {
            return Fault::raise(Why::TagOrder, input);
        }
        next = u64::from(tag) + 1;
        let (rest, size) = uvarint(rest)?;
        let (rest, body) = take(size)(rest)?;
        known(tag, body)?;
        input = rest;
    }
    Ok((input, ()))
}

/// Reads a value that takes all of `input`.
pub fn whole<'a, T: Decode<'a>>(input: &'a [u8], version: Version) -> Result<T, nom::Err<Fault>> {
    match T::decode(input, version)? {
        ([], value) => Ok(value),
        (rest, _) => Fault::raise(Why::Trailing, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_bounded() {
        assert_eq!(uvarint(&[0xac, 0x02, 9]), Ok((&[9][..], 300)));
        assert_eq!(uvarint(&[0xff; 4]), Fault::raise(Why::Short, &[0; 4]));
        assert_eq!(uvarint(&[0xff; 6]), Fault::raise(Why::Varint, &[0; 6]));
        assert_eq!(
            uvarint(&[0xff, 0xff, 0xff, 0xff, 0x1f]),
            Fault::raise(Why::Varint, &[0; 5])
        );
        assert_eq!(
            varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
            Ok((&[][..], i32::MIN))
        );
        assert_eq!(varlong(&[0xff; 11]), Fault::raise(Why::Varint, &[0; 11]));
        for value in [0, -1, 1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut out = Writer::new();
            out.varlong(value);
            assert_eq!(varlong(out.own()), Ok((&[][..], value)));
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        let version = Version::new(0, false);
        let bytes = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1];
        assert_eq!(
            Vec::<i32>::decode(&bytes, version),
            Fault::raise(Why::Length, &bytes)
        );
        let bytes = [0, 0, 0, 2, 0, 0, 0, 1];
        assert_eq!(
            Vec::<i32>::decode(&bytes, version),
            Fault::raise(Why::Length, &bytes)
        );
    }

    #[test]
    fn lengths_below_null_are_refused() {
        let version = Version::new(0, false);
        let bytes = [0xff, 0xfe];
        assert_eq!(
            <Option<&str>>::decode(&bytes, version),
            Fault::raise(Why::Length, &bytes)
        );
    }

    #[test]
    fn tags_ascend_and_unknown_ones_are_passed_over() {
        let version = Version::new(9, true);
        let mut seen = vec![];
        let bytes = [2, 1, 1, 0xaa, 5, 0, 7];
        let parsed = tags(&bytes, version, |tag, body| {
            seen.push((tag, body.to_vec()));
            Ok(())
        });
        assert_eq!(parsed, Ok((&[7][..], ())));
        assert_eq!(seen, [(1, vec![0xaa]), (5, vec![])]);
        for twice in [[2, 1, 0, 1, 0], [2, 1, 0, 0, 0]] {
            let Err(fault) = tags(&twice, version, |_, _| Ok(())) else {
                panic!("accepted")
            };
            assert_eq!(Fault::from(fault).why, Why::TagOrder);
        }
    }
}
