//! The futures of `send` and `enqueue`.
//!
//! Written by hand, so that a record stays where it was made: an `async fn` moves it into its state, and once more
//! when it is first polled, which costs a quarter of what sending it does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use milena_accumulator::{Delivery, Want};

use crate::error::SendError;
use crate::producer::Producer;
use crate::record::{Message, Record};
use crate::shared::Wanted;
use crate::topic::{Topic, expect_delivery};

/// A record, and where it is to be sent.
pub(crate) trait Job: Sized {
    /// What is given for an accepted record.
    type Accepted;

    /// The short way, in nearly all cases all there is. `None` if there is something to wait for, or something wrong.
    fn now(&self) -> Option<Self::Accepted>;

    /// The long way.
    fn later(self) -> impl Future<Output = Result<Self::Accepted, SendError>> + Send;
}

/// Sends a record: the short way when it is first polled, or else the long one.
pub(crate) enum Sending<'a, J: Job> {
    Begins(J),
    Waits(Pin<Box<dyn Future<Output = Result<J::Accepted, SendError>> + Send + 'a>>),
    Ended,
}

impl<'a, J: Job + Unpin + 'a> Future for Sending<'a, J> {
    type Output = Result<J::Accepted, SendError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Self::Begins(job) = this
            && let Some(accepted) = job.now()
        {
            *this = Self::Ended;
            return Poll::Ready(Ok(accepted));
        }
        this.poll_later(cx)
    }
}

impl<'a, J: Job + 'a> Sending<'a, J> {
    #[cold]
    fn poll_later(&mut self, cx: &mut Context<'_>) -> Poll<Result<J::Accepted, SendError>> {
        loop {
            match self {
                Self::Waits(waiting) => return waiting.as_mut().poll(cx),
                Self::Begins(_) | Self::Ended => {
                    if let Self::Begins(job) = std::mem::replace(self, Self::Ended) {
                        *self = Self::Waits(Box::pin(job.later()));
                    } else {
                        panic!("a future was polled after it was ready");
                    }
                }
            }
        }
    }
}

/// A message whose delivery is wanted.
pub(crate) struct SendMessage<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) message: Message<'a>,
}

impl Job for SendMessage<'_> {
    type Accepted = Delivery;

    #[inline(never)]
    fn now(&self) -> Option<Delivery> {
        self.message.check().ok()?;
        let Topic { shared, topic } = self.topic;
        let appended = shared.append(topic, &self.message, Want::Delivery, None);
        appended.ok()?.delivery
    }

    async fn later(self) -> Result<Delivery, SendError> {
        let sent = self.topic.send_waiting(&self.message, Wanted::Delivery);
        sent.await.map(expect_delivery)
    }
}

/// A message whose outcome is nobody's business.
pub(crate) struct EnqueueMessage<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) message: Message<'a>,
}

impl Job for EnqueueMessage<'_> {
    type Accepted = ();

    #[inline(never)]
    fn now(&self) -> Option<()> {
        self.message.check().ok()?;
        let Topic { shared, topic } = self.topic;
        let appended = shared.append(topic, &self.message, Want::Nothing, None);
        appended.ok().map(drop)
    }

    async fn later(self) -> Result<(), SendError> {
        let sent = self.topic.send_waiting(&self.message, Wanted::Nothing);
        sent.await.map(drop)
    }
}

/// A record whose topic has to be looked up.
pub(crate) struct SendRecord<'a> {
    pub(crate) producer: &'a Producer,
    pub(crate) record: Record<'a>,
}

impl Job for SendRecord<'_> {
    type Accepted = Delivery;

    #[inline(never)]
    fn now(&self) -> Option<Delivery> {
        let Record { topic, message } = &self.record;
        message.check().ok()?;
        let shared = &self.producer.shared;
        let topic = shared.accumulator.find_topic(topic)?;
        let appended = shared.append(topic, message, Want::Delivery, None);
        appended.ok()?.delivery
    }

    async fn later(self) -> Result<Delivery, SendError> {
        let sent = self.producer.send_waiting(&self.record, Wanted::Delivery);
        sent.await.map(expect_delivery)
    }
}
