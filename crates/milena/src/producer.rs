//! The producer: builds and starts everything, and hands records over.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_accumulator::{Deliveries, Delivery, DeliveryError, RecordMetadata, Want};
use milena_tokio::sender::Sender;

use crate::config::ProducerConfig;
use crate::error::{BuildError, ConnectError, SendError, SendManyError, TrySendError};
use crate::partitions::{self, PartitionInfo};
use crate::record::Record;
use crate::sending::{ForCallback, ForDelivery, ForNothing, SendRecord, Sending};
use crate::shared::{Shared, Wanted, many_failed};
use crate::snapshot::Snapshot;
use crate::topic::{Topic, expect_delivery};
use crate::{CloseReport, start};

/// Sends records to a Kafka cluster.
///
/// Clones are handles of the same producer, cheap to make, and may be used from any thread; its
/// tasks run on the tokio runtime that it was built in. One producer for a whole application is
/// best: batches are fuller and connections fewer.
///
/// Handing a record over has two ends. [`send`](Self::send) is done when the record is *accepted*:
/// it lies encoded in its batch, and what was borrowed is free again. The [`Delivery`] it gives is
/// done when the record is *delivered*, or has failed for good.
///
/// When the last handle is dropped nothing blocks, and what was accepted is still sent in the
/// background, as long as the runtime lives. To be sure, [`close`](Self::close) first.
#[derive(Clone)]
pub struct Producer {
    pub(crate) shared: Arc<Shared>,
}

impl Producer {
    /// A configuration with every default, to be changed, and then built or connected.
    pub fn builder() -> ProducerConfig {
        ProducerConfig::new()
    }

