//! Frames: what travels on a connection, each with its length in front.

use crate::header::{RequestHeader, ResponseHeader};
use crate::types::whole;
use crate::writer::{Cut, Writer};
use crate::{ApiKey, Decode, Encode, Fault, Request, Unsayable, Unsupported, Version, Why};

/// The largest frame that is read unless told otherwise, in bytes: the limit that
/// brokers themselves set for requests (`socket.request.max.bytes`).
pub const DEFAULT_FRAME_LIMIT: usize = 100 * 1024 * 1024;

/// A message ready to be sent, in one or more segments.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    own: Vec<u8>,
    cuts: Vec<Cut>,
}

impl Frame {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments().map(<[u8]>::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.cuts.is_empty()
    }

    /// The bytes in order, for a vectored write. No segment is empty.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.cuts.iter().map(|cut| cut.at).chain([self.own.len()]);
        let shared = self
            .cuts
            .iter()
            .map(|cut| Some(&cut.bytes[..]))
            .chain([None]);
        let mut start = 0;
        ends.zip(shared)
            .flat_map(move |(end, shared)| {
                let own = &self.own[start..end];
                start = end;
                [Some(own), shared]
            })
            .flatten()
            .filter(|segment| !segment.is_empty())
    }

    /// The bytes in one piece, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.segments()
            .for_each(|segment| bytes.extend_from_slice(segment));
        bytes
    }
}

impl From<Writer> for Frame {
    /// Takes what was written as it is; bytes announced by [`Writer::outside`] are not in it.
    fn from(writer: Writer) -> Self {
        let (own, cuts) = writer.into_parts();
        Self { own, cuts }
    }
}

/// Begins the frame of a request at the beginning of an empty writer: room for the
/// length, then the header. [`end_frame`] fills in the length.
///
/// # Errors
/// [`Unsayable::TooLong`] for a client id above 32767 bytes.
pub fn begin_request(
    out: &mut Writer,
    header: &RequestHeader<'_>,
    version: Version,
) -> Result<(), Unsupported> {
    out.i32(0);
    header.encode(out, version)
}

/// Puts the length in front of the frame that fills `out`.
///
/// # Errors
/// [`Unsayable::TooLong`] above 2 GiB.
pub fn end_frame(out: &mut Writer) -> Result<(), Unsupported> {
    let len = out
        .len()
        .checked_sub(4)
        .and_then(|len| i32::try_from(len).ok());
    let (Some(len), Some(place)) = (len, out.own_mut().first_chunk_mut::<4>()) else {
        return Err(Unsupported::new(Unsayable::TooLong, -1).within("Frame", "length"));
    };
    *place = len.to_be_bytes();
    Ok(())
}

/// Writes a whole request frame: length, header, body.
///
/// # Errors
/// The version lacks a field that is set, or does not exist at all.
pub fn encode_request<Q: Request>(
    client_id: Option<&str>,
    correlation: i32,
    request: &Q,
    version: Version,
) -> Result<Frame, Unsupported> {
    if !Q::VERSIONS.contains(&version.number) {
        return Err(Unsupported::new(Unsayable::NoSuchVersion, version.number)
            .within("RequestHeader", "request_api_version"));
    }
    let mut out = Writer::with_capacity(128);
    let header = RequestHeader {
        api_key: Q::KEY,
        api_version: version.number,
        correlation_id: correlation,
        client_id,
    };
    begin_request(&mut out, &header, version)?;
    request.encode(&mut out, version)?;
    end_frame(&mut out)?;
    Ok(out.into())
}

/// Writes a whole response frame: length, header, body. For servers.
///
/// # Errors
/// The version lacks a field that is set and must not be dropped.
pub fn encode_response<Q: Request>(
    correlation: i32,
    response: &Q::Response<'_>,
    version: Version,
) -> Result<Frame, Unsupported> {
    let mut out = Writer::with_capacity(128);
    out.i32(0);
    ResponseHeader {
        correlation_id: correlation,
    }
    .encode(&mut out, Q::KEY, version);
    response.encode(&mut out, version)?;
    end_frame(&mut out)?;
    Ok(out.into())
}

