//! What the scheduler keeps of a pod: a few hundred bytes.

mod wire;

use std::sync::Arc;

use ferrule_apimachinery::header::OwnerReference;
use ferrule_apimachinery::selector::Labels;
use serde::Deserialize;

use crate::affinity::{PodAffinity, SpreadConstraint};
use crate::node_selector::{NodeSelector, PreferredTerm};
use crate::resources::Resources;

/// A pod of the informer, shared with the scheduler's own books.
#[derive(Clone, Debug, Default)]
pub struct Known(pub Arc<Pod>);

/// The projection of a pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Box<str>,
    /// Its labels.
    pub labels: Labels,
    /// The node that it is bound to; `""` for none.
    pub node_name: Box<str>,
    /// The node on which room is made for it; `""` for none.
    pub nominated: Box<str>,
    /// Who is to schedule it.
    pub scheduler_name: Box<str>,
    /// Higher goes first.
    pub priority: i32,
    /// It makes no others leave (`preemptionPolicy: Never`).
    pub never_preempts: bool,
    /// What its containers ask for, all at once.
    pub requests: Resources,
    /// The same for scoring: containers without requests count too.
    pub scored: Resources,
    /// Ports that it takes of its node.
    pub host_ports: Box<[HostPort]>,
    /// The images of its containers, one each, by [`crate::node::image_id`].
    pub images: Box<[u64]>,
    /// Labels that its node must have.
    pub node_selector: Labels,
    /// Nodes of which it must get one; `None` when there is no required node affinity.
    pub node_affinity: Option<NodeSelector>,
    /// Nodes that it prefers.
    pub preferred_nodes: Box<[PreferredTerm]>,
    /// What it says of the nearness of other pods; `None` for nothing.
    pub affinity: Option<Box<PodAffinity>>,
    /// How it and its like are spread.
    pub spread: Box<[SpreadConstraint]>,
    /// Taints that it bears.
    pub tolerations: Box<[Toleration]>,
    /// Its controller.
    pub controller: Option<OwnerReference>,
    /// Scheduling gates that somebody has yet to open.
    pub gates: Box<[Box<str>]>,
    /// It has succeeded or failed, and takes nothing any more.
    pub finished: bool,
    /// Its deletion has begun.
    pub deleting: bool,
    /// The scheduler made it leave its node for another pod.
    pub preempted: bool,
    /// When it started, in seconds of the epoch; `None` before.
    pub started: Option<i64>,
    /// Reason and message of its PodScheduled condition, where that is False.
    pub refusal: Option<(Box<str>, Box<str>)>,
}

impl Pod {
    /// Whether a change to `other` leaves everything that decides about the pod.
    pub fn asks_as(&self, other: &Pod) -> bool {
        self.uid == other.uid
            && self.labels == other.labels
            && self.node_selector == other.node_selector
            && self.node_affinity == other.node_affinity
            && self.tolerations == other.tolerations
            && self.requests == other.requests
            && self.gates == other.gates
            && self.affinity == other.affinity
            && self.spread == other.spread
            && self.priority == other.priority
    }
}

/// A port of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// `0.0.0.0` stands for every address.
    pub address: Box<str>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Box<str>,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Whether both cannot be had on one node.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let any = |address: &str| address == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address || any(&self.address) || any(&other.address))
    }
}

/// A toleration of a taint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// `""` with Exists is every key.
    pub key: Box<str>,
    /// `""` is Equal.
    pub operator: Box<str>,
    /// Compared by Equal.
    pub value: Box<str>,
    /// `""` is every effect.
    pub effect: Box<str>,
}

/// A taint of a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// Its key.
    pub key: Box<str>,
    /// Its value.
    pub value: Box<str>,
    /// NoSchedule, PreferNoSchedule or NoExecute.
    pub effect: Box<str>,
}

impl Taint {
    /// Whether it keeps pods away, and does not only advise them.
    pub fn keeps_away(&self) -> bool {
        matches!(&*self.effect, "NoSchedule" | "NoExecute")
    }
}

impl Toleration {
    /// Whether the taint is borne.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && match &*self.operator {
                "Exists" => true,
                "" | "Equal" => self.value == taint.value,
                "Lt" => compare(&self.value, &taint.value).is_some_and(|order| order.is_gt()),
                "Gt" => compare(&self.value, &taint.value).is_some_and(|order| order.is_lt()),
                _ => false,
            }
    }
}

fn compare(own: &str, taint: &str) -> Option<std::cmp::Ordering> {
    Some(own.parse::<i64>().ok()?.cmp(&taint.parse::<i64>().ok()?))
}
