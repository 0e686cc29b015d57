//! Producer ids, epochs and sequences: what lets a broker drop the second copy of a batch.
//!
//! This crate knows nothing of what is in a batch, of connections or of time.
//! It answers three questions:
//!
//! - under which [`Identity`] does this producer write, and must it ask for one ([`Idempotence`])?
//! - which [`Sequence`] does the next batch of a partition get ([`PartitionSequences`])?
//! - may a partition begin again under a new epoch?
//!
//! The rules are those of KIP-98 and KIP-360. One is stricter than in Kafka's own client: a
//! partition changes its epoch only when nothing of it is on any wire, because a batch that may
//! still be appended must never be sent again under another name (KAFKA-14034).
//!
//! # Used alone
//!
//! ```
//! use milena_transaction::{Idempotence, Identity, PartitionSequences};
//!
//! let mut producer = Idempotence::new();
//! assert!(producer.wants_identity());
//! producer.requested();
//! producer.granted(Identity { id: 4000, epoch: 0 });
//!
//! let mut partition = PartitionSequences::default();
//! let first = partition.stamp(&producer, 10).expect("an identity is known");
//! let second = partition.stamp(&producer, 5).expect("an identity is known");
//! assert_eq!((first.base.get(), second.base.get()), (0, 10));
//!
//! // The first batch was refused for good: its numbers are missing at the broker.
//! partition.mark_hole(first);
//! assert!(partition.stamp(&producer, 1).is_none());
//! // Once nothing of the partition is on any wire it begins again under the next epoch.
//! partition.restart(&mut producer);
//! let again = partition.stamp(&producer, 5).expect("an identity is known");
//! assert_eq!((again.identity.epoch, again.base.get()), (1, 0));
//! ```
#![forbid(unsafe_code)]

mod identity;
mod partition;
mod sequence;

pub use identity::{Idempotence, Identity};
pub use partition::{PartitionSequences, Stamp};
pub use sequence::Sequence;
