//! One request at a time into a stream: segments as they lie, however little the socket accepts.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use milena_sender::{Cursor, FrameBuffer, WriteJob};
use tokio::io::AsyncWrite;

/// Segments given to one call; systems take up to 1024 (IOV_MAX), and more than this gains nothing.
const SLICES: usize = 64;

/// Writes from where `cursor` stands; ready when the whole frame is written.
///
/// `frame` must have been filled by `job` and stay as it is until then.
pub(crate) fn poll_write<S: AsyncWrite + Unpin + ?Sized>(
    cx: &mut Context<'_>,
    stream: &mut S,
    frame: &FrameBuffer,
    job: &WriteJob,
    cursor: &mut Cursor,
) -> Poll<io::Result<()>> {
    while !frame.is_written(cursor) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = frame.slices(job, cursor, &mut slices);
        let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..used]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        frame.advance(job, cursor, written);
    }
    // A stream of somebody's own may keep bytes back until it is told that these are all.
    Pin::new(stream).poll_flush(cx)
}
