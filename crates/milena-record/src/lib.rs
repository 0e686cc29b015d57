//! Kafka's record batches: format 2, compression and checksums.
//!
//! Everything a broker keeps in its segment files, and everything a producer sends and a consumer gets, is a sequence
//! of *batches*: a header of 61 bytes, and a body of records, compressed or not. This crate writes and reads them. It
//! knows nothing of requests, brokers or sockets.
//!
//! - **Writing**: [`encode_record`] appends records to any [`Sink`], without allocating; a [`Compressor`] compresses
//!   the body in one shot; [`BatchHeader::encode`] makes the header that belongs in front of it.
//! - **Reading**: [`batches`] cuts bytes into [`BatchView`]s; [`BatchView::records`] decompresses within a limit and
//!   gives [`RecordView`]s. Nothing in the bytes makes it panic or take more memory than allowed.
//! - **Planning**: [`size_upper_bound`], [`record_size`], [`RatioEstimator`]; and [`split`], for a batch that a broker
//!   finds too large.
//!
//! # What is in a segment file
//!
//! A segment file of a broker (`00000000000000000000.log`) is nothing but batches, so this prints it whole:
//!
//! ```
//! use milena_record::{BatchError, batches};
//!
//! /// Batches that decompress to more than this are refused.
//! const LIMIT: usize = 64 << 20;
//!
//! fn print(segment: &[u8]) -> Result<(), BatchError> {
//!     for batch in batches(segment) {
//!         let batch = match batch {
//!             // What the broker has not written yet, or had no time to.
//!             Err(BatchError::Incomplete { .. }) => break,
//!             batch => batch?,
//!         };
//!         batch.verify_crc()?;
//!         let header = batch.header();
//!         println!(
//!             "offsets {} to {}, {} records, {} bytes of {}",
//!             header.base_offset,
//!             batch.last_offset(),
//!             header.record_count,
//!             batch.body().len(),
//!             header.attributes.codec()?,
//!         );
//!         for record in &batch.records(LIMIT)? {
//!             let record = record?;
//!             let text = |bytes: Option<&[u8]>| match bytes {
//!                 Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
//!                 None => "null".to_owned(),
//!             };
//!             println!("  {} {} = {}", record.offset, text(record.key), text(record.value));
//!             for header in record.headers() {
//!                 println!("    {}: {}", header.key_str(), text(header.value));
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//!
//! // A file that a broker wrote:
//! let segment = include_bytes!("../tests/fixtures/none.bin");
//! print(segment)?;
//! # Ok::<(), BatchError>(())
//! ```
//!
//! # A batch by hand
//!
//! ```
//! use milena_record::{
//!     BatchHeader, Codec, Header, HeadersRef, RecordRef, batches, encode_record,
//! };
//!
//! let now = 1_700_000_000_000;
//! let headers = [Header::new("trace", b"4711")];
//! let record = RecordRef {
//!     timestamp: now,
//!     key: Some(b"customer-17"),
//!     value: Some(b"{\"total\":12.50}"),
//!     headers: HeadersRef::slice(&headers),
//! };
//! let mut body = Vec::new();
//! encode_record(&mut body, 0, 0, &record);
//! encode_record(&mut body, 1, -5, &RecordRef { value: None, ..record }); // a tombstone, 5 ms older
//!
//! // The body stays as it is; the header may be made again, with another producer id say.
//! let header = BatchHeader::new(Codec::None, 2, now, now);
//! let mut batch = header.encode([&body[..]]).to_vec();
//! batch.extend_from_slice(&body);
//!
//! let read = batches(&batch).next().expect("there is one")?;
//! read.verify_crc()?;
//! let records = read.records(1 << 20)?;
//! assert_eq!(records.to_vec()?[1].timestamp, now - 5);
//! # Ok::<(), milena_record::BatchError>(())
//! ```
//!
//! # Codecs
//!
//! | codec | written as | levels | cargo feature |
//! |---|---|---|---|
//! | gzip | one RFC 1952 member | -1, 1 to 9 | `gzip` |
//! | snappy | xerial framing, chunks of 64 KiB | none | `snappy` |
//! | lz4 | LZ4 frame, independent blocks of 64 KiB, no checksums of its own | 9, which is the fast mode | `lz4` |
//! | zstd | one frame that says its content's size | -131072 to 22 | `zstd` |
//!
//! All four are on by default. A codec that is switched off is refused by an error that names its feature. Two things
//! differ from Kafka's own client: lz4 has no high-compression mode (levels 1 to 8 and 10 to 17 are refused), and a
//! frame of zstd tells its size, which spares its reader a guess. A body of several gzip members, which no client is
//! known to write, cannot be read.
#![forbid(unsafe_code)]

mod batch;
mod codec;
mod crc;
mod error;
mod header;
mod ratio;
mod record;
mod records;
mod split;
mod sum;
mod varint;

pub use batch::{BatchView, Batches, batches};
pub use codec::{Codec, CompressError, Compression, CompressionError, Compressor, decompress};
pub use error::{BatchError, DecompressError, RecordFault};
pub use header::{Attributes, BatchHeader, sequence_after};
pub use ratio::{RatioEstimator, estimated_batch_size, planned_raw_size};
pub use record::{
    Header, HeaderList, HeadersRef, MAX_RECORD_OVERHEAD, RecordHead, RecordRef, Sink,
    encode_record, encode_record_head, encode_record_tail, parts_size, record_size,
    record_size_from, size_upper_bound,
};
pub use records::{HeaderIter, HeaderView, Headers, RecordIter, RecordView, Records};
pub use split::{SplitPart, split};
pub use sum::Sum;
