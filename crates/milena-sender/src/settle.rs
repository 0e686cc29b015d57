//! What answers, losses and time make of batches: done, again, cut, failed, or begun anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_accumulator::{
    BatchFailure, BrokerError, FailureReason, Fate, RecordFailure, Slot, Verdict as Ending,
};
use milena_client::{Backoff, ConnectionId, Endpoint, LeaderHint, LostReason, NodeId, Why};
use milena_wire::api::produce::{LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse};
use milena_wire::produced::{self, TopicName};
use milena_wire::{ErrorCode, Fault, Uuid, Version};

use crate::partition::Parcel;
use crate::seal::SealItem;
use crate::sender::Sender;
use crate::verdict::{Verdict, verdict};

impl Sender {
    /// A Produce response came: `slots` is what was asked, in order.
    ///
    /// What the response leaves out stays in doubt; what it says twice or unasked is ignored.
    pub(crate) fn handle_produced(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        version: Version,
        body: &[u8],
        slots: Vec<Slot>,
    ) -> Result<(), Fault> {
        for slot in &slots {
            if let Some(partition) = self.board.get_mut(*slot) {
                partition.awaits_verdict = true;
            }
        }
        let mut hints: Vec<(Slot, LeaderIdAndEpoch)> = Vec::new();
        // Mostly the answers are in the order of the request, and nobody has to be looked for.
        let mut asked = slots.iter().copied();
        let mut open = slots.len();
        let read = produced::read(body, version, |topic, answer| {
            let next = asked.next();
            let next = next.filter(|slot| self.is_slot_of(*slot, topic, answer.index));
            let Some(slot) = next.or_else(|| self.slot_of(topic, answer.index)) else {
                return;
            };
            let Some(partition) = self.board.get_mut(slot) else {
                return;
            };
            if !std::mem::replace(&mut partition.awaits_verdict, false) {
                return;
            }
            open -= 1;
            if answer.current_leader.leader_id >= 0 && answer.current_leader.leader_epoch >= 0 {
                hints.push((slot, answer.current_leader.clone()));
            }
            self.handle_partition_answer(now, connection, slot, &answer);
        });
        for slot in slots.iter().filter(|_| open > 0) {
            let omitted = self
                .board
                .get_mut(*slot)
                .is_some_and(|p| std::mem::take(&mut p.awaits_verdict));
            if omitted && let Some(parcel) = self.pop_in_flight(*slot) {
                self.again(now, *slot, parcel, ErrorCode::NETWORK_EXCEPTION, true, None);
                self.settle(now, *slot);
            }
        }
        self.recycle_slots(slots);
        let remarks = read?;
        if remarks.throttle_ms > 0 {
            self.counters.throttle_ms += u64::from(remarks.throttle_ms.unsigned_abs());
            self.client
                .note_throttle(now, connection, remarks.throttle_ms);
        }
        if !hints.is_empty() {
            self.follow_hints(now, &hints, &remarks.endpoints);
        }
        Ok(())
    }

    fn is_slot_of(&self, slot: Slot, topic: TopicName<'_>, index: i32) -> bool {
        self.board.get(slot).is_some_and(|partition| {
            let same_topic = match topic {
                TopicName::Name(name) => partition.topic.name() == name,
                TopicName::Id(id) => partition.topic_id == id && id != Uuid::ZERO,
            };
            partition.index == index && same_topic
        })
    }

    fn slot_of(&self, topic: TopicName<'_>, index: i32) -> Option<Slot> {
        let topic = match topic {
            TopicName::Name(name) => self.topics.get(name)?,
            TopicName::Id(Uuid::ZERO) => return None,
            TopicName::Id(id) => self.topics.get(self.topic_ids.get(&id)?)?,
        };
        topic.slots.get(usize::try_from(index).ok()?).copied()
    }

    #[inline(always)]
    pub(crate) fn pop_in_flight(&mut self, slot: Slot) -> Option<Parcel> {
        let partition = self.board.get_mut(slot)?;
        let parcel = partition.in_flight.pop_front()?;
        if partition.in_flight.is_empty() {
            partition.wire = None;
            // Few are in flight of many partitions: the next one's queue is where this one was, in the processor's cache.
            self.spare_queues
                .push(std::mem::take(&mut partition.in_flight));
        }
        Some(parcel)
    }

