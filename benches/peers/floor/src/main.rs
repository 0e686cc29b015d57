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
use milena_wire::api::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use milena_wire::api::produce::{ProduceRequest, ProduceResponse};
use milena_wire::{Request, RequestHeader, Writer, begin_request, decode_body, encode_request};
use peer_harness::{Counting, Load, Peer, Settings, Ticket};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes of a batch before its records.
const HEADER: usize = 61;

struct Floor(Mutex<Writing>);

struct Writing {
    stream: TcpStream,
    head: Vec<u8>,
    batches: Vec<Vec<u8>>,
    counts: Vec<i32>,
    batch_size: usize,
    in_flight: usize,
    open: usize,
    waiting: usize,
    answers: Vec<u8>,
    failed: u64,
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
                .map(|_| Vec::with_capacity(settings.batch_size + HEADER))
                .collect(),
            counts: vec![0; partitions],
            batch_size: settings.batch_size,
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

impl Writing {
    #[inline]
    fn append(&mut self, load: &Load, number: u64) -> Result<()> {
        let value = load.value(number);
        // Attributes, timestamp delta, offset delta, no key, value, headers; what they take at most is 23 bytes.
        let mut head = [0_u8; 24];
        let mut at = 5;
        let delta = self.counts[self.open];
        head[at] = 0;
        head[at + 1] = 0;
        at += 2;
        at += varint(&mut head[at..], delta);
        head[at] = 1;
        at += 1;
        at += varint(&mut head[at..], value.len() as i32);
        let mut tail = [0_u8; 16];
        let mut tail_len = varint(&mut tail, load.headers().len() as i32);
        let headers = load.headers();
        let mut size = at - 5 + value.len() + tail_len;
        for (name, value) in headers {
            size += varint_len(name.len() as i32) + name.len();
            size += varint_len(value.len() as i32) + value.len();
        }
        let length = varint_len(size as i32);
        varint(&mut head[5 - length..], size as i32);
        let needed = length + size;
        if self.batches[self.open].len() + needed > self.batch_size
            && self.batches[self.open].len() > HEADER
        {
            self.open += 1;
            if self.open == self.batches.len() {
                self.write()?;
            }
            return self.append(load, number);
        }
        let batch = &mut self.batches[self.open];
        if batch.is_empty() {
            batch.resize(HEADER, 0);
        }
        batch.extend_from_slice(&head[5 - length..at]);
        batch.extend_from_slice(value);
        batch.extend_from_slice(&tail[..tail_len]);
        for (name, value) in headers {
            for part in [name.as_bytes(), value.as_ref()] {
                tail_len = varint(&mut tail, part.len() as i32);
                batch.extend_from_slice(&tail[..tail_len]);
                batch.extend_from_slice(part);
            }
        }
        self.counts[self.open] += 1;
        Ok(())
    }

    /// Writes one request with every batch that holds something.
    fn write(&mut self) -> Result<()> {
        let full: Vec<usize> = (0..self.batches.len())
            .filter(|index| self.counts[*index] > 0)
            .collect();
        if full.is_empty() {
            return Ok(());
        }
        while self.waiting >= self.in_flight {
            self.read()?;
        }
        let mut between: Vec<Vec<u8>> = Vec::with_capacity(full.len());
        for (place, index) in full.iter().enumerate() {
            seal(&mut self.batches[*index], self.counts[*index]);
            let mut piece = Vec::new();
            if place == 0 {
                piece.extend_from_slice(&self.head);
                piece.extend_from_slice(&(full.len() as i32).to_be_bytes());
            }
            piece.extend_from_slice(&(*index as i32).to_be_bytes());
            piece.extend_from_slice(&(self.batches[*index].len() as i32).to_be_bytes());
            between.push(piece);
        }
        let total: usize = between.iter().map(Vec::len).sum::<usize>()
            + full
                .iter()
                .map(|index| self.batches[*index].len())
                .sum::<usize>();
        between[0][..4].copy_from_slice(&(total as i32 - 4).to_be_bytes());
        let mut pieces: Vec<IoSlice<'_>> = between
            .iter()
            .zip(&full)
            .flat_map(|(piece, index)| [IoSlice::new(piece), IoSlice::new(&self.batches[*index])])
            .collect();
        let mut pieces = &mut pieces[..];
        while !pieces.is_empty() {
            let written = self.stream.write_vectored(pieces)?;
            IoSlice::advance_slices(&mut pieces, written);
        }
        self.waiting += 1;
        self.open = 0;
        for index in full {
            self.batches[index].clear();
            self.counts[index] = 0;
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

/// Fills in the header of a batch.
fn seal(batch: &mut [u8], count: i32) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&now.to_be_bytes());
    batch[35..43].copy_from_slice(&now.to_be_bytes());
    batch[43..57].fill(0xff);
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A Produce request of version 8 up to the number of partitions, its length to be filled in.
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

fn varint_len(value: i32) -> usize {
    let zigzag = ((value << 1) ^ (value >> 31)) as u32;
    (38 - (zigzag | 1).leading_zeros() as usize) / 7
}

#[inline]
fn varint(out: &mut [u8], value: i32) -> usize {
    let mut zigzag = ((value << 1) ^ (value >> 31)) as u32;
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
