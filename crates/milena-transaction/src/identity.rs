//! Under which id and epoch the producer writes.

/// A producer id with its epoch, as `InitProducerId` grants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The producer id.
    pub id: i64,
    /// Its epoch: brokers refuse batches of an older one.
    pub epoch: i16,
}

impl Identity {
    /// What a producer without idempotence puts on the wire.
    pub const NONE: Self = Self { id: -1, epoch: -1 };
}

/// The identity of an idempotent producer that is not transactional.
///
/// ```text
///            requested            granted                bumped past 32767
///  Missing ────────────► Asked ────────────► Known ─────────────────────────► Missing
///     ▲                    │ refused          │ ▲
///     └────────────────────┘                  └─┘ bumped: epoch + 1, no request needed
/// ```
#[derive(Clone, Debug, Default)]
pub struct Idempotence {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Missing,
    Asked,
    Known(Identity),
}

impl Idempotence {
    /// A producer that has no identity yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `InitProducerId` is to be sent.
    pub fn wants_identity(&self) -> bool {
        self.state == State::Missing
    }

    /// The identity for partitions that begin now.
    pub fn identity(&self) -> Option<Identity> {
        match self.state {
            State::Known(identity) => Some(identity),
            State::Missing | State::Asked => None,
        }
    }

    /// `InitProducerId` was sent.
    pub fn requested(&mut self) {
        if self.state == State::Missing {
            self.state = State::Asked;
        }
    }

    /// The request failed or was lost: it has to be sent again.
    pub fn refused(&mut self) {
        if self.state == State::Asked {
            self.state = State::Missing;
        }
    }

    /// A broker granted an identity.
    pub fn granted(&mut self, identity: Identity) {
        self.state = State::Known(identity);
    }

    /// Moves on from `stale`, unless the producer already did.
    ///
    /// An idempotent producer owns its epochs, so no request is needed until they are used up.
    pub(crate) fn bump_from(&mut self, stale: Identity) {
        match self.state {
            State::Known(known) if known == stale => {
                self.state = match known.epoch.checked_add(1) {
                    Some(epoch) => State::Known(Identity { epoch, ..known }),
                    None => State::Missing,
                };
            }
            State::Known(_) | State::Missing | State::Asked => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_again_after_a_refusal() {
        let mut producer = Idempotence::new();
        producer.requested();
        assert!(!producer.wants_identity());
        producer.refused();
        assert!(producer.wants_identity());
    }

    #[test]
    fn bumps_only_from_what_is_current() {
        let mut producer = Idempotence::new();
        let first = Identity { id: 7, epoch: 0 };
        producer.granted(first);
        producer.bump_from(first);
        assert_eq!(producer.identity(), Some(Identity { id: 7, epoch: 1 }));
        producer.bump_from(first);
        assert_eq!(producer.identity(), Some(Identity { id: 7, epoch: 1 }));
    }

    #[test]
    fn asks_for_a_new_id_when_its_epochs_are_used_up() {
        let mut producer = Idempotence::new();
        let last = Identity {
            id: 7,
            epoch: i16::MAX,
        };
        producer.granted(last);
        producer.bump_from(last);
        assert_eq!(producer.identity(), None);
        assert!(producer.wants_identity());
    }
}