    /// One partition's answer, about the oldest batch in flight.
    fn handle_partition_answer(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        slot: Slot,
        answer: &PartitionProduceResponse<'_>,
    ) {
        let Some(mut parcel) = self.pop_in_flight(slot) else {
            return;
        };
        let code = ErrorCode(answer.error_code);
        if code != ErrorCode::NONE {
            self.counters.error(code);
            tracing::debug!(
                topic = parcel.batch.topic.name(),
                partition = parcel.batch.partition,
                error = code.name().unwrap_or("unknown"),
                code = code.0,
                attempt = parcel.attempts,
                "a batch was not taken"
            );
        }
        if code.is_invalid_metadata() {
            self.client.request_update(now, Why::StaleLeader);
        }
        let stamped = parcel.stamp.is_some();
        match verdict(code, self.config.acks, stamped) {
            Verdict::Done => self.done(
                slot,
                connection,
                parcel,
                answer.base_offset,
                answer.log_append_time_ms,
            ),
            Verdict::Duplicate => self.done(slot, connection, parcel, -1, -1),
            Verdict::Again { in_doubt } => {
                self.again(now, slot, parcel, code, in_doubt, answer.error_message);
            }
            Verdict::OutOfSequence => self.out_of_sequence(now, slot, parcel, code),
            Verdict::TooLarge => self.too_large(slot, parcel, answer),
            Verdict::Refused { in_doubt } => {
                parcel.in_doubt |= in_doubt;
                self.refuse(slot, parcel, code, answer);
            }
        }
        self.settle(now, slot);
    }

    /// The batch is in the log.
    pub(crate) fn done(
        &mut self,
        slot: Slot,
        connection: ConnectionId,
        parcel: Parcel,
        base_offset: i64,
        log_append_time: i64,
    ) {
        if let Some(partition) = self.board.get_mut(slot) {
            partition.proven = Some(connection);
            if let Some(aside) = partition.known_aside() {
                aside.back_off = None;
            }
            if let Some(stamp) = parcel.stamp {
                partition.sequences.acknowledged(stamp);
            }
        }
        if !parcel.given_up {
            self.counters.records_acknowledged += parcel.batch.records.unsigned_abs() as u64;
            self.counters.bytes_acknowledged += parcel.size() as u64;
            let ending = Ending::Done {
                base_offset,
                log_append_time,
            };
            parcel.batch.outcome.complete(ending, &mut self.bin);
        }
        self.bin.finish(parcel.batch);
    }

    /// The batch is to be sent again, unless its time or its attempts are used up.
    pub(crate) fn again(
        &mut self,
        now: Instant,
        slot: Slot,
        mut parcel: Parcel,
        code: ErrorCode,
        in_doubt: bool,
        message: Option<&str>,
    ) {
        parcel.in_doubt |= in_doubt;
        if parcel.given_up {
            return self.abandon(slot, parcel);
        }
        if now >= parcel.batch.created + self.config.delivery_timeout {
            return self.expired(slot, parcel, Some(code));
        }
        if parcel.attempts > self.config.retries {
            let mut failure = failure(FailureReason::RetriesExhausted, &parcel);
            failure.error = Some(broker_error(code));
            failure.message = Some(message.unwrap_or_else(|| code.message()).into());
            return self.fail(slot, parcel, failure);
        }
        let delay = self.back_off(parcel.attempts);
        if let Some(partition) = self.board.get_mut(slot) {
            partition.make_aside().back_off = Some(now + delay);
            partition.requeue(parcel);
        }
    }

    /// The broker lacks a batch before this one, or has forgotten the producer.
    fn out_of_sequence(&mut self, now: Instant, slot: Slot, parcel: Parcel, code: ErrorCode) {
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        let aside = partition.aside();
        let waits_for_older = aside.cutting > 0
            || aside
                .retries
                .front()
                .is_some_and(|older| older.order < parcel.order);
        if waits_for_older {
            // It comes right by itself once the older one is in the log.
            return self.again(now, slot, parcel, code, false, None);
        }
        // Every older batch is in the log or was given up: the sequence has a hole here.
        if let Some(stamp) = parcel.stamp {
            partition.sequences.mark_hole(stamp);
        }
        if parcel.in_doubt || parcel.given_up {
            let mut failure = failure(FailureReason::Refused, &parcel);
            failure.error = Some(broker_error(code));
            failure.message = Some(code.message().into());
            return self.fail(slot, parcel, failure);
        }
        self.fail_in_doubt_behind(slot, code);
        if parcel.attempts > self.config.retries {
            return self.again(now, slot, parcel, code, false, None);
        }
        let delay = if parcel.attempts > 1 {
            self.back_off(parcel.attempts)
        } else {
            Duration::ZERO
        };
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        partition.make_aside().back_off = Some(now + delay);
        partition.requeue(parcel);
    }

