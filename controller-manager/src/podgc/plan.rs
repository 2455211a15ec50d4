//! Which pods are to be removed because nobody else will.
//!
//! | pod | when |
//! |---|---|
//! | bound to a node that does not exist | its node has been missing for the quarantine |
//! | being deleted, never bound | at once |
//! | being deleted, on an unready node that is out of service | at once |
//! | ended | when there are more of them than the threshold: evicted ones, then the oldest first |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::objects::node::Node;
use crate::objects::pod::Pod;

/// How long a node must be missing before its pods are removed.
pub const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// What is known.
pub struct Observed<'a> {
    /// All pods.
    pub pods: Vec<&'a Pod>,
    /// All nodes by name.
    pub nodes: HashMap<&'a str, &'a Node>,
    /// Since when nodes that pods are bound to are missing.
    pub missing_since: BTreeMap<String, Timestamp>,
    /// How many ended pods may stay; 0 or less is no limit.
    pub threshold: i64,
}

/// Why a pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its node does not exist.
    Orphaned,
    /// It was never bound.
    Unscheduled,
    /// Its node is out of service.
    OutOfService,
    /// Too many pods have ended.
    Surplus,
}

impl Why {
    /// The message of the condition DisruptionTarget; none when the pod has no disruption to tell of.
    pub fn message(self) -> Option<&'static str> {
        match self {
            Why::Orphaned => Some("PodGC: node no longer exists"),
            Why::OutOfService | Why::Unscheduled | Why::Surplus => None,
        }
    }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Pods to remove, by their place.
    pub remove: BTreeMap<usize, Why>,
    /// The record of missing nodes as it is now.
    pub missing_since: BTreeMap<String, Timestamp>,
    /// Missing nodes that must be looked up before their pods are removed.
    pub verify: BTreeSet<String>,
}

/// Plans a clean-up.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for (place, pod) in observed.pods.iter().enumerate() {
        let node = pod.spec.node_name.as_str();
        if node.is_empty() {
            if pod.meta().is_deleting() {
                plan.remove.insert(place, Why::Unscheduled);
            }
            continue;
        }
        match observed.nodes.get(node) {
            None => {
                let since = observed.missing_since.get(node).copied().unwrap_or(now);
                plan.missing_since.insert(node.to_owned(), since);
                if now.duration_since(since) >= QUARANTINE {
                    plan.verify.insert(node.to_owned());
                    plan.remove.insert(place, Why::Orphaned);
                }
            }
            Some(node) => {
                let out = node
                    .spec
                    .taints
                    .iter()
                    .any(|taint| taint.key == OUT_OF_SERVICE);
                if out && !node.is_ready() && pod.meta().is_deleting() {
                    plan.remove.insert(place, Why::OutOfService);
                }
            }
        }
    }
    if observed.threshold > 0 {
        surplus(observed, &mut plan);
    }
    plan
}

fn surplus(observed: &Observed<'_>, plan: &mut Plan) {
    let mut ended: Vec<usize> = (0..observed.pods.len())
        .filter(|place| observed.pods[*place].is_terminal() && !plan.remove.contains_key(place))
        .collect();
    let threshold = usize::try_from(observed.threshold).unwrap_or(usize::MAX);
    let surplus = ended.len().saturating_sub(threshold);
    ended.sort_by_key(|place| {
        let pod = observed.pods[*place];
        let meta = pod.meta();
        let evicted = pod.status.phase == "Failed" && pod.status.reason == "Evicted";
        (!evicted, meta.creation_timestamp, meta.name.as_str())
    });
    for place in ended.into_iter().take(surplus) {
        plan.remove.insert(place, Why::Surplus);
    }
}
