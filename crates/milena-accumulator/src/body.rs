//! The records of a batch as they go out: immutable, shared, and giving their memory back by themselves.

use std::fmt;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use milena_record::Sum;

use crate::outcome::Outcome;
use crate::pool::Pool;
use crate::way::Period;

/// All bytes of a batch after its header, as a list of segments. A clone shares them; the default has none.
///
/// ```text
///  chunk ─────────────┐ value by reference ┌ chunk, went on ─┐ chunk ──────┐
///  [record][record][he] [.............ue]  [aders][record][r] [ecord]
/// ```
///
/// Its memory goes back to the pool when the last clone is dropped, so it cannot go back while it is being sent.
#[derive(Clone, Default)]
pub struct Body(Option<Arc<Pages>>);

/// What a batch's records are in. One allocation, made when the batch opens and used again after its end: it is the
/// open batch's alone while records come, and shared unchanged from then on.
pub(crate) struct Pages {
    chunks: Vec<Vec<u8>>,
    cuts: Vec<Cut>,
    len: usize,
    /// The checksum of the first chunks, and how many of them.
    sum: Sum,
    summed: usize,
    memory: Option<Memory>,
    /// The outcome of the batch that these were of last, for the next one, if nobody asks for it any more by then.
    outcome: Option<Arc<Outcome>>,
}

/// What is charged to the budget for a body.
struct Memory {
    pool: Arc<Pool>,
    bytes: usize,
    /// When the batch was closed.
    closed: Period,
}

/// A value that stayed where it was: it comes before position `at` of chunk number `chunk`.
struct Cut {
    chunk: usize,
    at: usize,
    value: Bytes,
}

/// The pages of a batch that is open, to be written to.
pub(crate) fn own(pages: &mut Arc<Pages>) -> &mut Pages {
    Arc::get_mut(pages).expect("they are shared only once the batch is closed")
}

impl Pages {
    /// Empty ones, with room for one chunk: where partitions are many, most batches have no more.
    pub(crate) fn fresh() -> Arc<Self> {
        Arc::new(Self::of(Vec::with_capacity(1), 0))
    }

    fn of(chunks: Vec<Vec<u8>>, len: usize) -> Self {
        Self {
            chunks,
            cuts: Vec::new(),
            len,
            sum: Sum::default(),
            summed: 0,
            memory: None,
            outcome: None,
        }
    }

    /// The last batch's outcome, perhaps.
    pub(crate) fn take_outcome(&mut self) -> Option<Arc<Outcome>> {
        self.outcome.take()
    }

    /// Keeps the outcome for the next batch.
    pub(crate) fn keep_outcome(&mut self, outcome: &Arc<Outcome>) {
        self.outcome = Some(Arc::clone(outcome));
    }

    /// Adds a chunk that is full, or the last one.
    pub(crate) fn push(&mut self, chunk: Vec<u8>) {
        if self.chunks.len() == self.chunks.capacity() {
            self.grow();
        }
        self.chunks.push(chunk);
    }

    /// Where partitions are many, few batches have more than two chunks: a list grows to four at once by itself.
    #[cold]
    fn grow(&mut self) {
        self.chunks.reserve_exact(self.chunks.len().max(1));
    }

    /// Adds a chunk of records that will not be compressed, and takes its checksum while it is in the processor's
    /// cache: when the batch is sent, other records have passed through there.
    pub(crate) fn push_summed(&mut self, chunk: Vec<u8>) {
        // A value by reference has its place between the bytes of the chunks.
        if self.cuts.is_empty() {
            self.sum.add(&chunk);
            self.summed += 1;
        }
        self.push(chunk);
    }

    /// Adds a value by reference, at position `at` of the chunk that will be pushed next.
    pub(crate) fn cut(&mut self, at: usize, value: Bytes) {
        let chunk = self.chunks.len();
        self.cuts.push(Cut { chunk, at, value });
    }

    /// Makes them as good as new; all that was in them is dropped, but for the chunks that `keep` wants.
    pub(crate) fn clear(&mut self, keep: impl Fn(&Vec<u8>) -> bool) {
        (self.sum, self.summed) = (Sum::default(), 0);
        self.memory = None;
        self.chunks.retain(keep);
        // Last: values are their owner's, whose code runs when they are dropped.
        self.cuts.clear();
    }

    /// Takes the chunks out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.chunks.drain(..)
    }
}

