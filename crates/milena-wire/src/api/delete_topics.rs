//! Deletes topics.
//!
//! - 2: a throttled client is to stay silent by itself (KIP-219).
//! - 3: `TOPIC_DELETION_DISABLED` may be answered (KIP-322).
//! - 4: flexible (KIP-482).
//! - 5: why it failed, in words; `THROTTLING_QUOTA_EXCEEDED` may be answered (KIP-599).
//! - 6: topics may go by id (KIP-516).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, Uuid, message};

impl Request for DeleteTopicsRequest<'_> {
    const KEY: ApiKey = ApiKey::DELETE_TOPICS;
    const VERSIONS: RangeInclusive<i16> = 1..=6;
    const FLEXIBLE: i16 = 4;
    type Response<'a> = DeleteTopicsResponse<'a>;
}

message! {
    /// Names the topics.
    pub struct DeleteTopicsRequest<'a> {
        /// The topics.
        6.. => topics: Vec<DeleteTopicState<'a>>,
        /// The topics.
        0..=5 => topic_names: Vec<&'a str>; ignorable,
        /// How long to wait for it, in milliseconds.
        0.. => timeout_ms: i32,
    }

    /// A topic, by name or by id.
    pub struct DeleteTopicState<'a> {
        /// Its name; null if it goes by id.
        6.. => name: Option<&'a str> = None,
        /// Its id; zero if it goes by name.
        6.. => topic_id: Uuid,
    }

    /// What became of the topics.
    pub struct DeleteTopicsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        1.. => throttle_time_ms: i32; ignorable,
        /// By topic.
        0.. => responses: Vec<DeletableTopicResult<'a>>,
    }

    /// What became of a topic.
    pub struct DeletableTopicResult<'a> {
        /// Its name; null if its id is not known.
        0.. => name: Option<&'a str> = Some(""); nullable(6..),
        /// Its id.
        6.. => topic_id: Uuid; ignorable,
        /// Why it was refused, or 0.
        0.. => error_code: i16,
        /// Why, in words.
        5.. => error_message: Option<&'a str> = None; ignorable,
    }
}
