//! The memory of records: an exact budget, chunks that come back, and waiters served in order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::bin::{Bin, panics_in};
use crate::body::Pages;
use crate::gate::CloseReason;
use crate::numbered::Numbered;
use crate::pace::Pace;
use crate::room::RoomError;
use crate::stock::Stock;
use crate::way::{Period, Way};

/// The budget and the chunks. Its lock is a leaf: nothing else is taken inside. It keeps off the cache line of its
/// reference counts, as each body holds one.
#[repr(align(128))]
pub(crate) struct Pool {
    chunk: usize,
    total: usize,
    /// How many chunks there is room for in a list of several.
    list: usize,
    /// How many pages are kept: one for each full batch that there is memory for.
    spare: usize,
    state: Mutex<State>,
    /// Waiters that are not served. Written under the lock, read without.
    waiting: AtomicUsize,
    pub(crate) way: Way,
}

struct State {
    /// What nobody holds. Free chunks are part of it and never more than it.
    available: usize,
    free: Vec<Vec<u8>>,
    /// Pages that nobody holds, empty.
    pages: Vec<Arc<Pages>>,
    /// Lists for stocks of several chunks.
    lists: Vec<Vec<Vec<u8>>>,
    /// In order of arrival, which is that of their numbers.
    waiters: Numbered<Waiter>,
    /// For those who have not come for it yet.
    answers: Numbered<Result<Stock, RoomError>>,
    deadlines: BTreeSet<(Instant, u64)>,
    next: u64,
    exhausted: u64,
    closed: Option<CloseReason>,
    pace: Pace,
}

struct Waiter {
    bytes: usize,
    deadline: Instant,
    waker: Option<Waker>,
}

/// What the pool looks like now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolSnapshot {
    pub(crate) total: usize,
    pub(crate) available: usize,
    pub(crate) free_chunks: usize,
    pub(crate) waiters: usize,
    pub(crate) exhausted: u64,
}

impl Pool {
    pub(crate) fn new(total: usize, chunk: usize, batch: usize) -> Self {
        let pace = Pace::new(total, batch);
        let way = Way::new(pace.limit());
        Self {
            chunk,
            total,
            list: batch.div_ceil(chunk) + 2,
            spare: (total / batch).clamp(16, 4096),
            state: Mutex::new(State {
                available: total,
                free: Vec::new(),
                pages: Vec::new(),
                lists: Vec::new(),
                waiters: Numbered::default(),
                answers: Numbered::default(),
                deadlines: BTreeSet::new(),
                next: 0,
                exhausted: 0,
                closed: None,
                pace,
            }),
            waiting: AtomicUsize::new(0),
            way,
        }
    }

    #[inline]
    pub(crate) fn chunk_size(&self) -> usize {
        self.chunk
    }

    #[inline]
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Whether somebody waits for memory.
    #[inline]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `bytes` out of the budget, and `chunks` of them as chunks if they are free; with pages, for a batch that is
    /// `fresh`. `None` if there is not enough or somebody came first.
    pub(crate) fn take(&self, bytes: usize, chunks: usize, fresh: bool) -> Option<Stock> {
        let mut state = self.lock();
        if !state.waiters.is_empty() || state.available < bytes {
            return None;
        }
        let mut stock = state.grant(bytes, chunks, self);
        let spare = if fresh { state.pages.pop() } else { None };
        drop(state);
        if fresh {
            stock.pages = Some(spare.unwrap_or_else(Pages::fresh));
        }
        Some(stock)
    }

    /// Takes one chunk that is free, if nobody waits: quick enough to be done under a partition's lock.
    pub(crate) fn take_free(&self) -> Option<Stock> {
        let mut state = self.lock();
        if !state.waiters.is_empty() {
            return None;
        }
        let one = state.free.pop()?;
        state.available -= self.chunk;
        Some(Stock {
            bytes: self.chunk,
            one: Some(one),
            ..Stock::default()
        })
    }

    /// Pages for a new batch.
    pub(crate) fn pages(&self) -> Arc<Pages> {
        let spare = self.lock().pages.pop();
        spare.unwrap_or_else(Pages::fresh)
    }

    /// Makes `chunks` chunks out of the stock's bytes ready to use.
    pub(crate) fn ready(&self, stock: &mut Stock, chunks: usize) {
        while stock.chunks() < chunks {
            stock.push(Vec::with_capacity(self.chunk));
        }
    }

    /// Uses one chunk of the stock. Its bytes are the caller's from now on.
    pub(crate) fn use_chunk(&self, stock: &mut Stock) -> Vec<u8> {
        debug_assert!(stock.bytes >= self.chunk);
        stock.bytes -= self.chunk;
        let chunk = stock.pop();
        chunk.unwrap_or_else(|| Vec::with_capacity(self.chunk))
    }

