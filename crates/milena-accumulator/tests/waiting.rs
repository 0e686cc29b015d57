//! Those who wait: for memory, strictly in order; for topics; until their time is over.

#![allow(clippy::disallowed_methods)]

mod common;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use common::{TestClock, done, later, poll, put, value, values, with_topic};
use milena_accumulator::{
    Accumulator, Batch, Bin, BrokerError, CloseReason, Config, Refused, Rest, RoomError, Target,
    Topic, TopicError, WaitRoom, Want,
};

const CHUNK: usize = 2048;

/// An accumulator whose memory is used up, by one batch.
fn full(chunks: usize) -> (Arc<Accumulator>, Arc<Topic>) {
    let config = Config {
        buffer_memory: chunks * CHUNK + Batch::UPKEEP,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    while put(&accumulator, &topic, &value(&[1; 500])).is_ok() {}
    (accumulator, topic)
}

fn wait(accumulator: &Accumulator, chunks: usize) -> WaitRoom {
    accumulator.wait_room(Instant::now(), chunks * CHUNK, later())
}

fn granted(room: &mut WaitRoom) -> bool {
    match poll(room) {
        Poll::Ready(room) => {
            assert!(room.unwrap().bytes() > 0);
            true
        }
        Poll::Pending => false,
    }
}

fn free_all(accumulator: &Accumulator, topic: &Topic) {
    while let Some(taken) = accumulator.take(topic.slot(0).unwrap()) {
        taken.batch.complete(done(0), &mut Bin::new());
    }
}

#[test]
fn a_full_buffer_makes_its_batch_ready_and_says_what_to_wait_for() {
    let (accumulator, topic) = full(4);
    let filled = common::news(&accumulator);
    assert_eq!(filled.len(), 2);
    assert!(!accumulator.pressed());
    let refused = put(&accumulator, &topic, &value(&[1; 3000]));
    let bytes = 2 * CHUNK + Batch::UPKEEP;
    assert_eq!(refused, Err(Refused::Full { bytes }));
    let mut room = wait(&accumulator, 2);
    assert!(accumulator.pressed());
    assert!(poll(&mut room).is_pending());
    free_all(&accumulator, &topic);
    let Poll::Ready(Ok(room)) = poll(&mut room) else {
        panic!("memory is back");
    };
    assert!(!accumulator.pressed());
    assert_eq!(accumulator.snapshot().buffered(), 2 * CHUNK);
    let (target, record) = (Target::Any, value(&[1; 10]));
    let want = Want::Nothing;
    accumulator
        .append(&TestClock, &topic, &(target, record), want, Some(room))
        .unwrap();
    assert_eq!(accumulator.snapshot().buffered(), CHUNK + Batch::UPKEEP);
}

#[test]
fn a_batch_behind_others_goes_on_filling_when_memory_is_back() {
    let config = Config {
        buffer_memory: 12 * CHUNK,
        batch_size: 8 * CHUNK,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    assert_eq!(accumulator.snapshot().chunk_size, CHUNK);
    let record = value(&[1; 500]);
    while put(&accumulator, &topic, &record).is_ok() {}
    let slot = topic.slot(0).unwrap();
    let first = accumulator.take(slot).unwrap();
    assert!(matches!(first.rest, Rest::Open { .. }), "{:?}", first.rest);
    first.batch.complete(done(0), &mut Bin::new());
    while matches!(accumulator.waiting(slot), Rest::Open { .. }) {
        put(&accumulator, &topic, &record).unwrap();
    }
    let second = accumulator.take(slot).unwrap().batch;
    assert!(second.body.len() > 7 * CHUNK, "{}", second.body.len());
    second.complete(done(0), &mut Bin::new());
}

/// One whose appenders are ahead, in memory that has room for more.
fn ahead() -> (Arc<Accumulator>, Arc<Topic>) {
    let config = Config {
        buffer_memory: 64 << 20,
        ..Config::default()
    };
    let (accumulator, topic) = with_topic(config, 1);
    while !accumulator.is_ahead() {
        put(&accumulator, &topic, &value(&[1; 1000])).unwrap();
    }
    (accumulator, topic)
}

#[test]
fn who_is_ahead_waits_until_a_batch_is_done_with() {
    let (accumulator, topic) = ahead();
    let buffered = accumulator.snapshot().buffered();
    assert!((2 << 20..3 << 20).contains(&buffered), "{buffered}");
    let (slot, now) = (topic.slot(0).unwrap(), Instant::now());
    let mut first = accumulator.wait_pace(now);
    let mut second = accumulator.wait_pace(now);
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    assert!(!accumulator.pressed(), "open batches linger nevertheless");
    let batch = accumulator.take(slot).unwrap().batch;
    assert!(poll(&mut first).is_pending(), "it is on its way");
    batch.complete(done(0), &mut Bin::new());
    assert!(poll(&mut first).is_ready());
    assert!(poll(&mut second).is_pending(), "one for each batch");
    free_all(&accumulator, &topic);
    assert!(poll(&mut second).is_ready());
    assert!(poll(&mut accumulator.wait_pace(now)).is_ready());
}

#[test]
fn nobody_is_held_back_for_long() {
    let (accumulator, topic) = ahead();
    let start = Instant::now();
    let mut bin = Bin::new();
    for n in 0..3 {
        let now = start + n * Duration::from_millis(10);
        let mut wait = accumulator.wait_pace(now);
        assert!(poll(&mut wait).is_pending());
        let at = now + Duration::from_millis(10);
        assert_eq!(accumulator.next_deadline(), Some(at));
        accumulator.fire_deadlines(at, &mut bin);
        assert!(poll(&mut wait).is_ready());
        let buffered = accumulator.snapshot().buffered();
        while !accumulator.is_ahead() {
            put(&accumulator, &topic, &value(&[1; 1000])).unwrap();
        }
        assert!(accumulator.snapshot().buffered() > buffered * 19 / 10);
    }
    // And who is held back when the producer closes goes on to hear of it.
    let mut wait = accumulator.wait_pace(start);
    assert!(poll(&mut wait).is_pending());
    accumulator.close(CloseReason::Closed, &mut bin);
    assert!(poll(&mut wait).is_ready());
    assert!(poll(&mut accumulator.wait_pace(start)).is_ready());
}

/// A waker that belongs to somebody who looks at the accumulator when it is dropped.
struct Looks(Arc<Accumulator>);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.0.snapshot();
    }
}

