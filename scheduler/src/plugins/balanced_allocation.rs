//! Prefers nodes whose resources the pod would use more evenly.

use crate::framework::{MAX_SCORE, Plugin};
use crate::node::Node;
use crate::plugins::allocation::Counted;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// Upstream's `NodeResourcesBalancedAllocation`.
#[derive(Clone, Debug, Default)]
pub struct NodeResourcesBalancedAllocation {
    /// The resources that are balanced.
    pub scored: Counted,
}

impl Plugin for NodeResourcesBalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn score(&self, pod: &Pod, _: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        let asked = self.scored.asked(pod, true);
        // Pods that ask for nothing would all be drawn to the same node.
        if asked.iter().all(|asked| *asked == 0) {
            return None;
        }
        let score = |node: &&Node| {
            let rows = || self.scored.of_node(&asked, node, true);
            let with = evenness(rows().map(|(_, with, _, offered)| (with, offered)));
            let without = evenness(rows().map(|(_, _, without, offered)| (without, offered)));
            // Half of the range for how much better the balance becomes.
            MAX_SCORE / 2 + (MAX_SCORE / 2 + with - without) / 2
        };
        Some(nodes.iter().map(score).collect())
    }
}

/// 100 less the standard deviation of the shares that are taken, in percent.
fn evenness(rows: impl Iterator<Item = (i64, i64)>) -> i64 {
    let (mut number, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    let (mut first, mut second) = (0.0_f64, 0.0_f64);
    for (taken, offered) in rows {
        let share = (taken as f64 / offered as f64).min(1.0);
        (first, second) = (second, share);
        number += 1.0;
        sum += share;
        squares += share * share;
    }
    let deviation = if number < 2.0 {
        0.0
    } else if number == 2.0 {
        ((first - second) / 2.0).abs()
    } else {
        let mean = sum / number;
        (squares / number - mean * mean).max(0.0).sqrt()
    };
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}
