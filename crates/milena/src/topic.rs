//! A handle to one topic: the same as a producer, without looking the topic up for each record.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use milena_accumulator::{Deliveries, Delivery, DeliveryError, RecordMetadata, Want};

use crate::error::{SendError, SendManyError, TrySendError};
use crate::record::Message;
use crate::sending::{ForCallback, ForDelivery, ForNothing, SendMessage, Sending};
use crate::shared::{Shared, Wanted, many_failed};

/// One topic of a [`Producer`](crate::Producer), for loops that send much to it.
///
/// It keeps the producer running as a clone of it would, and stays valid when the topic gets more
/// partitions, or is deleted and created anew.
#[derive(Clone)]
pub struct Topic {
    pub(crate) shared: Arc<Shared>,
    pub(crate) topic: Arc<milena_accumulator::Topic>,
}

impl Topic {
    /// Accepts a message, waiting for memory if there is none: see [`Producer::send`](crate::Producer::send).
    ///
    /// # Errors
    /// [`SendError`]; then the message was not accepted.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the message was not accepted.
    #[inline]
    pub fn send<'a>(
        &'a self,
        message: Message<'a>,
    ) -> impl Future<Output = Result<Delivery, SendError>> + Send + 'a {
        let topic = self;
        Sending::new(SendMessage {
            topic,
            wish: ForDelivery,
            message,
        })
    }

    /// Accepts a message whose outcome is nobody's business: the cheapest way to send.
    ///
    /// Whether it arrived shows in [`Producer::snapshot`](crate::Producer::snapshot) only.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    #[inline]
    pub fn enqueue<'a>(
        &'a self,
        message: Message<'a>,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'a {
        let topic = self;
        Sending::new(SendMessage {
            topic,
            wish: ForNothing,
            message,
        })
    }

    /// Accepts a message now, or hands it back: see [`Producer::try_send`](crate::Producer::try_send).
    ///
    /// # Errors
    /// The message and the reason.
    #[inline]
    #[expect(
        clippy::result_large_err,
        reason = "the record is handed back without an allocation"
    )]
    pub fn try_send<'a>(
        &self,
        message: Message<'a>,
    ) -> Result<Delivery, TrySendError<Message<'a>>> {
        if let Err(reason) = message.check() {
            return Err(TrySendError {
                record: message,
                reason,
            });
        }
        match self
            .shared
            .append(&self.topic, &message, Want::Delivery, None)
        {
            Ok(appended) => Ok(expect_delivery(appended.delivery)),
            Err(refused) => {
                let reason = self.shared.refused(refused, &self.topic);
                Err(TrySendError {
                    record: message,
                    reason,
                })
            }
        }
    }

    /// Accepts many messages in order: see [`Producer::send_many`](crate::Producer::send_many).
    ///
    /// # Errors
    /// The reason, and the outcomes of those that were accepted before.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, any number of the first messages was accepted.
    pub async fn send_many(&self, messages: &[Message<'_>]) -> Result<Deliveries, SendManyError> {
        let mut deliveries = Deliveries::with_capacity(messages.len());
        for message in messages {
            if let Err(reason) = message.check() {
                return Err(many_failed(reason, deliveries));
            }
        }
        let topic = Some(Arc::clone(&self.topic));
        let sent = self
            .shared
            .append_many_waiting(self.name(), topic, messages, &mut deliveries)
            .await;
        match sent {
            Ok(()) => Ok(deliveries),
            Err(reason) => Err(many_failed(reason, deliveries)),
        }
    }

    /// Accepts a message and calls back with its outcome: see [`Producer::send_with`](crate::Producer::send_with).
    ///
    /// # Errors
    /// As for [`send`](Self::send); then the callback is not called.
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    #[inline]
    pub fn send_with<'a>(
        &'a self,
        message: Message<'a>,
        callback: impl FnOnce(&Result<RecordMetadata, DeliveryError>) + Send + 'static,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'a {
        let topic = self;
        Sending::new(SendMessage {
            topic,
            wish: ForCallback(Some(Box::new(callback))),
            message,
        })
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        self.topic.name()
    }

    /// How many partitions it has, as far as is known.
    pub fn partition_count(&self) -> i32 {
        self.topic.partition_count()
    }

    #[cold]
    pub(crate) async fn send_waiting(
        &self,
        message: &Message<'_>,
        mut wanted: Wanted,
    ) -> Result<Option<Delivery>, SendError> {
        let topic = Some(Arc::clone(&self.topic));
        let appended = self
            .shared
            .append_waiting(self.name(), topic, message, &mut wanted)
            .await?;
        Ok(appended.delivery)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

#[inline]
pub(crate) fn expect_delivery<T>(delivery: Option<T>) -> T {
    delivery.expect("a delivery was asked for, and is given with every record that is appended")
}