#[test]
fn wakers_of_those_who_are_ahead_are_dropped_outside_the_lock() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (accumulator, _) = ahead();
        let mut wait = Box::pin(accumulator.wait_pace(Instant::now()));
        // The second one replaces the first, and is dropped with the wait.
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Looks(Arc::clone(&accumulator))));
            let mut context = Context::from_waker(&waker);
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        drop(wait);
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(Duration::from_secs(20));
    waited.expect("nobody locks what they hold");
}

#[test]
fn batches_that_fill_are_not_under_way() {
    let (accumulator, topic) = with_topic(Config::default(), 2000);
    let target = |partition| Target::Partition(partition);
    for partition in 0..2000 {
        let record = value(&[1; 1500]);
        accumulator
            .append(
                &TestClock,
                &topic,
                &(target(partition), record),
                Want::Nothing,
                None,
            )
            .unwrap();
    }
    assert!(accumulator.snapshot().buffered() > 3 << 20);
    assert!(!accumulator.is_ahead());
}

#[test]
fn newcomers_come_last_even_if_they_need_little() {
    let (accumulator, topic) = full(4);
    let mut first = wait(&accumulator, 4);
    // What fits into no chunk that is there is refused while somebody waits, although chunks come back.
    let batch = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    drop(batch);
    assert_eq!(
        accumulator.snapshot().buffered(),
        4 * CHUNK,
        "granted already"
    );
    let mut second = wait(&accumulator, 3);
    let mut third = wait(&accumulator, 1);
    assert!(!granted(&mut second) && !granted(&mut third));
    let Poll::Ready(Ok(room)) = poll(&mut first) else {
        panic!("all memory is back");
    };
    assert!(put(&accumulator, &topic, &value(b"small")).is_err());
    drop(room);
    assert!(
        put(&accumulator, &topic, &value(b"small")).is_err(),
        "granted to the others"
    );
    assert!(granted(&mut third), "one and three are four");
    assert!(granted(&mut second));
    put(&accumulator, &topic, &value(b"small")).unwrap();
}