    /// Gives back what is left of a stock.
    pub(crate) fn put(&self, stock: Stock) {
        if stock.is_empty() {
            return;
        }
        let mut more = stock.more;
        let chunks = stock.one.into_iter().chain(more.drain(..));
        let mut state = self.lock();
        state.take_back(stock.bytes, chunks);
        if more.capacity() >= self.list && state.lists.len() < self.spare {
            state.lists.push(more);
        }
        self.keep_pages(&mut state, stock.pages);
        self.serve_after(state, None);
    }

    /// Gives `bytes` back to the budget, and the chunks that they were.
    pub(crate) fn put_chunks(&self, bytes: usize, closed: Period, mut chunks: Vec<Vec<u8>>) {
        // Exact allocations are not pooled; they end here, outside the lock.
        chunks.retain(|chunk| chunk.capacity() == self.chunk);
        let mut state = self.lock();
        state.take_back(bytes, chunks.into_iter());
        self.serve_after(state, Some((bytes, closed)));
    }

    /// The same for all that a body was in. Nobody else has these pages.
    pub(crate) fn put_pages(&self, bytes: usize, closed: Period, mut pages: Arc<Pages>) {
        let Some(own) = Arc::get_mut(&mut pages) else {
            debug_assert!(false, "whoever gives pages back is the last to have them");
            return;
        };
        // As above; and values by reference are their owner's, whose code may run when they are dropped. If it panics
        // the memory comes back all the same.
        panics_in(|| own.clear(|chunk| chunk.capacity() == self.chunk));
        let mut state = self.lock();
        state.take_back(bytes, own.drain());
        self.keep_pages(&mut state, Some(pages));
        self.serve_after(state, Some((bytes, closed)));
    }

    fn keep_pages(&self, state: &mut State, pages: Option<Arc<Pages>>) {
        let room = state.pages.len() < self.spare;
        state.pages.extend(pages.filter(|_| room));
    }

    /// After something came back, from a batch that was closed in some period or from none: serves those who wait.
    fn serve_after(&self, mut state: MutexGuard<'_, State>, done: Option<(usize, Period)>) {
        state.trim(self.chunk);
        let woken = self.serve(&mut state);
        let mut next = Vec::new();
        if let Some((bytes, closed)) = done {
            next = state.pace.done(bytes, self.way.end(bytes, closed));
            self.way.set_limit(state.pace.limit());
        }
        drop(state);
        wake(woken);
        wake(next);
    }

    /// Joins those who wait for the others to catch up, if anybody has to; see [`Pace::join`].
    pub(crate) fn join_pace(&self, now: Instant) -> Option<(u64, Option<Instant>)> {
        let mut state = self.lock();
        self.age(&mut state, now);
        // What is under way comes back under this lock, so that somebody will see to who joins.
        let joins = self.way.is_ahead() && state.closed.is_none();
        joins.then(|| {
            self.way.join();
            let joined = state.pace.join(now, self.way.under_way());
            self.way.set_limit(state.pace.limit());
            joined
        })
    }

    /// Leaves out what has been under way for long.
    fn age(&self, state: &mut State, now: Instant) {
        if state.pace.ends_period(now) {
            self.way.next_period();
        }
    }

    /// Whether this one still waits. It is not to ask again when it does not.
    pub(crate) fn waits_for_pace(&self, id: u64, waker: Waker) -> bool {
        let mut state = self.lock();
        let (waits, replaced) = state.pace.waits(id, waker);
        drop(state);
        drop(replaced);
        if !waits {
            self.way.leave();
        }
        waits
    }

    pub(crate) fn leave_pace(&self, id: u64) {
        self.way.leave();
        let mut state = self.lock();
        let (left, next) = state.pace.leave(id, self.way.under_way());
        drop(state);
        drop(left);
        wake(next);
    }

    /// Grants the first waiters what they need, as long as there is enough.
    fn serve(&self, state: &mut State) -> Vec<Waker> {
        let mut woken = Vec::new();
        while let Some((id, waiter)) = state.waiters.first() {
            let bytes = waiter.bytes;
            if state.available < bytes {
                break;
            }
            // It is not known yet whether it needs chunks: those that are free will do, with a list for no more.
            let chunks = (bytes / self.chunk).min(state.free.len());
            let stock = state.grant(bytes, chunks, self);
            woken.extend(state.answer(id, Ok(stock)));
        }
        self.count(state);
        woken
    }

    fn count(&self, state: &State) {
        self.waiting.store(state.waiters.len(), Ordering::Relaxed);
    }