/// Reads a response, without the length in front: the correlation id and the body, which
/// must take all the bytes that are left.
///
/// # Errors
/// The bytes are not that response in that version.
pub fn decode_response<'a, Q: Request>(
    frame: &'a [u8],
    version: Version,
) -> Result<(i32, Q::Response<'a>), Fault> {
    let (body, header) = ResponseHeader::decode(frame, Q::KEY, version)?;
    Ok((header.correlation_id, decode_body(body, version)?))
}

/// Reads a message that takes all of `body`.
///
/// # Errors
/// The bytes are not that message in that version.
pub fn decode_body<'a, T: Decode<'a>>(body: &'a [u8], version: Version) -> Result<T, Fault> {
    whole(body, version).map_err(|error| Fault::from(error).within("Frame", "body"))
}

/// The correlation id of a response, without the length in front; `None` if it is too short.
#[must_use]
pub fn peek_correlation(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().copied().map(i32::from_be_bytes)
}

/// The API key and the version of a request, without the length in front.
#[must_use]
pub fn peek_request(frame: &[u8]) -> Option<(ApiKey, i16)> {
    let [a, b, c, d] = *frame.first_chunk()?;
    Some((
        ApiKey(i16::from_be_bytes([a, b])),
        i16::from_be_bytes([c, d]),
    ))
}

/// A frame without its length, and what follows it.
pub type Split<'a> = (&'a [u8], &'a [u8]);

/// Cuts the first frame off bytes that arrived: the frame without its length, and the rest.
/// `None` if more bytes are needed.
///
/// # Errors
/// [`Why::Frame`] if the length is negative or above `limit`: known after four bytes, before any
/// memory is taken for it.
pub fn split_frame(input: &[u8], limit: usize) -> Result<Option<Split<'_>>, Fault> {
    let Some(len) = frame_len(input, limit)? else {
        return Ok(None);
    };
    Ok(input[4..].split_at_checked(len))
}

/// The length of the frame whose first bytes are given, without the four bytes of the length
/// itself; `None` if fewer than four have arrived.
///
/// # Errors
/// As [`split_frame`].
pub fn frame_len(input: &[u8], limit: usize) -> Result<Option<usize>, Fault> {
    let Some(len) = input.first_chunk().copied().map(i32::from_be_bytes) else {
        return Ok(None);
    };
    match usize::try_from(len) {
        Ok(len) if len <= limit => Ok(Some(len)),
        _ => Err(Fault::new(Why::Frame, input).within("Frame", "length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_off_and_bounded() {
        assert_eq!(split_frame(&[0, 0, 0], 10), Ok(None));
        assert_eq!(split_frame(&[0, 0, 0, 2, 9], 10), Ok(None));
        assert_eq!(
            split_frame(&[0, 0, 0, 2, 9, 8, 7], 10),
            Ok(Some((&[9, 8][..], &[7][..])))
        );
        assert_eq!(split_frame(&[0, 0, 0, 0], 10), Ok(Some((&[][..], &[][..]))));
        assert_eq!(
            split_frame(b"HTTP/1.1 400", 1 << 20).unwrap_err().why,
            Why::Frame
        );
        assert_eq!(split_frame(&[0xff; 4], 10).unwrap_err().why, Why::Frame);
    }

    #[test]
    fn bytes_outside_count_in_the_length() {
        let mut out = Writer::new();
        out.i32(0);
        out.i16(7);
        assert_eq!(out.outside(100), 6);
        out.i8(1);
        end_frame(&mut out).unwrap();
        assert_eq!(out.own(), [0, 0, 0, 103, 0, 7, 1]);
        assert_eq!(out.len(), 107);
    }
}
