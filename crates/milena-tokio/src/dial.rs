//! From a name to an open stream: all addresses of the name, a little apart, the first wins.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use milena_client::{Address, ConnectFailure};
use tokio::time::{Instant, sleep, timeout_at};

use crate::connector::{BoxFuture, Connector, Resolver, Stream};

/// How long one address has before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Why no connection came about. The text names the address and the reason.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The name could not be looked up.
    Resolve { host: String, source: io::Error },
    /// The name has no address.
    NoAddress { host: String },
    /// No address could be connected to: the last reason of each.
    Refused {
        host: String,
        port: u16,
        reasons: Vec<(SocketAddr, io::Error)>,
    },
    /// Time ran out.
    TimedOut {
        host: String,
        port: u16,
        after: Duration,
        stage: &'static str,
    },
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, source } => {
                write!(f, "the name {host} cannot be resolved: {}", text(source))
            }
            Self::NoAddress { host } => write!(f, "the name {host} has no address"),
            Self::Refused {
                host,
                port,
                reasons,
            } => {
                write!(f, "cannot connect to {host}:{port}: ")?;
                for (i, (address, reason)) in reasons.iter().enumerate() {
                    let gap = if i == 0 { "" } else { ", " };
                    write!(f, "{gap}{address}: {}", text(reason))?;
                }
                Ok(())
            }
            Self::TimedOut {
                host,
                port,
                after,
                stage,
            } => {
                write!(
                    f,
                    "{stage} {host}:{port} took longer than {} ms",
                    after.as_millis()
                )
            }
        }
    }
}

impl From<DialError> for ConnectFailure {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve { source, .. } => Self::Dns(text(&source)),
            DialError::NoAddress { .. } => Self::Dns("the name has no address".to_owned()),
            DialError::TimedOut { after, stage, .. } => {
                Self::TimedOut(format!("{} ms, {stage}", after.as_millis()))
            }
            DialError::Refused { reasons, .. } => {
                let all = |kinds: &[io::ErrorKind]| {
                    reasons
                        .iter()
                        .all(|(_, error)| kinds.contains(&error.kind()))
                };
                let list: Vec<_> = reasons
                    .iter()
                    .map(|(to, error)| format!("{to}: {}", text(error)))
                    .collect();
                let list = list.join(", ");
                if all(&[io::ErrorKind::ConnectionRefused]) {
                    let tried: Vec<_> = reasons.iter().map(|(to, _)| to.to_string()).collect();
                    Self::Refused(tried.join(", "))
                } else if all(&[
                    io::ErrorKind::HostUnreachable,
                    io::ErrorKind::NetworkUnreachable,
                ]) {
                    Self::Unreachable(list)
                } else {
                    Self::Io(list)
                }
            }
        }
    }
}

/// The reason without the operating system's number for it.
fn text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

/// Where names led that took a connection and have not answered as a broker does: not where to begin the next time.
#[derive(Default)]
pub(crate) struct Unproven(Mutex<Vec<(Address, SocketAddr)>>);

impl Unproven {
    /// Where a name led.
    pub(crate) fn of(&self, name: &Address) -> Option<SocketAddr> {
        let all = self.all();
        let of = all.iter().find(|(other, _)| other == name);
        of.map(|(_, to)| *to)
    }

    /// Notes where a name led just now.
    pub(crate) fn put(&self, name: &Address, to: SocketAddr) {
        let mut all = self.all();
        all.retain(|(other, _)| other != name);
        all.push((name.clone(), to));
    }

