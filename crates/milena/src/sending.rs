//! The futures of `send` and `enqueue`.
//!
//! Written by hand, so that a record stays where it was made: an `async fn` moves it into its state, and once more
//! when it is first polled, which costs a quarter of what sending it does.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use milena_accumulator::{Delivery, Want};

use crate::error::SendError;
use crate::producer::Producer;
use crate::record::{Message, Record};
use crate::shared::Wanted;
use crate::topic::{Topic, expect_delivery};

/// A record, and where it is to be sent.
pub(crate) trait Job<'a> {
    /// What is given for an accepted record.
    type Accepted;

    /// The short way, in nearly all cases all there is. `None` if there is something to wait for, or something wrong,
    /// or if it is time to let others run.
    fn now(&self) -> Option<Self::Accepted>;

    /// The long way. Takes the record.
    fn later(&mut self) -> Later<'a, Self::Accepted>;
}

pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, SendError>> + Send + 'a>>;

/// Sends a record: the short way when it is first polled, or else the long one.
///
/// The job is no part of an enum, which would hide its state in some field of the record and so take the record's
/// fields to pieces that do not fit them when it is moved.
///
/// In this order, and with the record last in its job, so that what a record is moved together with, up to where it is
/// awaited, is not longer than the 128 bytes that are moved without a call of `memcpy`. That would read in one piece
/// what was written in several just before, and so wait until it has left the store buffer.
#[repr(C)]
pub(crate) struct Sending<'a, J: Job<'a>> {
    state: State<'a, J::Accepted>,
    job: J,
}

enum State<'a, T> {
    Begins,
    Waits(Later<'a, T>),
    Ended,
}

impl<'a, J: Job<'a>> Sending<'a, J> {
    #[inline]
    pub(crate) fn new(job: J) -> Self {
        let state = State::Begins;
        Self { state, job }
    }

    #[cold]
    fn poll_later(&mut self, cx: &mut Context<'_>) -> Poll<Result<J::Accepted, SendError>> {
        if let State::Begins = self.state {
            self.state = State::Waits(self.job.later());
        }
        let State::Waits(later) = &mut self.state else {
            panic!("a future was polled after it was ready");
        };
        let sent = ready!(later.as_mut().poll(cx));
        self.state = State::Ended;
        Poll::Ready(sent)
    }
}

impl<'a, J: Job<'a> + Unpin> Future for Sending<'a, J> {
    type Output = Result<J::Accepted, SendError>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Begins = self.state
            && let Some(accepted) = self.job.now()
        {
            self.state = State::Ended;
            return Poll::Ready(Ok(accepted));
        }
        self.poll_later(cx)
    }
}

/// What the caller gets for an accepted record.
pub(crate) trait Wish {
    type Accepted;

    const WANT: Want<'static>;
    const WANTED: Wanted;

    /// `delivery` is there if it was wanted.
    fn accepted(delivery: Option<Delivery>) -> Self::Accepted;
}

/// A delivery, to be awaited.
pub(crate) struct ForDelivery;

impl Wish for ForDelivery {
    type Accepted = Delivery;

    const WANT: Want<'static> = Want::Delivery;
    const WANTED: Wanted = Wanted::Delivery;

    #[inline(always)]
    fn accepted(delivery: Option<Delivery>) -> Delivery {
        expect_delivery(delivery)
    }
}

/// Nothing: the outcome is nobody's business.
pub(crate) struct ForNothing;

impl Wish for ForNothing {
    type Accepted = ();

    const WANT: Want<'static> = Want::Nothing;
    const WANTED: Wanted = Wanted::Nothing;

    #[inline(always)]
    fn accepted(_: Option<Delivery>) {}
}

/// A message to a topic that is at hand.
#[repr(C)]
pub(crate) struct SendMessage<'a, W> {
    pub(crate) topic: &'a Topic,
    pub(crate) wish: W,
    pub(crate) message: Message<'a>,
}

impl<'a, W: Wish + 'a> Job<'a> for SendMessage<'a, W> {
    type Accepted = W::Accepted;

    #[inline(never)]
    fn now(&self) -> Option<W::Accepted> {
        self.message.check().ok()?;
        let Topic { shared, topic } = self.topic;
        if shared.accumulator.is_ahead() {
            return None;
        }
        let appended = shared.append(topic, &self.message, W::WANT, None);
        Some(W::accepted(appended.ok()?.delivery))
    }

    fn later(&mut self) -> Later<'a, W::Accepted> {
        let (topic, message) = (self.topic, mem::take(&mut self.message));
        Box::pin(async move {
            topic
                .send_waiting(&message, W::WANTED)
                .await
                .map(W::accepted)
        })
    }
}

/// A record whose topic has to be looked up.
#[repr(C)]
pub(crate) struct SendRecord<'a, W> {
    pub(crate) producer: &'a Producer,
    pub(crate) wish: W,
    pub(crate) record: Record<'a>,
}

impl<'a, W: Wish + 'a> Job<'a> for SendRecord<'a, W> {
    type Accepted = W::Accepted;

    #[inline(never)]
    fn now(&self) -> Option<W::Accepted> {
        let Record { topic, message } = &self.record;
        message.check().ok()?;
        let shared = &self.producer.shared;
        if shared.accumulator.is_ahead() {
            return None;
        }
        let topic = shared.accumulator.find_topic(topic)?;
        let appended = shared.append(topic, message, W::WANT, None);
        Some(W::accepted(appended.ok()?.delivery))
    }

    fn later(&mut self) -> Later<'a, W::Accepted> {
        let none = Record::to("");
        let (producer, record) = (self.producer, mem::replace(&mut self.record, none));
        Box::pin(async move {
            let sent = producer.send_waiting(&record, W::WANTED);
            sent.await.map(W::accepted)
        })
    }
}
