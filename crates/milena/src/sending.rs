//! The futures of `send`, `enqueue` and `send_with`.
//!
//! Written by hand, so that a record stays where it was made: an `async fn` moves it into its state, and once more
//! when it is first polled, which costs a quarter of what sending it does.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use milena_accumulator::{Callback, Claim, Delivery, Want};

use crate::error::SendError;
use crate::producer::Producer;
use crate::record::{Message, Record};
use crate::shared::Wanted;
use crate::topic::{Topic, expect_delivery};

/// A record, and where it is to be sent.
pub(crate) trait Job<'a> {
    /// What its sender wants of it.
    type Wish: Wish;

    /// The record but for its topic.
    fn message(&self) -> &Message<'a>;

    /// The short way, in nearly all cases all there is. `None` if there is something to wait for, or something wrong,
    /// or if it is time to let others run.
    ///
    /// It is not inlined, and what it gives is small: see [`Claim`].
    fn now(&mut self, timestamp: i64) -> Option<<Self::Wish as Wish>::Claimed>;

    /// The long way. Takes the record.
    fn later(&mut self) -> Later<'a, Accepted<'a, Self>>;
}

type Accepted<'a, J> = <<J as Job<'a>>::Wish as Wish>::Accepted;

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
    state: State<'a, Accepted<'a, J>>,
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
    fn poll_later(&mut self, cx: &mut Context<'_>) -> Poll<Sent<'a, J>> {
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

type Sent<'a, J> = Result<Accepted<'a, J>, SendError>;

impl<'a, J: Job<'a> + Unpin> Future for Sending<'a, J> {
    type Output = Sent<'a, J>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Begins = self.state {
            let timestamp = self.job.message().timestamp_or_now();
            if let Some(claimed) = self.job.now(timestamp) {
                self.state = State::Ended;
                let message = self.job.message();
                return Poll::Ready(Ok(J::Wish::accepted(claimed, message, timestamp)));
            }
        }
        self.poll_later(cx)
    }
}

/// What the caller gets for an accepted record.
pub(crate) trait Wish {
    type Accepted;

    /// What the short way gives for it.
    type Claimed;

    /// What to ask for.
    fn want(&mut self) -> Want<'_>;

    /// The same for the long way, which may ask several times. Takes the callback, if there is one.
    fn wanted(&mut self) -> Wanted;

    /// `claim` is there if a delivery was wanted.
    fn claimed(claim: Option<Claim>) -> Self::Claimed;

    /// After the short way.
    fn accepted(claimed: Self::Claimed, message: &Message<'_>, timestamp: i64) -> Self::Accepted;

    /// After the long way. `delivery` is there if it was wanted.
    fn waited(delivery: Option<Delivery>) -> Self::Accepted;
}

/// A delivery, to be awaited.
pub(crate) struct ForDelivery;

impl Wish for ForDelivery {
    type Accepted = Delivery;
    type Claimed = Claim;

    #[inline(always)]
    fn want(&mut self) -> Want<'_> {
        Want::Delivery
    }

    fn wanted(&mut self) -> Wanted {
        Wanted::Delivery
    }

    #[inline(always)]
    fn claimed(claim: Option<Claim>) -> Claim {
        expect_delivery(claim)
    }

    #[inline(always)]
    fn accepted(claim: Claim, message: &Message<'_>, timestamp: i64) -> Delivery {
        claim.delivery(&message.lend(), timestamp)
    }

    fn waited(delivery: Option<Delivery>) -> Delivery {
        expect_delivery(delivery)
    }
}

/// Nothing: the outcome is nobody's business.
pub(crate) struct ForNothing;

impl Wish for ForNothing {
    type Accepted = ();
    type Claimed = ();

    #[inline(always)]
    fn want(&mut self) -> Want<'_> {
        Want::Nothing
    }

    fn wanted(&mut self) -> Wanted {
        Wanted::Nothing
    }

    #[inline(always)]
    fn claimed(_: Option<Claim>) {}

    #[inline(always)]
    fn accepted((): (), _: &Message<'_>, _: i64) {}

    fn waited(_: Option<Delivery>) {}
}

/// A callback with the outcome. It is here until the record is accepted.
pub(crate) struct ForCallback(pub(crate) Option<Callback>);

impl Wish for ForCallback {
    type Accepted = ();
    type Claimed = ();

    #[inline(always)]
    fn want(&mut self) -> Want<'_> {
        Want::Callback(&mut self.0)
    }

    fn wanted(&mut self) -> Wanted {
        Wanted::Callback(self.0.take())
    }

    #[inline(always)]
    fn claimed(_: Option<Claim>) {}

    #[inline(always)]
    fn accepted((): (), _: &Message<'_>, _: i64) {}

    fn waited(_: Option<Delivery>) {}
}

/// A message to a topic that is at hand.
#[repr(C)]
pub(crate) struct SendMessage<'a, W> {
    pub(crate) topic: &'a Topic,
    pub(crate) wish: W,
    pub(crate) message: Message<'a>,
}

impl<'a, W: Wish + 'a> Job<'a> for SendMessage<'a, W> {
    type Wish = W;

    #[inline(always)]
    fn message(&self) -> &Message<'a> {
        &self.message
    }

    #[inline(never)]
    fn now(&mut self, timestamp: i64) -> Option<W::Claimed> {
        self.message.check().ok()?;
        let Topic { shared, topic } = self.topic;
        if shared.accumulator.is_ahead() {
            return None;
        }
        let appended = shared.append_at(topic, &self.message, timestamp, self.wish.want());
        Some(W::claimed(appended.ok()?))
    }

    fn later(&mut self) -> Later<'a, W::Accepted> {
        let (topic, wanted) = (self.topic, self.wish.wanted());
        let message = mem::take(&mut self.message);
        Box::pin(async move { topic.send_waiting(&message, wanted).await.map(W::waited) })
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
    type Wish = W;

    #[inline(always)]
    fn message(&self) -> &Message<'a> {
        &self.record.message
    }

    #[inline(never)]
    fn now(&mut self, timestamp: i64) -> Option<W::Claimed> {
        let Record { topic, message } = &self.record;
        message.check().ok()?;
        let shared = &self.producer.shared;
        if shared.accumulator.is_ahead() {
            return None;
        }
        let topic = shared.accumulator.find_topic(topic)?;
        let appended = shared.append_at(topic, message, timestamp, self.wish.want());
        Some(W::claimed(appended.ok()?))
    }

    fn later(&mut self) -> Later<'a, W::Accepted> {
        let (producer, wanted) = (self.producer, self.wish.wanted());
        let record = mem::replace(&mut self.record, Record::to(""));
        Box::pin(async move { producer.send_waiting(&record, wanted).await.map(W::waited) })
    }
}