#[test]
fn fifty_waiters_half_of_them_dropped() {
    for seed in 0..50 {
        let mut random = common::Random(seed);
        let (accumulator, topic) = full(8);
        let mut waiters: Vec<Option<WaitRoom>> = (0..50)
            .map(|_| Some(wait(&accumulator, 1 + random.below(4) as usize)))
            .collect();
        free_all(&accumulator, &topic);
        let mut dropped = 0;
        while dropped < 25 {
            // Some of them are granted, some were polled, some not.
            let at = random.below(50) as usize;
            if let Some(waiter) = &mut waiters[at] {
                if random.below(2) == 0 && poll(waiter).is_ready() {
                    waiters[at] = None;
                    continue;
                }
                waiters[at] = None;
                dropped += 1;
            }
        }
        let mut served = Vec::new();
        let mut rooms = Vec::new();
        while waiters.iter().any(Option::is_some) {
            let before = served.len();
            for (at, slot) in waiters.iter_mut().enumerate() {
                let Some(waiter) = slot else { continue };
                if let Poll::Ready(room) = poll(waiter) {
                    served.push(at);
                    rooms.push(room.unwrap());
                    *slot = None;
                }
            }
            assert!(
                before < served.len(),
                "somebody is served whenever all memory is free"
            );
            rooms.clear();
        }
        assert!(served.is_sorted(), "in order of arrival: {served:?}");
        let snapshot = accumulator.snapshot();
        assert_eq!((snapshot.buffered(), snapshot.memory_waiters), (0, 0));
        assert_eq!(accumulator.next_deadline(), None);
    }
}

#[test]
fn deadlines_are_fired_by_the_driver() {
    let (accumulator, topic) = full(4);
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut big = accumulator.wait_room(now, 4 * CHUNK, at(20));
    let mut small = accumulator.wait_room(now, CHUNK, at(30));
    let mut late = accumulator.wait_room(now, CHUNK, now);
    let mut topic_wait = accumulator.wait_topic(now, "other", None, at(10));
    let mut huge = accumulator.wait_room(now, 5 * CHUNK, at(10));
    let Poll::Ready(Err(RoomError::TooLarge { .. })) = poll(&mut huge) else {
        panic!("more than there is");
    };
    assert!(matches!(
        poll(&mut late),
        Poll::Ready(Err(RoomError::TimedOut))
    ));
    let mut bin = Bin::new();
    assert_eq!(accumulator.next_deadline(), Some(at(10)));
    let unknown = BrokerError {
        code: 3,
        name: Some("UNKNOWN_TOPIC_OR_PARTITION"),
    };
    accumulator.note_topic_error("other", unknown);
    accumulator.fire_deadlines(at(10), &mut bin);
    let Poll::Ready(Err(error)) = poll(&mut topic_wait) else {
        panic!("its time is over");
    };
    let text = "the topic other was not found within max.block.ms (last answer: UNKNOWN_TOPIC_OR_PARTITION)";
    assert_eq!(error.to_string(), text);
    assert_eq!(accumulator.next_deadline(), Some(at(20)));
    // A chunk comes back; it is not enough for the first, who then gives up.
    put(&accumulator, &topic, &value(b"")).unwrap_err();
    let mut rest = accumulator.take(topic.slot(0).unwrap()).unwrap().batch;
    let raw = std::mem::replace(
        &mut rest.body,
        milena_accumulator::Body::from_vec(Vec::new()),
    );
    rest.body = raw.compressed(&[0; CHUNK]);
    assert!(poll(&mut small).is_pending());
    accumulator.fire_deadlines(at(20), &mut bin);
    assert!(matches!(
        poll(&mut big),
        Poll::Ready(Err(RoomError::TimedOut))
    ));
    assert!(granted(&mut small));
    assert_eq!(accumulator.snapshot().memory_exhausted, 2);
    assert_eq!(accumulator.next_deadline(), None);
}

