//! Recorded sequences of requests: the model of a broker and a real Kafka answer them alike.

mod idempotence;

use anyhow::{Result, bail};
use milena_record::{BatchHeader, Codec, RecordRef, encode_record};

use crate::batch::Batch;
use crate::cells::Cells;
use crate::session::{How, Session};
use crate::wall_ms;

/// A sequence: what it is about, and what it asks of a topic of its own.
type Sequence = (&'static str, fn(&mut Session, &str) -> Result<()>);

const SEQUENCES: &[Sequence] = &[
    ("in order and again", idempotence::in_order_and_again),
    (
        "the last five are remembered",
        idempotence::five_are_remembered,
    ),
    ("gaps", idempotence::gaps),
    ("epochs", idempotence::epochs),
    (
        "a first sequence that is not 0",
        idempotence::first_sequence,
    ),
    ("sequences wrap around", idempotence::wrap_around),
    ("two producers", idempotence::two_producers),
    ("three producers at random", at_random),
    ("acks", acks),
    ("every version of Produce", produce_versions),
    ("every version of Fetch", fetch_versions),
    ("every version of ListOffsets", list_offsets_versions),
    ("every version of Metadata", metadata_versions),
    ("topics that are not there", unknown),
    ("another broker than the leader", not_leader),
    ("broken batches", broken),
    ("batches that are too large", too_large),
    ("times out of bounds", times),
    ("a compacted topic wants keys", compacted),
    ("the broker's clock", broker_clock),
    ("codecs", codecs),
    ("create, grow and delete", create_grow_delete),
];

/// How many differences of a sequence are shown.
const MOST: usize = 3;

/// Runs every sequence against both, a cell each.
pub(crate) fn run(cells: &mut Cells, real: &str, model: &str) {
    for (name, sequence) in SEQUENCES {
        cells.run(&format!("sequence: {name}"), || {
            compare(name, *sequence, real, model)
        });
    }
}

fn compare(
    name: &str,
    sequence: fn(&mut Session, &str) -> Result<()>,
    real: &str,
    model: &str,
) -> Result<String> {
    let topic: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let play = |servers: &str| -> Result<Vec<String>> {
        let mut session = Session::new(servers)?;
        if let Err(error) = sequence(&mut session, &topic) {
            session.note(format!("ended: {error:#}"));
        }
        Ok(session.into_transcript())
    };
    let (real, model) = (play(real)?, play(model)?);
    let ended = real.iter().find(|line| line.starts_with("ended"));
    if let Some(ended) = ended {
        bail!("real Kafka: {ended}, after {real:#?}");
    }
    let mut differences = Vec::new();
    for at in 0..real.len().max(model.len()) {
        let line = |of: &[String]| of.get(at).cloned().unwrap_or_else(|| "nothing".to_owned());
        let (real, model) = (line(&real), line(&model));
        if real != model {
            differences.push(format!(
                "\n    {at}: real Kafka: {real}\n    {at}: the model:  {model}"
            ));
        }
    }
    if !differences.is_empty() {
        let more = differences.len().saturating_sub(MOST);
        differences.truncate(MOST);
        bail!("they differ:{} and {more} more", differences.concat());
    }
    Ok(format!("{} answers alike", real.len()))
}

/// A topic with one partition on three brokers, and a producer.
fn begin(session: &mut Session, topic: &str) -> Result<(i64, i16)> {
    create(session, topic, &[])?;
    session.init_producer(None)
}

fn create(session: &mut Session, topic: &str, configs: &[(&str, &str)]) -> Result<()> {
    session.create(topic, 1, 3, configs)?;
    session.settle(topic, 1)
}

fn send(session: &mut Session, topic: &str, batch: &Batch) -> Result<()> {
    session.produce(topic, 0, &batch.bytes(), How::default())
}

/// Batches of three producers whose epochs and sequences wander: most are near what comes next, some are not.
fn at_random(session: &mut Session, topic: &str) -> Result<()> {
    begin(session, topic)?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(session.init_producer(None)?.0);
    }
    let mut random = 20_260_101u64;
    let mut up_to = move |limit: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % limit
    };
    let mut next = [(0i16, 0i32); 3];
    for _ in 0..300 {
        let who = usize::try_from(up_to(3))?;
        let (epoch, sequence) = next[who];
        let count = i32::try_from(1 + up_to(3))?;
        let (epoch, sequence) = match up_to(12) {
            0 => (epoch + 1, 0),
            1 => (epoch + 1, sequence),
            2 => ((epoch - 1).max(0), sequence),
            3..=5 => (epoch, (sequence - i32::try_from(1 + up_to(8))?).max(0)),
            6 => (epoch, sequence + i32::try_from(1 + up_to(3))?),
            _ => (epoch, sequence),
        };
        send(session, topic, &Batch::of(ids[who], epoch, sequence, count))?;
        // What the broker makes of it is not looked at here: both get the same batches.
        if (epoch, sequence) == next[who] || (epoch > next[who].0 && sequence == 0) {
            next[who] = (epoch, sequence + count);
        }
    }
    session.producers(topic, 0)?;
    session.offset(topic, 0, -1, 5)
}

