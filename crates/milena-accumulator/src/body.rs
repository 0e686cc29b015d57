//! The records of a batch as they go out: immutable, shared, and giving their memory back by themselves.

use std::fmt;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use crate::pool::Pool;

/// All bytes of a batch after its header, as a list of segments. A clone shares them.
///
/// ```text
///  chunk ─────────────┐ value by reference ┌ chunk, went on ─┐ chunk ──────┐
///  [record][record][he] [.............ue]  [aders][record][r] [ecord]
/// ```
///
/// Its memory goes back to the pool when the last clone is dropped, so it cannot go back while it is being sent.
#[derive(Clone)]
pub struct Body(Arc<Inner>);

struct Inner {
    chunks: Vec<Vec<u8>>,
    cuts: Vec<Cut>,
    len: usize,
    memory: Option<Memory>,
}

/// What is charged to the budget for a body.
struct Memory {
    pool: Arc<Pool>,
    bytes: usize,
}

/// A value that stayed where it was: it comes before position `at` of chunk number `chunk`.
pub(crate) struct Cut {
    pub(crate) chunk: usize,
    pub(crate) at: usize,
    pub(crate) value: Bytes,
}

impl Body {
    pub(crate) fn new(
        chunks: Vec<Vec<u8>>,
        cuts: Vec<Cut>,
        len: usize,
        pool: Arc<Pool>,
        bytes: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            chunks,
            cuts,
            len,
            memory: Some(Memory { pool, bytes }),
        }))
    }

    /// A body of bytes that are not charged to any budget: made by splitting, or by a test.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Inner {
            len: bytes.len(),
            chunks: vec![bytes],
            cuts: Vec::new(),
            memory: None,
        }))
    }

    /// What `self` was compressed to. It takes the first of the chunks that the raw body was in, so that no memory is
    /// asked for; the others go back at once. If somebody else holds the raw body, or it is in no chunks of the pool,
    /// the bytes get an allocation of their own.
    pub fn compressed(self, bytes: &[u8]) -> Self {
        let Ok(mut raw) = Arc::try_unwrap(self.0) else {
            return Self::from_vec(bytes.to_vec());
        };
        let Some(Memory { pool, bytes: held }) = raw.memory.take() else {
            return Self::from_vec(bytes.to_vec());
        };
        let mut chunks = mem::take(&mut raw.chunks);
        let kept = bytes.len().div_ceil(pool.chunk_size());
        let pooled = |chunk: &Vec<u8>| chunk.capacity() == pool.chunk_size();
        let (keep, chunks) = if chunks.len() >= kept && chunks.iter().all(pooled) {
            let spare = chunks.split_off(kept);
            for (chunk, part) in chunks.iter_mut().zip(bytes.chunks(pool.chunk_size())) {
                chunk.clear();
                chunk.extend_from_slice(part);
            }
            let keep = kept * pool.chunk_size();
            pool.put_chunks(held - keep, spare);
            (keep, chunks)
        } else {
            let keep = held.min(bytes.len());
            pool.put_chunks(held - keep, chunks);
            (keep, vec![bytes.to_vec()])
        };
        Self(Arc::new(Inner {
            len: bytes.len(),
            chunks,
            cuts: Vec::new(),
            memory: Some(Memory { pool, bytes: keep }),
        }))
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Bytes charged to `buffer.memory` as long as a clone exists.
    pub fn charged(&self) -> usize {
        self.0.memory.as_ref().map_or(0, |memory| memory.bytes)
    }

    /// The bytes in order; no segment is empty.
    pub fn segments(&self) -> Segments<'_> {
        Segments {
            inner: &self.0,
            chunk: 0,
            at: 0,
            cut: 0,
        }
    }

    /// The bytes in one piece, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        for segment in self.segments() {
            all.extend_from_slice(segment);
        }
        all
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Memory { pool, bytes }) = self.memory.take() {
            pool.put_chunks(bytes, mem::take(&mut self.chunks));
        }
    }
}

/// Goes through the [segments](Body::segments) of a body.
#[derive(Clone)]
pub struct Segments<'a> {
    inner: &'a Inner,
    chunk: usize,
    at: usize,
    cut: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let chunk = self.inner.chunks.get(self.chunk)?;
            let cut = self.inner.cuts.get(self.cut);
            let cut = cut.filter(|cut| cut.chunk == self.chunk);
            let end = cut.map_or(chunk.len(), |cut| cut.at);
            if self.at < end {
                return Some(&chunk[mem::replace(&mut self.at, end)..end]);
            }
            match cut {
                Some(cut) => {
                    self.cut += 1;
                    if !cut.value.is_empty() {
                        return Some(&cut.value);
                    }
                }
                None => (self.chunk, self.at) = (self.chunk + 1, 0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_reference_come_at_their_place() {
        let cut = |chunk, at, value: &'static str| Cut {
            chunk,
            at,
            value: Bytes::from_static(value.as_bytes()),
        };
        let pool = Arc::new(Pool::new(100, 4, 16));
        let stock = pool.take(20, 2, true);
        assert!(stock.is_some());
        let body = Body::new(
            vec![b"abcd".to_vec(), b"ef".to_vec(), Vec::new()],
            vec![
                cut(0, 0, "1"),
                cut(0, 4, "2"),
                cut(1, 1, "3"),
                cut(1, 1, "4"),
                cut(2, 0, "5"),
            ],
            11,
            Arc::clone(&pool),
            20,
        );
        let segments: Vec<&[u8]> = body.segments().collect();
        assert_eq!(
            segments,
            [&b"1"[..], b"abcd", b"2", b"e", b"3", b"4", b"f", b"5"]
        );
        assert_eq!(body.to_vec().len(), body.len());
        assert_eq!(pool.snapshot().available, 80);
        let other = body.clone();
        drop(body);
        assert_eq!(pool.snapshot().available, 80);
        let small = other.compressed(&[0; 7]);
        assert_eq!(pool.snapshot().available, 93);
        assert_eq!((small.len(), small.charged()), (7, 7));
        drop(small);
        assert_eq!(pool.snapshot().available, 100);
    }
}
