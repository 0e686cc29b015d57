//! What must hold between calls, for those who test the sender.

use std::time::Instant;

use milena_accumulator::Slot;

use crate::partition::{Partition, Reason, Schedule};
use crate::sender::Sender;

impl Sender {
    /// Looks whether each partition stands where it belongs, and whether what it waits for will come: a partition
    /// that is parked without a pending event would wait for ever. So does one whose batches expire after their time.
    /// Costs time by partitions known.
    ///
    /// # Errors
    ///
    /// The first partition of which that is not true, in words.
    pub fn check(&self, now: Instant) -> Result<(), String> {
        let rules = self.rules(now);
        for index in 0..self.board.len() {
            if let Some(partition) = self.board.get(Slot(index as u32)) {
                let (is, should) = (partition.schedule, partition.decide(&rules));
                let stands = match stands(is, should, now) {
                    true => self.check_partition(partition).map_err(str::to_owned),
                    false => Err(format!("it should be {should:?}")),
                };
                stands.map_err(|what| {
                    let (topic, index) = (partition.topic.name(), partition.index);
                    format!("{topic}-{index}, {is:?}: {what}")
                })?;
            }
        }
        Ok(())
    }

    fn check_partition(&self, partition: &Partition) -> Result<(), &'static str> {
        let is = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        let (slot, board) = (partition.slot, &self.board);
        let on_the_wire = !partition.in_flight.is_empty();
        let aside = partition.aside();
        let with_compressor = aside.sealing || aside.cutting > 0;
        let timed = |at| partition.timer.is_some_and(|timer| timer <= at);
        is(
            with_compressor != aside.away.is_empty() || aside.cutting > 0,
            "it does not know what is with the compressor",
        )?;
        is(
            on_the_wire == partition.wire.is_some(),
            "it does not know where its batches are",
        )?;
        if let Some((connection, _)) = partition.wire {
            let mut open = self.client.connections();
            is(
                open.any(|(id, _)| id == connection),
                "the connection that its batches are on is gone",
            )?;
        }
        let oldest = partition.oldest();
        is(
            oldest.is_none_or(|created| timed(created + self.config.delivery_timeout)),
            "nothing will expire its batches in time",
        )?;
        let to_cut = self.oldest_to_cut(slot);
        is(
            to_cut.is_none_or(|created| timed(created + self.config.delivery_timeout)),
            "nothing will expire what is to be cut",
        )?;
        match partition.schedule {
            Schedule::Idle => is(!partition.has_data(), "there is something to send"),
            Schedule::Lingering(node, until) => is(
                board.is_lingering(node, until, slot),
                "it is not in its node's list",
            ),
            Schedule::Ready(node) => {
                is(board.is_listed(node, slot), "it is not in its node's list")
            }
            Schedule::Parked(reason) => match reason {
                Reason::BackOff(until) => is(timed(until), "no timer ends the back-off"),
                Reason::Draining => {
                    is(on_the_wire || aside.cutting > 0, "nothing is left to drain")
                }
                Reason::InFlightElsewhere | Reason::RetryOut | Reason::Window(_) => {
                    is(on_the_wire, "no answer can come")
                }
                Reason::Sealing => is(with_compressor, "nothing is with the compressor"),
                Reason::NoLeader => is(board.is_leaderless(slot), "nobody asks for a leader"),
                Reason::NoProducerId => is(
                    board.is_unidentified(slot) && self.producer.identity().is_none(),
                    "nobody asks for a producer id",
                ),
            },
        }
    }
}

/// Whether a partition that should be somewhere may be where it is: it is moved when it is next looked at, if that comes.
fn stands(is: Schedule, should: Schedule, now: Instant) -> bool {
    match (is, should) {
        (Schedule::Lingering(node, until), Schedule::Ready(other)) => node == other && until <= now,
        (Schedule::Parked(Reason::BackOff(until)), _) if until <= now => true,
        // That an id's epochs are used up is noticed when the next one is needed.
        (Schedule::Ready(_) | Schedule::Lingering(..), Schedule::Parked(Reason::NoProducerId)) => {
            true
        }
        _ => is == should,
    }
}
