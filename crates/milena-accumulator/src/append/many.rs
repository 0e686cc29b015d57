//! Many records in one call.

use super::short::may_stay;
use super::{Place, Refused};
use crate::accumulator::Accumulator;
use crate::clock::Clock;
use crate::delivery::Deliveries;
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
            if room.is_none() {
                match self.append_run(clock, topic, &records[done..], wall_ms, &mut deliveries) {
                    Ok(run) => done += run,
                    Err((run, refused)) => return (done + run, Some(refused)),
                }
            }
            let Some(next) = records.get(done) else {
                return (done, None);
            };
            let record = next.record();
            let timestamp = record.timestamp.unwrap_or(wall_ms);
            let want = match deliveries {
                Some(_) => Want::Delivery,
                None => Want::Nothing,
            };
            let target = next.target();
            let room = room.take();
            let appended = self.append_long(clock, topic, target, &record, timestamp, want, room);
            match (appended, deliveries.as_deref_mut()) {
                (Ok(appended), Some(deliveries)) => deliveries.extend(appended.delivery),
                (Ok(_), None) => {}
                (Err(refused), _) => return (done, Some(refused)),
            }
            done += 1;
        }
    }

    /// Appends what goes the short way, and stops before what does not.
    fn append_run<C: Clock, R: AsRecord>(
        &self,
        clock: &C,
        topic: &Topic,
        records: &[R],
        wall_ms: i64,
        deliveries: &mut Option<&mut Deliveries>,
    ) -> Result<usize, (usize, Refused)> {
        let mut done = 0;
        let mut next = records
            .first()
            .map(|first| self.prepare(topic, first, wall_ms));
        while let Some(prepared) = next.take() {
            let (place, record) = prepared.map_err(|refused| (done, refused))?;
            let Some(found) = topic.find(place.index) else {
                return Ok(done);
            };
            let mut queue = found.partition.lock();
            let generation = match self.gate.check() {
                Ok(generation) => generation,
                Err(reason) => return Err((done, Refused::Closed(reason))),
            };
            let (mut record, mut urgency) = (record, None);
            loop {
                if record.shared.is_some() || !may_stay(topic, place) {
                    break;
                }
                let Some(open) = self.write(&mut queue, place, generation, &record) else {
                    break;
                };
                if let Some(deliveries) = deliveries {
                    deliveries.push(&open.outcome, open.records - 1, record.about());
                }
                urgency = self
                    .after(topic, found, place, &mut queue, clock)
                    .or(urgency);
                done += 1;
                let Some(following) = records.get(done) else {
                    break;
                };
                match self.prepare(topic, following, wall_ms) {
                    Ok((other, following))
                        if other.index == place.index && other.sticky == place.sticky =>
                    {
                        record = following;
                    }
                    other => {
                        next = Some(other);
                        break;
                    }
                }
            }
            drop(queue);
            self.wake_for(found, urgency);
        }
        Ok(done)
    }

    #[inline(always)]
    fn prepare<'r, R: AsRecord>(
        &self,
        topic: &Topic,
        record: &'r R,
        wall_ms: i64,
    ) -> Result<(Place, Prepared<'r>), Refused> {
        let target = record.target();
        let record = record.record();
        let timestamp = record.timestamp.unwrap_or(wall_ms);
        let record = Prepared::new(&record, timestamp, self.compressed);
        self.check_size(&record)?;
        Ok((self.place(topic, target, &record)?, record))
    }
}
