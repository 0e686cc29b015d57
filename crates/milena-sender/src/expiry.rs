//! What becomes of batches whose time is over: `delivery.timeout.ms`, and the end of the producer.

use std::sync::Arc;
use std::time::Instant;

use milena_accumulator::{BatchFailure, FailureReason, Fate, Slot, Verdict as Ending};
use milena_client::NodeId;
use milena_wire::ErrorCode;

use crate::partition::{Away, Parcel, Waiting};
use crate::seal::Parts;
use crate::sender::Sender;
use crate::settle::failure;

impl Sender {
    /// Fails what has waited longer than `delivery.timeout.ms`, in every state.
    ///
    /// Oldest first. A batch in flight is told to have failed at once; its answer, should it
    /// come, only settles the sequence.
    pub(crate) fn expire(&mut self, now: Instant, slot: Slot) {
        let timeout = self.config.delivery_timeout;
        let late = |created: Instant| now >= created + timeout;
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        // What waits to be cut and is late fails whole, in its turn.
        let late_to_cut = self.to_cut.extract_if(.., |item| {
            item.slot == slot && late(item.parcel.batch.created)
        });
        for item in late_to_cut {
            partition.make_aside().cutting -= 1;
            partition.requeue(item.parcel);
        }
        if let Some(first) = partition.in_flight.front().map(|parcel| parcel.order) {
            while let Some(parcel) = self.pop_late_retry(slot, late, Some(first)) {
                self.expired(slot, parcel, None);
            }
        }
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        let mut told = Vec::new();
        for parcel in &mut partition.in_flight {
            if !parcel.given_up && late(parcel.batch.created) {
                parcel.given_up = true;
                parcel.in_doubt = true;
                told.push((Arc::clone(&parcel.batch.outcome), parcel.batch.records));
            }
        }
        for (outcome, records) in told {
            self.counters.records_failed += u64::from(records.unsigned_abs());
            let mut failure = BatchFailure::new(FailureReason::Expired, Fate::PossiblyWritten);
            failure.message = Some("the broker did not answer in time".into());
            outcome.complete(Ending::Failed(Arc::new(failure)), &mut self.bin);
        }
        while let Some(parcel) = self
            .pop_late_retry(slot, late, None)
            .or_else(|| self.pop_late(slot, late))
        {
            self.expired(slot, parcel, None);
        }
        self.settle(now, slot);
    }

    /// The next late batch among those to be sent again, of those `before` an order.
    fn pop_late_retry(
        &mut self,
        slot: Slot,
        late: impl Fn(Instant) -> bool,
        before: Option<(u64, u32)>,
    ) -> Option<Parcel> {
        let retries = &mut self.board.get_mut(slot)?.known_aside()?.retries;
        let first = retries.front()?;
        let due = late(first.batch.created) && before.is_none_or(|before| first.order < before);
        due.then(|| retries.pop_front())?
    }

    /// The next late batch that was never sent.
    fn pop_late(&mut self, slot: Slot, late: impl Fn(Instant) -> bool) -> Option<Parcel> {
        let partition = self.board.get_mut(slot)?;
        if let Some(aside) = partition.known_aside()
            && let Some(parcel) = aside.sealed.front()
            && late(parcel.batch.created)
        {
            return aside.sealed.pop_front();
        }
        if !partition.waiting.since().is_some_and(&late) {
            return None;
        }
        // News can be older than what was taken since: what came later is not late because of them.
        partition.waiting = self.accumulator.waiting(slot).into();
        if !partition.waiting.since().is_some_and(late) {
            return None;
        }
        let taken = self
            .accumulator
            .take_from(&partition.topic, partition.index);
        partition.waiting = taken
            .as_ref()
            .map_or(Waiting::Nothing, |taken| taken.rest.into());
        taken.map(|taken| partition.adopt(taken.batch))
    }

