//! Frames out of a stream of bytes: a length, then as many bytes, within a bound.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use milena_client::NotKafka;
use tokio::io::{AsyncRead, ReadBuf};

/// Collects bytes until a frame is whole.
///
/// Memory grows with the bytes that have come, not with the length that a peer claims.
pub(crate) struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
}

/// What is kept between frames; a larger buffer is given back when it is empty.
const SMALL: usize = 64 * 1024;
const FIRST: usize = 8 * 1024;

impl FrameReader {
    /// A reader that refuses frames longer than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            limit,
        }
    }

    /// Reads once from `stream`; 0 means that the peer closed.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let mut into = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(stream).poll_read(cx, &mut into))?;
        let read = into.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Whether [`next`](Self::next) has something to say: a whole frame, or that this is none.
    pub(crate) fn has_frame(&self) -> bool {
        let there = &self.buffer[self.start..self.end];
        there
            .first_chunk()
            .is_some_and(|head| match NotKafka::check_length(*head, self.limit) {
                Ok(length) => there.len() >= 4 + length,
                Err(_) => true,
            })
    }

    /// The next whole frame without its length, or `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, NotKafka> {
        let there = &self.buffer[self.start..self.end];
        let Some(head) = there.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = NotKafka::check_length(*head, self.limit)?;
        if there.len() < 4 + length {
            return Ok(None);
        }
        let frame = self.start + 4..self.start + 4 + length;
        self.start = frame.end;
        Ok(Some(&self.buffer[frame]))
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > SMALL {
                self.buffer = Vec::new();
            }
        }
        if self.end < self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            let grown = (2 * self.buffer.len()).clamp(FIRST, self.limit.saturating_add(4 + FIRST));
            self.buffer.resize(grown, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use milena_client::Rng;
    use std::future::poll_fn;

    async fn frames(mut bytes: &[u8], limit: usize) -> (Vec<Vec<u8>>, Option<NotKafka>, usize) {
        let mut reader = FrameReader::new(limit);
        let mut frames = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => {
                    let read = poll_fn(|cx| reader.poll_fill(cx, &mut bytes))
                        .await
                        .unwrap();
                    if read == 0 {
                        return (frames, None, reader.buffer.len());
                    }
                }
                Err(fault) => return (frames, Some(fault), reader.buffer.len()),
            }
        }
    }

    fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in payloads {
            bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(payload);
        }
        bytes
    }

    #[tokio::test]
    async fn frames_of_all_sizes_come_out_whole() {
        let payloads: Vec<Vec<u8>> = [0, 1, 8188, 8189, 100_000, 3, 65_536]
            .iter()
            .map(|n| vec![*n as u8; *n])
            .collect();
        let (read, fault, _) = frames(&framed(&payloads), 1_000_000).await;
        assert!(fault.is_none());
        assert!(read == payloads);
    }

    /// Gives its bytes in pieces of random lengths.
    struct Pieces<'a>(&'a [u8], Rng);

    impl AsyncRead for Pieces<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let most = self.0.len().min(into.remaining());
            let (piece, rest) = self.0.split_at(most.min(1 + self.1.below(70)));
            into.put_slice(piece);
            self.0 = rest;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn it_does_not_matter_where_a_stream_is_cut() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let payloads: Vec<Vec<u8>> = (0..100).map(|n| vec![n; rng.below(300)]).collect();
            let bytes = framed(&payloads);
            let mut pieces = Pieces(&bytes, rng);
            let mut reader = FrameReader::new(300);
            let mut read = Vec::new();
            loop {
                let whole = reader.has_frame();
                match reader.next().unwrap() {
                    Some(frame) => {
                        assert!(whole);
                        read.push(frame.to_vec());
                    }
                    None => {
                        assert!(!whole);
                        let filled = poll_fn(|cx| reader.poll_fill(cx, &mut pieces)).await;
                        if filled.unwrap() == 0 {
                            break;
                        }
                    }
                }
            }
            assert!(read == payloads, "seed {seed}");
        }
    }

    #[tokio::test]
    async fn a_claimed_length_takes_no_memory() {
        let mut bytes = framed(&[]);
        bytes.extend_from_slice(&90_000_000_u32.to_be_bytes());
        bytes.extend_from_slice(&[0; 100]);
        let (_, fault, memory) = frames(&bytes, 100_000_000).await;
        assert_eq!(fault, None);
        assert!(memory <= 2 * FIRST, "{memory}");
    }

    #[tokio::test]
    async fn without_a_limit_frames_of_all_sizes_come_out_too() {
        let payloads = [vec![1; 9000], vec![2; 100_000]];
        let (read, fault, _) = frames(&framed(&payloads), usize::MAX).await;
        assert_eq!(fault, None);
        assert!(read == payloads);
    }

    #[tokio::test]
    async fn what_is_not_kafka_is_recognised() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], NotKafka::Http),
            (&[0x15, 3, 1, 0, 2, 2, 70][..], NotKafka::Tls),
            (&[0x7f, 0xff, 0xff, 0xff][..], NotKafka::Length(i32::MAX)),
            (&[0xff, 0xff, 0xff, 0xff][..], NotKafka::Length(-1)),
            (&[0, 0, 0, 101][..], NotKafka::Length(101)),
        ] {
            assert_eq!(frames(bytes, 100).await.1, Some(expected));
        }
    }

    #[tokio::test]
    async fn a_large_frames_memory_is_given_back() {
        let mut bytes = &framed(&[vec![1; 1_000_000]])[..];
        let mut reader = FrameReader::new(2_000_000);
        while reader.next().unwrap().is_none() {
            poll_fn(|cx| reader.poll_fill(cx, &mut bytes))
                .await
                .unwrap();
        }
        poll_fn(|cx| reader.poll_fill(cx, &mut bytes))
            .await
            .unwrap();
        assert_eq!(reader.buffer.len(), FIRST);
    }
}