fn acks(session: &mut Session, topic: &str) -> Result<()> {
    create(session, topic, &[])?;
    // The last one waits for the followers: only then is the offset read below the same at every run.
    for acks in [1, -1, 0, 2, -2, 1, -1] {
        session.produce(
            topic,
            0,
            &Batch::plain(1).bytes(),
            How {
                acks,
                ..How::default()
            },
        )?;
    }
    session.offset(topic, 0, -1, 5)
}

fn produce_versions(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    for version in 3..=13 {
        let batch = Batch::of(id, epoch, i32::from(version - 3), 1);
        session.produce(
            topic,
            0,
            &batch.bytes(),
            How {
                version,
                ..How::default()
            },
        )?;
        session.produce(
            topic,
            0,
            &batch.bytes(),
            How {
                version,
                ..How::default()
            },
        )?;
    }
    session.fetch(topic, 0, 0, 11)
}

fn fetch_versions(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    for nth in 0..3 {
        send(session, topic, &Batch::of(id, epoch, 2 * nth, 2))?;
    }
    for version in 4..=17 {
        session.fetch(topic, 0, 2, version)?;
        session.fetch(topic, 0, 3, version)?;
    }
    session.fetch(topic, 0, 6, 12)?;
    session.fetch(topic, 0, 7, 12)?;
    session.fetch(topic, 1, 0, 12)
}

fn list_offsets_versions(session: &mut Session, topic: &str) -> Result<()> {
    create(session, topic, &[])?;
    for _ in 0..2 {
        send(session, topic, &Batch::plain(3))?;
    }
    for version in 1..=10 {
        session.offset(topic, 0, -1, version)?;
        session.offset(topic, 0, -2, version)?;
        session.offset(topic, 0, 1_000, version)?;
        session.offset(topic, 0, wall_ms() + 1_000_000, version)?;
    }
    session.offset(topic, 5, -1, 5)?;
    session.offsets(topic, &[0, 5, 0], -1, 5)?;
    session.offsets(topic, &[0, 5, 5], -1, 5)
}

fn metadata_versions(session: &mut Session, topic: &str) -> Result<()> {
    session.create(topic, 5, 3, &[])?;
    session.settle(topic, 5)?;
    for version in 0..=12 {
        session.describe(topic, version)?;
    }
    Ok(())
}

fn unknown(session: &mut Session, topic: &str) -> Result<()> {
    let batch = Batch::plain(1).bytes();
    session.describe(topic, 12)?;
    session.describe("not/allowed", 12)?;
    session.produce(topic, 0, &batch, How::default())?;
    session.produce(
        topic,
        0,
        &batch,
        How {
            version: 13,
            ..How::default()
        },
    )?;
    session.fetch(topic, 0, 0, 11)?;
    session.fetch(topic, 0, 0, 13)?;
    session.offset(topic, 0, -1, 5)?;
    create(session, topic, &[])?;
    session.produce(topic, 1, &batch, How::default())?;
    session.fetch(topic, 1, 0, 11)?;
    session.producers(topic, 1)
}

fn not_leader(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    let batch = Batch::of(id, epoch, 0, 1).bytes();
    for version in [7, 9, 10, 13] {
        session.produce(
            topic,
            0,
            &batch,
            How {
                version,
                elsewhere: true,
                ..How::default()
            },
        )?;
    }
    session.produce(topic, 0, &batch, How::default())?;
    session.offset(topic, 0, -1, 5)
}

fn broken(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    let good = Batch::of(id, epoch, 0, 2);
    let mut bytes = good.bytes();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    session.produce(topic, 0, &bytes, How::default())?;
    let two = [good.bytes(), Batch::of(id, epoch, 2, 1).bytes()].concat();
    session.produce(topic, 0, &two, How::default())?;
    session.produce(topic, 0, &[], How::default())?;
    let mut miscounted = good.clone();
    miscounted.header.record_count = 3;
    miscounted.header.last_offset_delta = 2;
    send(session, topic, &miscounted)?;
    let mut gapped = good.clone();
    gapped.header.last_offset_delta = 4;
    send(session, topic, &gapped)?;
    let mut control = good.clone();
    control.header.attributes.0 |= 1 << 5;
    send(session, topic, &control)?;
    send(session, topic, &good)?;
    session.offset(topic, 0, -1, 5)
}

