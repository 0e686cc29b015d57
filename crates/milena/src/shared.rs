//! What all handles of a producer share, and the way of a record into it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_accumulator::{
    Accumulator, Appended, AsRecord, Claim, Clock, Deliveries, Refused, Room, Target, Topic,
    TopicError, Want,
};
use milena_tokio::{Driver, SystemClock};

use crate::asked::Asked;
use crate::error::{self, SendError, SendManyError};
use crate::record::Message;

/// So many records of a call are appended before it is looked again how far connections are behind.
const RUN: usize = 512;

/// The running producer. When the last handle goes, what was accepted is still sent.
pub(crate) struct Shared {
    pub(crate) accumulator: Arc<Accumulator>,
    pub(crate) driver: Driver,
    pub(crate) max_block: Duration,
    pub(crate) client_id: String,
    asked: Mutex<Asked>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.end(None);
    }
}

impl Shared {
    pub(crate) fn new(
        accumulator: Arc<Accumulator>,
        driver: Driver,
        max_block: Duration,
        client_id: String,
    ) -> Self {
        Self {
            accumulator,
            driver,
            max_block,
            client_id,
            asked: Mutex::default(),
        }
    }

    /// The only thing that happens to nearly every record. Never waits.
    #[inline(always)]
    pub(crate) fn append(
        &self,
        topic: &Topic,
        message: &Message<'_>,
        want: Want<'_>,
        room: Option<Room>,
    ) -> Result<Appended, Refused> {
        self.accumulator
            .append(&SystemClock, topic, message, want, room)
    }

    /// [`append`](Self::append) at a time that was read before, for a caller who makes the delivery.
    #[inline(always)]
    pub(crate) fn append_at(
        &self,
        topic: &Topic,
        message: &Message<'_>,
        timestamp: i64,
        want: Want<'_>,
    ) -> Result<Option<Claim>, Refused> {
        self.accumulator
            .append_at(&SystemClock, topic, message, timestamp, want)
    }

    /// Lets connections that keep up catch up. A loop that finds memory each time would else keep its thread, perhaps the
    /// only one, until there is none, and be ahead of them by more than the processor's cache holds. Whether it waited.
    async fn keep_pace(&self) -> bool {
        let waits = self.accumulator.is_ahead() && !self.max_block.is_zero();
        if waits {
            self.accumulator.wait_pace(SystemClock.now()).await;
        }
        waits
    }

    /// Waits for the topic and for memory as long as `max.block.ms` allows, and appends.
    pub(crate) async fn append_waiting(
        &self,
        name: &str,
        mut topic: Option<Arc<Topic>>,
        message: &Message<'_>,
        callback: &mut Wanted,
    ) -> Result<Appended, SendError> {
        message.check()?;
        self.keep_pace().await;
        let deadline = self.deadline();
        let (mut room, mut partition) = (None, None);
        loop {
            let found = match topic.take() {
                Some(topic) => topic,
                None => self.wait_topic(name, partition, deadline).await?,
            };
            match self.append(&found, message, callback.want(), room.take()) {
                Ok(appended) => return Ok(appended),
                Err(Refused::Full { bytes }) => {
                    room = Some(self.wait_room(bytes, deadline).await?);
                    topic = Some(found);
                }
                Err(Refused::NoSuchPartition {
                    partition: wanted, ..
                }) => partition = Some(wanted),
                Err(refused) => return Err(SendError::refused(refused, found.shared_name())),
            }
        }
    }