impl Body {
    /// Closes the pages of a batch: `len` bytes, for which `charged` were taken out of the pool's budget.
    pub(crate) fn new(
        mut pages: Arc<Pages>,
        len: usize,
        pool: &Arc<Pool>,
        charged: usize,
        closed: Period,
    ) -> Self {
        let own = own(&mut pages);
        own.len = len;
        own.memory = Some(Memory {
            pool: Arc::clone(pool),
            bytes: charged,
            closed,
        });
        Self(Some(pages))
    }

    /// A body of bytes that are not charged to any budget: made by splitting, or by a test.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self(Some(Arc::new(Pages::of(vec![bytes], len))))
    }

    /// What `self` was compressed to. It takes the first of the chunks that the raw body was in, so that no memory is
    /// asked for; the others go back at once. If somebody else holds the raw body, or it is in no chunks of the pool,
    /// the bytes get an allocation of their own.
    pub fn compressed(mut self, bytes: &[u8]) -> Self {
        let own = self.0.as_mut().and_then(Arc::get_mut);
        let Some(raw) = own.filter(|raw| raw.memory.is_some()) else {
            return Self::from_vec(bytes.to_vec());
        };
        raw.compressed(bytes);
        self
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pages| pages.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes charged to `buffer.memory` as long as a clone exists.
    pub fn charged(&self) -> usize {
        let memory = self.0.as_ref().and_then(|pages| pages.memory.as_ref());
        memory.map_or(0, |memory| memory.bytes)
    }

    /// The bytes in order; no segment is empty.
    pub fn segments(&self) -> Segments<'_> {
        Segments(self.places())
    }

    /// The checksum of its first bytes, as far as it is known, and the segments that follow these.
    pub fn summed(&self) -> (Sum, Segments<'_>) {
        let (sum, chunk) = self
            .0
            .as_ref()
            .map_or_else(Default::default, |pages| (pages.sum, pages.summed));
        (
            sum,
            Segments(Places {
                chunk,
                ..self.places()
            }),
        )
    }

    /// Where the segments are, in order: [`at`](Self::at) has the bytes of each.
    pub fn places(&self) -> Places<'_> {
        let pages = self.0.as_deref();
        Places {
            chunks: pages.map_or(&[], |pages| &pages.chunks),
            cuts: pages.map_or(&[], |pages| &pages.cuts),
            chunk: 0,
            at: 0,
            cut: 0,
        }
    }

    /// The bytes of one of its own [`places`](Self::places).
    #[inline]
    pub fn at(&self, place: Place) -> &[u8] {
        self.places().bytes(place)
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

impl Pages {
    /// Replaces what is in them, by what it was compressed to.
    fn compressed(&mut self, bytes: &[u8]) {
        let Some(Memory {
            pool,
            bytes: held,
            closed,
        }) = &mut self.memory
        else {
            return;
        };
        // What was charged for the batch and not for its records stays so.
        let records: usize = self.chunks.iter().map(Vec::capacity).sum();
        let values: usize = self.cuts.iter().map(|cut| cut.value.len()).sum();
        let upkeep = held.saturating_sub(records + values);
        let chunk = pool.chunk_size();
        let kept = bytes.len().div_ceil(chunk);
        let pooled = |chunk: &Vec<u8>| chunk.capacity() == pool.chunk_size();
        let (keep, spare) = if self.chunks.len() >= kept && self.chunks.iter().all(pooled) {
            let spare = self.chunks.split_off(kept);
            for (chunk, part) in self.chunks.iter_mut().zip(bytes.chunks(chunk)) {
                chunk.clear();
                chunk.extend_from_slice(part);
            }
            (kept * chunk, spare)
        } else {
            let spare = mem::replace(&mut self.chunks, vec![bytes.to_vec()]);
            (bytes.len().min(*held - upkeep), spare)
        };
        let keep = keep + upkeep;
        pool.put_chunks(mem::replace(held, keep) - keep, *closed, spare);
        self.cuts.clear();
        (self.sum, self.summed) = (Sum::default(), 0);
        self.len = bytes.len();
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

impl Drop for Body {
    /// The last one gives its memory back, and the pages with it. Of two that are dropped at the same moment each may
    /// take the other for a later one: then the pages see to the memory.
    fn drop(&mut self) {
        let Some(mut pages) = self.0.take() else {
            return;
        };
        let memory = Arc::get_mut(&mut pages).and_then(|own| own.memory.take());
        if let Some(Memory {
            pool,
            bytes,
            closed,
        }) = memory
        {
            pool.put_pages(bytes, closed, pages);
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(Memory {
            pool,
            bytes,
            closed,
        }) = self.memory.take()
        {
            pool.put_chunks(bytes, closed, mem::take(&mut self.chunks));
        }
    }
}

/// Where a segment of a body is. It is that body's, or a clone's.
#[derive(Clone, Copy, Debug)]
pub struct Place(At);

#[derive(Clone, Copy, Debug)]
enum At {
    Chunk {
        chunk: usize,
        from: usize,
        to: usize,
    },
    /// A value that stayed where it was, by the number of its cut.
    Value(usize),
}

/// Goes through the [places](Body::places) of a body's segments.
#[derive(Clone)]
pub struct Places<'a> {
    chunks: &'a [Vec<u8>],
    cuts: &'a [Cut],
    chunk: usize,
    at: usize,
    cut: usize,
}

impl<'a> Places<'a> {
    #[inline]
    fn bytes(&self, place: Place) -> &'a [u8] {
        match place.0 {
            At::Chunk { chunk, from, to } => &self.chunks[chunk][from..to],
            At::Value(cut) => &self.cuts[cut].value,
        }
    }
}

impl Iterator for Places<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        loop {
            let chunk = self.chunks.get(self.chunk)?;
            let cut = self.cuts.get(self.cut);
            let cut = cut.filter(|cut| cut.chunk == self.chunk);
            let to = cut.map_or(chunk.len(), |cut| cut.at);
            if self.at < to {
                let (chunk, from) = (self.chunk, mem::replace(&mut self.at, to));
                return Some(Place(At::Chunk { chunk, from, to }));
            }
            match cut {
                Some(cut) => {
                    self.cut += 1;
                    if !cut.value.is_empty() {
                        return Some(Place(At::Value(self.cut - 1)));
                    }
                }
                None => (self.chunk, self.at) = (self.chunk + 1, 0),
            }
        }
    }
}

