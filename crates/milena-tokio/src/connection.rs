//! The life of one connection: open it, carry frames both ways, report how it ended.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use milena_client::{Address, CloseReason, ConnectionId};
use milena_record::Compressor;
use milena_sender::{Cursor, FrameBuffer, SealJob, Sealed, Sender, Transmit, WriteJob};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::connector::Stream;
use crate::control::poll_until;
use crate::core::{Core, Line};
use crate::dial::dial;
use crate::read::FrameReader;
use crate::write::poll_write;

/// Below so many bytes a batch is compressed on the connection's own task: handing it to another
/// thread would cost about as much.
const SEAL_INLINE: usize = 16 * 1024;

/// Connects, and carries frames until either side has had enough.
pub(crate) async fn run(
    core: Arc<Core>,
    line: Arc<Line>,
    id: ConnectionId,
    address: Address,
    timeout: Duration,
) {
    // Whatever ends this task, also a runtime that is shut down, the sender hears of it.
    let mut obituary = Obituary {
        core: Arc::clone(&core),
        line: Arc::clone(&line),
        id,
        node: None,
        reason: None,
    };
    let socket = core.sockets.subscribe();
    let network = &core.network;
    let dialled = {
        let dialling = dial(
            &*network.resolver,
            &*network.connector,
            &address,
            core.unproven.of(&address),
            timeout,
        );
        UnlessHungUp {
            line: &line,
            inner: std::pin::pin!(dialling),
        }
        .await
    };
    let stream = match dialled {
        None => return obituary.reason = Some(Obit::HungUp),
        Some(Err(failure)) => {
            tracing::debug!(connection = id.0, %address, error = %failure, "not connected");
            return obituary.reason = Some(Obit::Failed(failure.into()));
        }
        Some(Ok((to, stream))) => {
            tracing::debug!(connection = id.0, %address, %to, "connected");
            core.unproven.put(&address, to);
            stream
        }
    };
    core.visit(|sender, now| sender.handle_connected(now, id));
    let mut carrier = Carrier {
        stream,
        id,
        reader: FrameReader::new(network.frame_limit),
        frame: FrameBuffer::new(),
        compressor: Some(Compressor::default()),
        work: Work::Nothing,
        deadline: None,
        sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        failed_write: None,
        address: &address,
        has_answered: false,
        core: &core,
        line: &line,
        obituary: &mut obituary,
    };
    let end = (&mut carrier).await;
    let work = mem::replace(&mut carrier.work, Work::Nothing);
    drop(carrier);
    drop(socket);
    obituary.reason = Some(end);
    drop(obituary);
    settle(&core, work).await;
}

/// Batches that are being compressed outlive the connection whose turn it was: they are still to be sent, by another one.
async fn settle(core: &Arc<Core>, work: Work) {
    let sealed = match work {
        Work::Nothing | Work::Writing(..) => return,
        Work::Sealing(thread) => thread.await.map(|(sealed, _)| sealed),
        Work::Sealed(sealed) => Ok(sealed),
    };
    match sealed {
        Ok(sealed) => core.visit(|sender, now| sender.handle_sealed(now, sealed)),
        Err(error) => give_up(core, &error),
    }
}

/// Batches are gone, and with them what their partitions wait for.
fn give_up(core: &Arc<Core>, error: &dyn Display) {
    tracing::error!(%error, "compressing was ended: the producer gives up");
    core.abort();
}

/// How a connection ended.
enum Obit {
    /// It never came about.
    Failed(milena_client::ConnectFailure),
    /// It was open and is not any more.
    Closed(CloseReason),
    /// The sender ordered it.
    HungUp,
}

/// Tells the sender that the connection is gone, once it is.
struct Obituary {
    core: Arc<Core>,
    line: Arc<Line>,
    id: ConnectionId,
    /// Whose bell the line's is.
    node: Option<i32>,
    reason: Option<Obit>,
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if let Some(node) = self.node {
            self.core.bells.remove(node, &self.line.bell);
        }
        self.core.forget(self.id);
        let id = self.id;
        match self.reason.take() {
            // The sender knows; but who appended meanwhile has rung this task, and the news are still unread.
            Some(Obit::HungUp) => {
                if !self.core.is_broken() {
                    self.core.visit(|_, _| ());
                }
            }
            Some(Obit::Failed(failure)) => {
                self.core
                    .visit(|sender, now| sender.handle_connect_failed(now, id, failure));
            }
            Some(Obit::Closed(reason)) => {
                tracing::debug!(connection = id.0, %reason, "closed");
                self.core
                    .visit(|sender, now| sender.handle_closed(now, id, reason));
            }
            // Dropped by its runtime, or panicking: a second panic would end the process.
            None => {
                let reason = CloseReason::Io("the task of the connection was ended".to_owned());
                let tell = || {
                    if self.core.is_broken() {
                        return self.core.abort();
                    }
                    let closed = |sender: &mut Sender, now| sender.handle_closed(now, id, reason);
                    self.core.visit(closed)
                };
                if catch_unwind(AssertUnwindSafe(tell)).is_err() {
                    tracing::error!("a connection could not be wound up after a panic");
                }
            }
        }
    }
}

