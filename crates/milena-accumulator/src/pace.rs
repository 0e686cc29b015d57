//! How far those who append in a loop run ahead of the connections while these keep up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::climb::{Climb, Step};
use crate::numbered::Numbered;
use crate::pool::Pool;

/// The longest that the limit holds somebody back; then it doubles for a while. A [`Period`](crate::way::Period) takes as
/// long at least.
pub(crate) const PATIENCE: Duration = Duration::from_millis(10);

/// The lowest limit: about what a processor's own cache holds. A batch that was sent before its bytes left the cache
/// costs less than half of one that has to be fetched from memory again.
const LEAST: usize = 2 << 20;

/// Or so many batches, if they are large.
const BATCHES: usize = 4;

/// What the limit has grown by goes with so many times as many bytes. At once would be too soon where brokers stand still
/// now and then: whoever appends would be stopped for each time anew.
const SINKS: usize = 16;

/// A limit to the bytes under way (of batches that are closed and not done with), below the budget's own.
///
/// Its level is what connections [need](Climb) to be busy. When the limit has held somebody back for [`PATIENCE`] it
/// doubles: connections stand still, or are slow, and the budget is there to be used. That much more goes by and by, so
/// that whoever appends is not stopped for it. Plain data, behind the pool's lock.
pub(crate) struct Pace {
    least: usize,
    most: usize,
    level: usize,
    /// On top of the level, for a while.
    extra: usize,
    /// Bytes done with.
    done: u64,
    climb: Climb,
    /// When this period began.
    period: Option<Instant>,
    /// For so many bytes that may begin one of those who wait goes on.
    batch: usize,
    /// In order of arrival. Who goes on is not here any more.
    waiters: Numbered<Waiter>,
    next: u64,
    /// When somebody has to [look](Self::look).
    look: Option<Instant>,
    doubled: Option<Instant>,
}

struct Waiter {
    since: Instant,
    waker: Option<Waker>,
}

impl Pace {
    /// For a budget of `most` bytes.
    pub(crate) fn new(most: usize, batch: usize) -> Self {
        let least = LEAST.max(batch.saturating_mul(BATCHES)).min(most);
        Self {
            least,
            most,
            level: least,
            extra: 0,
            done: 0,
            climb: Climb::new(),
            period: None,
            batch,
            waiters: Numbered::default(),
            next: 0,
            look: None,
            doubled: None,
        }
    }

    /// More than this is ahead.
    pub(crate) fn limit(&self) -> usize {
        self.level.saturating_add(self.extra).min(self.most)
    }

    /// So many bytes are done with, and so many still under way. Returns who goes on.
    pub(crate) fn done(&mut self, bytes: usize, under_way: usize) -> Vec<Waker> {
        self.done += bytes as u64;
        self.extra = match under_way {
            0 => 0,
            _ => self.extra.saturating_sub(bytes / SINKS),
        };
        if under_way == 0 {
            self.climb.interrupt();
        }
        self.serve(under_way)
    }

    /// Whether a period is over, and the next one begins now. Only one, however long it was: what was closed last counts
    /// for another.
    pub(crate) fn ends_period(&mut self, now: Instant) -> bool {
        let begun = *self.period.get_or_insert(now);
        let over = now.saturating_duration_since(begun) >= PATIENCE;
        if over {
            self.period = Some(now);
        }
        over
    }

    /// Goes on to look for the level.
    fn find_level(&mut self, now: Instant, under_way: usize) {
        if self.extra > 0 {
            self.climb.interrupt();
            return;
        }
        let (less, more) = (self.level > self.least, self.level < self.most);
        match self.climb.held(now, self.done, under_way, less, more) {
            Some(Step::Double) => self.level = self.level.saturating_mul(2).min(self.most),
            Some(Step::Halve) => {
                let half = (self.level / 2).max(self.least);
                self.extra = self.level - half;
                self.level = half;
            }
            None => {}
        }
    }

    fn serve(&mut self, under_way: usize) -> Vec<Waker> {
        let mut woken = Vec::new();
        let limit = self.limit();
        if self.waiters.is_empty() || under_way > limit {
            return woken;
        }
        let all = under_way == 0 || limit == self.most;
        let mut more = match all {
            true => self.waiters.len(),
            false => (limit - under_way) / self.batch + 1,
        };
        while more > 0
            && let Some((id, _)) = self.waiters.first()
        {
            woken.extend(self.waiters.remove(id).and_then(|waiter| waiter.waker));
            more -= 1;
        }
        woken
    }

