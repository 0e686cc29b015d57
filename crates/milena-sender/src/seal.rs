//! Making batches ready for the wire: compressing them, and cutting those that are too large.
//!
//! This is the only costly work of the sender; it is done on no lock, by whoever drives a
//! connection, and its result is handed back.

use std::sync::Arc;

use milena_accumulator::{Batch, Body, Outcome, Slot};
use milena_record::{BatchHeader, Codec, Compression, Compressor};
use milena_transaction::Stamp;

use crate::partition::Parcel;

/// Batches to be compressed. Nothing else of their partitions is taken until they come back, so
/// [`run`](Self::run) it and hand the result to
/// [`Sender::handle_sealed`](crate::Sender::handle_sealed).
#[derive(Debug)]
pub struct SealJob {
    pub(crate) compression: Compression,
    pub(crate) max_request_size: usize,
    pub(crate) work: Vec<SealItem>,
}

#[derive(Debug)]
pub(crate) struct SealItem {
    pub(crate) slot: Slot,
    pub(crate) parcel: Parcel,
    /// Cut it into batches of about so many bytes first.
    pub(crate) cut: Option<usize>,
}

/// What came of a [`SealJob`].
pub struct Sealed {
    pub(crate) parcels: Vec<SealedItem>,
}

pub(crate) struct SealedItem {
    pub(crate) slot: Slot,
    pub(crate) was_cut: bool,
    /// The place of the batch among those of its partition.
    pub(crate) order: (u64, u32),
    /// What takes the place of the batch; the batch itself when it could not be sealed.
    pub(crate) result: Parts,
    /// Raw and compressed bytes, if it was compressed.
    pub(crate) ratio: Option<(usize, usize)>,
}

impl SealJob {
    /// How many bytes there are to work on.
    pub fn raw_len(&self) -> usize {
        self.work.iter().map(|item| item.parcel.batch.raw_len).sum()
    }

    /// Does the work with the caller's reused codec contexts.
    pub fn run(self, compressor: &mut Compressor) -> Sealed {
        let mut parcels = Vec::with_capacity(self.work.len());
        for item in self.work {
            let (slot, order) = (item.slot, item.parcel.order);
            let was_cut = item.cut.is_some();
            let mut seal = Seal {
                compression: self.compression,
                compressor,
                ratio: None,
            };
            let result = match item.cut {
                Some(target) => seal.cut(item.parcel, target),
                None => seal.whole(item.parcel, self.max_request_size),
            };
            parcels.push(SealedItem {
                slot,
                was_cut,
                order,
                result,
                ratio: seal.ratio,
            });
        }
        Sealed { parcels }
    }
}

struct Seal<'c> {
    compression: Compression,
    compressor: &'c mut Compressor,
    ratio: Option<(usize, usize)>,
}

/// What a batch became; or the batch as it was, and why it could not be.
pub(crate) type Parts = Result<Made, (Parcel, String)>;

/// Which outcome the records from each index on belong to.
type Moved = Vec<(u32, Arc<Outcome>)>;

/// What a batch became.
pub(crate) struct Made {
    pub(crate) parcels: Vec<Parcel>,
    /// The batch that was cut, whose outcome is to point to those of the parts.
    pub(crate) cut: Option<(Batch, Moved)>,
}

impl Made {
    fn whole(parcel: Parcel) -> Self {
        Self {
            parcels: vec![parcel],
            cut: None,
        }
    }
}

#[expect(
    clippy::result_large_err,
    reason = "a batch is handed back without an allocation"
)]
impl Seal<'_> {
    /// Compresses a batch that was never sent. One that comes out larger than a request may be
    /// is cut before it gets a sequence.
    fn whole(&mut self, mut parcel: Parcel, limit: usize) -> Parts {
        if self.compression.codec() == Codec::None {
            return Ok(Made::whole(parcel));
        }
        let body = parcel.batch.body.segments();
        let compressed = match self.compressor.compressed(self.compression, body) {
            Ok(bytes) => bytes,
            Err(why) => return Err((parcel, why.to_string())),
        };
        let raw_len = parcel.batch.body.len();
        if raw_len > 0 {
            self.ratio = Some((raw_len, compressed.len()));
        }
        if BatchHeader::LEN + compressed.len() > limit && parcel.batch.records > 1 {
            return self.cut(parcel, limit / 2);
        }
        let raw = std::mem::take(&mut parcel.batch.body);
        parcel.batch.body = raw.compressed(compressed);
        parcel.codec = self.compression.codec();
        Ok(Made::whole(parcel))
    }

    /// Cuts a batch into smaller ones that share its place in the order, its age and, together,
    /// its sequence numbers.
    fn cut(&mut self, parcel: Parcel, target: usize) -> Parts {
        let raw = match raw_body(&parcel) {
            Ok(raw) => raw,
            Err(why) => return Err((parcel, why)),
        };
        let parts = match milena_record::split(&raw, parcel.batch.base_timestamp, target) {
            Ok(parts) => parts,
            Err(why) => return Err((parcel, why.to_string())),
        };
        let mut moved = Vec::with_capacity(parts.len());
        let mut parcels = Vec::with_capacity(parts.len());
        let mut first = 0;
        for part in parts {
            let (records, raw_len) = (part.record_count, part.body.len());
            let raw = Body::from_vec(part.body);
            let (body, codec) = match self.compress(&raw) {
                Ok(Some(bytes)) => (Body::from_vec(bytes), self.compression.codec()),
                Ok(None) => (raw, Codec::None),
                Err(why) => return Err((parcel, why)),
            };
            let stamp = parcel.stamp.map(|stamp| Stamp {
                base: stamp.base.plus(first),
                records,
                ..stamp
            });
            let batch = parcel.batch.part(
                records,
                part.base_timestamp,
                part.max_timestamp,
                body,
                raw_len,
            );
            moved.push((first.unsigned_abs(), Arc::clone(&batch.outcome)));
            parcels.push(Parcel {
                batch,
                codec,
                order: (parcel.order.0, parcel.order.1 + first.unsigned_abs()),
                stamp,
                attempts: 0,
                in_doubt: false,
                given_up: false,
                part: true,
            });
            first += records;
        }
        let cut = Some((parcel.batch, moved));
        Ok(Made { parcels, cut })
    }

    /// The compressed body, or none where nothing is compressed.
    fn compress(&mut self, body: &Body) -> Result<Option<Vec<u8>>, String> {
        if self.compression.codec() == Codec::None {
            return Ok(None);
        }
        let compressed = self
            .compressor
            .compressed(self.compression, body.segments());
        let compressed = compressed.map_err(|why| why.to_string())?;
        Ok(Some(compressed.to_vec()))
    }
}

/// The records of a batch as they were before compression, in one piece.
fn raw_body(parcel: &Parcel) -> Result<Vec<u8>, String> {
    let bytes = parcel.batch.body.to_vec();
    match parcel.codec {
        Codec::None => Ok(bytes),
        codec => milena_record::decompress(codec, &bytes, parcel.batch.raw_len)
            .map_err(|why| why.to_string()),
    }
}
