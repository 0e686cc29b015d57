//! How topics and brokers are configured.
//!
//! - 1: where a value comes from, and what it hides (KIP-226).
//! - 2: a throttled client is to stay silent by itself (KIP-219).
//! - 3: types and documentation (KIP-569).
//! - 4: flexible (KIP-482).

use std::ops::RangeInclusive;

use crate::{ApiKey, Request, message};

impl Request for DescribeConfigsRequest<'_> {
    const KEY: ApiKey = ApiKey::DESCRIBE_CONFIGS;
    const VERSIONS: RangeInclusive<i16> = 1..=4;
    const FLEXIBLE: i16 = 4;
    type Response<'a> = DescribeConfigsResponse<'a>;
}

message! {
    /// Asks for configurations.
    pub struct DescribeConfigsRequest<'a> {
        /// Of what.
        0.. => resources: Vec<DescribeConfigsResource<'a>>,
        /// Whether to tell the values that each one hides.
        1.. => include_synonyms: bool,
        /// Whether to tell what each one is for.
        3.. => include_documentation: bool,
    }

    /// A topic, a broker, or something else that has a configuration.
    pub struct DescribeConfigsResource<'a> {
        /// 2: a topic, 4: a broker.
        0.. => resource_type: i8,
        /// Its name, or the broker's id in digits.
        0.. => resource_name: &'a str,
        /// The names of the values; null for all.
        0.. => configuration_keys: Option<Vec<&'a str>> = Some(Vec::new()),
    }

    /// Configurations.
    pub struct DescribeConfigsResponse<'a> {
        /// How long the client should stay silent, in milliseconds.
        0.. => throttle_time_ms: i32,
        /// One for each that was asked for.
        0.. => results: Vec<DescribeConfigsResult<'a>>,
    }

    /// The configuration of one of them.
    pub struct DescribeConfigsResult<'a> {
        /// Why it cannot be told, or 0.
        0.. => error_code: i16,
        /// Why, in words.
        0.. => error_message: Option<&'a str> = Some(""),
        /// 2: a topic, 4: a broker.
        0.. => resource_type: i8,
        /// Its name.
        0.. => resource_name: &'a str,
        /// Its values.
        0.. => configs: Vec<DescribeConfigsResourceResult<'a>>,
    }

    /// A value.
    pub struct DescribeConfigsResourceResult<'a> {
        /// Its name.
        0.. => name: &'a str,
        /// The value; null if it is secret.
        0.. => value: Option<&'a str> = Some(""),
        /// Whether it cannot be changed.
        0.. => read_only: bool,
        /// Where it comes from, or -1.
        1.. => config_source: i8 = -1; ignorable,
        /// Whether it is secret.
        0.. => is_sensitive: bool,
        /// The values that it hides.
        1.. => synonyms: Vec<DescribeConfigsSynonym<'a>>; ignorable,
        /// Its type, or 0.
        3.. => config_type: i8; ignorable,
        /// What it is for.
        3.. => documentation: Option<&'a str> = Some(""); ignorable,
    }

    /// A value that is hidden by another.
    pub struct DescribeConfigsSynonym<'a> {
        /// Its name.
        1.. => name: &'a str,
        /// The value; null if it is secret.
        1.. => value: Option<&'a str> = Some(""),
        /// Where it comes from.
        1.. => source: i8,
    }
}
