//! Kafka's record batches: format 2, compression and checksums.
#![forbid(unsafe_code)]

mod batch;
mod codec;
mod error;
mod header;
mod ratio;
mod record;
mod records;
mod split;
mod varint;

pub use batch::{BatchView, Batches, batches};
pub use codec::{Codec, CompressError, Compression, CompressionError, Compressor, decompress};
pub use error::{BatchError, DecompressError, RecordFault};
pub use header::{Attributes, BatchHeader, sequence_after};
pub use ratio::{RatioEstimator, estimated_batch_size};
pub use record::{
    Header, HeaderList, HeadersRef, MAX_RECORD_OVERHEAD, RecordRef, Sink, encode_record,
    encode_record_from, encode_record_head, encode_record_tail, parts_size, record_size,
    record_size_from, size_upper_bound,
};
pub use records::{HeaderIter, HeaderView, Headers, RecordIter, RecordView, Records};
pub use split::{SplitPart, split};
