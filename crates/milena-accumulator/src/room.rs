//! Waiting for memory, and what was granted.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::gate::CloseReason;
use crate::pool::Pool;
use crate::stock::Stock;

/// Why memory was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomError {
    /// `max.block.ms` passed.
    TimedOut,
    /// More than `buffer.memory` in all.
    TooLarge {
        /// What was asked for.
        bytes: usize,
        /// What there is.
        total: usize,
    },
    /// The producer was closed.
    Closed(CloseReason),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str(
                "no memory became free within max.block.ms: \
                raise buffer.memory or send less at a time",
            ),
            Self::TooLarge { bytes, total } => write!(
                f,
                "{bytes} bytes are more than the whole buffer.memory of {total}"
            ),
            Self::Closed(reason) => write!(f, "the producer is closed ({reason})"),
        }
    }
}

impl std::error::Error for RoomError {}

/// Memory granted to a waiter, to be used for one append. What is not used goes back when it is dropped.
#[must_use = "memory is given back when this is dropped"]
pub struct Room {
    pub(crate) pool: Arc<Pool>,
    pub(crate) stock: Stock,
}

impl Room {
    /// Bytes granted.
    pub fn bytes(&self) -> usize {
        self.stock.bytes
    }

    pub(crate) fn into_stock(mut self) -> Stock {
        mem::take(&mut self.stock)
    }
}

impl Drop for Room {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        self.pool.put(mem::take(&mut self.stock));
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} bytes)", self.bytes())
    }
}

/// Waits for memory, strictly first come, first served. In line from the moment it is made.
///
/// Cancel-safe: dropping it gives everything back, even what was granted already, and serves the next.
#[must_use = "a place in line is lost when this is dropped"]
pub struct WaitRoom {
    pool: Arc<Pool>,
    id: Option<u64>,
}

impl WaitRoom {
    pub(crate) fn new(pool: &Arc<Pool>, id: u64) -> Self {
        Self {
            pool: Arc::clone(pool),
            id: Some(id),
        }
    }
}

impl Future for WaitRoom {
    type Output = Result<Room, RoomError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(self.pool.poll(id, cx));
        self.id = None;
        let pool = Arc::clone(&self.pool);
        Poll::Ready(answer.map(|stock| Room { pool, stock }))
    }
}

impl Drop for WaitRoom {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.pool.leave(id);
        }
    }
}