    /// The oldest batch cannot follow on what is in the log: what is in doubt behind it fails as
    /// possibly written, so that the partition can begin anew.
    ///
    /// Sent again before the oldest it could be appended by a broker that knows nothing of the
    /// producer, out of order; sent after it, it would wait for ever.
    fn fail_in_doubt_behind(&mut self, slot: Slot, code: ErrorCode) {
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        if !partition.in_flight.is_empty() {
            return;
        }
        let Some(aside) = partition.known_aside() else {
            return;
        };
        let queue = std::mem::take(&mut aside.retries);
        let (in_doubt, clean): (VecDeque<_>, VecDeque<_>) =
            queue.into_iter().partition(|parcel| parcel.in_doubt);
        aside.retries = clean;
        for parcel in in_doubt {
            let mut failure = failure(FailureReason::Refused, &parcel);
            failure.error = Some(broker_error(code));
            failure.message = Some("an older batch cannot be appended any more".into());
            self.fail(slot, parcel, failure);
        }
    }

    /// The wait before a batch is sent again after `attempts`.
    fn back_off(&mut self, attempts: u32) -> Duration {
        let backoff = Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max);
        backoff.delay(attempts.saturating_sub(1), &mut self.rng)
    }

    /// A topic takes no batch of this size.
    fn too_large(&mut self, slot: Slot, parcel: Parcel, answer: &PartitionProduceResponse<'_>) {
        if parcel.given_up || parcel.in_doubt || parcel.batch.records < 2 {
            return self.refuse(slot, parcel, ErrorCode::MESSAGE_TOO_LARGE, answer);
        }
        self.counters.splits += 1;
        let ratios = parcel.batch.topic.ratios();
        ratios.observe_too_large(parcel.codec, parcel.batch.raw_len, parcel.batch.body.len());
        // A part that is still too large is halved, so that cutting ends (KAFKA-8350).
        let target = if parcel.part {
            parcel.batch.raw_len / 2
        } else {
            self.config.batch_size
        };
        let target = target.min(parcel.batch.raw_len.saturating_sub(1)).max(1);
        if let Some(partition) = self.board.get_mut(slot) {
            partition.make_aside().cutting += 1;
            self.to_cut.push(SealItem {
                slot,
                parcel,
                cut: Some(target),
            });
        }
    }

    /// The broker will never take the batch.
    fn refuse(
        &mut self,
        slot: Slot,
        parcel: Parcel,
        code: ErrorCode,
        answer: &PartitionProduceResponse<'_>,
    ) {
        let reason = match code {
            ErrorCode::MESSAGE_TOO_LARGE => FailureReason::TooLarge,
            ErrorCode::INVALID_RECORD => FailureReason::InvalidRecord,
            _ => FailureReason::Refused,
        };
        let mut failure = failure(reason, &parcel);
        failure.error = Some(broker_error(code));
        failure.message = Some(
            answer
                .error_message
                .unwrap_or_else(|| code.message())
                .into(),
        );
        failure.records = record_failures(answer);
        self.fail(slot, parcel, failure);
    }

    /// The batch was not acknowledged in time.
    pub(crate) fn expired(&mut self, slot: Slot, parcel: Parcel, code: Option<ErrorCode>) {
        let mut failure = failure(FailureReason::Expired, &parcel);
        failure.error = code.map(broker_error);
        failure.message = self.why_late(slot, code).map(String::into_boxed_str);
        self.fail(slot, parcel, failure);
    }

    /// Tells the outcome; the batch's numbers, if it had some, leave a hole.
    pub(crate) fn fail(&mut self, slot: Slot, parcel: Parcel, failure: BatchFailure) {
        if !parcel.given_up {
            self.counters.records_failed += parcel.batch.records.unsigned_abs() as u64;
            let ending = Ending::Failed(Arc::new(failure));
            parcel.batch.outcome.complete(ending, &mut self.bin);
        }
        self.abandon(slot, parcel);
    }

    /// Lets go of a batch whose outcome is told.
    fn abandon(&mut self, slot: Slot, parcel: Parcel) {
        if let (Some(stamp), Some(partition)) = (parcel.stamp, self.board.get_mut(slot)) {
            partition.sequences.mark_hole(stamp);
        }
        self.bin.finish(parcel.batch);
    }

    /// Brings a partition in order after its batches changed: begins it anew if its sequence has
    /// a hole and nothing of it is on any wire, and puts it where it belongs.
    ///
    /// What may be in the log under its old name is never sent under a new one: it was sent again
    /// as it was before, or has failed as possibly written.
    pub(crate) fn settle(&mut self, now: Instant, slot: Slot) {
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        let quiet = partition.in_flight.is_empty() && partition.aside().cutting == 0;
        if quiet && partition.must_restart() {
            partition.sequences.restart(&mut self.producer);
            partition.proven = None;
            if let Some(aside) = partition.known_aside() {
                while let Some(mut parcel) = aside.retries.pop_back() {
                    parcel.stamp = None;
                    aside.sealed.push_front(parcel);
                }
            }
            self.counters.restarts += 1;
        }
        self.reschedule(now, slot);
    }

    /// A request was lost with its connection: its batches are sent again.
    pub(crate) fn handle_lost(
        &mut self,
        now: Instant,
        slots: Vec<Slot>,
        why: LostReason,
        begun: bool,
    ) {
        let code = lost_code(why);
        for slot in &slots {
            let Some(parcel) = self.pop_in_flight(*slot) else {
                continue;
            };
            self.counters.lost += 1;
            if let Some(partition) = self.board.get_mut(*slot) {
                partition.proven = None;
            }
            self.again(now, *slot, parcel, code, begun, None);
            self.settle(now, *slot);
        }
        self.recycle_slots(slots);
    }

    /// Takes the leaders that a response names (KIP-951).
    fn follow_hints(
        &mut self,
        now: Instant,
        hints: &[(Slot, LeaderIdAndEpoch)],
        endpoints: &[NodeEndpoint<'_>],
    ) {
        let named = hints.iter().filter_map(|(slot, leader)| {
            let partition = self.board.get(*slot)?;
            Some(LeaderHint {
                topic: partition.topic.name(),
                partition: partition.index,
                leader: NodeId(leader.leader_id),
                leader_epoch: leader.leader_epoch,
            })
        });
        let named: Vec<_> = named.collect();
        let endpoints = endpoints.iter().map(|endpoint| Endpoint {
            node: NodeId(endpoint.node_id),
            host: endpoint.host,
            port: endpoint.port,
            rack: endpoint.rack,
        });
        let endpoints: Vec<_> = endpoints.collect();
        self.client.apply_leader_hints(now, &named, &endpoints);
    }
}

