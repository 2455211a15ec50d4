//! A histogram for hot paths.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// A histogram whose observations take no lock. Clones share it.
///
/// A reader may meet an observation half made, counted but not yet in the sum.
#[derive(Clone, Debug)]
pub struct LockFreeHistogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

impl LockFreeHistogram {
    /// An empty histogram with these upper bounds, in order.
    pub fn new(bounds: &'static [f64]) -> LockFreeHistogram {
        LockFreeHistogram(Arc::new(Inner {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
        }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        let inner = &*self.0;
        let bucket = inner.bounds.partition_point(|bound| *bound < value);
        inner.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        // The closure never declines.
        let _ = inner
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether nothing was observed yet.
    pub fn is_empty(&self) -> bool {
        let mut counts = self.0.counts.iter();
        counts.all(|count| count.load(Ordering::Relaxed) == 0)
    }
}

impl EncodeMetric for LockFreeHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let inner = &*self.0;
        let bounds = inner.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds
            .zip(&inner.counts)
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = f64::from_bits(inner.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for LockFreeHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_value_is_counted_in_every_bucket_that_reaches_it() {
        let histogram = LockFreeHistogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            histogram.observe(value);
        }
        let metrics = Metrics::default();
        metrics.register(|all| all.register("sizes", "Sizes", histogram));
        let text = metrics.text();
        let own: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("sizes"))
            .collect();
        assert_eq!(
            own,
            [
                "sizes_bucket{le=\"1\"} 2",
                "sizes_bucket{le=\"2\"} 3",
                "sizes_bucket{le=\"+Inf\"} 4",
                "sizes_sum 12",
                "sizes_count 4",
            ]
        );
    }
}