    /// Appends all of `records`, waiting where needed; `deliveries` gets one entry for each.
    pub(crate) async fn append_many_waiting<R: AsRecord>(
        &self,
        name: &str,
        mut topic: Option<Arc<Topic>>,
        records: &[R],
        deliveries: &mut Deliveries,
    ) -> Result<(), SendError> {
        let mut deadline = self.deadline();
        let (mut room, mut partition, mut done) = (None, None, 0);
        while done < records.len() {
            if room.is_none() && self.keep_pace().await {
                deadline = self.deadline();
            }
            let found = match topic.take() {
                Some(topic) => topic,
                None => self.wait_topic(name, partition, deadline).await?,
            };
            let rest = &records[done..];
            let rest = &rest[..rest.len().min(RUN)];
            let (more, refused) = self.accumulator.append_many(
                &SystemClock,
                &found,
                rest,
                Some(deliveries),
                room.take(),
            );
            done += more;
            if more > 0 {
                // Each record has the whole of max.block.ms.
                deadline = self.deadline();
            }
            match refused {
                None => topic = Some(found),
                Some(Refused::Full { bytes }) => {
                    room = Some(self.wait_room(bytes, deadline).await?);
                    topic = Some(found);
                }
                Some(Refused::NoSuchPartition {
                    partition: wanted, ..
                }) => partition = Some(wanted),
                Some(refused) => return Err(SendError::refused(refused, found.shared_name())),
            }
        }
        Ok(())
    }

    pub(crate) async fn wait_topic(
        &self,
        name: &str,
        partition: Option<i32>,
        deadline: Instant,
    ) -> Result<Arc<Topic>, SendError> {
        let waited = self
            .accumulator
            .wait_topic(SystemClock.now(), name, partition, deadline)
            .await;
        if self.max_block.is_zero() && matches!(waited, Err(TopicError::TimedOut { .. })) {
            // Who may not wait may call again.
            match self.ask_for(name, partition) {
                SendError::UnknownYet { .. } => {}
                error => return Err(error),
            }
        }
        waited.map_err(|error| match (error, self.driver.unreachable()) {
            // The topic is not to blame when nobody could be asked.
            (TopicError::TimedOut { .. }, Some(servers)) => error::unreachable(name, servers),
            (error, _) => error.into(),
        })
    }

    async fn wait_room(&self, bytes: usize, deadline: Instant) -> Result<Room, SendError> {
        let waited = self
            .accumulator
            .wait_room(SystemClock.now(), bytes, deadline)
            .await;
        waited.map_err(|error| SendError::room(error, bytes))
    }

    /// Has the topic looked up, or its partition, for a caller who does not wait for it.
    #[cold]
    pub(crate) fn ask_for(&self, name: &str, partition: Option<i32>) -> SendError {
        if let Some(reason) = self.accumulator.closed() {
            return SendError::Closed(reason);
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.again(&self.accumulator, self.max_block, name, partition)
    }

    /// Why a record was refused, for a caller who does not wait. What is missing is looked up.
    #[cold]
    pub(crate) fn refused(&self, refused: Refused, topic: &Topic) -> SendError {
        match refused {
            Refused::NoSuchPartition { partition, .. } => {
                self.ask_for(topic.name(), Some(partition))
            }
            refused => SendError::refused(refused, topic.shared_name()),
        }
    }

    /// When a call that begins to wait now has to give up.
    pub(crate) fn deadline(&self) -> Instant {
        SystemClock.now() + self.max_block
    }
}

/// What is wanted of an accepted record; a callback stays here until it is.
pub(crate) enum Wanted {
    Nothing,
    Delivery,
    Callback(Option<milena_accumulator::Callback>),
}

impl Wanted {
    #[inline]
    pub(crate) fn want(&mut self) -> Want<'_> {
        match self {
            Self::Nothing => Want::Nothing,
            Self::Delivery => Want::Delivery,
            Self::Callback(callback) => Want::Callback(callback),
        }
    }
}

impl AsRecord for Message<'_> {
    #[inline(always)]
    fn record(&self) -> milena_accumulator::Record<'_> {
        self.lend()
    }

    #[inline(always)]
    fn target(&self) -> Target {
        Message::target(self)
    }
}

impl AsRecord for crate::Record<'_> {
    fn record(&self) -> milena_accumulator::Record<'_> {
        self.message.lend()
    }

    fn target(&self) -> Target {
        self.message.target()
    }
}

pub(crate) fn many_failed(reason: SendError, deliveries: Deliveries) -> SendManyError {
    SendManyError {
        reason,
        accepted: deliveries.len(),
        deliveries,
    }
}
