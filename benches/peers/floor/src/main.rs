//! The floor: what no producer can go below.
//!
//! One thread encodes the records into batches, sums them with CRC-32C and writes them with `writev`; it reads answers
//! only to count them. No queue, no buffer shared with anybody, no timer, no retry, no idempotence.

#![forbid(unsafe_code)]

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use milena_wire::api::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use milena_wire::api::produce::{ProduceRequest, ProduceResponse};
use milena_wire::{Request, RequestHeader, Writer, begin_request, decode_body, encode_request};
use peer_harness::{Counting, Load, Peer, Settings, Ticket};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes of a batch before its records.
const HEADER: usize = 61;

/// Batches of a request: more of them leave the processor's cache before they are written, which costs more than fewer
/// requests save.
const REQUEST: usize = 2;

struct Floor(Mutex<Writing>);

struct Writing {
    stream: TcpStream,
    head: Vec<u8>,
    batches: Vec<Batch>,
    in_flight: usize,
    open: usize,
    waiting: usize,
    answers: Vec<u8>,
    failed: u64,
}

/// An open batch: its memory is there, so that a record is written and nothing grows.
struct Batch {
    bytes: Vec<u8>,
    end: usize,
    count: i32,
}

impl Peer for Floor {
    const NAME: &'static str = "floor";
    const VERSION: &'static str = "-";
    const BLOCKS: bool = true;
    const NOTE: Option<&'static str> = Some("not a client: one thread, no idempotence, unkeyed");

    async fn connect(settings: &Settings) -> Result<Self> {
        let partitions = settings.partitions as usize;
        let mut stream = TcpStream::connect(&settings.bootstrap)?;
        stream.set_nodelay(true)?;
        know_topic(&mut stream, &settings.topic)?;
        Ok(Self(Mutex::new(Writing {
            stream,
            head: head(&settings.topic)?,
            batches: (0..partitions)
                .map(|_| Batch::new(settings.batch_size))
                .collect(),
            in_flight: settings.in_flight,
            open: 0,
            waiting: 0,
            answers: vec![0; 64 << 10],
            failed: 0,
        })))
    }

    async fn send(&self, load: &Load, numbers: Range<u64>) -> Result<u64> {
        let mut writing = self.0.lock().expect("one thread sends");
        let count = numbers.end - numbers.start;
        for number in numbers {
            writing.append(load, number)?;
        }
        writing.write()?;
        while writing.waiting > 0 {
            writing.read()?;
        }
        if writing.failed > 0 {
            bail!("{} batches failed", writing.failed);
        }
        Ok(count)
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn send_timed(&self, _: &Load, _: u64, _: Ticket) -> Result<()> {
        bail!("the floor is not paced")
    }
}

impl Batch {
    fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size],
            end: HEADER,
            count: 0,
        }
    }

    /// Writes one record, unless it has no room.
    #[inline]
    fn push(&mut self, value: &[u8], headers: &[(String, Bytes)]) -> bool {
        // Attributes, timestamp delta, offset delta, no key, value, headers.
        let mut body =
            3 + varint_len(self.count) + prefixed(value) + varint_len(headers.len() as i32);
        for (name, value) in headers {
            body += prefixed(name.as_bytes()) + prefixed(value);
        }
        let whole = varint_len(body as i32) + body;
        let Some(room) = self.bytes[self.end..].get_mut(..whole) else {
            return false;
        };
        let mut at = varint(room, body as i32);
        room[at] = 0;
        room[at + 1] = 0;
        at += 2;
        at += varint(&mut room[at..], self.count);
        room[at] = 1;
        at += 1;
        at += put(&mut room[at..], value);
        at += varint(&mut room[at..], headers.len() as i32);
        for (name, value) in headers {
            at += put(&mut room[at..], name.as_bytes());
            at += put(&mut room[at..], value);
        }
        self.end += whole;
        self.count += 1;
        true
    }

    /// Fills in the header.
    fn seal(&mut self) -> &[u8] {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        let batch = &mut self.bytes[..self.end];
        let length = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        batch[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        batch[27..35].copy_from_slice(&now.to_be_bytes());
        batch[35..43].copy_from_slice(&now.to_be_bytes());
        batch[43..57].fill(0xff);
        batch[57..61].copy_from_slice(&self.count.to_be_bytes());
        let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, &batch[21..]) as u32;
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }
}

