//! A request on its way to the socket: decided under the sender's lock, made into bytes outside.

use std::io::IoSlice;
use std::sync::Arc;

use milena_accumulator::{Body, Place, Slot, Topic};
use milena_record::BatchHeader;
use milena_wire::{ApiKey, RequestHeader, Unsupported, Uuid, Version, Writer};

/// Bodies below this are copied next to their headers: a segment of their own would cost more,
/// and one `writev` takes only 1024 of them.
const COPY_BELOW: usize = 1024;

/// What a buffer keeps room for between two requests, in bytes. A request of thousands of small
/// batches takes more; one such request does not make a connection large for good.
const KEPT: usize = 64 << 10;

/// A request that was decided on. [`encode`](Self::encode) makes its bytes; give it back to
/// [`Sender::handle_written`](crate::Sender::handle_written) once they are all written.
#[derive(Debug)]
pub struct WriteJob(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    /// A whole frame.
    Frame(Vec<u8>),
    /// Batches, whose bodies stay where they are.
    Produce(ProduceJob),
}

/// A Produce request before it is bytes.
#[derive(Debug)]
pub(crate) struct ProduceJob {
    pub(crate) correlation: i32,
    pub(crate) version: Version,
    pub(crate) client_id: Option<Arc<str>>,
    pub(crate) acks: i16,
    pub(crate) timeout_ms: i32,
    /// Sorted by topic.
    pub(crate) items: Vec<Item>,
}

/// One batch of a Produce request.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) slot: Slot,
    pub(crate) topic: Arc<Topic>,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) header: BatchHeader,
    pub(crate) body: Body,
}

/// Where a connection makes the bytes of its requests; reused, it does not allocate unless a request
/// has thousands of small batches.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    out: Writer,
    pieces: Vec<Piece>,
    len: usize,
}

/// A run of bytes that is contiguous somewhere.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Own { from: usize, to: usize },
    Body { item: usize, place: Place },
}

/// How far a frame has been written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    piece: usize,
    within: usize,
    written: usize,
}

impl WriteJob {
    /// A frame that is bytes already, its length in front.
    pub(crate) fn frame(bytes: Vec<u8>) -> Self {
        Self(Kind::Frame(bytes))
    }

    /// Makes the request's bytes, sums included. Takes no lock; the cost is one pass over the
    /// bodies for their CRC-32C.
    ///
    /// # Errors
    ///
    /// A name is too long for the request's version. Topics with such a name do not exist, so
    /// the connection is best closed.
    pub fn encode(&self, buffer: &mut FrameBuffer) -> Result<(), Unsupported> {
        buffer.out.clear();
        buffer.out.shrink_to(KEPT);
        buffer.pieces.clear();
        buffer.pieces.shrink_to(KEPT / size_of::<Piece>());
        match &self.0 {
            Kind::Frame(bytes) => {
                buffer.out.put(bytes);
                buffer.own_up_to_here(0);
                buffer.len = bytes.len();
                Ok(())
            }
            Kind::Produce(job) => job.encode(buffer),
        }
    }
}

impl ProduceJob {
    fn encode(&self, buffer: &mut FrameBuffer) -> Result<(), Unsupported> {
        let version = self.version;
        let out = &mut buffer.out;
        let header = RequestHeader {
            api_key: ApiKey::PRODUCE,
            api_version: version.number,
            correlation_id: self.correlation,
            client_id: self.client_id.as_deref(),
        };
        milena_wire::begin_request(out, &header, version)?;
        out.nullable_string(version, None)?;
        out.i16(self.acks);
        out.i32(self.timeout_ms);
        out.array_len(version, self.items.chunk_by(same_topic).count())?;
        let mut done = 0;
        let mut item = 0;
        for topic in self.items.chunk_by(same_topic) {
            let out = &mut buffer.out;
            if version.number >= 13 {
                out.uuid(topic[0].topic_id);
            } else {
                out.string(version, topic[0].topic.name())?;
            }
            out.array_len(version, topic.len())?;
            for batch in topic {
                batch.encode(version, item, &mut done, buffer)?;
                item += 1;
            }
            buffer.out.no_tags(version);
        }
        buffer.out.no_tags(version);
        buffer.own_up_to_here(done);
        buffer.len = buffer.out.len();
        milena_wire::end_frame(&mut buffer.out)
    }
}

pub(crate) fn same_topic(one: &Item, other: &Item) -> bool {
    Arc::ptr_eq(&one.topic, &other.topic)
}

impl Item {
    /// Writes the batch; `done` is how much of the buffer's own bytes are in pieces already.
    fn encode(
        &self,
        version: Version,
        item: usize,
        done: &mut usize,
        buffer: &mut FrameBuffer,
    ) -> Result<(), Unsupported> {
        let out = &mut buffer.out;
        out.i32(self.partition);
        out.array_len(version, BatchHeader::LEN + self.body.len())?;
        let (sum, rest) = self.body.summed();
        out.put(&self.header.encode_after(sum, rest));
        if self.body.len() < COPY_BELOW {
            for segment in self.body.segments() {
                out.put(segment);
            }
        } else {
            let cut = out.outside(self.body.len());
            buffer.pieces.push(Piece::Own {
                from: *done,
                to: cut,
            });
            *done = cut;
            let places = self.body.places();
            let pieces = places.map(|place| Piece::Body { item, place });
            buffer.pieces.extend(pieces);
        }
        buffer.out.no_tags(version);
        Ok(())
    }
}

impl FrameBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the frame is, in bytes, its length field included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was encoded.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `cursor` is at the end.
    pub fn is_written(&self, cursor: &Cursor) -> bool {
        cursor.written == self.len
    }

    /// The next bytes to write, as many slices as `slices` holds; answers how many it filled.
    pub fn slices<'b>(
        &'b self,
        job: &'b WriteJob,
        cursor: &Cursor,
        slices: &mut [IoSlice<'b>],
    ) -> usize {
        let pieces = self.pieces[cursor.piece..]
            .iter()
            .map(|piece| self.bytes(job, *piece));
        let mut filled = 0;
        for (slot, (index, bytes)) in slices.iter_mut().zip(pieces.enumerate()) {
            let skip = if index == 0 { cursor.within } else { 0 };
            *slot = IoSlice::new(&bytes[skip..]);
            filled += 1;
        }
        filled
    }

    /// Moves `cursor` on by the bytes that a write took.
    pub fn advance(&self, job: &WriteJob, cursor: &mut Cursor, mut written: usize) {
        cursor.written += written;
        while written > 0 && cursor.piece < self.pieces.len() {
            let left = self.bytes(job, self.pieces[cursor.piece]).len() - cursor.within;
            if written < left {
                cursor.within += written;
                return;
            }
            written -= left;
            cursor.piece += 1;
            cursor.within = 0;
        }
    }

    fn bytes<'b>(&'b self, job: &'b WriteJob, piece: Piece) -> &'b [u8] {
        match (piece, &job.0) {
            (Piece::Own { from, to }, _) => &self.out.own()[from..to],
            (Piece::Body { item, place }, Kind::Produce(job)) => job.items[item].body.at(place),
            (Piece::Body { .. }, Kind::Frame(_)) => &[],
        }
    }

    fn own_up_to_here(&mut self, from: usize) {
        let to = self.out.own().len();
        if from < to {
            self.pieces.push(Piece::Own { from, to });
        }
    }
}
