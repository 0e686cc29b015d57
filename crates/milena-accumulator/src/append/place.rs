//! Where a record goes: to the partition of its key, or to a sticky one (KIP-794).

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use milena_partitioner::{partition_for_key, should_switch};

use super::Refused;
use crate::accumulator::Accumulator;
use crate::clock::Clock;
use crate::lanes::Lanes;
use crate::lock::Held;
use crate::queue::Queue;
use crate::record::{Prepared, Target};
use crate::topic::{Partition, Topic};

/// Where a record goes.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) index: u32,
    /// The sticky choice that it follows, if it does: the topic's common one or a lane's. It has changed if it is not
    /// `index` any more.
    pub(super) sticky: Option<&'t AtomicU32>,
}

impl<'t> Place<'t> {
    #[inline(always)]
    pub(super) fn is_sticky(&self) -> bool {
        self.sticky.is_some()
    }

    /// The choice that it follows, if that is a lane's.
    fn lane(&self, topic: &Topic) -> Option<&'t AtomicU32> {
        self.sticky.filter(|sticky| !topic.is_common(sticky))
    }

    /// Under the lock of the partition: whether the choice that was followed is still that. Only who holds this lock
    /// can change it.
    #[inline(always)]
    pub(super) fn holds(&self) -> bool {
        match self.sticky {
            Some(sticky) => sticky.load(Ordering::Relaxed) == self.index,
            None => true,
        }
    }
}

impl PartialEq for Place<'_> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let address = |place: &Self| place.sticky.map(ptr::from_ref);
        self.index == other.index && address(self) == address(other)
    }
}

