//! A cluster behind real sockets: a listener for each broker, stopped and started at will.

mod alarm;
mod connection;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::change::Change;
use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use connection::Connection;

/// How a cluster is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The address all brokers listen at. By default 127.0.0.1.
    pub address: IpAddr,
    /// The port of the first broker, the others follow; or `None` for free ports, the default.
    pub port: Option<u16>,
    /// The host that brokers are advertised at, if another than `address`.
    pub advertised_host: Option<String>,
    /// How long every answer is held back, a year at the most. Requests behind it are carried out meanwhile, unless
    /// answers of 16 MiB are held back: this is latency, not a slow broker. On Linux it is kept to some microseconds,
    /// elsewhere to a millisecond or two. By default zero.
    pub delay: Duration,
    /// The largest request in bytes; a larger one closes the connection. By default 100 MiB, as in Kafka.
    pub max_request: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            advertised_host: None,
            delay: Duration::ZERO,
            max_request: milena_wire::DEFAULT_FRAME_LIMIT,
        }
    }
}

/// How connections end when a broker stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Answers that are ready are written, then the connection is closed in order.
    Graceful,
    /// Connections are reset at once, as if the machine were gone.
    Abrupt,
}

/// What all connections of a server share.
#[derive(Debug)]
struct Shared {
    cluster: Mutex<Cluster>,
    options: ServeOptions,
    /// Counts up whenever something was appended while somebody waits for it.
    appended: watch::Sender<u64>,
    waiting: AtomicUsize,
    connections: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Cluster> {
        // A panic of a test that held the lock must not hang its clients.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What the tasks of a broker go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    Disconnect(Stop),
    Stop(Stop),
}

/// A broker's listener, and how to end it.
#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    /// `None` while the broker is stopped.
    orders: Option<watch::Sender<Order>>,
}

/// A cluster that is being served. Dropping it stops all brokers abruptly.
pub struct Server {
    shared: Arc<Shared>,
    brokers: Mutex<BTreeMap<i32, Listening>>,
    runtime: tokio::runtime::Handle,
    /// Set where the server runs on a thread of its own.
    thread: Option<(
        std::thread::JoinHandle<()>,
        tokio::sync::oneshot::Sender<()>,
    )>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("bootstrap", &self.bootstrap())
            .finish_non_exhaustive()
    }
}

/// Serves a cluster on the runtime that this is called on: every broker gets a listener, and is advertised there.
///
/// # Errors
/// A port cannot be had.
pub async fn serve(cluster: Cluster, options: ServeOptions) -> io::Result<Server> {
    Server::start(cluster, options, tokio::runtime::Handle::current())
}

/// Serves a cluster on a thread of its own, with a runtime of its own: for programs without a runtime, and for tests
/// whose own runtime is paused, blocked or shut down.
///
/// # Errors
/// A port cannot be had, or no thread.
pub fn serve_in_thread(cluster: Cluster, options: ServeOptions) -> io::Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let handle = runtime.handle().clone();
    let mut server = Server::start(cluster, options, handle)?;
    let thread = std::thread::Builder::new()
        .name("milena-broker".to_owned())
        .spawn(move || {
            // Ends when the server is dropped: then either a message or the loss of the sender is seen.
            let _ = runtime.block_on(stopped);
        })?;
    server.thread = Some((thread, stop));
    Ok(server)
}

impl Server {
    fn start(
        cluster: Cluster,
        options: ServeOptions,
        runtime: tokio::runtime::Handle,
    ) -> io::Result<Self> {
        let ids: Vec<i32> = cluster.brokers().map(|broker| broker.id).collect();
        let shared = Arc::new(Shared {
            cluster: Mutex::new(cluster),
            options,
            appended: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
        });
        let server = Self {
            shared,
            brokers: Mutex::default(),
            runtime,
            thread: None,
        };
        for (id, nth) in ids.into_iter().zip(0u16..) {
            let port = server
                .shared
                .options
                .port
                .map_or(0, |port| port.saturating_add(nth));
            let address = SocketAddr::new(server.shared.options.address, port);
            let address = server.listen(id, address)?;
            let advertised = &server.shared.options.advertised_host;
            let host = advertised
                .clone()
                .unwrap_or_else(|| address.ip().to_string());
            let change = Change::SetAddress {
                broker: id,
                host,
                port: address.port(),
            };
            server
                .shared
                .lock()
                .apply(wall_ms(), change)
                .map_err(|code| {
                    io::Error::other(format!("broker {id} cannot be advertised: {code:?}"))
                })?;
        }
        Ok(server)
    }

