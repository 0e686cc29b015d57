//! Guessing how well the next batch will compress, from how well the last ones did.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{BatchHeader, Codec};

/// What a topic's batches compress to, by codec: compressed over raw, 1.0 at first.
///
/// A batch is filled until its estimated size reaches `batch.size`. The estimate follows a batch that came out larger
/// at once, and one that came out smaller by a quarter of the way. Kafka's own client goes up by at least 0.05 and down
/// by at most 0.005 a batch, which leaves a third of each batch empty where records compress to a fifth. A batch that
/// comes out a little larger than planned does no harm: its size is known before it is sent. One for each topic of
/// each producer. Shared by those who append and those who seal: a lost race costs one step.
#[derive(Debug)]
pub struct RatioEstimator([AtomicU32; Codec::ALL.len()]);

/// What the estimate is multiplied with, for safety.
const MARGIN: f32 = 1.05;

/// How much of the way the estimate goes down, when a batch came out smaller.
const DOWN: f32 = 0.25;

impl RatioEstimator {
    /// One that knows nothing yet: batches are estimated at their raw size.
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU32::new(1f32.to_bits())))
    }

    /// The estimate for this codec.
    #[inline]
    pub fn ratio(&self, codec: Codec) -> f32 {
        f32::from_bits(self.cell(codec).load(Ordering::Relaxed))
    }

    /// How large a batch with this many raw bytes of records is expected to be, header included.
    #[inline]
    pub fn batch_size(&self, codec: Codec, raw: usize) -> usize {
        estimated_batch_size(codec, raw, self.ratio(codec))
    }

    /// Learns from a batch: so many raw bytes of records became so many.
    pub fn observe(&self, codec: Codec, raw: usize, compressed: usize) {
        if codec == Codec::None || raw == 0 {
            return;
        }
        let observed = compressed as f32 / raw as f32;
        let estimate = self.ratio(codec);
        self.set(
            codec,
            if observed > estimate {
                observed
            } else {
                estimate + (observed - estimate) * DOWN
            },
        );
    }

    /// Learns from a batch that a broker found too large: the next ones are planned at their raw size at least.
    pub fn observe_too_large(&self, codec: Codec, raw: usize, compressed: usize) {
        if codec == Codec::None || raw == 0 {
            return;
        }
        self.set(codec, (compressed as f32 / raw as f32).max(1.0));
    }

    fn set(&self, codec: Codec, ratio: f32) {
        self.cell(codec).store(ratio.to_bits(), Ordering::Relaxed);
    }

    fn cell(&self, codec: Codec) -> &AtomicU32 {
        &self.0[usize::from(codec.id())]
    }
}

impl Default for RatioEstimator {
    fn default() -> Self {
        Self::new()
    }
}

/// [`RatioEstimator::batch_size`], for an estimate that was taken when the batch was opened.
#[inline]
pub fn estimated_batch_size(codec: Codec, raw: usize, ratio: f32) -> usize {
    match codec {
        Codec::None => BatchHeader::LEN + raw,
        _ => BatchHeader::LEN + (raw as f32 * ratio * MARGIN) as usize,
    }
}

/// The other way round: how many raw bytes of records are expected to become a batch of `size` bytes, header included.
pub fn planned_raw_size(codec: Codec, size: usize, ratio: f32) -> usize {
    let body = size.saturating_sub(BatchHeader::LEN);
    match codec {
        Codec::None => body,
        _ => (body as f32 / (ratio * MARGIN)) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_up_and_glides_down() {
        let ratios = RatioEstimator::new();
        assert_eq!(ratios.ratio(Codec::Lz4), 1.0);
        ratios.observe(Codec::Lz4, 1000, 200);
        assert!((ratios.ratio(Codec::Lz4) - 0.8).abs() < 1e-6);
        for _ in 0..60 {
            ratios.observe(Codec::Lz4, 1000, 200);
        }
        assert!((ratios.ratio(Codec::Lz4) - 0.2).abs() < 1e-6);
        ratios.observe(Codec::Lz4, 1000, 210);
        assert!((ratios.ratio(Codec::Lz4) - 0.21).abs() < 1e-6);
        ratios.observe(Codec::Lz4, 1000, 900);
        assert!((ratios.ratio(Codec::Lz4) - 0.9).abs() < 1e-6);
        assert_eq!(ratios.ratio(Codec::Zstd), 1.0);
    }

    #[test]
    fn a_refused_batch_resets_it() {
        let ratios = RatioEstimator::new();
        for _ in 0..50 {
            ratios.observe(Codec::Gzip, 1000, 100);
        }
        ratios.observe_too_large(Codec::Gzip, 1000, 800);
        assert_eq!(ratios.ratio(Codec::Gzip), 1.0);
        ratios.observe_too_large(Codec::Gzip, 1000, 1100);
        assert!((ratios.ratio(Codec::Gzip) - 1.1).abs() < 1e-6);
    }

    #[test]
    fn sizes() {
        let ratios = RatioEstimator::new();
        assert_eq!(ratios.batch_size(Codec::None, 1000), 1061);
        assert_eq!(ratios.batch_size(Codec::Zstd, 1000), 61 + 1050);
        assert_eq!(planned_raw_size(Codec::None, 1061, 0.5), 1000);
        assert_eq!(planned_raw_size(Codec::Zstd, 61 + 1050, 0.5), 2000);
        assert_eq!(planned_raw_size(Codec::Zstd, 0, 0.5), 0);
        ratios.observe(Codec::None, 1000, 10);
        assert_eq!(ratios.batch_size(Codec::None, 1000), 1061);
    }
}
