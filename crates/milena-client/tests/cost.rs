//! What requests and metadata cost: memory taken, counted.
mod net;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use milena_client::Why;
use net::{Net, brokers, config, secs};

/// Counts how often a thread asks for memory, and for how much.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static TAKEN: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(bytes: usize) {
    let _ = TAKEN.try_with(|taken| taken.set((taken.get().0 + 1, taken.get().1 + bytes)));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Times and bytes that `work` asks for.
fn taken(work: impl FnOnce()) -> (usize, usize) {
    let before = TAKEN.get();
    work();
    let after = TAKEN.get();
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn a_request_and_its_answer_take_no_memory() {
    let mut net = Net::started(config("b1:9092"));
    let connection = net.ready(1);
    let round = |net: &mut Net| {
        let correlations: [i32; 5] =
            std::array::from_fn(|request| net.ask(connection, request as u32));
        for correlation in correlations {
            let mut frame = [0; 1000];
            frame[..4].copy_from_slice(&correlation.to_be_bytes());
            let answer = net
                .client
                .handle_frame(net.now, connection, &frame)
                .expect("in order");
            assert_eq!(answer.expect("the owner's").body, 5);
            net.client.handle_timeout(net.now);
            assert!(net.client.poll_timeout().is_some());
        }
    };
    round(&mut net);
    assert_eq!(taken(|| (0..100).for_each(|_| round(&mut net))), (0, 0));
}

/// What renewing the metadata of so many topics, none of which changed, takes beyond the scripted
/// broker's part.
fn renewal(topics: usize) -> usize {
    let mut net = Net::new(config("b1:9092"));
    net.brokers = brokers(10);
    let leaders: Vec<_> = (0..20).map(|partition| (partition % 10 + 1, 0)).collect();
    for topic in 0..topics {
        let name = format!("topic-{topic:05}");
        net.topic(&name, &leaders);
        net.client.track_topic(net.now, &name);
    }
    net.run();
    net.advance(secs(10));
    assert_eq!(net.cluster().topics().len(), topics);
    let (_, bytes) = taken(|| {
        net.client.request_update(net.now, Why::Asked);
        net.run();
    });
    bytes
}

#[test]
fn metadata_costs_in_proportion_to_the_answer() {
    let (some, more) = (renewal(100), renewal(400));
    assert!(
        more < some * 5,
        "{some} bytes for 100 topics, {more} for 400"
    );
}

#[test]
fn a_new_topic_costs_the_same_among_many() {
    let new_topic = |known: usize| {
        let mut net = Net::new(config("b1:9092"));
        for topic in 0..known {
            let name = format!("topic-{topic:05}");
            net.topic(&name, &[(1, 0)]);
            net.client.track_topic(net.now, &name);
        }
        net.run();
        net.topic("new", &[(1, 0)]);
        net.sent.reserve(10);
        net.events.reserve(10);
        let (times, _) = taken(|| {
            net.client.track_topic(net.now, "new");
            net.run();
        });
        assert_eq!(net.leader("new", 0), Some(1));
        times
    };
    let (few, many) = (new_topic(10), new_topic(1000));
    assert!(many <= few + 5, "{few} among 10, {many} among 1000");
}