impl Accumulator {
    /// Where a record goes, as far as can be told without a lock.
    #[inline(always)]
    pub(super) fn place<'t, C: Clock>(
        &self,
        clock: &C,
        topic: &'t Topic,
        target: Target,
        record: &Prepared<'_>,
    ) -> Result<Place<'t>, Refused> {
        let index = match (target, record.record.key) {
            (Target::Partition(partition), _) => {
                let count = topic.partition_count();
                if partition < 0 || partition >= count {
                    return Err(Refused::NoSuchPartition { partition, count });
                }
                partition as u32
            }
            (Target::Any, Some(key)) if !self.config.ignore_keys => {
                partition_for_key(key, topic.partition_count()) as u32
            }
            _ => {
                let (sticky, index) = topic.lanes.of(&topic.sticky, || clock.thread());
                return Ok(Place {
                    index,
                    sticky: Some(sticky),
                });
            }
        };
        Ok(Place {
            index,
            sticky: None,
        })
    }

    /// Locks the partition of a place; another one, where the record goes then, if threads keep waiting for that.
    #[inline(always)]
    pub(super) fn lock<'t, C: Clock>(
        &self,
        clock: &C,
        topic: &'t Topic,
        place: Place<'t>,
        partition: &'t Partition,
    ) -> (Place<'t>, Held<'t, Queue>) {
        match partition.try_lock() {
            Some(queue) => (place, queue),
            None => self.lock_contended(clock, topic, place, partition),
        }
    }

    #[cold]
    fn lock_contended<'t, C: Clock>(
        &self,
        clock: &C,
        topic: &'t Topic,
        place: Place<'t>,
        partition: &'t Partition,
    ) -> (Place<'t>, Held<'t, Queue>) {
        let common = || place.sticky.is_some_and(|sticky| topic.is_common(sticky));
        if topic.partition_count() > 1
            && common()
            && topic.lanes.on_wait(place.index)
            && let Some(chosen) = topic.choose_apart(&self.rules(), || clock.now())
        {
            let lanes = &topic.lanes;
            let (lane, index) = lanes.claim(clock.thread(), chosen.partition, chosen.number);
            if let Some(partition) = topic.find(index) {
                let (sticky, queue) = (Some(lane), partition.lock());
                let place = Place { index, sticky };
                if index < topic.partition_count() as u32 {
                    return (place, queue);
                }
                // It went after it was chosen, and nobody saw the lane then.
                if place.holds() {
                    Lanes::leave(lane);
                }
            }
        }
        (place, partition.lock())
    }

    /// Leaves a sticky partition, if enough bytes went to it: for the next one, or from a lane for the common one. A
    /// lane is left after one batch, full or not. Returns whether it did.
    #[cold]
    pub(super) fn move_on<C: Clock>(
        &self,
        topic: &Topic,
        place: Place<'_>,
        queue: &mut Queue,
        clock: &C,
    ) -> bool {
        let batch = self.limits.batch as u64;
        let lane = place.lane(topic);
        let is_over = lane.is_some() && queue.sticky > 0 && queue.open.is_none();
        if !is_over && !should_switch(queue.sticky, batch, queue.open.is_some()) {
            return false;
        }
        queue.sticky = 0;
        let full = queue.has_full();
        match lane {
            Some(lane) => {
                Lanes::leave(lane);
                if !full {
                    topic.lanes.on_leave(false);
                }
            }
            None => {
                topic.lanes.on_leave(full);
                let next = topic.choose(&self.rules(), || clock.now());
                topic.sticky.store(next, Ordering::Relaxed);
            }
        }
        true
    }

    /// Whether the sticky choice leaves this partition once its open batch is closed.
    pub(super) fn is_done_here(&self, topic: &Topic, place: Place<'_>, queue: &Queue) -> bool {
        let is_over = place.lane(topic).is_some() && queue.sticky > 0;
        is_over || should_switch(queue.sticky, self.limits.batch as u64, false)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do to count from"
)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::bin::Bin;
    use crate::config::Config;
    use crate::record::{Record, Value, Want};

    /// A clock that goes on whenever it is read, and on which one thread plays several.
    struct Played {
        now: Cell<Instant>,
        thread: Cell<usize>,
    }

    impl Clock for Played {
        fn now(&self) -> Instant {
            self.now.set(self.now.get() + Duration::from_millis(1));
            self.now.get()
        }

        fn wall_ms(&self) -> i64 {
            0
        }

        fn thread(&self) -> usize {
            self.thread.get()
        }
    }

    struct Play {
        accumulator: Accumulator,
        clock: Played,
    }

    /// Batches of ten records of a hundred bytes.
    const BATCH: usize = 1000;

    impl Play {
        fn new(partitions: usize, adaptive: bool) -> Self {
            let config = Config {
                batch_size: BATCH,
                adaptive,
                ..Config::default()
            };
            let accumulator = Accumulator::new(config, 11);
            let play = Self {
                accumulator,
                clock: Played {
                    now: Cell::new(Instant::now()),
                    thread: Cell::new(0),
                },
            };
            play.lead(&vec![Some(1); partitions]);
            play
        }

        fn lead(&self, leaders: &[Option<i32>]) {
            let put = &mut Bin::new();
            self.accumulator.put_topic("t", [0; 16], leaders, put);
        }

        fn topic(&self) -> &Topic {
            self.accumulator.find_topic("t").unwrap()
        }

        fn common(&self) -> u32 {
            self.topic().sticky.load(Ordering::Relaxed)
        }

        fn has_lane(&self, thread: usize) -> bool {
            let topic = self.topic();
            let (sticky, _) = topic.lanes.of(&topic.sticky, || thread);
            !topic.is_common(sticky)
        }

        /// Appends a record, and says where it went.
        fn send(&self, thread: usize) -> u32 {
            self.clock.thread.set(thread);
            let record = Record {
                value: Value::Borrowed(&[0; 90]),
                ..Record::default()
            };
            let (topic, want) = (self.topic(), Want::Nothing);
            let appended = self
                .accumulator
                .append(&self.clock, topic, &record, want, None);
            let partition = appended.unwrap().partition;
            let slot = topic.slot(partition).unwrap();
            if let crate::Rest::Full { .. } = self.accumulator.waiting(slot) {
                drop(self.accumulator.take(slot));
            }
            partition as u32
        }

        /// The common partition is left with a full batch.
        fn fill(&self) {
            let common = self.common();
            while self.common() == common {
                self.send(0);
            }
        }

        /// A thread finds the partition of its next record locked, for so many times.
        fn wait(&self, thread: usize, times: usize) {
            self.clock.thread.set(thread);
            for _ in 0..times {
                let (accumulator, clock) = (&self.accumulator, &self.clock);
                let (topic, record) = (self.topic(), Prepared::EMPTY);
                let place = accumulator.place(clock, topic, Target::Sticky, &record);
                let place = place.unwrap();
                let partition = topic.find(place.index).unwrap();
                drop(accumulator.lock_contended(clock, topic, place, partition));
            }
        }
    }

    #[test]
    fn who_waits_twice_has_a_lane_for_a_batch() {
        let play = Play::new(4, false);
        play.fill();
        let common = play.common();
        assert_eq!(play.send(1), common);
        play.wait(1, 1);
        assert_eq!(play.send(1), common);
        play.wait(1, 1);
        let own = play.send(1);
        assert_ne!(own, common);
        play.wait(2, 2);
        let other = play.send(2);
        assert!(other != own && other != common);
        let sent = (0..20).take_while(|_| play.send(1) == own).count();
        assert!((6..10).contains(&sent), "{sent} to the lane");
        assert_eq!(play.send(1), play.common());
        assert_eq!(play.send(2), other);
        assert_eq!(play.send(3), play.common());
    }

    #[test]
    fn nobody_has_a_lane_while_batches_are_sent_before_they_are_full() {
        let play = Play::new(4, false);
        play.wait(1, 5);
        assert_eq!(play.send(1), play.common(), "none was full yet");
        play.fill();
        play.wait(1, 2);
        let own = play.send(1);
        assert_ne!(own, play.common());
        let slot = play.topic().slot(own as i32).unwrap();
        drop(play.accumulator.take(slot).unwrap());
        assert_eq!(play.send(1), play.common(), "its batch is gone");
        play.wait(1, 5);
        assert_eq!(play.send(1), play.common());
        play.fill();
        play.wait(1, 2);
        assert_ne!(play.send(1), play.common());
    }

    #[test]
    fn threads_wait_where_there_is_one_partition() {
        let play = Play::new(1, true);
        for _ in 0..20 {
            play.send(1);
        }
        play.wait(1, 5);
        assert_eq!(play.send(1), 0);
    }

    #[test]
    fn lanes_leave_partitions_that_are_gone() {
        let play = Play::new(6, false);
        play.fill();
        for thread in 0..4 {
            play.wait(thread, 2);
        }
        play.lead(&[Some(1); 1]);
        assert!((0..4).all(|thread| play.send(thread) == 0));
    }

    #[test]
    fn records_are_spread_evenly_with_and_without_lanes() {
        for (adaptive, threads) in [(false, 1), (false, 2), (false, 4), (true, 1), (true, 4)] {
            let play = Play::new(6, adaptive);
            let (mut used, mut lanes) = ([0_u32; 6], 0);
            for number in 0..120_000 {
                let thread = number % threads;
                if threads > 1 && number % 7 == 0 {
                    play.wait(thread, 2);
                    lanes += u32::from(play.has_lane(thread));
                }
                used[play.send(thread) as usize] += 1;
            }
            assert!(
                used.iter().all(|used| used.abs_diff(20_000) < 2000),
                "{threads} threads: {used:?}"
            );
            assert_eq!(lanes > 1000, threads > 1, "{lanes} times with a lane");
        }
    }

    #[test]
    fn a_thread_that_is_gone_keeps_no_partition_from_the_others() {
        let play = Play::new(3, false);
        play.fill();
        play.wait(9, 2);
        let own = play.send(9);
        assert_ne!(own, play.common());
        let used = (0..30_000).filter(|_| play.send(1) == own).count();
        assert!(used.abs_diff(10_000) < 1500, "{used}");
    }

    #[test]
    fn no_lane_has_a_partition_that_went_while_it_was_chosen() {
        struct SecondThread;
        impl Clock for SecondThread {
            fn now(&self) -> Instant {
                Instant::now()
            }
            fn wall_ms(&self) -> i64 {
                0
            }
            fn thread(&self) -> usize {
                1
            }
        }
        const ROUNDS: usize = 5000;
        let config = Config {
            adaptive: false,
            ..Config::default()
        };
        let accumulator = Accumulator::new(config, 3);
        let lead = |count: usize| {
            let leaders = &[Some(1); 6][..count];
            accumulator.put_topic("t", [0; 16], leaders, &mut Bin::new());
        };
        lead(2);
        let topic = accumulator.find_topic("t").unwrap();
        let common = topic.sticky.load(Ordering::Relaxed);
        topic.lanes.on_leave(true);
        assert!(!topic.lanes.on_wait(common));
        let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let wait_for = |count: &AtomicUsize, round| {
            while count.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
        };
        let wrong = std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    wait_for(&begun, round);
                    let place = Place {
                        index: common,
                        sticky: Some(&topic.sticky),
                    };
                    let partition = topic.find(common).unwrap();
                    drop(accumulator.lock_contended(&SecondThread, topic, place, partition));
                    done.store(round, Ordering::Release);
                }
            });
            let wrong = (1..=ROUNDS).filter(|round| {
                lead(6);
                if let Some((lane, _)) = topic.lanes.beyond(0).next() {
                    Lanes::leave(lane);
                }
                begun.store(*round, Ordering::Release);
                (0..round % 40).for_each(|_| std::hint::spin_loop());
                lead(2);
                wait_for(&done, *round);
                topic.lanes.beyond(2).next().is_some()
            });
            wrong.count()
        });
        assert_eq!(wrong, 0, "times of {ROUNDS}");
    }
}
