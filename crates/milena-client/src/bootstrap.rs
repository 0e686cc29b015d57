//! The servers to begin with: which to try next, and how those tried fared.
use std::time::{Duration, Instant};

use crate::{Address, ConnectFailure, ConnectionId, Rng, Unreachable};

/// Rounds of attempts at the bootstrap servers.
///
/// In a round the servers are tried side by side, each a little later than the one before, or at
/// once when one fails. The first that says which versions it speaks ends it.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    servers: Vec<Server>,
    round: Round,
    rounds_failed: u32,
    /// The connection that ended the last round, until a broker adopts it or it is closed.
    pub(crate) winner: Option<ConnectionId>,
    /// The server that was reached last.
    pub(crate) reached: Option<Address>,
}

#[derive(Debug)]
struct Server {
    address: Address,
    connect_failures: u32,
    failure: Option<ConnectFailure>,
}

#[derive(Debug)]
enum Round {
    None,
    Trying {
        next: usize,
        next_at: Instant,
        running: usize,
    },
    Waiting {
        until: Instant,
    },
}

/// What a round needs now.
pub(crate) enum Step {
    /// Try this server.
    Try(usize),
    /// All have failed.
    Exhausted(Vec<Unreachable>),
    /// Nothing before this.
    Wait(Option<Instant>),
}

impl Bootstrap {
    pub(crate) fn new(addresses: &[Address], rng: &mut Rng) -> Self {
        let server = |address: &Address| Server {
            address: address.clone(),
            connect_failures: 0,
            failure: None,
        };
        let mut servers: Vec<_> = addresses.iter().map(server).collect();
        rng.shuffle(&mut servers);
        Self {
            servers,
            round: Round::None,
            rounds_failed: 0,
            winner: None,
            reached: None,
        }
    }

    pub(crate) fn address(&self, server: usize) -> Option<&Address> {
        self.servers.get(server).map(|server| &server.address)
    }

    pub(crate) fn connect_failures(&self, server: usize) -> u32 {
        self.servers
            .get(server)
            .map_or(0, |server| server.connect_failures)
    }

    /// Begins a round at the next step, unless one is running or the wait after the last is not
    /// over.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        stagger: Duration,
        wait: impl FnOnce(u32) -> Duration,
    ) -> Step {
        match self.round {
            Round::Waiting { until } if until > now => return Step::Wait(Some(until)),
            Round::Trying { .. } => {}
            Round::None | Round::Waiting { .. } => {
                self.servers
                    .iter_mut()
                    .for_each(|server| server.failure = None);
                self.round = Round::Trying {
                    next: 0,
                    next_at: now,
                    running: 0,
                };
            }
        }
        let Round::Trying {
            next,
            next_at,
            running,
        } = &mut self.round
        else {
            return Step::Wait(None);
        };
        if *next < self.servers.len() {
            if *running > 0 && *next_at > now {
                return Step::Wait(Some(*next_at));
            }
            *next += 1;
            *running += 1;
            *next_at = now + stagger;
            return Step::Try(*next - 1);
        }
        if *running > 0 {
            return Step::Wait(None);
        }
        // A round of no servers takes no time: without this, and without back-off, there would be no end of them.
        let least = Duration::from_millis(u64::from(self.servers.is_empty()));
        self.round = Round::Waiting {
            until: now + wait(self.rounds_failed).max(least),
        };
        self.rounds_failed = self.rounds_failed.saturating_add(1);
        Step::Exhausted(self.report())
    }

    fn report(&self) -> Vec<Unreachable> {
        let failed = |server: &Server| {
            Some(Unreachable {
                address: server.address.clone(),
                failure: server.failure.clone()?,
            })
        };
        self.servers.iter().filter_map(failed).collect()
    }

    pub(crate) fn connected(&mut self, server: usize) {
        if let Some(server) = self.servers.get_mut(server) {
            server.connect_failures = 0;
        }
    }

    /// An attempt of this round ended without success; `connected` if the server could be connected
    /// to.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        server: usize,
        failure: ConnectFailure,
        connected: bool,
    ) {
        if let Some(server) = self.servers.get_mut(server) {
            server.failure = Some(failure);
            server.connect_failures = if connected {
                0
            } else {
                server.connect_failures.saturating_add(1)
            };
        }
        if let Round::Trying {
            next_at, running, ..
        } = &mut self.round
        {
            *running = running.saturating_sub(1);
            *next_at = now;
        }
    }

    /// A server has answered.
    pub(crate) fn won(&mut self, winner: ConnectionId, address: Address) {
        self.round = Round::None;
        self.winner = Some(winner);
        self.reached = Some(address);
    }

    /// The winner was lost before it told anything about the cluster.
    pub(crate) fn lost(&mut self, now: Instant, wait: impl FnOnce(u32) -> Duration) {
        self.round = Round::Waiting {
            until: now + wait(self.rounds_failed),
        };
        self.rounds_failed = self.rounds_failed.saturating_add(1);
    }

    /// The cluster's brokers are known.
    pub(crate) fn succeeded(&mut self) {
        self.rounds_failed = 0;
        self.round = Round::None;
    }

    /// Forgets the running round, if any: the next step begins another.
    pub(crate) fn restart(&mut self, rng: &mut Rng) {
        rng.shuffle(&mut self.servers);
        self.round = Round::None;
        self.winner = None;
    }
}
