//! Reading batches one after the other, as a segment file or a Fetch response holds them.

use std::borrow::Cow;

use crate::crc::crc32c;
use crate::header::LOG_OVERHEAD;
use crate::{BatchError, BatchHeader, Codec, Records, decompress};

/// The batches in `bytes`, one after the other. Ends after the first that cannot be told from its neighbours.
///
/// A Fetch response may end inside a batch: that gives [`BatchError::Incomplete`] as the last item.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// An iterator over batches, made by [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = BatchView::split_first(self.rest).map(|(batch, rest)| {
            self.rest = rest;
            batch
        });
        if result.is_err() {
            self.rest = &[];
        }
        Some(result)
    }
}

impl std::iter::FusedIterator for Batches<'_> {}

/// One batch in borrowed bytes: its header decoded, its body as it is.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Cuts one batch off the front of `bytes`.
    ///
    /// # Errors
    ///
    /// [`BatchError::Incomplete`], [`BatchError::Length`], [`BatchError::Magic`].
    pub fn split_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let Some(front) = bytes.first_chunk::<LOG_OVERHEAD>() else {
            return Err(BatchError::Incomplete {
                needed: BatchHeader::LEN,
                have: bytes.len(),
            });
        };
        let [.., a, b, c, d] = *front;
        let len = i32::from_be_bytes([a, b, c, d]);
        let total = usize::try_from(len).unwrap_or_default() + LOG_OVERHEAD;
        // The older formats have the magic at the same place, and shorter headers.
        if let Some(&magic) = bytes.get(16)
            && magic as i8 != BatchHeader::MAGIC
        {
            return Err(BatchError::Magic(magic as i8));
        }
        if total < BatchHeader::LEN {
            return Err(BatchError::Length(len));
        }
        let Some((bytes, rest)) = bytes.split_at_checked(total) else {
            return Err(BatchError::Incomplete {
                needed: total,
                have: bytes.len(),
            });
        };
        let header = BatchHeader::decode(bytes)?;
        Ok((Self { header, bytes }, rest))
    }

    /// The header.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The body: the records, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[BatchHeader::LEN..]
    }

    /// The offset of the last record.
    pub const fn last_offset(&self) -> i64 {
        self.header
            .base_offset
            .wrapping_add(self.header.last_offset_delta as i64)
    }

    /// The checksum in the header, of everything from the attributes on.
    pub fn stored_crc(&self) -> u32 {
        self.bytes.first_chunk().map_or(0, BatchHeader::stored_crc)
    }

    /// Compares the checksum with the bytes.
    ///
    /// # Errors
    ///
    /// [`BatchError::Crc`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let stored = self.stored_crc();
        let computed = crc32c(&self.bytes[BatchHeader::SUMMED_FROM..]);
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::Crc { stored, computed })
        }
    }

    /// The records, decompressed if need be to at most `limit` bytes. Does not look at the checksum.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownCodec`], [`BatchError::Decompress`], and [`BatchError::RecordCount`] for a negative count.
    pub fn records(&self, limit: usize) -> Result<Records<'a>, BatchError> {
        let body = match self.header.attributes.codec()? {
            Codec::None => Cow::Borrowed(self.body()),
            codec => Cow::Owned(decompress(codec, self.body(), limit)?),
        };
        Records::new(&self.header, body)
    }
}
