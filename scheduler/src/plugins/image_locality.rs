//! Prefers nodes that have the pod's images already.

use crate::framework::{MAX_SCORE, Plugin};
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

const MIB: i64 = 1024 * 1024;
/// Images together smaller than this do not matter.
const LEAST: i64 = 23 * MIB;
/// Of each container's image no more than this counts.
const MOST: i64 = 1000 * MIB;

/// Upstream's `ImageLocality`.
pub struct ImageLocality;

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn score(&self, pod: &Pod, snapshot: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        let all = snapshot.order().len();
        // An image that every node has is no reason for any; one that few have counts less, so
        // that these few are not overrun.
        let spreads: Vec<(u64, f64)> = pod
            .images
            .iter()
            .map(|image| (*image, snapshot.nodes_with_image(*image)))
            .filter(|(_, with)| *with > 0)
            .map(|(image, with)| (image, with as f64 / all as f64))
            .collect();
        if spreads.is_empty() {
            return Some(vec![0; nodes.len()]);
        }
        let most = MOST * i64::try_from(pod.images.len()).unwrap_or(1);
        let score = |node: &&Node| {
            let Some(object) = &node.object else { return 0 };
            let present = |(image, spread): &(u64, f64)| {
                let place = object.images.binary_search_by_key(image, |(id, _)| *id);
                place.map_or(0, |place| (object.images[place].1 as f64 * spread) as i64)
            };
            let sum: i64 = spreads.iter().map(present).sum();
            MAX_SCORE * (sum.clamp(LEAST, most) - LEAST) / (most - LEAST)
        };
        Some(nodes.iter().map(score).collect())
    }
}