    /// Joins those who wait, at the end. Also returns when somebody has to [look](Self::look), unless somebody will.
    pub(crate) fn join(&mut self, now: Instant, under_way: usize) -> (u64, Option<Instant>) {
        self.find_level(now, under_way);
        let id = self.next;
        self.next += 1;
        self.waiters.insert(
            id,
            Waiter {
                since: now,
                waker: None,
            },
        );
        let deadline = self.look.is_none().then_some(now + PATIENCE);
        self.look = self.look.or(deadline);
        (id, deadline)
    }

    /// Keeps whom to wake when the waiter goes on. Returns whether it still waits, and a waker to be dropped outside the
    /// lock.
    pub(crate) fn waits(&mut self, id: u64, waker: Waker) -> (bool, Option<Waker>) {
        match self.waiters.get_mut(id) {
            Some(waiter) => (true, waiter.waker.replace(waker)),
            None => (false, Some(waker)),
        }
    }

    /// Ends a wait. Returns whom it had to wake, to be dropped outside the lock, and who goes on in its place if it was
    /// to go on itself.
    pub(crate) fn leave(&mut self, id: u64, under_way: usize) -> (Option<Waker>, Vec<Waker>) {
        match self.waiters.remove(id) {
            Some(waiter) => (waiter.waker, Vec::new()),
            None => (None, self.serve(under_way)),
        }
    }

    /// When to [look](Self::look). It stays while nobody waits, so that not everybody who begins to has to tell.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.look
    }

    /// Doubles the limit if it has held somebody back for too long. Returns who goes on.
    pub(crate) fn look(&mut self, now: Instant, under_way: usize) -> Vec<Waker> {
        if self.look.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.look = None;
        let Some((_, first)) = self.waiters.first() else {
            return Vec::new();
        };
        let since = self.doubled.map_or(first.since, |at| at.max(first.since));
        if since + PATIENCE > now {
            self.look = Some(since + PATIENCE);
            return Vec::new();
        }
        self.extra = self.limit().saturating_mul(2).min(self.most) - self.level;
        self.doubled = Some(now);
        let woken = self.serve(under_way);
        if !self.waiters.is_empty() {
            self.look = Some(now + PATIENCE);
        }
        woken
    }

    /// Lets all go on.
    pub(crate) fn end(&mut self) -> Vec<Waker> {
        std::iter::from_fn(|| {
            let (id, _) = self.waiters.first()?;
            self.waiters.remove(id)
        })
        .filter_map(|waiter| waiter.waker)
        .collect()
    }
}

/// Waits until the connections have caught up, or for some ten milliseconds.
///
/// Cancel-safe: dropping it lets the next one go on in its place.
#[must_use = "whoever does not await it runs ahead"]
pub struct WaitPace {
    pool: Arc<Pool>,
    id: Option<u64>,
}

impl WaitPace {
    /// `id` is `None` for one who is not ahead.
    pub(crate) fn new(pool: &Arc<Pool>, id: Option<u64>) -> Self {
        Self {
            pool: Arc::clone(pool),
            id,
        }
    }
}

impl Future for WaitPace {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(id) = self.id {
            if self.pool.waits_for_pace(id, cx.waker().clone()) {
                return Poll::Pending;
            }
            self.id = None;
        }
        Poll::Ready(())
    }
}

impl Drop for WaitPace {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.pool.leave_pace(id);
        }
    }
}

