//! Starts the tasks, and is what their owner holds.

use std::fmt;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_accumulator::Accumulator;
use milena_client::Unreachable;
use milena_sender::{Config, Counters, Sender};
use tokio::runtime::Handle;

use crate::bells::Bells;
use crate::connector::{Connector, Resolver, SystemResolver, TcpConnector};
use crate::control;
use crate::core::Core;
use crate::status::{Report, Status};

/// How to reach brokers.
#[derive(Clone)]
pub struct Network {
    /// Looks names up.
    pub resolver: Arc<dyn Resolver>,
    /// Opens connections.
    pub connector: Arc<dyn Connector>,
    /// The longest answer that is read, in bytes; a longer one ends its connection. Default: 100 MB.
    pub frame_limit: usize,
}

impl Default for Network {
    /// The system's name service and plain TCP.
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver),
            connector: Arc::new(TcpConnector::default()),
            frame_limit: 100_000_000,
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("frame_limit", &self.frame_limit)
            .finish_non_exhaustive()
    }
}

/// There is no tokio runtime to run on, or one without timers: call from inside one that has all drivers enabled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoRuntime;

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "there is no tokio runtime here, or one without timers: \
            build the producer inside one, with its time and net drivers enabled",
        )
    }
}

impl std::error::Error for NoRuntime {}

/// Why no broker could be connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotConnected {
    /// No bootstrap server could be used: each with its reason.
    Unreachable(Arc<[Unreachable]>),
    /// It ended before.
    Ended,
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(servers) => {
                write!(f, "no bootstrap server can be used: {}", list(servers))
            }
            Self::Ended => f.write_str("the producer was closed before a broker answered"),
        }
    }
}

impl std::error::Error for NotConnected {}

fn list(servers: &[Unreachable]) -> String {
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    servers.join("; ")
}

/// The running tasks of one producer.
///
/// Clones are handles of the same tasks. Dropping them ends nothing: see [`end`](Self::end).
#[derive(Clone)]
pub struct Driver {
    core: Arc<Core>,
}

impl Driver {
    /// Starts the tasks on the current runtime, with one connection attempt to the bootstrap servers.
    ///
    /// `seed` decides what is left to chance: jitter, and who is asked first.
    ///
    /// # Errors
    /// [`NoRuntime`]; then nothing was started.
    pub fn start(
        config: Config,
        accumulator: Arc<Accumulator>,
        network: Network,
        seed: u64,
    ) -> Result<Self, NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        // A runtime does not say whether it has timers: making one panics if not.
        catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| NoRuntime)?;
        let now = Instant::now();
        let bells = Arc::new(Bells::new(now));
        accumulator.set_wake(Arc::clone(&bells) as _);
        let sender = Sender::new(config, Arc::clone(&accumulator), seed, now);
        let core = Arc::new(Core::new(
            sender,
            accumulator,
            bells,
            network,
            runtime.clone(),
        ));
        runtime.spawn(control::run(Arc::clone(&core)));
        Ok(Self { core })
    }

    /// Waits until a broker has answered, or until all bootstrap servers were tried in vain.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// Every server with its reason. The tasks keep trying nevertheless.
    pub async fn connected(&self) -> Result<(), NotConnected> {
        let mut status = self.core.status.subscribe();
        loop {
            match &*status.borrow_and_update() {
                Status::Starting => {}
                Status::Connected => return Ok(()),
                Status::Unreachable(servers) => {
                    return Err(NotConnected::Unreachable(Arc::clone(servers)));
                }
                Status::Ended(_) => return Err(NotConnected::Ended),
            }
            if status.changed().await.is_err() {
                return Err(NotConnected::Ended);
            }
        }
    }

    /// Takes no more records, and ends the tasks once those accepted have their outcome, after `limit` at the latest.
    ///
    /// Never waits; [`ended`](Self::ended) does. Without a limit each record has what is left of its
    /// `delivery.timeout.ms`.
    pub fn end(&self, limit: Option<Duration>) {
        // A limit beyond what the clock can count is none.
        self.core
            .end(limit.and_then(|limit| Instant::now().checked_add(limit)));
    }

    /// Waits until the tasks have ended and all sockets are closed. Cancel safe.
    pub async fn ended(&self) -> Report {
        let mut status = self.core.status.subscribe();
        let is_ended = |status: &Status| matches!(status, Status::Ended(_));
        let report = match status.wait_for(is_ended).await.as_deref() {
            Ok(Status::Ended(report)) => *report,
            _ => Report::default(),
        };
        self.core.sockets.closed().await;
        report
    }

    /// Why no bootstrap server can be used at present, if that is so.
    pub fn unreachable(&self) -> Option<Arc<[Unreachable]>> {
        match &*self.core.status.borrow() {
            Status::Unreachable(servers) => Some(Arc::clone(servers)),
            _ => None,
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.core.ask(|sender| sender.counters().clone())
    }

    /// Asks the sender something.
    pub fn ask<T>(&self, question: impl FnOnce(&Sender) -> T) -> T {
        self.core.ask(question)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