    /// A broker answered there.
    pub(crate) fn remove(&self, name: &Address) {
        self.all().retain(|(other, _)| other != name);
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Address, SocketAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to a name within `limit`, whichever of the name's addresses answers first.
///
/// Those after `unproven` come first: it took a connection the last time, and no broker was there.
///
/// Cancel safe: dropping it closes whatever was being opened.
pub(crate) async fn dial(
    resolver: &dyn Resolver,
    connector: &dyn Connector,
    address: &Address,
    unproven: Option<SocketAddr>,
    limit: Duration,
) -> Result<(SocketAddr, Box<dyn Stream>), DialError> {
    let deadline = Instant::now() + limit;
    let (host, port) = (&*address.host, address.port);
    let timed_out = |stage| DialError::TimedOut {
        host: host.to_owned(),
        port,
        after: limit,
        stage,
    };
    let mut addresses = timeout_at(deadline, resolver.resolve(host, port))
        .await
        .map_err(|_| timed_out("resolving the name of"))?
        .map_err(|source| DialError::Resolve {
            host: host.to_owned(),
            source,
        })?;
    if addresses.is_empty() {
        return Err(DialError::NoAddress {
            host: host.to_owned(),
        });
    }
    if let Some(place) = addresses.iter().position(|one| Some(*one) == unproven) {
        addresses.rotate_left(place + 1);
    }
    timeout_at(deadline, race(connector, addresses))
        .await
        .map_err(|_| timed_out("connecting to"))?
        .map_err(|reasons| DialError::Refused {
            host: host.to_owned(),
            port,
            reasons,
        })
}

type Attempt<'a> = (SocketAddr, BoxFuture<'a, io::Result<Box<dyn Stream>>>);

/// Tries `addresses` in order; the next starts when the one before failed or is slow.
async fn race(
    connector: &dyn Connector,
    addresses: Vec<SocketAddr>,
) -> Result<(SocketAddr, Box<dyn Stream>), Vec<(SocketAddr, io::Error)>> {
    let mut rest = addresses.into_iter();
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    let mut failed = Vec::new();
    loop {
        match rest.next() {
            Some(address) => attempts.push((address, connector.connect(address))),
            None if attempts.is_empty() => return Err(failed),
            None => {}
        }
        let failures = failed.len();
        let mut patience = pin!((rest.len() > 0).then(|| sleep(STAGGER)));
        let finished = poll_fn(|cx| {
            let attempts = poll_attempts(cx, &mut attempts, &mut failed, failures);
            match patience.as_mut().as_pin_mut() {
                Some(patience) if attempts.is_pending() => patience.poll(cx).map(|()| None),
                _ => attempts,
            }
        });
        if let Some(winner) = finished.await {
            return Ok(winner);
        }
    }
}

/// Ready with the first stream that opened, or with `None` once another attempt has failed.
fn poll_attempts(
    cx: &mut Context<'_>,
    attempts: &mut Vec<Attempt<'_>>,
    failed: &mut Vec<(SocketAddr, io::Error)>,
    failures_before: usize,
) -> Poll<Option<(SocketAddr, Box<dyn Stream>)>> {
    let mut i = 0;
    while i < attempts.len() {
        match attempts[i].1.as_mut().poll(cx) {
            Poll::Pending => i += 1,
            Poll::Ready(Ok(stream)) => return Poll::Ready(Some((attempts[i].0, stream))),
            Poll::Ready(Err(error)) => {
                let (address, _) = attempts.remove(i);
                failed.push((address, error));
            }
        }
    }
    if failed.len() > failures_before {
        Poll::Ready(None)
    } else {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{SystemResolver, TcpConnector};
    use tokio::net::TcpListener;

    struct Fixed(Vec<SocketAddr>);

    impl Resolver for Fixed {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    /// Answers for one address, is silent for all others.
    struct Silent(SocketAddr);

    impl Connector for Silent {
        fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
            let open = address == self.0;
            Box::pin(async move {
                if !open {
                    std::future::pending::<()>().await;
                }
                let stream: Box<dyn Stream> = Box::new(tokio::io::duplex(1).0);
                Ok(stream)
            })
        }
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    async fn closed_port() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_live_one() {
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let names = Fixed(vec![closed_port().await, live.local_addr().unwrap()]);
        let (to, _) = dial(
            &names,
            &TcpConnector::default(),
            &Address::new("b", 1),
            None,
            Duration::from_secs(5),
        )
        .await
        .unwrap();
        assert_eq!(to, live.local_addr().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_costs_a_quarter_of_a_second() {
        let start = Instant::now();
        let names = Fixed((1..=3).map(address).collect());
        let (to, _) = dial(
            &names,
            &Silent(address(3)),
            &Address::new("b", 1),
            None,
            Duration::from_secs(5),
        )
        .await
        .unwrap();
        assert_eq!(to, address(3));
        assert_eq!(start.elapsed().as_millis() / 10, 50);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_everywhere_ends_by_the_limit() {
        let names = Fixed(vec![address(1)]);
        let error = dial(
            &names,
            &Silent(address(9)),
            &Address::new("b", 7),
            None,
            Duration::from_secs(10),
        )
        .await
        .err()
        .unwrap();
        assert_eq!(
            error.to_string(),
            "connecting to b:7 took longer than 10000 ms"
        );
    }

    #[tokio::test]
    async fn every_address_is_named_with_its_reason() {
        let (a, b) = (closed_port().await, closed_port().await);
        let names = Fixed(vec![a, b]);
        let limit = Duration::from_secs(5);
        let error = dial(
            &names,
            &TcpConnector::default(),
            &Address::new("b", 7),
            None,
            limit,
        )
        .await
        .err()
        .unwrap()
        .to_string();
        assert!(error.starts_with("cannot connect to b:7: "), "{error}");
        assert!(
            error.contains(&a.to_string())
                && error.contains(&b.to_string())
                && error.contains("refused"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_name_nobody_knows_is_named() {
        let tcp = TcpConnector::default();
        let (name, limit) = (
            Address::new("no such host.invalid", 1),
            Duration::from_secs(5),
        );
        let error = dial(&SystemResolver, &tcp, &name, None, limit);
        let error = error.await.err().unwrap().to_string();
        assert!(
            error.starts_with("the name no such host.invalid cannot be resolved"),
            "{error}"
        );
    }
}
