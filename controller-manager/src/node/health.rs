//! Whether a node is alive, and what is said of it when it is not.
//!
//! ```text
//!  lease renewed or status posted ──> heard
//!  not heard for the grace period ──> conditions Unknown ──> pods not ready, taints
//!  Ready again (the kubelet says so) ──> taints go
//! ```

use jiff::{SignedDuration, Timestamp};

use super::contact::Contact;
use super::zones::Eviction;
use crate::objects::node::{Node, NodeCondition, NodeLease, Taint};
use crate::objects::pod::Pod;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions of nodes and the taint that each causes while it is true.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    (
        "NetworkUnavailable",
        "node.kubernetes.io/network-unavailable",
    ),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
];
/// The conditions that become Unknown when a node is silent.
const KUBELETS_CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// When a node was last heard, by this process's clock: clocks of nodes may be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    at: Timestamp,
    renewed: Option<Timestamp>,
    posted: Option<Timestamp>,
}

impl Heard {
    /// A node that is seen for the first time counts as heard now.
    pub fn first(node: &Node, lease: Option<&NodeLease>, now: Timestamp) -> Heard {
        Heard {
            at: now,
            renewed: renewed(lease),
            posted: posted(node),
        }
    }

    /// Looks at node and lease again.
    pub fn update(&mut self, node: &Node, lease: Option<&NodeLease>, now: Timestamp) {
        let (renewed, posted) = (renewed(lease), posted(node));
        // A lease that went away says nothing.
        if renewed > self.renewed || posted != self.posted {
            self.at = now;
        }
        self.renewed = renewed.or(self.renewed);
        self.posted = posted;
    }
}

fn renewed(lease: Option<&NodeLease>) -> Option<Timestamp> {
    lease.and_then(|lease| lease.spec.renew_time)
}

fn posted(node: &Node) -> Option<Timestamp> {
    node.condition("Ready")
        .and_then(|ready| ready.last_heartbeat_time)
}

/// How long a node may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// Once it has posted a status.
    pub monitor: SignedDuration,
    /// Before that.
    pub startup: SignedDuration,
}

/// What is known about a node.
pub struct Observed<'a> {
    /// The node.
    pub node: &'a Node,
    /// When it was last heard.
    pub heard: &'a Heard,
    /// Whether this process could hear it.
    pub contact: Contact,
    /// The pods on it.
    pub pods: Vec<&'a Pod>,
    /// Whether its pods may be evicted if it is not ready.
    pub eviction: Eviction,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Conditions that change.
    pub conditions: Vec<NodeCondition>,
    /// Whether the node has just become silent.
    pub lost: bool,
    /// All taints, when they change.
    pub taints: Option<Vec<Taint>>,
    /// Pods that no longer count as ready: their places.
    pub unready_pods: Vec<usize>,
    /// Whether the node's pods are to be evicted as soon as that is allowed.
    pub awaits_eviction: bool,
    /// When the node's grace ends if it stays silent.
    pub judge_in: Option<SignedDuration>,
}