#[test]
fn closing_ends_all_waits() {
    let (accumulator, _topic) = full(4);
    let mut room = wait(&accumulator, 1);
    let mut topic = accumulator.wait_topic(Instant::now(), "other", None, later());
    accumulator.close(CloseReason::Closed, &mut Bin::new());
    let closed = CloseReason::Closed;
    assert!(
        matches!(poll(&mut room), Poll::Ready(Err(RoomError::Closed(reason))) if reason == closed)
    );
    assert!(
        matches!(poll(&mut topic), Poll::Ready(Err(TopicError::Closed(reason))) if reason == closed)
    );
    assert!(matches!(
        poll(&mut wait(&accumulator, 1)),
        Poll::Ready(Err(_))
    ));
    let mut topic = accumulator.wait_topic(Instant::now(), "t", None, later());
    assert!(matches!(poll(&mut topic), Poll::Ready(Err(_))));
    assert_eq!(accumulator.next_deadline(), None);
}

#[test]
fn topics_are_waited_for_by_name_and_partition() {
    let accumulator = Arc::new(Accumulator::new(Config::default(), 1));
    let now = Instant::now();
    let mut bin = Bin::new();
    let wanted = || {
        let mut wanted = Vec::new();
        accumulator.drain_wanted_topics(&mut wanted);
        wanted
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let mut any = accumulator.wait_topic(now, "t", None, later());
    let mut third = accumulator.wait_topic(now, "t", Some(2), later());
    let gone = accumulator.wait_topic(now, "gone", None, later());
    drop(gone);
    assert_eq!(wanted(), ["t"]);
    assert!(wanted().is_empty());
    assert!(accumulator.is_topic_wanted("t") && !accumulator.is_topic_wanted("gone"));
    assert!(accumulator.topic("t").is_none());
    let slots = accumulator.put_topic("t", [1; 16], &[Some(1), None], &mut bin);
    assert_eq!(slots.len(), 2);
    let Poll::Ready(Ok(topic)) = poll(&mut any) else {
        panic!("it is known");
    };
    assert_eq!(
        (topic.name(), topic.id(), topic.partition_count()),
        ("t", [1; 16], 2)
    );
    assert!(poll(&mut third).is_pending());
    assert!(accumulator.is_topic_wanted("t"));
    let slots = accumulator.put_topic("t", [1; 16], &[Some(1); 3], &mut bin);
    assert_eq!(slots.len(), 1);
    assert!(poll(&mut third).is_ready());
    assert!(!accumulator.is_topic_wanted("t"));
    let mut known = accumulator.wait_topic(now, "t", Some(2), later());
    assert!(poll(&mut known).is_ready());
    let mut bad = accumulator.wait_topic(now, "bad name", None, later());
    let error = TopicError::Invalid {
        topic: "bad name".into(),
    };
    accumulator.fail_topic("bad name", &error, &mut bin);
    assert_eq!(poll(&mut bad).map(Result::err), Poll::Ready(Some(error)));
    assert_eq!(accumulator.snapshot().topic_waiters, 0);
}

#[test]
fn a_forgotten_topic_keeps_its_slots() {
    let (accumulator, topic) = with_topic(Config::default(), 2);
    let slots = [0, 1].map(|partition| topic.slot(partition).unwrap());
    assert!(accumulator.forget_topic("t"));
    assert!(!accumulator.forget_topic("t"));
    assert!(accumulator.topic("t").is_none());
    put(&accumulator, &topic, &value(b"kept")).unwrap();
    let mut bin = Bin::new();
    assert!(
        accumulator
            .put_topic("u", [0; 16], &[Some(1)], &mut bin)
            .len()
            == 1
    );
    let mut back = accumulator.wait_topic(Instant::now(), "t", None, later());
    assert!(poll(&mut back).is_pending());
    let new = accumulator.put_topic("t", [2; 16], &[Some(2); 3], &mut bin);
    assert_eq!(new.len(), 1);
    let Poll::Ready(Ok(again)) = poll(&mut back) else {
        panic!("it is known");
    };
    assert!(Arc::ptr_eq(&again, &topic));
    assert_eq!(
        slots,
        [0, 1].map(|partition| again.slot(partition).unwrap())
    );
    let batch = slots
        .iter()
        .find_map(|slot| accumulator.take(*slot))
        .unwrap()
        .batch;
    assert_eq!(values(&batch), [b"kept"]);
    assert_eq!(accumulator.partition(new[0]).unwrap().1, 2);
    assert_eq!((accumulator.slots(), accumulator.snapshot().topics), (4, 2));
}
