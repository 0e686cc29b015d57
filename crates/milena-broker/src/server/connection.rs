//! One connection: frames in, answers out in order, each when it is due.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use milena_wire::frame_len;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::alarm::Alarm;
use super::{Order, Shared, Stop, wall_ms};
use crate::reply::{Answer, Reply, Wait};

/// How much is read at once.
const READ: usize = 256 * 1024;

/// How many bytes of requests may pile up behind one that waits.
const READ_AHEAD: usize = 1024 * 1024;

/// With so many bytes of answers that are not written yet no more requests are carried out, and none are read. Each may
/// be as large as what it asks for.
const ANSWERS: usize = 16 * 1024 * 1024;

/// The longest that an answer is held back: as good as for ever, and a time that can be reckoned with.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a client may take to read the last answers.
const FAREWELL: Duration = Duration::from_millis(500);

/// An answer that is not due yet.
struct Held {
    due: Instant,
    answer: Answer,
}

/// What is to be done when the requests that arrived were looked at.
enum Next {
    /// To read more of them.
    Read,
    /// To write what they are answered with before the rest is looked at.
    Write,
    /// To hold the next one until it can be answered.
    Wait(Wait),
}

/// Why a connection is left.
enum End {
    /// The client closed it, or it broke.
    Client,
    /// The broker closes it.
    Close(Stop),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Client
    }
}

