//! Which pods go first when a ReplicaSet has too many.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use jiff::Timestamp;

use crate::objects::pod::Pod;

/// Puts pods that should be deleted first to the front.
///
/// Unassigned before assigned, Pending before Unknown before Running, not ready before ready,
/// lower deletion cost, more of its relatives on its node, ready for a shorter time, restarted
/// more often, younger. Times count by their order of magnitude, so that among pods of a similar
/// age chance (the uid) decides. Upstream lets chance decide before restarts and creation unless
/// readiness began in the same second; that is no order (it may run in a circle), so here chance comes last.
/// `related` are the active pods of all ReplicaSets of one owner.
pub fn order(pods: &mut [&Pod], related: &[&Pod], now: Timestamp) {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related {
        *on_node.entry(pod.spec.node_name.as_str()).or_default() += 1;
    }
    pods.sort_by(|a, b| {
        let key = |pod: &Pod| {
            (
                !pod.spec.node_name.is_empty(),
                phase(pod),
                pod.is_ready(),
                cost(pod),
                Reverse(
                    on_node
                        .get(pod.spec.node_name.as_str())
                        .copied()
                        .unwrap_or(0),
                ),
            )
        };
        key(a).cmp(&key(b)).then_with(|| by_age(a, b, now))
    });
}

fn by_age(a: &Pod, b: &Pod, now: Timestamp) -> Ordering {
    let key = |pod: &Pod| {
        (
            magnitude(pod.ready_since(), now),
            Reverse(pod.restarts()),
            magnitude(pod.meta().creation_timestamp, now),
        )
    };
    key(a)
        .cmp(&key(b))
        .then_with(|| a.meta().uid.cmp(&b.meta().uid))
}

/// The binary logarithm of an age in nanoseconds; -1 for none.
fn magnitude(since: Option<Timestamp>, now: Timestamp) -> i64 {
    let age = since.map_or(0, |since| now.duration_since(since).as_nanos());
    if age <= 0 { -1 } else { i64::from(age.ilog2()) }
}

fn phase(pod: &Pod) -> u8 {
    match pod.status.phase.as_str() {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    }
}

fn cost(pod: &Pod) -> i32 {
    pod.metadata
        .annotations
        .deletion_cost
        .as_ref()
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}
