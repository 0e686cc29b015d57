//! The sender behind one lock, and what every visit to it owes the others.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use milena_accumulator::{Accumulator, Bin, CloseReason};
use milena_client::{Action, ConnectionId, Few};
use milena_sender::{Event, Sender};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::bell::Bell;
use crate::bells::Bells;
use crate::callbacks::Callbacks;
use crate::connection;
use crate::dial::Unproven;
use crate::driver::Network;
use crate::status::{Report, Status};

/// What all tasks share.
pub(crate) struct Core {
    sender: Mutex<Sender>,
    /// An empty bin that keeps its memory from one visit to the next.
    spare: Mutex<Bin>,
    pub(crate) accumulator: Arc<Accumulator>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) network: Network,
    /// The tasks that carry connections. Its lock is taken under the sender's, never the other way round.
    lines: Mutex<Few<ConnectionId, Arc<Line>>>,
    pub(crate) unproven: Unproven,
    pub(crate) status: watch::Sender<Status>,
    /// Each task that may have a socket holds a receiver.
    pub(crate) sockets: watch::Sender<()>,
    /// How many events the sender has told, and the number of the one that the status is of.
    events: AtomicU64,
    shown: AtomicU64,
    callbacks: Callbacks,
    is_ending: AtomicBool,
    /// When what is not delivered is given up; `None`: when its own time is up.
    give_up: Mutex<Option<Instant>>,
    runtime: Handle,
}

/// How to reach the task of one connection.
pub(crate) struct Line {
    pub(crate) bell: Arc<Bell>,
    /// The sender wants it closed, and has forgotten it.
    pub(crate) hang_up: AtomicBool,
}

impl Core {
    pub(crate) fn new(
        sender: Sender,
        accumulator: Arc<Accumulator>,
        bells: Arc<Bells>,
        network: Network,
        runtime: Handle,
    ) -> Self {
        Self {
            sender: Mutex::new(sender),
            spare: Mutex::default(),
            accumulator,
            bells,
            network,
            lines: Mutex::default(),
            unproven: Unproven::default(),
            status: watch::Sender::new(Status::Starting),
            sockets: watch::Sender::new(()),
            events: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            callbacks: Callbacks::default(),
            is_ending: AtomicBool::new(false),
            give_up: Mutex::default(),
            runtime,
        }
    }

    /// Does something with the sender, and then what the sender wants done because of it.
    ///
    /// Whoever changes the sender may have changed what other tasks have to do: they are rung.
    pub(crate) fn visit<T>(self: &Arc<Self>, act: impl FnOnce(&mut Sender, Instant) -> T) -> T {
        let (result, timeout) = self.enter(act);
        if self.is_ending.load(Ordering::Relaxed) {
            // This may have been the last thing that the end waits for.
            self.bells.control.ring();
        } else if let Some(timeout) = timeout {
            self.bells.control.ring_by(timeout);
        }
        result
    }