pub(crate) fn failure(reason: FailureReason, parcel: &Parcel) -> BatchFailure {
    let fate = if parcel.in_doubt {
        Fate::PossiblyWritten
    } else {
        Fate::NotWritten
    };
    BatchFailure::new(reason, fate)
}

/// The code that stands for the loss of a request, as in Java.
pub(crate) fn lost_code(why: LostReason) -> ErrorCode {
    match why {
        LostReason::Timeout => ErrorCode::REQUEST_TIMED_OUT,
        LostReason::Disconnected => ErrorCode::NETWORK_EXCEPTION,
    }
}

/// A code with its name, for those who have no table of codes.
pub(crate) fn broker_error(code: ErrorCode) -> BrokerError {
    BrokerError {
        code: code.0,
        name: code.name(),
    }
}

/// The records that the broker named, ascending (KIP-467).
fn record_failures(answer: &PartitionProduceResponse<'_>) -> Vec<RecordFailure> {
    let named = answer.record_errors.iter().filter_map(|error| {
        let index = u32::try_from(error.batch_index).ok()?;
        let message = error.batch_index_error_message.map(Box::from);
        Some(RecordFailure { index, message })
    });
    let mut records: Vec<_> = named.collect();
    records.sort_unstable_by_key(|record| record.index);
    records.dedup_by_key(|record| record.index);
    records
}