/// Gives up when the sender has no use for the connection any more.
struct UnlessHungUp<'a, F> {
    line: &'a Line,
    inner: Pin<&'a mut F>,
}

impl<F: Future> Future for UnlessHungUp<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The waker has to be there before the flag is read.
        self.line.bell.wait_for_call(cx.waker());
        if self.line.hang_up.load(Ordering::SeqCst) {
            return Poll::Ready(None);
        }
        self.inner.as_mut().poll(cx).map(Some)
    }
}

/// What the writing half is at.
enum Work {
    /// Nothing; the sender is asked when there is a reason to.
    Nothing,
    /// A frame is on its way.
    Writing(WriteJob, Cursor),
    /// Batches are being compressed on another thread.
    Sealing(JoinHandle<(Sealed, Compressor)>),
    /// Batches were compressed, the sender has not heard of it.
    Sealed(Sealed),
}

/// Carries frames in both directions. Resolves with the reason of its end.
struct Carrier<'a> {
    stream: Box<dyn Stream>,
    id: ConnectionId,
    reader: FrameReader,
    frame: FrameBuffer,
    /// Away while a thread uses it.
    compressor: Option<Compressor>,
    work: Work,
    /// When the sender wants to be asked again without any other reason.
    deadline: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
    /// Writing has failed; what the peer said before is still read.
    failed_write: Option<io::Error>,
    address: &'a Address,
    /// Whether a frame came that is a broker's.
    has_answered: bool,
    core: &'a Arc<Core>,
    line: &'a Arc<Line>,
    obituary: &'a mut Obituary,
}