    /// The brokers' addresses as a client's list of bootstrap servers, those that run first.
    pub fn bootstrap(&self) -> String {
        let brokers = self.listening();
        let running = brokers.values().filter(|broker| broker.orders.is_some());
        let stopped = brokers.values().filter(|broker| broker.orders.is_none());
        let all: Vec<String> = running
            .chain(stopped)
            .map(|broker| broker.address.to_string())
            .collect();
        all.join(",")
    }

    /// The address that a broker listens at, or listened at before it was stopped.
    pub fn address(&self, broker: i32) -> Option<SocketAddr> {
        self.listening().get(&broker).map(|broker| broker.address)
    }

    /// The cluster, locked: no broker answers while the guard lives.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.shared.lock()
    }

    /// Lets something happen to the cluster, at this moment.
    ///
    /// [`Change::BrokerDown`] closes no sockets: see [`stop_broker`](Self::stop_broker).
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub fn apply(&self, change: Change) -> Result<(), milena_wire::ErrorCode> {
        self.shared.lock().apply(wall_ms(), change)
    }

    /// The number of connections of one broker that are open.
    pub fn connections(&self, broker: i32) -> usize {
        self.shared.lock().journal().connections_of(broker).open
    }

    /// Stops a broker: others lead what it led, its listener is closed, and so are its connections.
    ///
    /// Returns when they are. Nothing happens to a broker that is stopped already.
    pub async fn stop_broker(&self, broker: i32, how: Stop) {
        // An unknown broker has no listener either.
        let _ = self.apply(Change::BrokerDown(broker));
        self.close_listener(broker, how).await;
    }

    /// Closes a broker's listener and connections and lets the cluster believe that it still runs and leads.
    pub async fn isolate_broker(&self, broker: i32, how: Stop) {
        self.close_listener(broker, how).await;
    }

    /// Starts a broker again, at the port it had. Nothing happens to one that runs.
    ///
    /// # Errors
    /// Somebody else has the port now, or there is no such broker.
    pub fn start_broker(&self, broker: i32) -> io::Result<()> {
        let address = match self.listening().get(&broker) {
            Some(Listening {
                address,
                orders: None,
            }) => Some(*address),
            Some(_) => None,
            None => return Err(io::Error::other(format!("there is no broker {broker}"))),
        };
        if let Some(address) = address {
            self.listen(broker, address)?;
        }
        // It is known: it has an address.
        let _ = self.apply(Change::BrokerUp(broker));
        Ok(())
    }

    /// Closes the connections of a broker; it goes on listening.
    pub fn disconnect(&self, broker: i32, how: Stop) {
        if let Some(orders) = self
            .listening()
            .get(&broker)
            .and_then(|one| one.orders.as_ref())
        {
            orders.send_replace(Order::Disconnect(how));
        }
    }

    /// Stops all brokers and gives the cluster back, to look into its logs and its journal.
    pub async fn stop(self, how: Stop) -> Cluster {
        let ids: Vec<i32> = self.listening().keys().copied().collect();
        for id in ids {
            self.close_listener(id, how).await;
        }
        std::mem::replace(
            &mut *self.shared.lock(),
            Cluster::new(ClusterConfig::default()),
        )
    }

    fn listening(&self) -> MutexGuard<'_, BTreeMap<i32, Listening>> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close_listener(&self, broker: i32, how: Stop) {
        let orders = self
            .listening()
            .get_mut(&broker)
            .and_then(|one| one.orders.take());
        if let Some(orders) = orders {
            orders.send_replace(Order::Stop(how));
            // Each task of the broker holds a receiver.
            orders.closed().await;
        }
    }

    fn listen(&self, broker: i32, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let entered = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        let (orders, order) = watch::channel(Order::Run);
        self.runtime
            .spawn(accept(Arc::clone(&self.shared), broker, listener, order));
        self.listening().insert(
            broker,
            Listening {
                address,
                orders: Some(orders),
            },
        );
        Ok(address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for broker in self.listening().values_mut() {
            if let Some(orders) = broker.orders.take() {
                orders.send_replace(Order::Stop(Stop::Abrupt));
            }
        }
        if let Some((thread, stop)) = self.thread.take() {
            drop(stop);
            // A thread that panicked has been reported already.
            let _ = thread.join();
        }
    }
}

async fn accept(
    shared: Arc<Shared>,
    broker: i32,
    listener: TcpListener,
    mut order: watch::Receiver<Order>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = order.changed() => {
                match *order.borrow_and_update() {
                    Order::Stop(_) => return,
                    _ if changed.is_err() => return,
                    _ => continue,
                }
            }
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, mostly: leave others time to close some.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Fails only on a connection that is gone already, which is noticed at once.
        let _ = stream.set_nodelay(true);
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let connection =
            Connection::new(Arc::clone(&shared), broker, number, stream, order.clone());
        tokio::spawn(connection.run());
    }
}
