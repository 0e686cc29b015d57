//! Segments into a stream: as many as one call takes, however little the socket accepts.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// How much of one frame has been written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    segment: usize,
    offset: usize,
}

/// Segments given to one call; systems take up to 1024 (IOV_MAX), and more than this gains nothing.
const SLICES: usize = 64;

impl Progress {
    /// Whether the first byte has been handed to the socket.
    pub(crate) fn begun(&self) -> bool {
        self.segment > 0 || self.offset > 0
    }

    /// Writes from where the last call stopped; ready when all segments are written.
    ///
    /// `segments` must be the same in each call, and none of them may change.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        segments: &[&[u8]],
    ) -> Poll<io::Result<()>> {
        loop {
            let rest = &segments[self.segment.min(segments.len())..];
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for segment in rest.iter().take(SLICES) {
                let skip = if used == 0 { self.offset } else { 0 };
                slices[used] = IoSlice::new(&segment[skip..]);
                used += 1;
            }
            if used == 0 {
                return Poll::Ready(Ok(()));
            }
            if slices[..used].iter().all(|slice| slice.is_empty()) {
                self.segment += used;
                self.offset = 0;
                continue;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..used]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written, segments);
        }
    }

    fn advance(&mut self, mut written: usize, segments: &[&[u8]]) {
        while written > 0 {
            let left = segments[self.segment].len() - self.offset;
            if written < left {
                self.offset += written;
                return;
            }
            written -= left;
            self.segment += 1;
            self.offset = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Takes at most so many bytes a call, and is not ready every other time.
    struct Stingy {
        taken: Vec<u8>,
        most: usize,
        ready: bool,
    }

    impl AsyncWrite for Stingy {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.ready = !self.ready;
            if !self.ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut room = self.most;
            for slice in slices {
                let n = room.min(slice.len());
                self.taken.extend_from_slice(&slice[..n]);
                room -= n;
            }
            Poll::Ready(Ok(self.most - room))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn partial_writes_lose_nothing() {
        let all: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        // Empty segments in between, more segments than one call takes.
        let mut segments: Vec<&[u8]> = all.chunks(37).collect();
        for at in [0, 5, 6, 100] {
            segments.insert(at, &[]);
        }
        for most in [1, 36, 37, 38, 1000, 100_000] {
            let mut socket = Stingy {
                taken: Vec::new(),
                most,
                ready: true,
            };
            let mut progress = Progress::default();
            poll_fn(|cx| progress.poll_write(cx, &mut socket, &segments))
                .await
                .unwrap();
            assert!(socket.taken == all, "{most}");
        }
    }

    #[tokio::test]
    async fn nothing_is_written_of_nothing() {
        let mut socket = Stingy {
            taken: Vec::new(),
            most: 1,
            ready: true,
        };
        for segments in [&[][..], &[&[][..], &[]]] {
            let mut progress = Progress::default();
            poll_fn(|cx| progress.poll_write(cx, &mut socket, segments))
                .await
                .unwrap();
            assert!(socket.taken.is_empty());
        }
    }
}
