//! Sequences about the numbers of idempotent producers: what is appended, known already, or out of order.

use anyhow::Result;

use super::{begin, send};
use crate::batch::Batch;
use crate::session::Session;

pub(super) fn in_order_and_again(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    let first = Batch::of(id, epoch, 0, 3);
    let second = Batch::of(id, epoch, 3, 2);
    for batch in [&first, &first, &second, &first, &second] {
        send(session, topic, batch)?;
    }
    session.producers(topic, 0)?;
    session.offset(topic, 0, -1, 5)?;
    session.fetch(topic, 0, 0, 11)
}

pub(super) fn five_are_remembered(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    let batches: Vec<_> = (0..8).map(|nth| Batch::of(id, epoch, 2 * nth, 2)).collect();
    for batch in &batches {
        send(session, topic, batch)?;
    }
    for batch in &batches {
        send(session, topic, batch)?;
    }
    // Not the same batch, though its sequence has been seen.
    send(session, topic, &Batch::of(id, epoch, 14, 1))?;
    send(session, topic, &Batch::of(id, epoch, 13, 2))?;
    session.offset(topic, 0, -1, 5)
}

pub(super) fn gaps(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    for (sequence, count) in [(0, 5), (6, 1), (10, 3), (5, 1), (6, 1), (8, 1), (7, 2)] {
        send(session, topic, &Batch::of(id, epoch, sequence, count))?;
    }
    session.producers(topic, 0)?;
    session.fetch(topic, 0, 0, 11)
}

pub(super) fn epochs(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    send(session, topic, &Batch::of(id, epoch, 0, 2))?;
    send(session, topic, &Batch::of(id, epoch + 1, 5, 1))?;
    send(session, topic, &Batch::of(id, epoch + 1, 0, 1))?;
    send(session, topic, &Batch::of(id, epoch, 2, 1))?;
    send(session, topic, &Batch::of(id, epoch + 1, 1, 1))?;
    send(session, topic, &Batch::of(id, epoch + 1, 0, 1))?;
    session.producers(topic, 0)?;
    session.offset(topic, 0, -1, 5)
}

pub(super) fn first_sequence(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    send(session, topic, &Batch::of(id, epoch, 7, 2))?;
    send(session, topic, &Batch::of(id, epoch, 9, 2))?;
    send(session, topic, &Batch::of(id, epoch, 0, 2))?;
    session.producers(topic, 0)
}

pub(super) fn wrap_around(session: &mut Session, topic: &str) -> Result<()> {
    let (id, epoch) = begin(session, topic)?;
    send(session, topic, &Batch::of(id, epoch, i32::MAX - 1, 2))?;
    send(session, topic, &Batch::of(id, epoch, 0, 2))?;
    session.producers(topic, 0)?;
    let (id, epoch) = session.init_producer(None)?;
    let across = Batch::of(id, epoch, i32::MAX - 1, 4);
    send(session, topic, &across)?;
    send(session, topic, &across)?;
    send(session, topic, &Batch::of(id, epoch, 2, 1))?;
    send(session, topic, &Batch::of(id, epoch, 4, 1))?;
    session.fetch(topic, 0, 0, 11)
}

pub(super) fn two_producers(session: &mut Session, topic: &str) -> Result<()> {
    let (one, epoch) = begin(session, topic)?;
    let (two, _) = session.init_producer(None)?;
    for (id, sequence) in [(one, 0), (two, 0), (two, 1), (one, 1), (one, 0), (two, 3)] {
        send(session, topic, &Batch::of(id, epoch, sequence, 1))?;
    }
    send(session, topic, &Batch::plain(3))?;
    session.producers(topic, 0)?;
    session.fetch(topic, 0, 0, 11)
}
