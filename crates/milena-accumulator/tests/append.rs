//! Appending, taking, completing: one thread, everything in sight.

mod common;

use std::task::Poll;

use common::{TestClock, poll, value, values, with_topic};
use milena_accumulator::{
    Accumulator, Bin, Config, News, Record, Rest, Target, Verdict, Want, What,
};

fn done(base_offset: i64) -> Verdict {
    Verdict::Done {
        base_offset,
        log_append_time: -1,
    }
}

fn news(accumulator: &Accumulator) -> Vec<News> {
    let mut news = Vec::new();
    accumulator.drain_news(&mut news);
    news
}

#[test]
fn a_record_goes_in_and_its_delivery_says_where_it_is() {
    let (accumulator, topic) = with_topic(Config::default(), 3);
    let record = Record {
        key: Some(b"key"),
        timestamp: Some(5),
        ..value(b"value")
    };
    let appended = accumulator
        .append(
            &TestClock,
            &topic,
            Target::Any,
            &record,
            Want::Delivery,
            None,
        )
        .unwrap();
    let mut delivery = appended.delivery.unwrap();
    assert!(poll(&mut delivery).is_pending());
    let slot = topic.slot(appended.partition).unwrap();
    let [
        News {
            slot: told,
            what: What::Opened { at },
        },
    ] = news(&accumulator)[..]
    else {
        panic!("one batch opened");
    };
    assert_eq!(told, slot);
    assert_eq!(accumulator.waiting(slot), Rest::Open { since: at });
    let taken = accumulator.take(slot).unwrap();
    assert_eq!(taken.rest, Rest::Nothing);
    assert_eq!(values(&taken.batch), [b"value"]);
    let mut bin = Bin::new();
    taken.batch.complete(done(40), &mut bin);
    drop(bin);
    let Poll::Ready(Ok(at)) = poll(&mut delivery) else {
        panic!("it is done");
    };
    assert_eq!(
        (at.topic(), at.partition(), at.offset()),
        ("t", appended.partition, Some(40))
    );
    assert_eq!(
        (
            at.timestamp(),
            at.serialized_key_size(),
            at.serialized_value_size()
        ),
        (5, Some(3), Some(5))
    );
    let snapshot = accumulator.snapshot();
    assert_eq!(snapshot.buffered(), 0);
    assert_eq!(snapshot.incomplete_batches, 0);
    assert_eq!(snapshot.records_taken, 1);
}
