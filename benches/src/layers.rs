//! The layers that a record passes, alone: 100-byte records, 16 KiB batches, six partitions unless a name says more.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use milena_accumulator::{
    Accumulator, Bin, Clock, Config, News, Record, Topic, Urgency, Value, Verdict, Wake, Want,
};
use milena_record::{
    BatchHeader, Codec, Compression, Compressor, HeadersRef, RecordRef, batches, encode_record,
};

use crate::pipeline::Pipeline;

/// A layer: its name, what one unit of it is, and how it is made ready. What is made runs so many units.
pub struct Layer {
    /// Its name.
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    make: fn() -> Box<dyn FnMut(u64)>,
}

impl Layer {
    /// Makes it ready.
    pub fn make(&self) -> Box<dyn FnMut(u64)> {
        (self.make)()
    }
}

/// All layers, from the record to the whole way.
pub const LAYERS: &[Layer] = &[
    Layer {
        name: "encode",
        unit: "record",
        make: encode,
    },
    Layer {
        name: "encode-1KiB",
        unit: "record",
        make: encode_large,
    },
    Layer {
        name: "append",
        unit: "record",
        make: append_plain,
    },
    Layer {
        name: "append-delivery",
        unit: "record",
        make: append_delivery,
    },
    Layer {
        name: "append-keyed",
        unit: "record",
        make: append_keyed,
    },
    Layer {
        name: "append-many",
        unit: "record",
        make: append_many,
    },
    Layer {
        name: "seal",
        unit: "batch",
        make: seal,
    },
    Layer {
        name: "decode",
        unit: "record",
        make: decode,
    },
    Layer {
        name: "pipeline",
        unit: "record",
        make: pipeline,
    },
    Layer {
        name: "pipeline-10000",
        unit: "record",
        make: pipeline_wide,
    },
    Layer {
        name: "pipeline-single",
        unit: "batch of one record",
        make: pipeline_single,
    },
];

/// Time that stands still.
#[derive(Clone, Copy)]
pub struct Still(pub Instant);

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000
    }
}

/// Nobody sleeps here.
struct Awake;

impl Wake for Awake {
    fn wake(&self, _: i32, _: Urgency) {}
}

/// How long batches linger in front of a clock that stands still: they leave when they are full.
pub const LINGER: Duration = Duration::from_secs(3600);

/// An accumulator without topics.
pub fn empty(linger: Duration) -> Arc<Accumulator> {
    let config = Config {
        linger,
        ..Config::default()
    };
    let accumulator = Accumulator::new(config, 7);
    accumulator.set_wake(Arc::new(Awake));
    Arc::new(accumulator)
}

/// An accumulator with one topic `t`.
fn accumulator(partitions: usize) -> (Arc<Accumulator>, Arc<Topic>) {
    let accumulator = empty(LINGER);
    let mut bin = Bin::new();
    accumulator.put_topic("t", [1; 16], &vec![Some(1); partitions], &mut bin);
    let topic = accumulator.topic("t").expect("it was put there");
    (accumulator, topic)
}

fn record(value: &[u8]) -> RecordRef<'_> {
    RecordRef {
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(value),
        headers: HeadersRef::EMPTY,
    }
}

fn encode() -> Box<dyn FnMut(u64)> {
    encode_of(100)
}

fn encode_large() -> Box<dyn FnMut(u64)> {
    encode_of(1024)
}

fn encode_of(size: usize) -> Box<dyn FnMut(u64)> {
    let value = vec![7; size];
    let mut out = Vec::with_capacity(20_000);
    Box::new(move |count| {
        let mut delta = 0;
        for _ in 0..count {
            if out.len() > 16_000 {
                out.clear();
                delta = 0;
            }
            encode_record(&mut out, delta, 0, &record(black_box(&value)));
            delta += 1;
        }
        black_box(&out);
    })
}

/// Takes whatever is full and acknowledges it, so that memory goes round.
struct Drain {
    accumulator: Arc<Accumulator>,
    news: Vec<News>,
    bin: Bin,
}

impl Drain {
    fn run(&mut self) {
        self.accumulator.drain_news(&mut self.news);
        for news in self.news.drain(..) {
            while let Some(taken) = self.accumulator.take(news.slot) {
                let verdict = Verdict::Done {
                    base_offset: 0,
                    log_append_time: -1,
                };
                taken.batch.complete(verdict, &mut self.bin);
            }
        }
        self.bin.run();
    }
}

fn append_plain() -> Box<dyn FnMut(u64)> {
    append(None, false)
}

fn append_delivery() -> Box<dyn FnMut(u64)> {
    append(None, true)
}

fn append_keyed() -> Box<dyn FnMut(u64)> {
    append(
        Some((0..1024).map(|key| format!("key-{key:08}")).collect()),
        false,
    )
}

