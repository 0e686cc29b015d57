//! Which APIs a broker speaks, in which versions, and what its cluster has agreed on.
use std::ops::RangeInclusive;

use milena_wire::{ApiKey, ApiVersionsResponse};

use crate::VersionMismatch;

/// The APIs of one broker, sorted by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    ranges: Vec<(ApiKey, i16, i16)>,
}

impl Versions {
    pub(crate) fn of(response: &ApiVersionsResponse<'_>) -> Self {
        let mut ranges: Vec<_> = response
            .api_keys
            .iter()
            .map(|api| (ApiKey(api.api_key), api.min_version, api.max_version))
            .collect();
        ranges.sort_unstable();
        Self { ranges }
    }

    pub(crate) fn range(&self, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let at = self
            .ranges
            .binary_search_by_key(&api, |&(key, ..)| key)
            .ok()?;
        let (_, min, max) = *self.ranges.get(at)?;
        Some(min..=max)
    }

    /// The highest version that both sides speak.
    pub(crate) fn common(&self, api: ApiKey, ours: &RangeInclusive<i16>) -> Option<i16> {
        let theirs = self.range(api)?;
        let version = *ours.end().min(theirs.end());
        (version >= *ours.start().max(theirs.start())).then_some(version)
    }

    /// Whether there is a common version of everything that is `required`.
    pub(crate) fn check<'a>(
        &self,
        required: impl Iterator<Item = (ApiKey, &'a RangeInclusive<i16>)>,
    ) -> Result<(), VersionMismatch> {
        for (api, ours) in required {
            if self.common(api, ours).is_none() {
                return Err(VersionMismatch {
                    api,
                    ours: ours.clone(),
                    theirs: self.range(api),
                });
            }
        }
        Ok(())
    }
}

/// The features that the cluster has finalized (KIP-584), as of the largest epoch that any broker
/// told.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    epoch: i64,
    levels: Vec<(String, i16)>,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            epoch: -1,
            levels: Vec::new(),
        }
    }
}

impl Features {
    pub(crate) fn learn(&mut self, response: &ApiVersionsResponse<'_>) {
        let epoch = response.finalized_features_epoch;
        if epoch > self.epoch {
            self.epoch = epoch;
            self.levels = response
                .finalized_features
                .iter()
                .map(|feature| (feature.name.to_owned(), feature.max_version_level))
                .collect();
        }
    }

    pub(crate) fn level(&self, name: &str) -> Option<i16> {
        let mut levels = self.levels.iter();
        levels
            .find(|(other, _)| other == name)
            .map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use milena_wire::api::api_versions::{ApiVersion, FinalizedFeatureKey};

    fn versions(ranges: &[(i16, i16, i16)]) -> Versions {
        let api_keys = ranges
            .iter()
            .map(|&(api_key, min_version, max_version)| ApiVersion {
                api_key,
                min_version,
                max_version,
            })
            .collect();
        Versions::of(&ApiVersionsResponse {
            api_keys,
            ..Default::default()
        })
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        let broker = versions(&[(3, 0, 9), (0, 3, 8), (22, 5, 4)]);
        for (api, ours, common) in [
            (ApiKey::METADATA, 1..=13, Some(9)),
            (ApiKey::METADATA, 1..=4, Some(4)),
            (ApiKey::METADATA, 10..=13, None),
            (ApiKey::PRODUCE, 0..=2, None),
            (ApiKey::PRODUCE, 3..=3, Some(3)),
            (ApiKey::INIT_PRODUCER_ID, 0..=5, None),
            (ApiKey::END_TXN, 0..=5, None),
        ] {
            assert_eq!(broker.common(api, &ours), common, "{api} {ours:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let broker = versions(&[(3, 0, 0)]);
        let required = [(ApiKey::METADATA, 1..=13)];
        let mismatch = broker
            .check(required.iter().map(|(api, ours)| (*api, ours)))
            .expect_err("too old");
        assert_eq!(
            mismatch,
            VersionMismatch {
                api: ApiKey::METADATA,
                ours: 1..=13,
                theirs: Some(0..=0)
            }
        );
        assert!(
            mismatch.to_string().contains("versions 0 to 0 of Metadata"),
            "{mismatch}"
        );
        let required = [(ApiKey::PRODUCE, 3..=13)];
        let mismatch = broker
            .check(required.iter().map(|(api, ours)| (*api, ours)))
            .expect_err("absent");
        assert!(
            mismatch.to_string().contains("does not offer Produce"),
            "{mismatch}"
        );
    }

    #[test]
    fn features_of_an_older_epoch_are_ignored() {
        let told = |finalized_features_epoch, max_version_level| ApiVersionsResponse {
            finalized_features_epoch,
            finalized_features: vec![FinalizedFeatureKey {
                name: "transaction.version",
                max_version_level,
                min_version_level: 0,
            }],
            ..Default::default()
        };
        let mut features = Features::default();
        features.learn(&told(5, 2));
        features.learn(&told(4, 1));
        assert_eq!(features.level("transaction.version"), Some(2));
        features.learn(&told(6, 1));
        assert_eq!(features.level("transaction.version"), Some(1));
        assert_eq!(features.level("other"), None);
    }
}