    /// A visit by the control task, which needs no ring: also says when the sender wants it back.
    ///
    /// Wakers and callbacks run after the lock is let go.
    pub(crate) fn enter<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Sender, Instant) -> T,
    ) -> (T, Option<Instant>) {
        let mut sender = self.sender();
        // Read under the lock, so that no later visit has an earlier time.
        let now = Instant::now();
        let result = act(&mut sender, now);
        (result, self.follow_up(sender, now))
    }

    /// Does what the sender wants done, lets it go, and says when it wants to be visited again.
    fn follow_up(
        self: &Arc<Self>,
        mut sender: MutexGuard<'_, Sender>,
        now: Instant,
    ) -> Option<Instant> {
        while let Some(action) = sender.poll_action(now) {
            self.perform(action);
        }
        while let Some(connection) = sender.poll_wake(now) {
            self.ring(connection);
        }
        // A wake-up may have made the sender want a connection.
        while let Some(action) = sender.poll_action(now) {
            self.perform(action);
        }
        // Numbered under the lock: told after it is let go, they may overtake each other.
        let number = || self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let events: Vec<(u64, Event)> = std::iter::from_fn(|| sender.poll_event())
            .map(|event| (number(), event))
            .collect();
        let timeout = sender.poll_timeout();
        let mut bin = mem::take(&mut *self.spare());
        sender.swap_bin(&mut bin);
        // Queued under the lock, so that callbacks run in the order of verdicts.
        self.callbacks.push(bin.split_callbacks());
        drop(sender);
        bin.run();
        *self.spare() = bin;
        for (number, event) in events {
            self.tell(number, event);
        }
        if self.callbacks.run() && self.is_ending.load(Ordering::Relaxed) {
            self.bells.control.ring();
        }
        timeout
    }

    fn spare(&self) -> MutexGuard<'_, Bin> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the sender something that changes nothing.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Sender) -> T) -> T {
        question(&self.sender())
    }

    /// Takes no more records; sends those there are until `deadline`, and then fails the rest.
    ///
    /// Of several deadlines the earliest counts.
    pub(crate) fn end(self: &Arc<Self>, deadline: Option<Instant>) {
        {
            let mut give_up = self.give_up.lock().unwrap_or_else(PoisonError::into_inner);
            *give_up = [*give_up, deadline].into_iter().flatten().min();
        }
        if !self.is_ending.swap(true, Ordering::SeqCst) {
            self.accumulator.close(CloseReason::Closed, &mut Bin::new());
            self.visit(Sender::close);
        }
        self.bells.control.ring();
    }

    /// Whether the end was asked for, and until when what is left may be sent.
    pub(crate) fn ending(&self) -> Option<Option<Instant>> {
        let is_ending = self.is_ending.load(Ordering::SeqCst);
        is_ending.then(|| *self.give_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fails what is not delivered and closes everything. Later calls change nothing.
    pub(crate) fn abort(self: &Arc<Self>) {
        self.is_ending.store(true, Ordering::SeqCst);
        if self.accumulator.closed().is_none() || !self.ask(Sender::is_drained) {
            self.accumulator
                .close(CloseReason::Aborted, &mut Bin::new());
        }
        let lost = self.visit(|sender, now| {
            let before = sender.counters().records_failed;
            sender.abort(now);
            sender.counters().records_failed - before
        });
        self.status.send_if_modified(|status| {
            let first = !matches!(status, Status::Ended(_));
            if first {
                *status = Status::Ended(Report { lost });
            }
            first
        });
    }

    /// Whether a visit panicked. The sender may be in pieces, so that giving everything up is all that is left.
    pub(crate) fn is_broken(&self) -> bool {
        self.sender.is_poisoned()
    }

    fn sender(&self) -> MutexGuard<'_, Sender> {
        // After a panic under the lock the sender is only asked to give everything up.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs under the sender's lock, so that orders about one connection keep their order.
    fn perform(self: &Arc<Self>, action: Action) {
        match action {
            Action::Connect {
                connection,
                address,
                timeout,
            } => {
                let line = Arc::new(Line {
                    bell: self.bells.hang(),
                    hang_up: AtomicBool::new(false),
                });
                self.lines().insert(connection, Arc::clone(&line));
                self.runtime.spawn(connection::run(
                    Arc::clone(self),
                    line,
                    connection,
                    address,
                    timeout,
                ));
            }
            Action::Close { connection, reason } => {
                tracing::debug!(connection = connection.0, %reason, "closing");
                if let Some(line) = self.lines().remove(&connection) {
                    line.hang_up.store(true, Ordering::SeqCst);
                    line.bell.call();
                }
            }
            Action::Transmit { connection } => self.ring(connection),
            _ => {}
        }
    }

    fn ring(&self, connection: ConnectionId) {
        if let Some(line) = self.lines().get(&connection) {
            line.bell.ring();
        }
    }

    fn tell(&self, number: u64, event: Event) {
        match event {
            Event::Connected => self.show(number, Status::Connected),
            Event::Unreachable(servers) => {
                let servers: Arc<[_]> = servers.into();
                self.show(number, Status::Unreachable(Arc::clone(&servers)));
                for server in &*servers {
                    tracing::warn!("bootstrap server {server}");
                }
            }
            _ => {}
        }
    }

    /// Shows what an event means, unless a later one was shown already. The end is the last there is to show.
    fn show(&self, number: u64, status: Status) {
        self.status.send_if_modified(|shown| {
            let is_news =
                self.shown.load(Ordering::Relaxed) < number && !matches!(shown, Status::Ended(_));
            if is_news {
                self.shown.store(number, Ordering::Relaxed);
                *shown = status;
            }
            is_news
        });
    }

    /// The task of `connection` has ended.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.lines().remove(&connection);
    }

    fn lines(&self) -> MutexGuard<'_, Few<ConnectionId, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use milena_accumulator as accumulator;
    use milena_client::{Address, Config};

    use super::*;

    /// One with nobody to talk to.
    pub(crate) fn lonely() -> Arc<Core> {
        let now = Instant::now();
        let bells = Arc::new(Bells::new(now));
        let accumulator = Arc::new(Accumulator::new(accumulator::Config::default(), 1));
        accumulator.set_wake(Arc::clone(&bells) as _);
        let servers = Address::parse_list("127.0.0.1:9").expect("it is an address");
        let config = milena_sender::Config {
            client: Config::new(servers),
            ..Default::default()
        };
        let sender = Sender::new(config, Arc::clone(&accumulator), 1, now);
        let network = Network::default();
        let runtime = Handle::current();
        Arc::new(Core::new(sender, accumulator, bells, network, runtime))
    }

    #[tokio::test]
    async fn the_end_is_the_last_that_is_shown() {
        let core = lonely();
        let shown = || core.status.borrow().clone();
        core.tell(2, Event::Unreachable(Vec::new()));
        core.tell(1, Event::Connected);
        assert!(matches!(shown(), Status::Unreachable(_)), "it was later");
        core.abort();
        core.tell(3, Event::Connected);
        assert!(matches!(shown(), Status::Ended(_)));
    }
}
