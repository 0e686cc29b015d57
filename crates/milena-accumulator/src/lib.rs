//! Where records wait: batches per partition, the buffer pool and deliveries.
//!
//! Internal to milena, no promises. It knows which records wait where and how much memory is left; it knows nothing
//! of brokers, sequence numbers or tokio. It has no clock and no threads: users' threads append, a sender takes.
//!
//! ```text
//!  append ──► partition: [batch][batch][open ▒▒▒░░]  ──► take ──► Batch { body, outcome, .. }
//!    │             │ lock: one per record                 ▲           │
//!    │             └─ opened, filled: News, Wake ─────────┘           │ complete(verdict)
//!    ▼                                                                ▼
//!  Delivery ◄──────────── one Outcome per batch ◄──── Bin (run outside all locks)
//!
//!  memory: chunks of a Pool ──► batch ──► Body (shared, immutable) ──► dropped: back to the pool, first waiter served
//! ```
//!
//! - [`Accumulator::append`] copies a record into the open batch of its partition under that partition's lock. Nothing
//!   is allocated for a record, nor for a batch once others have ended: what those were in is used again, and so is
//!   their outcome, unless somebody still holds a delivery of it.
//! - Memory is a bound on bytes ([`Config::buffer_memory`]). An append never waits: without memory it is
//!   [refused](Refused::Full), and [`Accumulator::wait_room`] waits, strictly first come, first served.
//! - Before memory runs out, [`Accumulator::wait_pace`] lets connections that keep up catch up, for whoever has the
//!   time.
//! - A [`Batch`] that was taken is completed by a [`Verdict`], once; its [deliveries](Delivery), callbacks and
//!   [flushes](Flush) learn of it through a [`Bin`], outside all locks. A batch can be split, and its parts again.
//! - Locks: whoever sends may hold a lock of its own while calling; a partition's comes after that; pool, inbox and
//!   all others are leaves. Whoever appends takes only a partition's and leaves.
//!
//! # Example
//!
//! One record, in and out:
//!
//! ```
//! use std::pin::Pin;
//! use std::task::{Context, Poll, Waker};
//! use std::time::Instant;
//!
//! use milena_accumulator::{
//!     Accumulator, Bin, Clock, Config, Record, Target, Value, Verdict, Want,
//! };
//!
//! struct StandardClock;
//!
//! impl Clock for StandardClock {
//!     fn now(&self) -> Instant {
//!         Instant::now()
//!     }
//!     fn wall_ms(&self) -> i64 {
//!         1_700_000_000_000
//!     }
//! }
//!
//! let accumulator = Accumulator::new(Config::default(), 42);
//!
//! // The sender: what the metadata says. Three partitions, all led by node 1.
//! let mut bin = Bin::new();
//! accumulator.put_topic("orders", [0; 16], &[Some(1); 3], &mut bin);
//! bin.run();
//!
//! // A user's thread: a record goes into a batch.
//! let orders = accumulator.topic("orders").expect("it was just put");
//! let record = Record {
//!     key: Some(b"customer-17"),
//!     value: Value::Borrowed(b"2 lemons"),
//!     ..Record::default()
//! };
//! let appended =
//!     accumulator.append(&StandardClock, &orders, &record, Want::Delivery, None)?;
//! let mut delivery = appended.delivery.expect("it was wanted");
//!
//! // The sender again: it hears of the batch, takes it, sends it, and says where it is.
//! let mut news = Vec::new();
//! accumulator.drain_news(&mut news);
//! let taken = accumulator.take(news[0].slot).expect("there is news");
//! assert_eq!(taken.batch.records, 1);
//! let verdict = Verdict::Done { base_offset: 40, log_append_time: -1 };
//! taken.batch.complete(verdict, &mut bin);
//! bin.run();
//!
//! // The user's task wakes.
//! let mut context = Context::from_waker(Waker::noop());
//! let Poll::Ready(result) = Pin::new(&mut delivery).poll(&mut context) else {
//!     unreachable!("its batch is complete")
//! };
//! assert_eq!(result?.offset(), Some(40));
//! # use std::future::Future;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod accumulator;
mod append;
mod batch;
mod bin;
mod body;
mod climb;
mod clock;
mod config;
mod delivery;
mod failure;
mod flush;
mod gate;
mod inbox;
mod lanes;
mod lock;
mod names;
mod numbered;
mod outcome;
mod pace;
mod pool;
mod queue;
mod record;
mod registry;
mod room;
mod sticky;
mod stock;
mod topic;
mod way;

pub use accumulator::{Accumulator, Snapshot};
pub use append::{Appended, Claim, Refused};
pub use batch::{Batch, Rest, Taken};
pub use bin::Bin;
pub use body::{Body, Place, Places, Segments};
pub use clock::{Clock, Urgency, Wake};
pub use config::Config;
pub use delivery::{Deliveries, Delivery, RecordMetadata};
pub use failure::{BatchFailure, BrokerError, DeliveryError, FailureReason, Fate, RecordFailure};
pub use flush::Flush;
pub use gate::CloseReason;
pub use inbox::{News, What};
pub use outcome::{Callback, Outcome, Verdict};
pub use pace::WaitPace;
pub use record::{AsRecord, Record, Target, Value, Want};
pub use registry::{TopicError, WaitTopic};
pub use room::{Room, RoomError, WaitRoom};
pub use topic::{Slot, Topic};