    /// Ends everything of a partition, because the producer is closed.
    pub(crate) fn abort_partition(&mut self, slot: Slot) {
        let Some(partition) = self.board.get_mut(slot) else {
            return;
        };
        partition.waiting = Waiting::Nothing;
        // Oldest first: outcomes of a partition are told in order.
        let mut parcels = std::mem::take(&mut partition.in_flight);
        for parcel in &mut parcels {
            parcel.in_doubt = true;
        }
        let mut away = Vec::new();
        if let Some(aside) = partition.known_aside() {
            parcels.append(&mut aside.retries);
            parcels.append(&mut aside.sealed);
            away.append(&mut aside.away);
        }
        parcels
            .make_contiguous()
            .sort_unstable_by_key(|parcel| parcel.order);
        while let Some(taken) = self
            .accumulator
            .take_from(&partition.topic, partition.index)
        {
            parcels.push_back(partition.adopt(taken.batch));
        }
        away.sort_unstable_by_key(|away| away.order);
        let mut away = away.into_iter().peekable();
        for parcel in parcels {
            while let Some(older) = away.next_if(|away| away.order < parcel.order) {
                self.fail_away(older);
            }
            self.fail_closed(slot, parcel);
        }
        away.for_each(|away| self.fail_away(away));
    }

    /// Fails a batch that is with the compressor, because the producer is closed. Neither one to be sent first nor
    /// one to be cut can be in the log.
    fn fail_away(&mut self, away: Away) {
        self.counters.records_failed += u64::from(away.records.unsigned_abs());
        let failure = BatchFailure::new(FailureReason::Closed, Fate::NotWritten);
        let ending = Ending::Failed(Arc::new(failure));
        away.outcome.complete(ending, &mut self.bin);
    }

    /// Lets go of what comes back from the compressor after the end, when its outcome is told.
    pub(crate) fn discard(&mut self, parts: Parts) {
        let parcels = match parts {
            Ok(made) => {
                if let Some((whole, _)) = made.cut {
                    self.bin.finish(whole);
                }
                made.parcels
            }
            Err((parcel, _)) => vec![parcel],
        };
        for parcel in parcels {
            // Nobody waits for the outcome of a part, but flushes count it.
            let failure = BatchFailure::new(FailureReason::Closed, Fate::NotWritten);
            let ending = Ending::Failed(Arc::new(failure));
            parcel.batch.complete(ending, &mut self.bin);
        }
    }

    /// Fails a batch because the producer is closed.
    pub(crate) fn fail_closed(&mut self, slot: Slot, parcel: Parcel) {
        let failure = failure(FailureReason::Closed, &parcel);
        self.fail(slot, parcel, failure);
    }

    /// Fails a batch that could not be compressed.
    pub(crate) fn fail_sealing(&mut self, slot: Slot, parcel: Parcel, why: String) {
        let mut failure = failure(FailureReason::Refused, &parcel);
        failure.message = Some(format!("it could not be compressed: {why}").into_boxed_str());
        self.fail(slot, parcel, failure);
    }

    /// Why a batch of the partition was not delivered in time, in words.
    pub(crate) fn why_late(&self, slot: Slot, code: Option<ErrorCode>) -> Option<String> {
        if let Some(code) = code {
            return Some(format!(
                "the last answer was {}",
                code.name().unwrap_or("an unknown error")
            ));
        }
        let partition = self.board.get(slot)?;
        match partition.leader {
            None => Some("the partition has no leader".to_owned()),
            Some(node) => Some(self.why_silent(node, partition.sequences.is_new())),
        }
    }

    /// Why nothing was heard of a batch for this leader, which perhaps begins the sequence of its partition.
    fn why_silent(&self, node: NodeId, is_first: bool) -> String {
        let unreachable = self.unreachable.get(&node).cloned();
        unreachable
            .or_else(|| is_first.then(|| self.why_unidentified())?)
            .unwrap_or_else(|| format!("its leader, broker {}, did not take it", node.0))
    }
}