impl fmt::Debug for WaitPace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitPace({:?})", self.id)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    const BATCH: usize = 64 << 10;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Some who wait, all since `now`.
    fn waiting(pace: &mut Pace, now: Instant, count: u64) -> Vec<u64> {
        let waker = Waker::from(Arc::new(Count::default()));
        (0..count)
            .map(|_| {
                let (id, _) = pace.join(now, LEAST + 1);
                assert!(pace.waits(id, waker.clone()).0);
                id
            })
            .collect()
    }

    #[test]
    fn periods_take_their_time() {
        let (mut pace, start) = (Pace::new(64 << 20, BATCH), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let ends = [0, 9, 10, 15, 19, 90, 95].map(|ms| pace.ends_period(at(ms)));
        assert_eq!(ends, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn one_goes_on_for_each_batch_that_may_begin() {
        let mut pace = Pace::new(64 << 20, BATCH);
        waiting(&mut pace, Instant::now(), 5);
        assert_eq!(pace.limit(), LEAST);
        assert_eq!(pace.done(BATCH, LEAST + 1).len(), 0, "still ahead");
        assert_eq!(pace.done(1, LEAST).len(), 1);
        assert_eq!(pace.done(BATCH, LEAST - BATCH).len(), 2);
        assert_eq!(
            pace.done(LEAST - BATCH, 0).len(),
            2,
            "all, when nothing is under way"
        );
    }

    #[test]
    fn large_batches_raise_the_limit_and_a_small_budget_lowers_it() {
        assert_eq!(Pace::new(64 << 20, 1 << 20).limit(), 4 << 20);
        assert_eq!(Pace::new(1 << 20, 1 << 20).limit(), 1 << 20);
        assert_eq!(Pace::new(usize::MAX, usize::MAX).limit(), usize::MAX);
    }

    #[test]
    fn the_limit_doubles_when_patience_ends_until_the_budget_is_open() {
        let (mut pace, start) = (Pace::new(7 << 20, BATCH), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        waiting(&mut pace, at(0), 3);
        assert_eq!(pace.next_look(), Some(at(10)));
        assert_eq!(pace.look(at(9), 5 << 20).len(), 0);
        assert_eq!(pace.limit(), 2 << 20);
        assert_eq!(pace.look(at(10), 5 << 20).len(), 0);
        assert_eq!((pace.limit(), pace.next_look()), (4 << 20, Some(at(20))));
        assert_eq!(
            pace.look(at(20), 5 << 20).len(),
            3,
            "nothing holds anybody back now"
        );
        assert_eq!((pace.limit(), pace.next_look()), (7 << 20, None));
    }

    #[test]
    fn whoever_is_served_in_time_leaves_the_limit_as_it_is() {
        let (mut pace, start) = (Pace::new(64 << 20, BATCH), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        waiting(&mut pace, at(0), 1);
        assert_eq!(pace.done(BATCH, LEAST).len(), 1);
        waiting(&mut pace, at(7), 1);
        assert_eq!(
            pace.next_look(),
            Some(at(10)),
            "the first one's; no other has to be told"
        );
        assert_eq!(pace.look(at(10), LEAST + 1).len(), 0);
        assert_eq!((pace.limit(), pace.next_look()), (LEAST, Some(at(17))));
        assert_eq!(pace.done(BATCH, LEAST).len(), 1);
        assert_eq!(pace.look(at(17), LEAST).len(), 0);
        assert_eq!((pace.limit(), pace.next_look()), (LEAST, None));
    }

    #[test]
    fn the_limit_goes_back_by_and_by_or_when_all_is_done() {
        let (mut pace, start) = (Pace::new(64 << 20, BATCH), Instant::now());
        let raised = |pace: &mut Pace| {
            for doubled in 1..=3 {
                waiting(pace, start, 1);
                pace.look(start + doubled * PATIENCE, 16 << 20);
                pace.end();
            }
            assert_eq!(pace.limit(), 16 << 20);
            pace.doubled = None;
        };
        raised(&mut pace);
        pace.done(SINKS * (8 << 20), 1);
        assert_eq!(pace.limit(), 8 << 20);
        pace.done(SINKS * (6 << 20), 1);
        assert_eq!(pace.limit(), LEAST);
        raised(&mut pace);
        pace.done(1, 0);
        assert_eq!(pace.limit(), LEAST);
    }

    #[test]
    fn the_level_is_what_connections_need() {
        let (mut pace, mut now) = (Pace::new(64 << 20, BATCH), Instant::now());
        // An answer after 5 ms, whatever is under way.
        let mut highest = 0;
        for _ in 0..100 {
            let under_way = pace.limit();
            highest = highest.max(under_way);
            pace.join(now, under_way);
            now += Duration::from_millis(5);
            pace.done(under_way, 1);
        }
        assert_eq!(highest, 64 << 20);
    }

    #[test]
    fn who_leaves_after_being_served_lets_the_next_one_go() {
        let mut pace = Pace::new(64 << 20, BATCH);
        let ids = waiting(&mut pace, Instant::now(), 3);
        assert_eq!(
            pace.leave(ids[1], LEAST).1.len(),
            0,
            "it was not its turn yet"
        );
        assert_eq!(pace.done(1, LEAST).len(), 1);
        assert_eq!(pace.leave(ids[0], LEAST).1.len(), 1);
        assert!(pace.end().is_empty());
    }
}
