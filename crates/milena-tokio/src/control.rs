//! The task that looks after everything no connection does: timers, those who wait, the end.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use milena_sender::Sender;
use tokio::time::{Sleep, sleep};

use crate::core::Core;

/// Runs until the end was asked for and everything accepted has its outcome, or time is up.
///
/// However it ends, no outcome stays open: also when the runtime is shut down, before it was ever
/// polled, or when it panics.
pub(crate) fn run(core: Arc<Core>) -> impl Future<Output = ()> + Send {
    let guard = Guard(core);
    async move {
        let Guard(core) = &guard;
        let mut timer = pin!(sleep(Duration::ZERO));
        poll_fn(|cx| poll(cx, core, timer.as_mut())).await;
    }
}

fn poll(cx: &mut Context<'_>, core: &Arc<Core>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
    loop {
        core.bells.control.awake();
        let (now, timeout) = core.enter(|sender, now| {
            sender.handle_timeout(now);
            now
        });
        let give_up = match core.ending() {
            Some(_) if core.ask(Sender::is_drained) => return Poll::Ready(()),
            Some(Some(give_up)) if give_up <= now => return Poll::Ready(()),
            Some(give_up) => give_up,
            None => None,
        };
        let deadline = [timeout, give_up].into_iter().flatten().min();
        // What is due already and could not be done must not keep the task spinning.
        let deadline = deadline.map(|deadline| deadline.max(now + Duration::from_millis(1)));
        if !core.bells.control.sleep(cx.waker(), deadline) {
            continue;
        }
        if poll_until(cx, timer.as_mut(), deadline).is_pending() {
            return Poll::Pending;
        }
    }
}

/// Ready when `deadline` has come; never without one.
pub(crate) fn poll_until(
    cx: &mut Context<'_>,
    mut timer: Pin<&mut Sleep>,
    deadline: Option<Instant>,
) -> Poll<()> {
    let Some(deadline) = deadline else {
        return Poll::Pending;
    };
    let deadline = deadline.into();
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.poll(cx)
}

struct Guard(Arc<Core>);

impl Drop for Guard {
    fn drop(&mut self) {
        // After a panic the sender may be in pieces; a second one here would end the process.
        if catch_unwind(AssertUnwindSafe(|| self.0.abort())).is_err() {
            tracing::error!("the producer could not be wound up after a panic");
        }
    }
}