fn too_large(session: &mut Session, topic: &str) -> Result<()> {
    create(session, topic, &[("max.message.bytes", "1000")])?;
    for length in [700, 2_000, 900] {
        send(session, topic, &with_value(&vec![b'a'; length]))?;
    }
    session.offset(topic, 0, -1, 5)
}

fn times(session: &mut Session, topic: &str) -> Result<()> {
    create(session, topic, &[])?;
    // Any past is allowed; the future only for an hour.
    let mut early = Batch::plain(3);
    early.header.base_timestamp = 1_000;
    early.header.max_timestamp = 1_000;
    let mut late = Batch::plain(2);
    late.header.base_timestamp += 7_200_000;
    late.header.max_timestamp += 7_200_000;
    for batch in [&early, &late, &Batch::plain(1)] {
        send(session, topic, batch)?;
    }
    session.offset(topic, 0, -1, 5)
}

fn compacted(session: &mut Session, topic: &str) -> Result<()> {
    create(session, topic, &[("cleanup.policy", "compact")])?;
    let now = wall_ms();
    let mut body = Vec::new();
    for (index, key) in [Some(&b"a"[..]), None, Some(b"b"), None]
        .into_iter()
        .enumerate()
    {
        let record = RecordRef {
            timestamp: now,
            key,
            value: Some(b"v"),
            ..RecordRef::default()
        };
        encode_record(&mut body, i32::try_from(index)?, 0, &record);
    }
    send(
        session,
        topic,
        &Batch {
            header: BatchHeader::new(Codec::None, 4, now, now),
            body,
        },
    )?;
    send(session, topic, &Batch::plain(2))?;
    session.offset(topic, 0, -1, 5)
}

fn broker_clock(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin_with(
        session,
        topic,
        &[("message.timestamp.type", "LogAppendTime")],
    )?;
    let batch = Batch::of(id, epoch, 0, 2);
    send(session, topic, &batch)?;
    send(session, topic, &batch)?;
    send(session, topic, &Batch::of(id, epoch, 2, 1))?;
    session.fetch(topic, 0, 0, 11)
}

fn begin_with(session: &mut Session, topic: &str, configs: &[(&str, &str)]) -> Result<(i64, i16)> {
    create(session, topic, configs)?;
    session.init_producer(None)
}

fn codecs(session: &mut Session, topic: &str) -> Result<()> {
    create(session, topic, &[])?;
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let plain = Batch::plain(100);
        let mut body = Vec::new();
        let compression = format!("{codec:?}").to_lowercase().parse()?;
        milena_record::Compressor::new().compress(
            compression,
            [plain.body.as_slice()],
            &mut body,
        )?;
        let mut header = plain.header;
        header.attributes.0 |= i16::from(codec.id());
        let batch = Batch { header, body };
        for version in [3, 7, 9] {
            session.produce(
                topic,
                0,
                &batch.bytes(),
                How {
                    version,
                    ..How::default()
                },
            )?;
        }
        let mut broken = batch.clone();
        broken.body.truncate(broken.body.len() / 2);
        send(session, topic, &broken)?;
    }
    session.fetch(topic, 0, 0, 11)
}

fn create_grow_delete(session: &mut Session, topic: &str) -> Result<()> {
    session.create(topic, 2, 1, &[])?;
    session.create(topic, 2, 1, &[])?;
    session.create("with spaces", 2, 1, &[])?;
    session.create("too-many-replicas", 1, 9, &[])?;
    session.create("no-partitions", 0, 1, &[])?;
    session.create("bad-config", 1, 1, &[("max.message.bytes", "soon")])?;
    session.settle(topic, 2)?;
    session.grow(topic, 4)?;
    session.settle(topic, 4)?;
    session.grow(topic, 4)?;
    session.grow(topic, 3)?;
    session.grow("not-there", 3)?;
    session.describe(topic, 12)?;
    session.delete(topic)?;
    session.delete("not-there")
}

fn with_value(value: &[u8]) -> Batch {
    let now = wall_ms();
    let mut body = Vec::new();
    let record = RecordRef {
        timestamp: now,
        key: Some(b"k"),
        value: Some(value),
        ..RecordRef::default()
    };
    encode_record(&mut body, 0, 0, &record);
    Batch {
        header: BatchHeader::new(Codec::None, 1, now, now),
        body,
    }
}
