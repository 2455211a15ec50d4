//! Latencies, and what is said of them.

use std::time::Duration;

/// Latencies of calls that were made in some time.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of calls does not exceed, in milliseconds; `None` without calls.
    pub fn milliseconds(&self, share: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let latency = sorted.get(rank.clamp(1, sorted.len().max(1)) - 1)?;
        Some(latency.as_secs_f64() * 1000.0)
    }

    /// The 50th and the 99th percentile as cells of a table.
    pub fn cells(&self) -> String {
        let cell = |share| {
            self.milliseconds(share)
                .map_or_else(|| "-".to_owned(), |value| format!("{value:.2} ms"))
        };
        format!("{} | {}", cell(0.5), cell(0.99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_smallest_latency_that_covers_its_share() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.milliseconds(0.5), None);
        for milliseconds in 1..=100 {
            latencies.add(Duration::from_millis(milliseconds));
        }
        assert_eq!(latencies.milliseconds(0.5), Some(50.0));
        assert_eq!(latencies.milliseconds(0.99), Some(99.0));
        assert_eq!(latencies.milliseconds(1.0), Some(100.0));
    }
}
