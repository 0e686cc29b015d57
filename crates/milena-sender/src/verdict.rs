//! What a broker's error code means for the batch it answers.

use milena_wire::ErrorCode;

use crate::config::Acks;

/// What becomes of a batch after an answer. Decided from the code alone; what the partition
/// makes of it depends on its sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the log.
    Done,
    /// It is in the log, from an earlier attempt; where is unknown.
    Duplicate,
    /// It is to be sent again, unchanged.
    Again {
        /// The broker may have appended it all the same.
        in_doubt: bool,
    },
    /// The broker misses the batches before it, or has forgotten the producer.
    OutOfSequence,
    /// It is larger than the topic takes.
    TooLarge,
    /// It will never be taken.
    Refused {
        /// The broker may have appended it all the same.
        in_doubt: bool,
    },
}

/// Reads `code` for a batch that was sent with `acks`, idempotent or not.
pub(crate) fn verdict(code: ErrorCode, acks: Acks, idempotent: bool) -> Verdict {
    match code {
        ErrorCode::NONE => Verdict::Done,
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER if idempotent => Verdict::Duplicate,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID if idempotent => {
            Verdict::OutOfSequence
        }
        ErrorCode::MESSAGE_TOO_LARGE => Verdict::TooLarge,
        // The broker failed somewhere in the middle. Only the same sequence can be sent again
        // without a risk of a second copy.
        ErrorCode::UNKNOWN_SERVER_ERROR if idempotent => Verdict::Again { in_doubt: true },
        code if code.is_retriable() => Verdict::Again {
            in_doubt: appended_perhaps(code, acks),
        },
        code => Verdict::Refused {
            in_doubt: code.name().is_none() || code == ErrorCode::UNKNOWN_SERVER_ERROR,
        },
    }
}

/// Whether a broker that answers `code` may have appended the batch.
///
/// With `acks=all` a leader appends first and waits for its followers then. When it is deposed,
/// loses its disk or its patience in between, the answer is an error and the batch is in the log.
fn appended_perhaps(code: ErrorCode, acks: Acks) -> bool {
    match code {
        ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::KAFKA_STORAGE_ERROR => true,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::INCONSISTENT_TOPIC_ID => acks == Acks::All,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_may_have_been_appended() {
        let again = |code, acks| verdict(code, acks, true);
        assert_eq!(
            again(ErrorCode::NOT_ENOUGH_REPLICAS, Acks::All),
            Verdict::Again { in_doubt: false }
        );
        assert_eq!(
            again(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, Acks::All),
            Verdict::Again { in_doubt: true }
        );
        assert_eq!(
            again(ErrorCode::NOT_LEADER_OR_FOLLOWER, Acks::All),
            Verdict::Again { in_doubt: true }
        );
        assert_eq!(
            again(ErrorCode::NOT_LEADER_OR_FOLLOWER, Acks::Leader),
            Verdict::Again { in_doubt: false }
        );
        assert_eq!(
            again(ErrorCode::UNKNOWN_SERVER_ERROR, Acks::All),
            Verdict::Again { in_doubt: true }
        );
    }

    #[test]
    fn sequences_mean_nothing_without_idempotence() {
        assert_eq!(
            verdict(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, Acks::All, false),
            Verdict::Refused { in_doubt: false }
        );
        assert_eq!(
            verdict(ErrorCode::UNKNOWN_SERVER_ERROR, Acks::All, false),
            Verdict::Refused { in_doubt: true }
        );
    }

    #[test]
    fn a_code_nobody_has_heard_of_leaves_doubt() {
        assert_eq!(
            verdict(ErrorCode(9999), Acks::All, true),
            Verdict::Refused { in_doubt: true }
        );
    }
}