impl Writing {
    #[inline]
    fn append(&mut self, load: &Load, number: u64) -> Result<()> {
        while !self.batches[self.open].push(load.value(number), load.headers()) {
            if self.batches[self.open].count == 0 {
                bail!("a record is larger than a batch");
            }
            self.open = (self.open + 1) % self.batches.len();
            if self.open.is_multiple_of(REQUEST) {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Writes one request with every batch that holds something.
    fn write(&mut self) -> Result<()> {
        while self.waiting >= self.in_flight {
            self.read()?;
        }
        let mut between = Vec::with_capacity(self.batches.len());
        let mut full = Vec::with_capacity(self.batches.len());
        let mut total = self.head.len();
        for (index, batch) in self.batches.iter_mut().enumerate() {
            if batch.count == 0 {
                continue;
            }
            let batch = batch.seal();
            let mut piece = [0; 8];
            piece[..4].copy_from_slice(&(index as i32).to_be_bytes());
            piece[4..].copy_from_slice(&(batch.len() as i32).to_be_bytes());
            total += piece.len() + batch.len();
            between.push(piece);
            full.push(batch);
        }
        if full.is_empty() {
            return Ok(());
        }
        self.head[..4].copy_from_slice(&(total as i32 - 4).to_be_bytes());
        let partitions = self.head.len() - 4;
        self.head[partitions..].copy_from_slice(&(full.len() as i32).to_be_bytes());
        let mut pieces = vec![IoSlice::new(&self.head)];
        for (piece, batch) in between.iter().zip(full) {
            pieces.extend([IoSlice::new(piece), IoSlice::new(batch)]);
        }
        let mut pieces = &mut pieces[..];
        while !pieces.is_empty() {
            let written = self.stream.write_vectored(pieces)?;
            IoSlice::advance_slices(&mut pieces, written);
        }
        self.waiting += 1;
        for batch in &mut self.batches {
            (batch.end, batch.count) = (HEADER, 0);
        }
        Ok(())
    }

    /// Reads one answer.
    fn read(&mut self) -> Result<()> {
        let body = answer(&mut self.stream, &mut self.answers)?;
        let answer: ProduceResponse<'_> = decode_body(body, ProduceRequest::version(8))?;
        let partitions = answer
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        self.failed += partitions.filter(|part| part.error_code != 0).count() as u64;
        self.waiting -= 1;
        Ok(())
    }
}

/// A Produce request of version 8 up to the number of partitions; this and its length are filled in later.
fn head(topic: &str) -> Result<Vec<u8>> {
    let mut out = Writer::with_capacity(64);
    let header = RequestHeader {
        api_key: ProduceRequest::KEY,
        api_version: 8,
        correlation_id: 0,
        client_id: Some("floor"),
    };
    begin_request(&mut out, &header, ProduceRequest::version(8))?;
    out.i16(-1);
    out.i16(-1);
    out.i32(30_000);
    out.i32(1);
    out.i16(topic.len() as i16);
    out.put(topic.as_bytes());
    out.i32(0);
    Ok(out.own().to_vec())
}

/// Makes sure that the topic is there.
fn know_topic(stream: &mut TcpStream, topic: &str) -> Result<()> {
    let version = MetadataRequest::version(4);
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(topic),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let frame = encode_request(Some("floor"), 0, &request, version)?;
    stream.write_all(&frame.to_vec())?;
    let mut room = Vec::new();
    let metadata: MetadataResponse<'_> = decode_body(answer(stream, &mut room)?, version)?;
    let known = metadata.topics.first().context("no topic in the answer")?;
    if known.error_code != 0 {
        bail!("{topic}: error {}", known.error_code);
    }
    Ok(())
}

/// The body of the next answer, after its correlation id.
fn answer<'a>(stream: &mut TcpStream, room: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = i32::from_be_bytes(length) as usize;
    room.resize(length.max(room.len()), 0);
    stream.read_exact(&mut room[..length])?;
    room[..length].get(4..).context("an answer has a head")
}

fn prefixed(bytes: &[u8]) -> usize {
    varint_len(bytes.len() as i32) + bytes.len()
}

/// Writes bytes after their length.
#[inline]
fn put(out: &mut [u8], bytes: &[u8]) -> usize {
    let at = varint(out, bytes.len() as i32);
    out[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

#[inline]
fn varint_len(value: i32) -> usize {
    let zigzag = ((value << 1) ^ (value >> 31)) as u32;
    match zigzag {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => (38 - zigzag.leading_zeros() as usize) / 7,
    }
}

#[inline]
fn varint(out: &mut [u8], value: i32) -> usize {
    let mut zigzag = ((value << 1) ^ (value >> 31)) as u32;
    // Nearly all are short.
    match zigzag {
        0..0x80 => {
            out[0] = zigzag as u8;
            return 1;
        }
        0x80..0x4000 => {
            out[..2].copy_from_slice(&[zigzag as u8 | 0x80, (zigzag >> 7) as u8]);
            return 2;
        }
        _ => {}
    }
    let mut at = 0;
    while zigzag >= 0x80 {
        out[at] = zigzag as u8 | 0x80;
        zigzag >>= 7;
        at += 1;
    }
    out[at] = zigzag as u8;
    at + 1
}

fn main() -> ExitCode {
    peer_harness::main::<Floor>()
}