fn append(keys: Option<Vec<String>>, watched: bool) -> Box<dyn FnMut(u64)> {
    let (accumulator, topic) = accumulator(6);
    let mut drain = Drain {
        accumulator: Arc::clone(&accumulator),
        news: Vec::new(),
        bin: Bin::new(),
    };
    let clock = Still(Instant::now());
    let value = vec![7; 100];
    Box::new(move |count| {
        for number in 0..count {
            let record = Record {
                key: keys
                    .as_ref()
                    .map(|keys| keys[number as usize % 1024].as_bytes()),
                value: Value::Borrowed(black_box(&value)),
                ..Record::default()
            };
            let want = if watched {
                Want::Delivery
            } else {
                Want::Nothing
            };
            let appended = accumulator.append(&clock, &topic, &record, want, None);
            drop(black_box(appended.expect("there is room")));
            if number % 1024 == 1023 {
                drain.run();
            }
        }
        drain.run();
    })
}

fn append_many() -> Box<dyn FnMut(u64)> {
    let (accumulator, topic) = accumulator(6);
    let mut drain = Drain {
        accumulator: Arc::clone(&accumulator),
        news: Vec::new(),
        bin: Bin::new(),
    };
    let clock = Still(Instant::now());
    Box::new(move |count| {
        let value = vec![7; 100];
        let run = vec![
            Record {
                value: Value::Borrowed(&value),
                ..Record::default()
            };
            64
        ];
        for call in 0..count / 64 {
            let (done, refused) =
                accumulator.append_many(&clock, &topic, black_box(&run), None, None);
            assert!(done == 64 && refused.is_none(), "there is room");
            if call % 16 == 15 {
                drain.run();
            }
        }
        drain.run();
    })
}

/// A batch of 100-byte records with its header in front.
fn batch() -> (BatchHeader, Vec<u8>) {
    let mut body = Vec::new();
    let mut count = 0;
    while body.len() < 16_000 {
        encode_record(&mut body, count, 0, &record(&[7; 100]));
        count += 1;
    }
    let now = 1_700_000_000_000;
    (BatchHeader::new(Codec::None, count, now, now), body)
}

fn seal() -> Box<dyn FnMut(u64)> {
    let (header, body) = batch();
    Box::new(move |count| {
        for _ in 0..count {
            black_box(header.encode(black_box(&body).chunks(2048)));
        }
    })
}

fn decode() -> Box<dyn FnMut(u64)> {
    let (header, body) = batch();
    let mut bytes = header.encode([&body[..]]).to_vec();
    bytes.extend_from_slice(&body);
    Box::new(move |count| {
        let mut read = 0;
        while read < count {
            for batch in batches(black_box(&bytes)) {
                let batch = batch.expect("it was written well");
                batch.verify_crc().expect("it was summed well");
                let records = batch.records(1 << 20).expect("it is not compressed");
                for record in records.iter() {
                    black_box(record.expect("it was written well"));
                    read += 1;
                }
            }
        }
    })
}

fn pipeline() -> Box<dyn FnMut(u64)> {
    let mut pipeline = Pipeline::new(6, 6, LINGER);
    Box::new(move |count| pipeline.send(count))
}

fn pipeline_wide() -> Box<dyn FnMut(u64)> {
    let mut pipeline = Pipeline::new(10_000, 6, LINGER);
    Box::new(move |count| pipeline.send(count))
}

fn pipeline_single() -> Box<dyn FnMut(u64)> {
    let linger = Duration::from_millis(5);
    let mut pipeline = Pipeline::new(2000, 2000, linger);
    Box::new(move |count| pipeline.scatter(count, linger))
}

/// Nanoseconds of CPU that a codec itself takes for one record of `size` bytes out of `values`, one shot a batch: the
/// least of five passes.
pub fn codec_ns(compression: Compression, values: &[u8], size: usize, batch: usize) -> f64 {
    let mut compressor = Compressor::new();
    let mut out = Vec::new();
    let mut bodies = Vec::new();
    let mut body = Vec::new();
    for value in values.chunks_exact(size) {
        encode_record(&mut body, 0, 0, &record(value));
        // What compresses to a batch is several times as long before: bodies as long as milena's own.
        if body.len() >= 4 * batch {
            bodies.push(std::mem::take(&mut body));
        }
    }
    let records: usize = bodies.iter().map(Vec::len).sum::<usize>() / (size + 8);
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        let begun = ProcessTime::now();
        for body in &bodies {
            let done = compressor.compress(compression, [&body[..]], &mut out);
            done.expect("there is memory");
            black_box(&out);
        }
        least = least.min(begun.elapsed().as_nanos() as f64 / records as f64);
    }
    least
}
