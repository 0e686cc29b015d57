//! Memory on its way between the pool and a batch.

use std::sync::Arc;

use crate::body::Pages;

/// Memory taken out of the budget: so many bytes, some of them as chunks that are ready to use. Plain data; whoever
/// holds it gives it back.
#[derive(Default)]
pub(crate) struct Stock {
    pub(crate) bytes: usize,
    /// One chunk, the usual case, needs no list.
    pub(crate) one: Option<Vec<u8>>,
    pub(crate) more: Vec<Vec<u8>>,
    /// Empty ones, for a new batch.
    pub(crate) pages: Option<Arc<Pages>>,
}

impl Stock {
    pub(crate) fn chunks(&self) -> usize {
        usize::from(self.one.is_some()) + self.more.len()
    }

    pub(crate) fn push(&mut self, chunk: Vec<u8>) {
        if self.one.is_none() {
            self.one = Some(chunk);
        } else {
            self.more.push(chunk);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.more.pop().or_else(|| self.one.take())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.pages.is_none() && self.one.is_none() && self.more.capacity() == 0
    }
}