    /// Accepts a record: it is encoded into its batch before this returns.
    ///
    /// Ready at once in nearly all cases. It waits for the topic's partitions to be known, which
    /// happens with the first record, and for memory when `buffer.memory` is used up; both
    /// together for `max.block.ms` at most. Those who wait are served in the order they came.
    /// When 2 MiB or four batches are full and not acknowledged, or more on connections so long that
    /// they need it, it waits until brokers that keep up have caught up: what is sent soon is still in
    /// the processor's cache, and a loop that sends does not keep its thread from the producer. Brokers
    /// that do not keep up hold it back for 10 ms, then for as long at twice that size, and so on up to
    /// `buffer.memory`; what has been under way for 20 ms does not count. With a `max.block.ms` of 0 it
    /// does not wait for them; nor does [`try_send`](Self::try_send).
    ///
    /// # Errors
    /// [`SendError`]; then the record was not accepted.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the record was not accepted.
    #[inline]
    pub fn send<'a>(
        &'a self,
        record: Record<'a>,
    ) -> impl Future<Output = Result<Delivery, SendError>> + Send + 'a {
        let producer = self;
        Sending::new(SendRecord {
            producer,
            wish: ForDelivery,
            record,
        })
    }

    /// Accepts a record whose outcome is nobody's business: cheaper than [`send`](Self::send), and
    /// cheapest by a [`topic`](Self::topic) handle.
    ///
    /// Whether it arrived shows in [`snapshot`](Self::snapshot) only.
    ///
    /// # Errors
    /// As for `send`.
    ///
    /// # Cancel safety
    /// As for `send`.
    #[inline]
    pub fn enqueue<'a>(
        &'a self,
        record: Record<'a>,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'a {
        let producer = self;
        Sending::new(SendRecord {
            producer,
            wish: ForNothing,
            record,
        })
    }

    /// Accepts a record now, or hands it back. Never waits.
    ///
    /// A topic that is not known yet is asked for, and so is one that is not known to have the record's partition, so
    /// that a later call will do.
    ///
    /// # Errors
    /// The record and the reason: [`SendError::Full`], [`SendError::UnknownYet`], or one that
    /// `send` would give too.
    #[inline]
    #[expect(
        clippy::result_large_err,
        reason = "the record is handed back without an allocation"
    )]
    pub fn try_send<'a>(&self, record: Record<'a>) -> Result<Delivery, TrySendError<Record<'a>>> {
        let reason = match self.try_append(&record) {
            Ok(delivery) => return Ok(delivery),
            Err(reason) => reason,
        };
        Err(TrySendError { record, reason })
    }

    /// Accepts many records in order; one future has the outcomes of all.
    ///
    /// Cheaper than as many calls of [`send`](Self::send): neighbours to one partition share a
    /// lock, and all share a reading of the clock. Waits as `send` does, up to `max.block.ms` for
    /// each record.
    ///
    /// # Errors
    /// The reason why a record was not accepted, and the outcomes of those before it.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, any number of the first records was accepted.
    pub async fn send_many(&self, records: &[Record<'_>]) -> Result<Deliveries, SendManyError> {
        let mut deliveries = Deliveries::with_capacity(records.len());
        for record in records {
            if let Err(reason) = record.message.check() {
                return Err(many_failed(reason, deliveries));
            }
        }
        for run in records.chunk_by(|a, b| a.topic == b.topic) {
            let name = run[0].topic();
            let topic = self.shared.accumulator.topic(name);
            let sent = self
                .shared
                .append_many_waiting(name, topic, run, &mut deliveries)
                .await;
            if let Err(reason) = sent {
                return Err(many_failed(reason, deliveries));
            }
        }
        Ok(deliveries)
    }

    /// Accepts a record and calls back with its outcome.
    ///
    /// Callbacks are called one after the other, as outcomes become known, on a task of the producer: they must be quick
    /// and must not block. Those of a batch are called in the order of its records. Batches of a partition are told of in
    /// order too, unless an older one is being tried again, compressed or cut when a younger one has its outcome. One
    /// that panics harms no other. Waits as [`send`](Self::send) does.
    ///
    /// # Errors
    /// As for `send`; then the callback is not called.
    ///
    /// # Cancel safety
    /// As for `send`.
    #[inline]
    pub fn send_with<'a>(
        &'a self,
        record: Record<'a>,
        callback: impl FnOnce(&Result<RecordMetadata, DeliveryError>) + Send + 'static,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'a {
        let producer = self;
        Sending::new(SendRecord {
            producer,
            wish: ForCallback(Some(Box::new(callback))),
            record,
        })
    }

    /// A handle to one topic, for loops that send much to it. Waits until the topic is known.
    ///
    /// # Errors
    /// [`SendError`]; the topic cannot be written to, or was not found within `max.block.ms`.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing happened.
    pub async fn topic(&self, name: &str) -> Result<Topic, SendError> {
        let shared = Arc::clone(&self.shared);
        let topic = self.topic_until(name, self.shared.deadline()).await?;
        Ok(Topic { shared, topic })
    }

    /// The partitions of a topic and who leads them. Waits until the topic is known.
    ///
    /// # Errors
    /// As for [`topic`](Self::topic).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing happened.
    pub async fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>, SendError> {
        let deadline = self.shared.deadline();
        loop {
            self.topic_until(topic, deadline).await?;
            let partitions = |sender: &Sender| partitions::of(sender, topic);
            // It may have been forgotten since: then there is something to wait for again.
            if let Some(partitions) = self.shared.driver.ask(partitions) {
                return Ok(partitions);
            }
        }
    }

    /// Sends what was accepted before this call without waiting for fuller batches, and waits
    /// until all of it is delivered or has failed; callbacks have run by then.
    ///
    /// Failures show in the deliveries. Takes at most `delivery.timeout.ms`.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it stops hurrying, and loses nothing.
    pub async fn flush(&self) {
        self.shared.accumulator.flush().await;
    }

    /// Takes no more records, waits up to `timeout` until those accepted are delivered or have
    /// failed, fails the rest, and closes all connections. For every handle of this producer.
    ///
    /// With a timeout of zero everything undelivered fails at once. Calling it again, also while
    /// another call waits, is fine: the earliest end counts. Those who wait in `send` fail. A callback must not block
    /// until it is done: it waits for the tasks that run callbacks.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the closing goes on in the background.
    pub async fn close(&self, timeout: Duration) -> CloseReport {
        self.shared.driver.end(Some(timeout));
        self.shared.driver.ended().await
    }

    /// Counters and gauges of this moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.shared)
    }

    /// The name that brokers know this producer by.
    pub fn client_id(&self) -> &str {
        &self.shared.client_id
    }

    fn try_append(&self, record: &Record<'_>) -> Result<Delivery, SendError> {
        record.message.check()?;
        let topic = self.shared.accumulator.find_topic(&record.topic);
        let topic = topic.ok_or_else(|| self.shared.ask_for(&record.topic, None))?;
        let appended = self
            .shared
            .append(topic, &record.message, Want::Delivery, None);
        let appended = appended.map_err(|refused| self.shared.refused(refused, topic))?;
        Ok(expect_delivery(appended.delivery))
    }

    async fn topic_until(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Arc<milena_accumulator::Topic>, SendError> {
        match self.shared.accumulator.topic(name) {
            Some(topic) => Ok(topic),
            None => self.shared.wait_topic(name, None, deadline).await,
        }
    }

    #[cold]
    pub(crate) async fn send_waiting(
        &self,
        record: &Record<'_>,
        mut wanted: Wanted,
    ) -> Result<Option<Delivery>, SendError> {
        let topic = self.shared.accumulator.topic(&record.topic);
        let appended = self
            .shared
            .append_waiting(&record.topic, topic, &record.message, &mut wanted)
            .await?;
        Ok(appended.delivery)
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("client_id", &self.shared.client_id)
            .finish_non_exhaustive()
    }
}

/// Beginning.
impl ProducerConfig {
    /// Checks the configuration, starts the producer's tasks on the current tokio runtime, and
    /// returns, whether brokers are up or not.
    ///
    /// # Errors
    /// [`BuildError`]; then nothing was started.
    pub fn build(&self) -> Result<Producer, BuildError> {
        start::start(self)
    }

    /// Builds the producer, and waits until a broker has answered.
    ///
    /// Takes at most about [`connection_setup_timeout`](Self::connection_setup_timeout) and
    /// [`request_timeout`](Self::request_timeout) together.
    ///
    /// # Errors
    /// [`ConnectError`], which says for every address why it could not be used; then nothing is
    /// left running.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the producer is closed.
    pub async fn connect(&self) -> Result<Producer, ConnectError> {
        let producer = self.build()?;
        match producer.shared.driver.connected().await {
            Ok(()) => Ok(producer),
            Err(error) => {
                producer.close(Duration::ZERO).await;
                Err(error.into())
            }
        }
    }
}
