//! Where records wait: batches per partition, the buffer pool and deliveries.
//!
//! Internal to milena, no promises.
#![forbid(unsafe_code)]

mod accumulator;
mod append;
mod batch;
mod bin;
mod body;
mod clock;
mod config;
mod delivery;
mod failure;
mod flush;
mod gate;
mod inbox;
mod outcome;
mod pool;
mod queue;
mod record;
mod registry;
mod sticky;
mod topic;

pub use accumulator::{Accumulator, Snapshot};
pub use append::{Appended, Refused};
pub use batch::{Batch, Rest, Taken};
pub use bin::Bin;
pub use body::{Body, Segments};
pub use clock::{Clock, Urgency, Wake};
pub use config::Config;
pub use delivery::{Deliveries, Delivery, RecordMetadata};
pub use failure::{BatchFailure, DeliveryError, FailureReason, Fate, RecordFailure};
pub use flush::Flush;
pub use gate::CloseReason;
pub use inbox::{News, What};
pub use outcome::{Callback, Outcome, Verdict};
pub use pool::{Room, RoomError, WaitRoom};
pub use record::{AsRecord, Record, Target, Value, Want};
pub use registry::{TopicError, WaitTopic};
pub use topic::{Slot, Topic};
