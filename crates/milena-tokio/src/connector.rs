//! Where names and sockets come from: two traits, and what is used unless told otherwise.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

/// A future kept in a box, as traits that are used through `dyn` need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection's bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Looks up the addresses of a name.
///
/// Put your own in place to go through another name service, or to send a test elsewhere.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`, best first.
    ///
    /// # Errors
    /// Whatever kept the name from being resolved; its text reaches the user.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// Opens a connection to one address.
///
/// Put your own in place to go through a proxy or an in-memory pipe.
pub trait Connector: Send + Sync + 'static {
    /// Connects; dropping the future gives up.
    ///
    /// # Errors
    /// Whatever kept the connection from opening; its text reaches the user.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// The operating system's name service.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Plain TCP with keepalive and without Nagle's delay.
#[derive(Clone, Copy, Debug)]
pub struct TcpConnector {
    /// The size of the send buffer in bytes (`send.buffer.bytes`); `None`: the system's.
    pub send_buffer: Option<usize>,
    /// The size of the receive buffer in bytes (`receive.buffer.bytes`); `None`: the system's.
    pub receive_buffer: Option<usize>,
    /// How many bytes the system takes that it cannot send yet; `None`: what the send buffer holds.
    ///
    /// Without a limit a broker that is slower than the producer has megabytes of requests queued before it, all of them
    /// out of the processor's cache when their turn comes. What is sent and not acknowledged does not count, so that a
    /// long way is not bounded by it. `TCP_NOTSENT_LOWAT` of Linux and Android; it does nothing elsewhere.
    pub unsent_limit: Option<u32>,
}

impl Default for TcpConnector {
    /// The system's size out, Kafka's 32 KiB in, and 128 KiB that cannot be sent yet.
    fn default() -> Self {
        Self {
            send_buffer: None,
            receive_buffer: Some(32_768),
            unsent_limit: Some(131_072),
        }
    }
}

impl TcpConnector {
    async fn open(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        let options = SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        options.set_tcp_keepalive(&TcpKeepalive::new())?;
        // Sizes are wishes; they come before connecting, as the window is agreed upon then.
        if let Some(bytes) = self.send_buffer {
            options.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            options.set_recv_buffer_size(bytes)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(bytes) = self.unsent_limit {
            // Whoever does not know it only queues more.
            let _ = options.set_tcp_notsent_lowat(bytes);
        }
        socket.connect(address).await
    }
}

const NO_SOCKETS: &str = "the tokio runtime has no sockets: build it with its net driver enabled";

impl Connector for TcpConnector {
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let mut open = pin!(self.open(address));
            // A runtime does not say whether it has sockets: opening one panics if not.
            let opened = poll_fn(|cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| open.as_mut().poll(cx)));
                polled.unwrap_or_else(|_| Poll::Ready(Err(io::Error::other(NO_SOCKETS))))
            });
            let stream: Box<dyn Stream> = Box::new(opened.await?);
            Ok(stream)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_system_takes_little_that_it_cannot_send() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = async |unsent_limit| {
            let connector = TcpConnector {
                unsent_limit,
                ..TcpConnector::default()
            };
            let stream = connector.open(address).await.unwrap();
            // Nobody reads: first the window fills, then what may wait before it.
            let (peer, _) = listener.accept().await.unwrap();
            SockRef::from(&peer).set_recv_buffer_size(4096).unwrap();
            let mut taken = 0;
            stream.writable().await.unwrap();
            while let Ok(bytes) = stream.try_write(&[7; 16_384]) {
                taken += bytes;
            }
            taken
        };
        let (all, few) = (taken(None).await, taken(Some(65_536)).await);
        assert!(2 * few < all, "{few} and {all} bytes");
    }

    #[tokio::test]
    async fn connections_have_the_options_that_kafka_sets() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let small = TcpConnector {
            send_buffer: Some(20_000),
            receive_buffer: Some(10_000),
            unsent_limit: None,
        };
        let sizes_of = |stream: &TcpStream| {
            let options = SockRef::from(stream);
            (
                options.send_buffer_size().unwrap(),
                options.recv_buffer_size().unwrap(),
            )
        };
        let sizes = |stream: &TcpStream| {
            let options = SockRef::from(stream);
            assert!(options.tcp_nodelay().unwrap());
            assert!(options.keepalive().unwrap());
            sizes_of(stream)
        };
        let small = sizes(&small.open(address).await.unwrap());
        let usual = sizes(&TcpConnector::default().open(address).await.unwrap());
        let plain = sizes_of(&TcpStream::connect(address).await.unwrap());
        // Systems round, and some double.
        assert!((20_000..=40_000).contains(&small.0), "{small:?}");
        assert!((10_000..=20_000).contains(&small.1), "{small:?}");
        assert!(
            usual.0 == plain.0 && usual.1 >= 32_768,
            "{usual:?}, {plain:?}"
        );
    }
}