    /// Joins the queue, at its end. Returns the waiter's number, whether it is the first to wait, and whether its
    /// deadline is the earliest.
    pub(crate) fn join(&self, now: Instant, bytes: usize, deadline: Instant) -> Joined {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let refused = match state.closed {
            Some(reason) => Some(RoomError::Closed(reason)),
            None if bytes > self.total => Some(RoomError::TooLarge {
                bytes,
                total: self.total,
            }),
            None => None,
        };
        if let Some(error) = refused {
            state.answers.insert(id, Err(error));
            return Joined {
                id,
                first: false,
                earliest: false,
            };
        }
        let earliest = state.deadlines.first().is_none_or(|(at, _)| deadline < *at);
        state.waiters.insert(
            id,
            Waiter {
                bytes,
                deadline,
                waker: None,
            },
        );
        state.deadlines.insert((deadline, id));
        let woken = self.serve(&mut state);
        if deadline <= now && state.remove(id).is_some() {
            state.exhausted += 1;
            state.answers.insert(id, Err(RoomError::TimedOut));
            self.count(&state);
        }
        let waits = state.waiters.get(id).is_some();
        let first = waits && state.waiters.len() == 1;
        drop(state);
        wake(woken);
        Joined {
            id,
            first,
            earliest: waits && earliest,
        }
    }

    pub(crate) fn poll(&self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Stock, RoomError>> {
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(answer) = state.answers.remove(id) {
            drop(state);
            drop(waker);
            return Poll::Ready(answer);
        }
        let replaced = match state.waiters.get_mut(id) {
            Some(waiter) => waiter.waker.replace(waker),
            None => Some(waker),
        };
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Ends a wait, granted or not, and serves the next.
    pub(crate) fn leave(&self, id: u64) {
        let mut state = self.lock();
        let answer = state.answers.remove(id);
        let waiter = state.remove(id);
        let woken = self.serve(&mut state);
        drop(state);
        drop(waiter);
        if let Some(Ok(stock)) = answer {
            self.put(stock);
        }
        wake(woken);
    }

    /// The earliest deadline of those who wait, for memory or for the others.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let state = self.lock();
        let first = state.deadlines.first().map(|(at, _)| *at);
        first.into_iter().chain(state.pace.next_look()).min()
    }

    /// Ends the waits whose deadline has come.
    pub(crate) fn fire_deadlines(&self, now: Instant, bin: &mut Bin) {
        let mut state = self.lock();
        while let Some((at, id)) = state.deadlines.first().copied() {
            if at > now {
                break;
            }
            state.exhausted += 1;
            let woken = state.answer(id, Err(RoomError::TimedOut));
            woken.into_iter().for_each(|waker| bin.wake(waker));
        }
        // The next in line may need less than the one that gave up.
        let woken = self.serve(&mut state);
        self.age(&mut state, now);
        let next = state.pace.look(now, self.way.under_way());
        self.way.set_limit(state.pace.limit());
        for waker in woken.into_iter().chain(next) {
            bin.wake(waker);
        }
    }

    /// Ends all waits, now and until it is opened again.
    pub(crate) fn close(&self, reason: CloseReason, bin: &mut Bin) {
        let mut state = self.lock();
        state.closed = Some(reason);
        while let Some((id, _)) = state.waiters.first() {
            let woken = state.answer(id, Err(RoomError::Closed(reason)));
            woken.into_iter().for_each(|waker| bin.wake(waker));
        }
        self.count(&state);
        let next = state.pace.end();
        next.into_iter().for_each(|waker| bin.wake(waker));
    }

    pub(crate) fn open(&self) {
        self.lock().closed = None;
    }

    pub(crate) fn snapshot(&self) -> PoolSnapshot {
        let state = self.lock();
        PoolSnapshot {
            total: self.total,
            available: state.available,
            free_chunks: state.free.len(),
            waiters: state.waiters.len(),
            exhausted: state.exhausted,
        }
    }
}

impl State {
    fn take_back(&mut self, bytes: usize, chunks: impl Iterator<Item = Vec<u8>>) {
        self.available += bytes;
        self.free.extend(chunks.map(|mut chunk| {
            chunk.clear();
            chunk
        }));
    }

    fn grant(&mut self, bytes: usize, chunks: usize, pool: &Pool) -> Stock {
        self.available -= bytes;
        let mut stock = Stock {
            bytes,
            ..Stock::default()
        };
        if chunks > 1 {
            let list = self.lists.pop();
            stock.more = list.unwrap_or_else(|| Vec::with_capacity(pool.list.max(chunks)));
        }
        for _ in 0..chunks {
            match self.free.pop() {
                Some(chunk) => stock.push(chunk),
                None => break,
            }
        }
        self.trim(pool.chunk);
        stock
    }

    /// Frees pooled chunks whose bytes are used otherwise.
    fn trim(&mut self, chunk: usize) {
        let most = self.available / chunk;
        if self.free.len() > most {
            self.free.truncate(most);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(id)?;
        self.deadlines.remove(&(waiter.deadline, id));
        Some(waiter)
    }

    fn answer(&mut self, id: u64, answer: Result<Stock, RoomError>) -> Option<Waker> {
        let waiter = self.remove(id)?;
        self.answers.insert(id, answer);
        waiter.waker
    }
}

pub(crate) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        panics_in(|| waker.wake());
    }
}

/// How a waiter joined.
pub(crate) struct Joined {
    pub(crate) id: u64,
    pub(crate) first: bool,
    pub(crate) earliest: bool,
}