impl Future for Carrier<'_> {
    type Output = Obit;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Obit> {
        let this = self.get_mut();
        loop {
            this.line.bell.awake();
            if this.line.hang_up.load(Ordering::SeqCst) {
                return Poll::Ready(Obit::HungUp);
            }
            match this.poll_read(cx) {
                Poll::Ready(end) => return Poll::Ready(Obit::Closed(end)),
                Poll::Pending => {}
            }
            if let Some(error) = this.failed_write.take() {
                return Poll::Ready(Obit::Closed(CloseReason::Io(error.to_string())));
            }
            match this.poll_work(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    this.failed_write = Some(error);
                    continue;
                }
                Poll::Pending => {
                    // It will look again when this is done; until then only an order to hang up matters.
                    this.line.bell.wait_for_call(cx.waker());
                    if this.line.hang_up.load(Ordering::SeqCst) {
                        return Poll::Ready(Obit::HungUp);
                    }
                    return Poll::Pending;
                }
            }
            if this.line.bell.sleep(cx.waker(), this.deadline) {
                // The order may have come before the visit of `next_work`, which takes every call for a ring.
                if this.line.hang_up.load(Ordering::SeqCst) {
                    return Poll::Ready(Obit::HungUp);
                }
                if poll_until(cx, this.sleep.as_mut(), this.deadline).is_pending() {
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Carrier<'_> {
    /// Reads until there is nothing more, and hands frames over. Ready with the reason of the connection's end.
    ///
    /// tokio's budget bounds how often it gets to read in one poll.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            match ready!(self.reader.poll_fill(cx, &mut *self.stream)) {
                Ok(0) => return Poll::Ready(CloseReason::Peer),
                Ok(_) => {}
                Err(error) => {
                    let reset = error.kind() == io::ErrorKind::ConnectionReset;
                    let reason = if reset {
                        CloseReason::Peer
                    } else {
                        CloseReason::Io(error.to_string())
                    };
                    return Poll::Ready(reason);
                }
            }
            if self.reader.has_frame()
                && let Err(reason) = self.handle_frames()
            {
                return Poll::Ready(reason);
            }
        }
    }

    /// Hands all whole frames to the sender in one visit.
    fn handle_frames(&mut self) -> Result<(), CloseReason> {
        let (reader, id) = (&mut self.reader, self.id);
        self.core.visit(|sender, now| {
            while let Some(frame) = reader.next().map_err(CloseReason::NotKafka)? {
                sender
                    .handle_frame(now, id, frame)
                    .map_err(CloseReason::Fault)?;
            }
            Ok(())
        })?;
        if !mem::replace(&mut self.has_answered, true) {
            self.core.unproven.remove(self.address);
        }
        Ok(())
    }

    /// Writes what there is to write. Ready when there is nothing more, pending while the socket or another thread
    /// is at work.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.work {
                Work::Nothing => self.next_work(None),
                Work::Writing(job, cursor) => {
                    ready!(poll_write(cx, &mut *self.stream, &self.frame, job, cursor))?;
                    if let Work::Writing(job, _) = mem::replace(&mut self.work, Work::Nothing) {
                        self.next_work(Some(Done::Written(job)));
                    }
                }
                Work::Sealing(thread) => match ready!(Pin::new(thread).poll(cx)) {
                    Ok((sealed, compressor)) => {
                        self.compressor = Some(compressor);
                        self.next_work(Some(Done::Sealed(sealed)));
                    }
                    Err(error) => {
                        // A thread tells its end once.
                        self.work = Work::Nothing;
                        give_up(self.core, &error);
                        return Poll::Ready(Err(io::Error::other(error)));
                    }
                },
                Work::Sealed(_) => {
                    if let Work::Sealed(sealed) = mem::replace(&mut self.work, Work::Nothing) {
                        self.next_work(Some(Done::Sealed(sealed)));
                    }
                }
            }
            if let Some(error) = self.failed_write.take() {
                return Poll::Ready(Err(error));
            }
            if matches!(self.work, Work::Nothing) {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reports what was done and asks what is next, in one visit; encodes outside of it.
    fn next_work(&mut self, done: Option<Done>) {
        self.work = Work::Nothing;
        // All that was rung for is seen by this visit.
        self.line.bell.awake();
        let id = self.id;
        let (next, deadline, node, now) = self.core.visit(|sender, now| {
            match done {
                Some(Done::Written(job)) => sender.handle_written(now, id, job),
                Some(Done::Sealed(sealed)) => sender.handle_sealed(now, sealed),
                None => {}
            }
            let next = sender.poll_transmit(now, id);
            let node = sender.client().node_of(id).map(|node| node.0);
            (next, sender.poll_timeout_of(now, id), node, now)
        });
        // A deadline that is past although there is nothing to do must not keep the task spinning.
        self.deadline = deadline.map(|deadline| match deadline > now {
            true => deadline,
            false => now + Duration::from_millis(1),
        });
        self.assign(node);
        match next {
            None => {}
            Some(Transmit::Write(job)) => self.begin_write(job),
            Some(Transmit::Seal(job)) => self.begin_seal(job),
        }
    }

    /// Lets those who append to `node`'s partitions ring this task.
    fn assign(&mut self, node: Option<i32>) {
        let old = mem::replace(&mut self.obituary.node, node);
        if old == node {
            return;
        }
        if let Some(old) = old {
            self.core.bells.remove(old, &self.line.bell);
        }
        if let Some(node) = node {
            self.core.bells.assign(node, &self.line.bell);
        }
    }

    fn begin_write(&mut self, job: WriteJob) {
        match job.encode(&mut self.frame) {
            Ok(()) => self.work = Work::Writing(job, Cursor::default()),
            Err(error) => self.failed_write = Some(io::Error::other(error.to_string())),
        }
    }

    fn begin_seal(&mut self, job: SealJob) {
        let mut compressor = self.compressor.take().unwrap_or_default();
        if job.raw_len() < SEAL_INLINE {
            // As on another thread: whoever panics there has the batches with it.
            let run = AssertUnwindSafe(|| job.run(&mut compressor));
            match catch_unwind(run) {
                Ok(sealed) => {
                    self.compressor = Some(compressor);
                    self.work = Work::Sealed(sealed);
                }
                Err(_) => {
                    let error = "compressing panicked";
                    give_up(self.core, &error);
                    self.failed_write = Some(io::Error::other(error));
                }
            }
            return;
        }
        self.work = Work::Sealing(tokio::task::spawn_blocking(move || {
            (job.run(&mut compressor), compressor)
        }));
    }
}

/// What the writing half has done.
enum Done {
    Written(WriteJob),
    Sealed(Sealed),
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use milena_accumulator::{Bin, Record, Want};

    use super::*;
    use crate::{SystemClock, core::tests::lonely};

    #[tokio::test]
    async fn what_is_appended_while_a_connection_ends_is_not_overlooked() {
        let core = lonely();
        let accumulator = &core.accumulator;
        accumulator.put_topic("orders", [0; 16], &[Some(7)], &mut Bin::new());
        let topic = accumulator.topic("orders").expect("it was put");
        let line = Arc::new(Line {
            bell: core.bells.hang(),
            hang_up: AtomicBool::new(true),
        });
        core.bells.assign(7, &line.bell);
        let obituary = Obituary {
            core: Arc::clone(&core),
            line,
            id: ConnectionId(1),
            node: Some(7),
            reason: Some(Obit::HungUp),
        };
        // Rings the task of node 7, which is about to end.
        let record = Record::default();
        let appended = accumulator.append(&SystemClock, &topic, &record, Want::Nothing, None);
        assert!(appended.is_ok());
        drop(obituary);
        let mut unread = Vec::new();
        accumulator.drain_news(&mut unread);
        assert!(unread.is_empty(), "nobody has heard of {unread:?}");
    }
}
