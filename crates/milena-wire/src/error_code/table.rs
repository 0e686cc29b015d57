//! The table of error codes: code, class, name, sentence.

use super::{Class, Entry, ErrorCode};

macro_rules! error_codes {
    ($($code:literal $class:ident $name:ident $message:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Code ", stringify!($code), ": ", $message, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        pub(super) static TABLE: [Entry; [$($code),*].len()] = [$(
            Entry { name: stringify!($name), class: Class::$class, message: $message },
        )*];

        #[cfg(test)]
        pub(super) const CODES: &[i16] = &[$($code),*];
    };
}

error_codes! {
     -1 Other                  UNKNOWN_SERVER_ERROR                     "the broker failed in a way it did not expect; its log says more";
      0 Other                  NONE                                     "success";
      1 Other                  OFFSET_OUT_OF_RANGE                      "the offset lies outside the log";
      2 Retriable              CORRUPT_MESSAGE                          "the batch arrived damaged, too large, or without the key that a compacted topic needs";
      3 InvalidMetadata        UNKNOWN_TOPIC_OR_PARTITION               "the broker does not have this topic or partition";
      4 Other                  INVALID_FETCH_SIZE                       "the size asked for in a fetch is not possible";
      5 InvalidMetadata        LEADER_NOT_AVAILABLE                     "the partition has no leader yet; an election is under way";
      6 InvalidMetadata        NOT_LEADER_OR_FOLLOWER                   "the broker does not lead this partition, or has no replica of it";
      7 Retriable              REQUEST_TIMED_OUT                        "the broker could not finish in the time the request allowed";
      8 Other                  BROKER_NOT_AVAILABLE                     "the broker is not available";
      9 InvalidMetadata        REPLICA_NOT_AVAILABLE                    "the broker has no replica of this partition at hand";
     10 Other                  MESSAGE_TOO_LARGE                        "the batch is larger than the topic or the broker allows (max.message.bytes)";
     11 Other                  STALE_CONTROLLER_EPOCH                   "the controller has changed";
     12 Other                  OFFSET_METADATA_TOO_LARGE                "the metadata beside a committed offset is too long";
     13 InvalidMetadata        NETWORK_EXCEPTION                        "the connection broke before the broker answered";
     14 Retriable              COORDINATOR_LOAD_IN_PROGRESS             "the coordinator is still loading its state";
     15 Refresh                COORDINATOR_NOT_AVAILABLE                "no coordinator is available yet";
     16 Refresh                NOT_COORDINATOR                          "this broker is not the coordinator";
     17 InvalidConfiguration   INVALID_TOPIC_EXCEPTION                  "the topic's name is not allowed, or the topic is not open to this request";
     18 InvalidConfiguration   RECORD_LIST_TOO_LARGE                    "the batch is larger than a segment of the log";
     19 Retriable              NOT_ENOUGH_REPLICAS                      "fewer replicas are in sync than min.insync.replicas asks for; nothing was written";
     20 Retriable              NOT_ENOUGH_REPLICAS_AFTER_APPEND         "the batch was written, but to fewer replicas than min.insync.replicas asks for";
     21 InvalidConfiguration   INVALID_REQUIRED_ACKS                    "acks must be 0, 1 or -1";
     22 ApplicationRecoverable ILLEGAL_GENERATION                       "the generation of the group is not the current one";
     23 Other                  INCONSISTENT_GROUP_PROTOCOL              "the member speaks no protocol that the group has in common";
     24 Other                  INVALID_GROUP_ID                         "the group's id is not allowed";
     25 ApplicationRecoverable UNKNOWN_MEMBER_ID                        "the group does not know this member";
     26 Other                  INVALID_SESSION_TIMEOUT                  "the session timeout is outside the broker's limits";
     27 Other                  REBALANCE_IN_PROGRESS                    "the group is rebalancing; join again";
     28 Other                  INVALID_COMMIT_OFFSET_SIZE               "the offsets to commit are too large";
     29 InvalidConfiguration   TOPIC_AUTHORIZATION_FAILED               "the client may not do this with the topic";
     30 InvalidConfiguration   GROUP_AUTHORIZATION_FAILED               "the client may not do this with the group";
     31 InvalidConfiguration   CLUSTER_AUTHORIZATION_FAILED             "the client may not do this with the cluster";
     32 Other                  INVALID_TIMESTAMP                        "a timestamp is too far from the broker's clock";
     33 InvalidConfiguration   UNSUPPORTED_SASL_MECHANISM               "the broker has no such SASL mechanism enabled";
     34 InvalidConfiguration   ILLEGAL_SASL_STATE                       "the request does not fit the state of the SASL handshake";
     35 InvalidConfiguration   UNSUPPORTED_VERSION                      "the broker does not speak this version of the API";
     36 Other                  TOPIC_ALREADY_EXISTS                     "a topic of this name exists already";
     37 Other                  INVALID_PARTITIONS                       "the number of partitions is not allowed";
     38 InvalidConfiguration   INVALID_REPLICATION_FACTOR               "the replication factor is below 1 or above the number of brokers";
     39 Other                  INVALID_REPLICA_ASSIGNMENT               "the assignment of replicas is not possible";
     40 InvalidConfiguration   INVALID_CONFIG                           "a configuration value is not valid";
     41 Retriable              NOT_CONTROLLER                           "this broker is not the controller";
     42 Other                  INVALID_REQUEST                          "the broker could not make sense of the request";
     43 InvalidConfiguration   UNSUPPORTED_FOR_MESSAGE_FORMAT           "the topic's message format is too old for this request";
     44 Other                  POLICY_VIOLATION                         "a policy of the cluster forbids it";
     45 Other                  OUT_OF_ORDER_SEQUENCE_NUMBER             "a batch of this producer that should come before is missing";
     46 Other                  DUPLICATE_SEQUENCE_NUMBER                "the batch was written before, too long ago to say at which offset";
     47 ApplicationRecoverable INVALID_PRODUCER_EPOCH                   "a producer with the same id and a newer epoch has taken over";
     48 Other                  INVALID_TXN_STATE                        "the transaction is not in a state that allows this";
     49 ApplicationRecoverable INVALID_PRODUCER_ID_MAPPING              "the producer's id does not belong to its transactional id";
     50 Other                  INVALID_TRANSACTION_TIMEOUT              "the transaction timeout is above the broker's limit (transaction.max.timeout.ms)";
     51 Retriable              CONCURRENT_TRANSACTIONS                  "another step of this transaction is still under way";
     52 Other                  TRANSACTION_COORDINATOR_FENCED           "the transaction coordinator has been replaced";
     53 InvalidConfiguration   TRANSACTIONAL_ID_AUTHORIZATION_FAILED    "the client may not use this transactional id";
     54 Other                  SECURITY_DISABLED                        "the cluster has no authorizer configured";
     55 Other                  OPERATION_NOT_ATTEMPTED                  "not tried, because another part of the request failed";
     56 InvalidMetadata        KAFKA_STORAGE_ERROR                      "the broker's disk failed";
     57 Other                  LOG_DIR_NOT_FOUND                        "the broker has no such log directory";
     58 InvalidConfiguration   SASL_AUTHENTICATION_FAILED               "the credentials were refused";
     59 Other                  UNKNOWN_PRODUCER_ID                      "the partition has no state of this producer left";
     60 Other                  REASSIGNMENT_IN_PROGRESS                 "the partition is being reassigned";
     61 Other                  DELEGATION_TOKEN_AUTH_DISABLED           "delegation tokens are not enabled";
     62 Other                  DELEGATION_TOKEN_NOT_FOUND               "the broker does not know the delegation token";
     63 Other                  DELEGATION_TOKEN_OWNER_MISMATCH          "the delegation token belongs to someone else";
     64 Other                  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED     "delegation tokens cannot be asked for over this connection";
     65 InvalidConfiguration   DELEGATION_TOKEN_AUTHORIZATION_FAILED    "the client may not do this with delegation tokens";
     66 Other                  DELEGATION_TOKEN_EXPIRED                 "the delegation token has expired";
     67 Other                  INVALID_PRINCIPAL_TYPE                   "this type of principal is not supported";
     68 Other                  NON_EMPTY_GROUP                          "the group still has members";
     69 Other                  GROUP_ID_NOT_FOUND                       "there is no such group";
     70 Retriable              FETCH_SESSION_ID_NOT_FOUND               "the fetch session is gone";
     71 Retriable              INVALID_FETCH_SESSION_EPOCH              "the epoch of the fetch session is not the expected one";
     72 InvalidMetadata        LISTENER_NOT_FOUND                       "the leader has no listener of the name the client came in by";
     73 Other                  TOPIC_DELETION_DISABLED                  "topics cannot be deleted on this cluster (delete.topic.enable)";
     74 InvalidMetadata        FENCED_LEADER_EPOCH                      "the leader epoch in the request is older than the broker's";
     75 Retriable              UNKNOWN_LEADER_EPOCH                     "the leader epoch in the request is newer than the broker's";
     76 Other                  UNSUPPORTED_COMPRESSION_TYPE             "the client is too old for the codec the partition uses";
     77 Other                  STALE_BROKER_EPOCH                       "the broker has been restarted since";
     78 Retriable              OFFSET_NOT_AVAILABLE                     "the new leader does not know yet how far consumers may read";
     79 Other                  MEMBER_ID_REQUIRED                       "join again with the member id that was assigned";
     80 InvalidMetadata        PREFERRED_LEADER_NOT_AVAILABLE           "the preferred leader is not available";
     81 Other                  GROUP_MAX_SIZE_REACHED                   "the group is full";
     82 ApplicationRecoverable FENCED_INSTANCE_ID                       "another member with the same group.instance.id has taken over";
     83 InvalidMetadata        ELIGIBLE_LEADERS_NOT_AVAILABLE           "no replica may lead the partition";
     84 InvalidMetadata        ELECTION_NOT_NEEDED                      "the partition has the leader it should have";
     85 Other                  NO_REASSIGNMENT_IN_PROGRESS              "the partition is not being reassigned";
     86 Other                  GROUP_SUBSCRIBED_TO_TOPIC                "the group still reads this topic";
     87 InvalidConfiguration   INVALID_RECORD                           "the broker refused a record of the batch";
     88 Retriable              UNSTABLE_OFFSET_COMMIT                   "offsets of an unfinished transaction are in the way";
     89 Retriable              THROTTLING_QUOTA_EXCEEDED                "the quota for this kind of request is used up for now";
     90 ApplicationRecoverable PRODUCER_FENCED                          "a newer producer with the same transactional id has taken over";
     91 Other                  RESOURCE_NOT_FOUND                       "the request names something that does not exist";
     92 Other                  DUPLICATE_RESOURCE                       "the request names the same thing twice";
     93 Other                  UNACCEPTABLE_CREDENTIAL                  "the new credentials are not good enough";
     94 Other                  INCONSISTENT_VOTER_SET                   "a voter of the quorum does not belong to it";
     95 Other                  INVALID_UPDATE_VERSION                   "the version of a feature is not possible";
     96 Other                  FEATURE_UPDATE_FAILED                    "the cluster could not change its features";
     97 Other                  PRINCIPAL_DESERIALIZATION_FAILURE        "a forwarded principal could not be read; brokers must agree on their principal builder";
     98 Other                  SNAPSHOT_NOT_FOUND                       "there is no such snapshot";
     99 Other                  POSITION_OUT_OF_RANGE                    "the position lies outside the snapshot";
    100 InvalidMetadata        UNKNOWN_TOPIC_ID                         "the broker does not know this topic id";
    101 Other                  DUPLICATE_BROKER_REGISTRATION            "a broker with this id is registered already";
    102 Other                  BROKER_ID_NOT_REGISTERED                 "no broker with this id is registered";
    103 InvalidMetadata        INCONSISTENT_TOPIC_ID                    "the topic's id in the log is not the one in the request";
    104 Other                  INCONSISTENT_CLUSTER_ID                  "the broker belongs to another cluster";
    105 Other                  TRANSACTIONAL_ID_NOT_FOUND               "there is no such transactional id";
    106 Retriable              FETCH_SESSION_TOPIC_ID_ERROR             "topics of a fetch session were named in two ways";
    107 Other                  INELIGIBLE_REPLICA                       "a replica may not be in sync";
    108 Other                  NEW_LEADER_ELECTED                       "the leader has changed while its replicas were";
    109 Other                  OFFSET_MOVED_TO_TIERED_STORAGE           "the offset has moved to tiered storage";
    110 Other                  FENCED_MEMBER_EPOCH                      "the member's epoch is too old; it must give up its partitions and join again";
    111 Other                  UNRELEASED_INSTANCE_ID                   "the member that had this group.instance.id has not left yet";
    112 Other                  UNSUPPORTED_ASSIGNOR                     "the group does not have this assignor, or not in this version";
    113 Other                  STALE_MEMBER_EPOCH                       "the member's epoch is out of date; it gets the new one with its next heartbeat";
    114 Other                  MISMATCHED_ENDPOINT_TYPE                 "this listener is for others: clients ask brokers, not controllers";
    115 Other                  UNSUPPORTED_ENDPOINT_TYPE                "this kind of listener is not supported";
    116 Other                  UNKNOWN_CONTROLLER_ID                    "there is no such controller";
    117 Other                  UNKNOWN_SUBSCRIPTION_ID                  "the telemetry subscription is out of date";
    118 Other                  TELEMETRY_TOO_LARGE                      "the metrics are larger than the broker takes";
    119 Other                  INVALID_REGISTRATION                     "the controller refused the broker's registration";
    120 Other                  TRANSACTION_ABORTABLE                    "the transaction failed, but can be aborted and begun anew";
    121 Other                  INVALID_RECORD_STATE                     "the state of a shared record does not allow this";
    122 Retriable              SHARE_SESSION_NOT_FOUND                  "the share session is gone";
    123 Retriable              INVALID_SHARE_SESSION_EPOCH              "the epoch of the share session is not the expected one";
    124 Other                  FENCED_STATE_EPOCH                       "the share group's state has moved on";
    125 Other                  INVALID_VOTER_KEY                        "the voter's key is not that of the replica";
    126 Other                  DUPLICATE_VOTER                          "the voter belongs to the quorum already";
    127 Other                  VOTER_NOT_FOUND                          "the voter does not belong to the quorum";
    128 Other                  INVALID_REGULAR_EXPRESSION               "the regular expression is not valid";
    129 Other                  REBOOTSTRAP_REQUIRED                     "the client's view of the cluster is too old; begin again from the bootstrap servers";
    130 Other                  STREAMS_INVALID_TOPOLOGY                 "the topology is not valid";
    131 Other                  STREAMS_INVALID_TOPOLOGY_EPOCH           "the topology's epoch is not valid";
    132 Other                  STREAMS_TOPOLOGY_FENCED                  "the topology's epoch is out of date";
    133 Retriable              SHARE_SESSION_LIMIT_REACHED              "there are too many share sessions";
}