/// Plans for one node. Call it again at least once per monitoring period.
pub fn plan(observed: &Observed<'_>, grace: Grace, now: Timestamp) -> Plan {
    let node = observed.node;
    let limit = if node.condition("Ready").is_some() {
        grace.monitor
    } else {
        grace.startup
    };
    let from = observed.heard.at.max(observed.contact.since());
    let left = limit - now.duration_since(from);
    let silent = !observed.contact.is_lost(now) && left.is_negative();
    let conditions = if silent {
        unknown_conditions(node, now)
    } else {
        Vec::new()
    };
    let ready = conditions
        .iter()
        .find(|condition| condition.r#type == "Ready")
        .map_or(node.status_of("Ready"), |condition| {
            condition.status.as_str()
        });
    let unready_pods = match ready {
        "Unknown" => (0..observed.pods.len())
            .filter(|place| observed.pods[*place].is_ready())
            .collect(),
        _ => Vec::new(),
    };
    Plan {
        lost: node.is_ready() && ready == "Unknown",
        awaits_eviction: observed.eviction == Eviction::Later
            && unready_taint(ready).is_some()
            && !is_evicted(node),
        taints: taints(node, ready, observed.eviction, now),
        judge_in: (!left.is_negative()).then_some(left),
        unready_pods,
        conditions,
    }
}

fn unknown_conditions(node: &Node, now: Timestamp) -> Vec<NodeCondition> {
    let created = node.metadata.creation_timestamp;
    KUBELETS_CONDITIONS
        .iter()
        .filter_map(|kind| match node.condition(kind) {
            None => Some(NodeCondition {
                r#type: (*kind).to_owned(),
                status: "Unknown".to_owned(),
                last_heartbeat_time: created,
                last_transition_time: Some(now),
                reason: "NodeStatusNeverUpdated".to_owned(),
                message: "Kubelet never posted node status.".to_owned(),
            }),
            Some(condition) if condition.status == "Unknown" => None,
            Some(condition) => Some(NodeCondition {
                status: "Unknown".to_owned(),
                last_transition_time: Some(now),
                reason: "NodeStatusUnknown".to_owned(),
                message: "Kubelet stopped posting node status.".to_owned(),
                ..condition.clone()
            }),
        })
        .collect()
}

fn unready_taint(ready: &str) -> Option<&'static str> {
    match ready {
        "False" => Some(NOT_READY),
        "Unknown" => Some(UNREACHABLE),
        _ => None,
    }
}

/// Whether the node's pods are being evicted because it is not ready.
fn is_evicted(node: &Node) -> bool {
    let own = |taint: &Taint| taint.effect == "NoExecute" && is_own(taint);
    node.spec.taints.iter().any(own)
}

/// The taints that this controller answers for follow the conditions; all others stay.
fn taints(node: &Node, ready: &str, eviction: Eviction, now: Timestamp) -> Option<Vec<Taint>> {
    let taint = |key: &str, effect: &str| Taint {
        key: key.to_owned(),
        value: String::new(),
        effect: effect.to_owned(),
        time_added: Some(now),
    };
    let mut wanted: Vec<Taint> = Vec::new();
    if let Some(key) = unready_taint(ready) {
        wanted.push(taint(key, "NoSchedule"));
        // What is under way goes on, though perhaps under the other name.
        let evict = match eviction {
            Eviction::Allowed => true,
            Eviction::Later => is_evicted(node),
            Eviction::Cancelled => false,
        };
        if evict {
            wanted.push(taint(key, "NoExecute"));
        }
    }
    for (condition, key) in PRESSURES {
        if node.status_of(condition) == "True" {
            wanted.push(taint(key, "NoSchedule"));
        }
    }
    if node.spec.unschedulable {
        wanted.push(taint(UNSCHEDULABLE, "NoSchedule"));
    }
    // A node that has said nothing yet keeps the taint that its kubelet registered it with.
    let undecided = ready.is_empty();
    let keep = |present: &Taint| {
        !is_own(present)
            || (undecided && present.key == NOT_READY)
            || wanted.iter().any(|own| own.is_same(present))
    };
    let mut taints: Vec<Taint> = node
        .spec
        .taints
        .iter()
        .filter(|present| keep(present))
        .cloned()
        .collect();
    for own in wanted {
        if !taints.iter().any(|present| present.is_same(&own)) {
            taints.push(own);
        }
    }
    (taints != node.spec.taints).then_some(taints)
}

fn is_own(taint: &Taint) -> bool {
    let unready = [NOT_READY, UNREACHABLE].contains(&taint.key.as_str());
    let own_no_schedule =
        taint.key == UNSCHEDULABLE || PRESSURES.iter().any(|(_, key)| taint.key == *key);
    match taint.effect.as_str() {
        "NoSchedule" => unready || own_no_schedule,
        "NoExecute" => unready,
        _ => false,
    }
}
