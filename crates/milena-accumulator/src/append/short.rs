//! The short way: the open batch takes the record, and its last chunk has space for it.
//!
//! Every record passes here. All of it is inlined into the caller, so that nothing of a record is written to memory
//! but its bytes; what is rare is in functions of its own.

use std::sync::Arc;
use std::time::Duration;

use milena_partitioner::should_switch;
use milena_record::MAX_RECORD_OVERHEAD;

use super::long::{Input, Memory};
use super::{Appended, Claim, Place, Placed, Refused};
use crate::accumulator::Accumulator;
use crate::clock::{Clock, Urgency};
use crate::inbox::{News, What};
use crate::outcome::Outcome;
use crate::queue::{Change, Open, Queue};
use crate::record::{AsRecord, Prepared, Want};
use crate::room::Room;
use crate::topic::Topic;

impl Accumulator {
    /// Appends one record, or says why not. Never waits.
    ///
    /// `room` is what [`wait_room`](Self::wait_room) granted after a [`Refused::Full`]; what is not needed of it goes
    /// back at once.
    ///
    /// # Errors
    ///
    /// [`Refused`]; a callback stays with the caller then.
    #[inline(always)]
    pub fn append<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        record: &R,
        want: Want<'_>,
        room: Option<Room>,
    ) -> Result<Appended, Refused> {
        let timestamp = match record.record().timestamp {
            Some(timestamp) => timestamp,
            None => clock.wall_ms(),
        };
        let wants_delivery = matches!(want, Want::Delivery);
        // Few and small values lead to the end, so that both results and what they are made of stay in registers.
        let placed = self.append_short(clock, topic, record, timestamp, want, room)?;
        let partition = placed.partition as i32;
        // Nothing of a delivery is made, nor taken to pieces again, where it is plain that none is wanted.
        let delivery = match placed.claim() {
            Some(claim) if wants_delivery => Some(claim.delivery(&record.record(), timestamp)),
            _ => None,
        };
        Ok(Appended {
            partition,
            delivery,
        })
    }

    /// [`append`](Self::append) for a caller that has read the time, if the record has none of its own, and makes the
    /// delivery, if one is wanted: see [`Claim`].
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    #[inline(always)]
    pub fn append_at<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        record: &R,
        timestamp: i64,
        want: Want<'_>,
    ) -> Result<Option<Claim>, Refused> {
        let placed = self.append_short(clock, topic, record, timestamp, want, None)?;
        Ok(placed.claim())
    }

    #[inline(always)]
    fn append_short<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        record: &R,
        timestamp: i64,
        mut want: Want<'_>,
        room: Option<Room>,
    ) -> Result<Placed, Refused> {
        // The long way is lent the record anew and prepares it anew, so that here it stays in registers.
        let input = Input { record, timestamp };
        if let Some(room) = room {
            return self.append_long(clock, topic, input, want, Memory::Room(room));
        }
        let mut prepared = Prepared::EMPTY;
        prepared.fill(&record.record(), timestamp, self.compressed);
        self.check_size(&prepared)?;
        if prepared.shared.is_none() {
            let place = self.place(clock, topic, record.target(), &prepared)?;
            if let Some(partition) = topic.find(place.index) {
                let (place, mut queue) = self.lock(clock, topic, place, partition);
                if place.holds() {
                    let written = self.write(&mut queue, place, &prepared, &mut want);
                    if let Some((open, outcome)) = written {
                        let (index, full) = (open.records - 1, open.is_full());
                        let urgency = self.after(topic, place, &mut queue, full, clock);
                        drop(queue);
                        self.wake_for(topic, place, urgency);
                        return Ok(Placed {
                            index,
                            outcome,
                            partition: place.index,
                        });
                    }
                    return self.append_locked(clock, topic, queue, place, input, want);
                }
            }
        }
        self.append_long(clock, topic, input, want, Memory::Unknown)
    }

    #[inline(always)]
    pub(super) fn check_size(&self, record: &Prepared<'_>) -> Result<(), Refused> {
        let size = milena_record::BatchHeader::LEN + MAX_RECORD_OVERHEAD + record.parts;
        if size > self.largest {
            return Err(Refused::TooLarge {
                size,
                limit: self.largest,
            });
        }
        Ok(())
    }

    /// The short way: the open batch takes the record, and its last chunk has space for it.
    #[inline(always)]
    pub(super) fn write<'q>(
        &self,
        queue: &'q mut Queue,
        place: Place<'_>,
        record: &Prepared<'_>,
        want: &mut Want<'_>,
    ) -> Option<(&'q mut Open, Option<Arc<Outcome>>)> {
        let Queue { open, sticky, .. } = queue;
        let open = open.as_mut()?;
        let head = open.head_of(record);
        let size = head.record_size();
        if size > open.space() || !open.fits(size) || !self.gate.is_open_in(open.generation) {
            return None;
        }
        // First, because taking the lock has emptied the store buffer: counting a reference waits until it is empty.
        let outcome = hand_out(open, open.records, record, want);
        head.encode(&mut open.tail, &record.record);
        self.count(open, sticky, place, size, record);
        Some((open, outcome))
    }

    /// Counts a written record.
    #[inline(always)]
    pub(super) fn count(
        &self,
        open: &mut Open,
        sticky: &mut u64,
        place: Place<'_>,
        size: usize,
        record: &Prepared<'_>,
    ) {
        open.count(size, record.record.timestamp);
        if place.is_sticky() {
            *sticky += match self.compressed {
                false => size as u64,
                true => open.share_of_last(size, self.limits.codec) as u64,
            };
        }
    }

    /// After a record was written: closes the batch if it is full, moves the sticky choice on if it is time to.
    /// Returns whether somebody is to be woken, once the lock is released.
    #[inline(always)]
    pub(super) fn after<C: Clock>(
        &self,
        topic: &Topic,
        place: Place<'_>,
        queue: &mut Queue,
        full: bool,
        clock: &C,
    ) -> Option<Urgency> {
        let batch = self.limits.batch as u64;
        if full || (place.is_sticky() && should_switch(queue.sticky, batch, true)) {
            return self.change(topic, place, queue, full, clock);
        }
        None
    }

    /// Closes the open batch if it is full, and moves the sticky choice on.
    #[cold]
    fn change<C: Clock>(
        &self,
        topic: &Topic,
        place: Place<'_>,
        queue: &mut Queue,
        full: bool,
        clock: &C,
    ) -> Option<Urgency> {
        if full {
            queue.close(&self.pool);
        }
        if place.is_sticky() {
            self.move_on(topic, place, queue, clock);
        }
        self.report(topic, place, queue)
    }

    /// Tells the sender's inbox what is new in a partition. Under its lock, so that the sender never reads it before
    /// it is true, nor after it took what it is about. Returns whether somebody is to be woken, as [`after`](Self::after).
    #[cold]
    pub(super) fn report(
        &self,
        topic: &Topic,
        place: Place<'_>,
        queue: &mut Queue,
    ) -> Option<Urgency> {
        let partition = topic.find(place.index)?;
        let (what, urgency) = match queue.change()? {
            Change::Opened(at) if self.pressed() => (What::Opened { at }, Urgency::Now),
            Change::Opened(at) => {
                // A linger without end is as good as one of a year: other reasons to send come first.
                let year = Duration::from_secs(365 * 24 * 3600);
                let deadline = at + self.config.linger.min(year);
                (What::Opened { at }, Urgency::Opened { deadline })
            }
            Change::Filled(at) => (What::Filled { at }, Urgency::Now),
        };
        let news = News {
            slot: partition.slot,
            what,
        };
        let wakes = self.inbox.push(news, partition.leader(), urgency);
        wakes.then_some(urgency)
    }

    #[inline(always)]
    pub(super) fn wake_for(&self, topic: &Topic, place: Place<'_>, urgency: Option<Urgency>) {
        if let Some(urgency) = urgency {
            self.wake_leader(topic, place.index, urgency);
        }
    }
}

/// Hands the callback of the record with this index to its batch, or the batch's outcome to the caller.
#[inline(always)]
pub(super) fn hand_out(
    open: &mut Open,
    index: u32,
    record: &Prepared<'_>,
    want: &mut Want<'_>,
) -> Option<Arc<Outcome>> {
    match want {
        Want::Nothing => None,
        Want::Delivery => Some(Arc::clone(&open.outcome)),
        Want::Callback(callback) => {
            if let Some(call) = callback.take() {
                open.call_back(index, record.about(), call);
            }
            None
        }
    }
}