/// A connection of a client to a broker.
pub(super) struct Connection {
    shared: Arc<Shared>,
    broker: i32,
    number: u64,
    stream: TcpStream,
    orders: watch::Receiver<Order>,
    appended: watch::Receiver<u64>,
    input: BytesMut,
    /// Answers that are due, together.
    output: BytesMut,
    held: VecDeque<Held>,
    /// The bytes of those.
    held_len: usize,
    alarm: Alarm,
    /// Whether the broker stays silent from now on.
    silent: bool,
    /// Whether the connection is closed once `output` is written.
    last: bool,
    /// Whether half of the request at the front of `input` was looked at.
    judged: bool,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        broker: i32,
        number: u64,
        stream: TcpStream,
        mut orders: watch::Receiver<Order>,
    ) -> Self {
        // A disconnection that was ordered before this connection came does not concern it.
        orders.mark_unchanged();
        let appended = shared.appended.subscribe();
        shared.lock().connected(wall_ms(), broker, number);
        Self {
            shared,
            broker,
            number,
            stream,
            orders,
            appended,
            input: BytesMut::with_capacity(READ),
            output: BytesMut::new(),
            held: VecDeque::new(),
            held_len: 0,
            alarm: Alarm::new(),
            silent: false,
            last: false,
            judged: false,
        }
    }

    /// Serves the connection until one side closes it.
    pub(super) async fn run(mut self) {
        let end = match self.serve().await {
            Ok(()) => End::Client,
            Err(end) => end,
        };
        match end {
            End::Close(Stop::Graceful) => {
                self.release(true);
                // A client that is gone, or does not read, is not waited for.
                let farewell = async {
                    self.stream.write_all_buf(&mut self.output).await?;
                    self.stream.shutdown().await
                };
                let _ = tokio::time::timeout(FAREWELL, farewell).await;
            }
            End::Close(Stop::Abrupt) => {
                // Without lingering a close becomes a reset.
                let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            }
            End::Client => {}
        }
        drop(self.stream);
        self.shared.lock().disconnected(wall_ms(), self.number);
    }

    async fn serve(&mut self) -> Result<(), End> {
        if let Order::Stop(how) = *self.orders.borrow() {
            return Err(End::Close(how));
        }
        loop {
            let waiting = self.take_frames()?;
            self.release(false);
            self.write().await?;
            match waiting {
                Next::Wait(wait) => self.wait(wait).await?,
                Next::Write if self.has_room() => {}
                Next::Read | Next::Write => self.read().await?,
            }
        }
    }

    /// Whether more answers may be made.
    fn has_room(&self) -> bool {
        self.output.len() + self.held_len < ANSWERS
    }

    /// Handles all whole requests that have arrived, up to one that has to wait, or until there is much to write.
    fn take_frames(&mut self) -> Result<Next, End> {
        let shared = Arc::clone(&self.shared);
        let mut cluster = None;
        while !self.silent && !self.last {
            if !self.has_room() {
                return Ok(Next::Write);
            }
            let frame = frame_len(&self.input, shared.options.max_request);
            // A length that cannot be: not a client of Kafka, or a hostile one.
            let Some(len) = frame.map_err(|_| End::Close(Stop::Graceful))? else {
                break;
            };
            let have = self.input.len() - 4;
            if have < len {
                let cluster = cluster.get_or_insert_with(|| shared.lock());
                let half = !self.judged && have >= len.div_ceil(2) && have >= 4;
                if half && cluster.wants_arriving() {
                    self.judged = true;
                    if cluster.arriving(self.broker, self.number, &self.input[4..]) {
                        return Err(End::Close(Stop::Graceful));
                    }
                }
                break;
            }
            let cluster = cluster.get_or_insert_with(|| shared.lock());
            self.judged = false;
            cluster.set_unanswered(self.number, self.held.len());
            let before = cluster.appends();
            let reply =
                cluster.handle(wall_ms(), self.broker, self.number, &self.input[4..4 + len]);
            if cluster.appends() != before {
                self.announce();
            }
            if let Reply::Wait(wait) = reply {
                return Ok(Next::Wait(wait));
            }
            self.input.advance(4 + len);
            self.accept(reply)?;
        }
        if self.silent {
            self.input.clear();
        }
        Ok(Next::Read)
    }

    /// Wakes those who wait for something to fetch.
    fn announce(&self) {
        if self.shared.waiting.load(Ordering::SeqCst) > 0 {
            self.shared.appended.send_modify(|count| *count += 1);
        }
    }

    fn accept(&mut self, reply: Reply) -> Result<(), End> {
        match reply {
            Reply::Answer(answer) => {
                let own = Duration::from_millis(answer.after_ms);
                let delay = self.shared.options.delay.saturating_add(own);
                if delay.is_zero() && self.held.is_empty() {
                    self.last = answer.then_close;
                    self.output.extend_from_slice(&answer.bytes);
                } else {
                    let due = Instant::now() + delay.min(LONGEST_DELAY);
                    self.held_len += answer.bytes.len();
                    self.held.push_back(Held { due, answer });
                }
            }
            Reply::Nothing | Reply::Wait(_) => {}
            Reply::Silence => self.silent = true,
            Reply::Close => return Err(End::Close(Stop::Graceful)),
        }
        Ok(())
    }

    /// Moves the answers that are due to the output.
    fn release(&mut self, all: bool) {
        let now = Instant::now();
        while !self.last && self.held.front().is_some_and(|held| all || held.due <= now) {
            let Some(held) = self.held.pop_front() else {
                break;
            };
            self.last = held.answer.then_close;
            self.held_len -= held.answer.bytes.len();
            self.output.extend_from_slice(&held.answer.bytes);
        }
    }

    async fn write(&mut self) -> Result<(), End> {
        while !self.output.is_empty() {
            tokio::select! {
                // What is written leaves the output, also if an order comes in between.
                written = self.stream.write_all_buf(&mut self.output) => written?,
                changed = self.orders.changed() => match changed {
                    Ok(()) => self.ordered()?,
                    Err(_) => return Err(End::Close(Stop::Abrupt)),
                },
            }
        }
        if self.last {
            Err(End::Close(Stop::Graceful))
        } else {
            Ok(())
        }
    }

    fn ordered(&mut self) -> Result<(), End> {
        match *self.orders.borrow_and_update() {
            Order::Run => Ok(()),
            Order::Disconnect(how) | Order::Stop(how) => Err(End::Close(how)),
        }
    }

    /// Waits for more bytes, or for the next answer to be due.
    async fn read(&mut self) -> Result<(), End> {
        // Grows with what has arrived, never with what a length promises.
        if self.input.capacity() - self.input.len() < READ / 4 {
            self.input.reserve(READ);
        }
        let due = self.held.front().map(|held| held.due);
        let has_room = self.has_room();
        tokio::select! {
            read = self.stream.read_buf(&mut self.input), if has_room => match read? {
                0 => Err(End::Client),
                _ => Ok(()),
            },
            () = self.alarm.at(due) => Ok(()),
            changed = self.orders.changed() => match changed {
                Ok(()) => self.ordered(),
                Err(_) => Err(End::Close(Stop::Abrupt)),
            },
        }
    }

    /// Holds the request at the front of the input until it can be answered.
    async fn wait(&mut self, mut wait: Wait) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        shared.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = OnDrop(|| {
            shared.waiting.fetch_sub(1, Ordering::SeqCst);
        });
        let frame = frame_len(&self.input, usize::MAX)
            .ok()
            .flatten()
            .unwrap_or(0);
        loop {
            self.appended.mark_unchanged();
            let now = wall_ms();
            if wait.on_append || now >= wait.until_ms {
                let mut cluster = shared.lock();
                let before = cluster.appends();
                let reply = cluster.resume(now, self.broker, &self.input[4..4 + frame], wait);
                if cluster.appends() != before {
                    self.announce();
                }
                drop(cluster);
                match reply {
                    Reply::Wait(again) => wait = again,
                    reply => {
                        self.input.advance(4 + frame);
                        return self.accept(reply);
                    }
                }
            }
            self.release(false);
            self.write().await?;
            let left = u64::try_from(wait.until_ms.saturating_sub(now)).unwrap_or(0);
            let deadline = Instant::now() + Duration::from_millis(left);
            let due = self
                .held
                .front()
                .map_or(deadline, |held| held.due.min(deadline));
            let room = self.input.len() < frame + READ_AHEAD;
            tokio::select! {
                read = self.stream.read_buf(&mut self.input), if room => if read? == 0 {
                    return Err(End::Client);
                },
                () = sleep_until(due) => {}
                _ = self.appended.changed(), if wait.on_append => {}
                changed = self.orders.changed() => match changed {
                    Ok(()) => self.ordered()?,
                    Err(_) => return Err(End::Close(Stop::Abrupt)),
                },
            }
        }
    }
}

/// Runs something when it goes out of scope.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
