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

    /// What is sent again, under `acks=all`; with whether the broker may have appended it.
    const AGAIN: &[(i16, bool)] = &[
        (-1, true),   // UNKNOWN_SERVER_ERROR
        (2, false),   // CORRUPT_MESSAGE
        (3, true),    // UNKNOWN_TOPIC_OR_PARTITION
        (5, false),   // LEADER_NOT_AVAILABLE
        (6, true),    // NOT_LEADER_OR_FOLLOWER
        (7, true),    // REQUEST_TIMED_OUT
        (9, true),    // REPLICA_NOT_AVAILABLE
        (13, true),   // NETWORK_EXCEPTION
        (14, false),  // COORDINATOR_LOAD_IN_PROGRESS
        (15, false),  // COORDINATOR_NOT_AVAILABLE
        (16, false),  // NOT_COORDINATOR
        (19, false),  // NOT_ENOUGH_REPLICAS
        (20, true),   // NOT_ENOUGH_REPLICAS_AFTER_APPEND
        (41, false),  // NOT_CONTROLLER
        (51, false),  // CONCURRENT_TRANSACTIONS
        (56, true),   // KAFKA_STORAGE_ERROR
        (70, false),  // FETCH_SESSION_ID_NOT_FOUND
        (71, false),  // INVALID_FETCH_SESSION_EPOCH
        (72, false),  // LISTENER_NOT_FOUND
        (74, true),   // FENCED_LEADER_EPOCH
        (75, false),  // UNKNOWN_LEADER_EPOCH
        (78, false),  // OFFSET_NOT_AVAILABLE
        (80, false),  // PREFERRED_LEADER_NOT_AVAILABLE
        (83, false),  // ELIGIBLE_LEADERS_NOT_AVAILABLE
        (84, false),  // ELECTION_NOT_NEEDED
        (88, false),  // UNSTABLE_OFFSET_COMMIT
        (89, false),  // THROTTLING_QUOTA_EXCEEDED
        (100, true),  // UNKNOWN_TOPIC_ID
        (103, true),  // INCONSISTENT_TOPIC_ID
        (106, false), // FETCH_SESSION_TOPIC_ID_ERROR
        (122, false), // SHARE_SESSION_NOT_FOUND
        (123, false), // INVALID_SHARE_SESSION_EPOCH
        (133, false), // SHARE_SESSION_LIMIT_REACHED
    ];

    /// What fails: the requests that they answer, or the rights and settings that they are about, are not for retries
    /// to change. From the first to the last of each.
    const REFUSED: &[(i16, i16)] = &[
        (1, 1),     // OFFSET_OUT_OF_RANGE
        (4, 4),     // INVALID_FETCH_SIZE
        (8, 8),     // BROKER_NOT_AVAILABLE
        (11, 12),   // STALE_CONTROLLER_EPOCH, OFFSET_METADATA_TOO_LARGE
        (17, 18),   // INVALID_TOPIC_EXCEPTION, RECORD_LIST_TOO_LARGE
        (21, 40),   // INVALID_REQUIRED_ACKS, those of groups, rights, INVALID_TIMESTAMP, topics
        (42, 44),   // INVALID_REQUEST, UNSUPPORTED_FOR_MESSAGE_FORMAT, POLICY_VIOLATION
        (47, 50),   // INVALID_PRODUCER_EPOCH, those of transactions
        (52, 55),   // TRANSACTION_COORDINATOR_FENCED, rights, security
        (57, 58),   // LOG_DIR_NOT_FOUND, SASL_AUTHENTICATION_FAILED
        (60, 69),   // reassignment, tokens, groups
        (73, 73),   // TOPIC_DELETION_DISABLED
        (76, 77),   // UNSUPPORTED_COMPRESSION_TYPE, STALE_BROKER_EPOCH
        (79, 79),   // MEMBER_ID_REQUIRED
        (81, 82),   // GROUP_MAX_SIZE_REACHED, FENCED_INSTANCE_ID
        (85, 87),   // NO_REASSIGNMENT_IN_PROGRESS, GROUP_SUBSCRIBED_TO_TOPIC, INVALID_RECORD
        (90, 99),   // PRODUCER_FENCED, quorum, features, snapshots
        (101, 102), // DUPLICATE_BROKER_REGISTRATION, BROKER_ID_NOT_REGISTERED
        (104, 105), // INCONSISTENT_CLUSTER_ID, TRANSACTIONAL_ID_NOT_FOUND
        (107, 121), // groups, features, telemetry, TRANSACTION_ABORTABLE, share groups
        (124, 132), // quorum, configuration, streams groups
    ];

    #[test]
    fn every_code_has_a_verdict() {
        for code in ErrorCode::all() {
            let again = AGAIN.iter().find(|(again, _)| *again == code.0);
            let refused = REFUSED
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&code.0));
            let expected = match code {
                ErrorCode::NONE => Verdict::Done,
                ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Duplicate,
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID => {
                    Verdict::OutOfSequence
                }
                ErrorCode::MESSAGE_TOO_LARGE => Verdict::TooLarge,
                _ => match (again, refused) {
                    (Some((_, in_doubt)), false) => Verdict::Again {
                        in_doubt: *in_doubt,
                    },
                    (None, true) => Verdict::Refused { in_doubt: false },
                    _ => {
                        panic!("{code:?} has no verdict, or two: decide what it means for a batch")
                    }
                },
            };
            assert_eq!(verdict(code, Acks::All, true), expected, "{code:?}");
        }
    }
}
