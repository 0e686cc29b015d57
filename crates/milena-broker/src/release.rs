//! Which versions of which requests a broker speaks: those of today, or those of an older Kafka release.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use milena_wire::ApiKey;

/// A release of Apache Kafka whose version ranges the broker can pretend to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Release {
    /// 2.1, the oldest one that Kafka 4 clients still speak with.
    V2_1,
    /// 2.4, the first with flexible versions.
    V2_4,
    /// 2.8, the first with topic ids.
    V2_8,
    /// 3.9, the last of the third generation.
    V3_9,
    /// 4.0, without topic ids in Produce.
    V4_0,
    /// 4.3, everything that this crate knows.
    #[default]
    V4_3,
}

/// A release that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRelease(String);

impl fmt::Display for UnknownRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "no release {text:?} is known, use one of 2.1, 2.4, 2.8, 3.9, 4.0, 4.3"
        )
    }
}

impl std::error::Error for UnknownRelease {}

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "2.1" => Self::V2_1,
            "2.4" => Self::V2_4,
            "2.8" => Self::V2_8,
            "3.9" => Self::V3_9,
            "4.0" => Self::V4_0,
            "4.3" => Self::V4_3,
            _ => return Err(UnknownRelease(text.to_owned())),
        })
    }
}

impl Release {
    /// The newest version of a request that this release knows; `None` where it does not know the request at all.
    fn newest(self, api: ApiKey) -> Option<i16> {
        let column = match self {
            Self::V2_1 => 0,
            Self::V2_4 => 1,
            Self::V2_8 => 2,
            Self::V3_9 => 3,
            Self::V4_0 => 4,
            Self::V4_3 => return Some(i16::MAX),
        };
        let (_, versions) = NEWEST.iter().find(|(key, _)| *key == api)?;
        (versions[column] >= 0).then_some(versions[column])
    }
}

/// Newest versions by release: 2.1, 2.4, 2.8, 3.9, 4.0; -1 where the request did not exist.
const NEWEST: &[(ApiKey, [i16; 5])] = &[
    (ApiKey::PRODUCE, [7, 8, 9, 11, 12]),
    (ApiKey::FETCH, [10, 11, 12, 17, 17]),
    (ApiKey::LIST_OFFSETS, [4, 5, 6, 9, 10]),
    (ApiKey::METADATA, [7, 9, 11, 12, 13]),
    (ApiKey::FIND_COORDINATOR, [2, 3, 3, 6, 6]),
    (ApiKey::API_VERSIONS, [2, 3, 3, 4, 4]),
    (ApiKey::CREATE_TOPICS, [3, 5, 7, 7, 7]),
    (ApiKey::DELETE_TOPICS, [3, 4, 6, 6, 6]),
    (ApiKey::INIT_PRODUCER_ID, [1, 2, 4, 5, 5]),
    (ApiKey::DESCRIBE_CONFIGS, [2, 2, 4, 4, 4]),
    (ApiKey::CREATE_PARTITIONS, [1, 1, 3, 3, 3]),
    (ApiKey::DESCRIBE_PRODUCERS, [-1, -1, 0, 0, 0]),
    (ApiKey::DESCRIBE_TRANSACTIONS, [-1, -1, -1, 0, 0]),
    (ApiKey::OFFSET_FETCH, [5, 6, 7, 9, 9]),
];

/// The range of versions of every request that a broker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(BTreeMap<ApiKey, RangeInclusive<i16>>);

impl Versions {
    /// What a release speaks, out of what the model implements.
    pub(crate) fn of(release: Release, implemented: &[(ApiKey, RangeInclusive<i16>)]) -> Self {
        let ranges = implemented.iter().filter_map(|(api, range)| {
            let newest = release.newest(*api)?.min(*range.end());
            (newest >= *range.start()).then(|| (*api, *range.start()..=newest))
        });
        Self(ranges.collect())
    }

    /// Limits one request to this range, or takes it away with an empty one.
    pub fn limit(&mut self, api: ApiKey, range: RangeInclusive<i16>) {
        if range.is_empty() {
            self.0.remove(&api);
        } else {
            self.0.insert(api, range);
        }
    }

    /// The range of one request.
    pub fn get(&self, api: ApiKey) -> Option<&RangeInclusive<i16>> {
        self.0.get(&api)
    }

    /// All requests and their ranges, by key.
    pub fn iter(&self) -> impl Iterator<Item = (ApiKey, &RangeInclusive<i16>)> {
        self.0.iter().map(|(api, range)| (*api, range))
    }

    /// Whether a request of this version is answered.
    pub fn speaks(&self, api: ApiKey, version: i16) -> bool {
        self.get(api).is_some_and(|range| range.contains(&version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPLEMENTED: &[(ApiKey, RangeInclusive<i16>)] = &[
        (ApiKey::PRODUCE, 3..=13),
        (ApiKey::API_VERSIONS, 0..=4),
        (ApiKey::DESCRIBE_PRODUCERS, 0..=0),
    ];

    #[test]
    fn an_old_release_knows_less() {
        let old = Versions::of(Release::V2_1, IMPLEMENTED);
        assert_eq!(old.get(ApiKey::PRODUCE), Some(&(3..=7)));
        assert!(old.speaks(ApiKey::API_VERSIONS, 2) && !old.speaks(ApiKey::API_VERSIONS, 3));
        assert_eq!(old.get(ApiKey::DESCRIBE_PRODUCERS), None);
    }

    #[test]
    fn the_newest_release_knows_everything() {
        let new = Versions::of(Release::V4_3, IMPLEMENTED);
        assert!(
            IMPLEMENTED
                .iter()
                .all(|(api, range)| new.get(*api) == Some(range))
        );
    }

    #[test]
    fn a_request_can_be_limited_or_taken_away() {
        let mut versions = Versions::of(Release::V4_3, IMPLEMENTED);
        versions.limit(ApiKey::PRODUCE, 3..=5);
        assert!(!versions.speaks(ApiKey::PRODUCE, 6));
        #[allow(clippy::reversed_empty_ranges)]
        versions.limit(ApiKey::PRODUCE, 1..=0);
        assert_eq!(versions.get(ApiKey::PRODUCE), None);
    }

    #[test]
    fn releases_are_read_from_text() {
        assert_eq!("2.8".parse(), Ok(Release::V2_8));
        assert!(
            "2.7"
                .parse::<Release>()
                .is_err_and(|error| error.to_string().contains("2.8"))
        );
    }
}