/// Goes through the [segments](Body::segments) of a body.
#[derive(Clone)]
pub struct Segments<'a>(Places<'a>);

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next().map(|place| self.0.bytes(place))
    }
}

#[cfg(test)]
mod tests {
    use milena_record::{BatchHeader, Codec};

    use super::*;

    #[test]
    fn chunks_are_summed_up_to_the_first_value_by_reference() {
        let mut fresh = Pages::fresh();
        let pages = own(&mut fresh);
        pages.push_summed(b"ab".to_vec());
        pages.push_summed(b"cd".to_vec());
        pages.cut(1, Bytes::from_static(b"value"));
        pages.push_summed(b"ef".to_vec());
        pages.push(b"g".to_vec());
        let pool = Arc::new(Pool::new(100, 4, 16));
        let body = Body::new(fresh, 12, &pool, 0, Period::default());
        let (sum, rest) = body.summed();
        let header = BatchHeader::new(Codec::None, 1, 0, 0);
        assert_eq!(
            rest.clone().collect::<Vec<_>>(),
            [&b"e"[..], b"value", b"f", b"g"]
        );
        assert_eq!(
            header.encode_after(sum, rest),
            header.encode(body.segments())
        );
        let body = body.compressed(b"123");
        let (sum, rest) = body.summed();
        assert_eq!(header.encode_after(sum, rest), header.encode([&b"123"[..]]));
    }

    #[test]
    fn values_by_reference_come_at_their_place() {
        let pool = Arc::new(Pool::new(100, 4, 16));
        let stock = pool.take(20, 2, true).expect("there is room");
        let mut pages = stock.pages.expect("it was asked for");
        let own = Arc::get_mut(&mut pages).expect("nobody else has them");
        let cut = |own: &mut Pages, at, value: &'static str| {
            own.cut(at, Bytes::from_static(value.as_bytes()));
        };
        cut(own, 0, "1");
        cut(own, 4, "2");
        own.push(b"abcd".to_vec());
        cut(own, 1, "3");
        cut(own, 1, "4");
        own.push(b"ef".to_vec());
        cut(own, 0, "5");
        own.push(Vec::new());
        let closed = pool.way.begin(20);
        let body = Body::new(pages, 11, &pool, 20, closed);
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
        // Of the 20 bytes 11 were for what is in it.
        assert_eq!(pool.snapshot().available, 84);
        assert_eq!((small.len(), small.charged()), (7, 16));
        drop(small);
        assert_eq!(pool.snapshot().available, 100);
    }
}
