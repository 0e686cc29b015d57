//! Many records in one call.

use super::long::{Input, Memory};
use super::{Place, Refused};
use crate::accumulator::Accumulator;
use crate::clock::Clock;
use crate::delivery::{About, Deliveries};
use crate::record::{AsRecord, Prepared, Want};
use crate::room::Room;
use crate::topic::Topic;

impl Accumulator {
    /// Appends records in order until all are in or one is refused: how many went in, and why not more. Neighbours to
    /// the same partition share one lock, and all share one reading of the clock.
    ///
    /// Each appended record is added to `deliveries`, if given.
    pub fn append_many<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        records: &[R],
        mut deliveries: Option<&mut Deliveries>,
        mut room: Option<Room>,
    ) -> (usize, Option<Refused>) {
        let wall_ms = clock.wall_ms();
        let mut done = 0;
        loop {
            let mut foreseen = Memory::Unknown;
            if room.is_none() {
                match self.append_run(clock, topic, &records[done..], wall_ms, &mut deliveries) {
                    Ok((run, memory)) => {
                        done += run;
                        foreseen = memory;
                    }
                    Err((run, refused)) => return (done + run, Some(refused)),
                }
            }
            let Some(next) = records.get(done) else {
                return (done, None);
            };
            let timestamp = next.record().timestamp.unwrap_or(wall_ms);
            let want = match deliveries {
                Some(_) => Want::Delivery,
                None => Want::Nothing,
            };
            let input = Input {
                record: next,
                timestamp,
            };
            let memory = room.take().map_or(foreseen, Memory::Room);
            let appended = self.append_long(clock, topic, input, want, memory);
            match (appended, deliveries.as_deref_mut()) {
                (Ok(placed), Some(deliveries)) => {
                    if let Some(outcome) = placed.outcome {
                        let about = About::of(&next.record(), timestamp);
                        deliveries.push(&outcome, placed.index, about);
                    }
                }
                (Ok(_), None) => {}
                (Err(refused), _) => return (done, Some(refused)),
            }
            done += 1;
        }
    }

    /// Appends what goes the short way, and stops before what does not: how many, and what the next one needs.
    fn append_run<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        records: &[R],
        wall_ms: i64,
        deliveries: &mut Option<&mut Deliveries>,
    ) -> Result<(usize, Memory), (usize, Refused)> {
        let Some(first) = records.first() else {
            return Ok((0, Memory::Unknown));
        };
        let mut done = 0;
        let mut record = Prepared::EMPTY;
        let mut place = self
            .prepare(clock, &mut record, topic, first, wall_ms)
            .map_err(|refused| (done, refused))?;
        loop {
            let Some(partition) = topic.find(place.index) else {
                return Ok((done, Memory::Unknown));
            };
            let (now, mut queue) = self.lock(clock, topic, place, partition);
            place = now;
            let mut urgency = None;
            let end = loop {
                if !place.holds() {
                    break End::Stop(Memory::Unknown);
                }
                let written = match record.shared {
                    None => self.write(&mut queue, place, &record, &mut Want::Nothing),
                    Some(_) => None,
                };
                let open = match written {
                    Some((open, _)) => open,
                    None => match self.lengthen(topic, &mut queue, place, record) {
                        Ok(open) => open,
                        Err(memory) => break End::Stop(memory),
                    },
                };
                let full = open.is_full();
                if let Some(deliveries) = deliveries {
                    deliveries.push(&open.outcome, open.records - 1, record.about());
                }
                let change = self.after(topic, place, &mut queue, full, clock);
                urgency = change.or(urgency);
                done += 1;
                let Some(following) = records.get(done) else {
                    break End::Stop(Memory::Unknown);
                };
                match self.prepare(clock, &mut record, topic, following, wall_ms) {
                    Ok(next) if next == place => {}
                    Ok(next) => break End::Elsewhere(next),
                    Err(refused) => break End::Refused(refused),
                }
            };
            drop(queue);
            self.wake_for(topic, place, urgency);
            match end {
                End::Stop(memory) => return Ok((done, memory)),
                End::Elsewhere(next) => place = next,
                End::Refused(refused) => return Err((done, refused)),
            }
        }
    }

    #[inline(always)]
    fn prepare<'r, 't, C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        prepared: &mut Prepared<'r>,
        topic: &'t Topic,
        record: &'r R,
        wall_ms: i64,
    ) -> Result<Place<'t>, Refused> {
        let target = record.target();
        let record = record.record();
        let timestamp = record.timestamp.unwrap_or(wall_ms);
        prepared.fill(&record, timestamp, self.compressed);
        self.check_size(prepared)?;
        self.place(clock, topic, target, prepared)
    }
}

/// Why records to one partition end.
enum End<'t> {
    Elsewhere(Place<'t>),
    Stop(Memory),
    Refused(Refused),
}
