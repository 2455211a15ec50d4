//! Pods near to and far from other pods: a term means pods, and a node label says what near is.
//!
//! What pods on nodes say of the new pod counts as well: their required anti-affinity keeps it
//! away, and their other terms draw and push it.

mod filtering;
mod scoring;

use crate::affinity::AffinityTerm;
use crate::events::Event;
use crate::framework::{Needs, NodeFilter, Plugin};
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::{Holding, Matcher, Snapshot};

/// Upstream's `InterPodAffinity`.
#[derive(Clone, Debug)]
pub struct InterPodAffinity {
    /// What the required affinity of a pod on a node is worth to the new pod that it means.
    pub hard_weight: i64,
    /// For pods without preferences of their own, those of others do not count.
    pub ignore_preferred_of_existing: bool,
}

impl Default for InterPodAffinity {
    fn default() -> Self {
        InterPodAffinity {
            hard_weight: 1,
            ignore_preferred_of_existing: false,
        }
    }
}

fn required(pod: &Pod) -> &[AffinityTerm] {
    pod.affinity.as_ref().map_or(&[], |own| &own.required)
}

fn required_anti(pod: &Pod) -> &[AffinityTerm] {
    pod.affinity.as_ref().map_or(&[], |own| &own.required_anti)
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn needs(&self, pod: &Pod, _: &Snapshot) -> Needs {
        let Some(affinity) = &pod.affinity else {
            return Vec::new();
        };
        let mut needs = Vec::new();
        if !affinity.required.is_empty() {
            let keys = affinity.required.iter();
            let keys = keys.map(|term| term.topology_key.clone()).collect();
            needs.push((Matcher::all(&affinity.required), keys));
        }
        for (holding, term) in Holding::all(affinity) {
            if holding != Holding::Required {
                needs.push((Matcher::all([term]), vec![term.topology_key.clone()]));
            }
        }
        needs
    }

    fn filter<'a>(
        &'a self,
        pod: &'a Pod,
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn NodeFilter + 'a>> {
        let filter = filtering::Near::new(pod, snapshot);
        (!filter.allows_all()).then(|| Box::new(filter) as Box<dyn NodeFilter>)
    }

    fn score(&self, pod: &Pod, snapshot: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        scoring::scores(self, pod, snapshot, nodes)
    }

    fn wakes(&self, pod: &Pod, event: &Event, snapshot: &Snapshot) -> bool {
        let meant = |terms: &[AffinityTerm], other: &Pod| {
            let namespace = snapshot.namespace(&other.namespace);
            let mut all = terms.iter();
            !terms.is_empty() && all.all(|term| term.pods.matches(other, namespace))
        };
        let any_meant = |terms: &[AffinityTerm], other: &Pod| {
            let namespace = snapshot.namespace(&other.namespace);
            let mut all = terms.iter();
            all.any(|term| term.pods.matches(other, namespace))
        };
        let near = |other: &Pod| meant(required(pod), other);
        let far = |other: &Pod| any_meant(required_anti(pod), other);
        match event {
            Event::PodAdded(other) => near(other),
            Event::PodChanged { old, new } => (!near(old) && near(new)) || (far(old) && !far(new)),
            // With the last pod that its affinity means gone, a pod that means itself may begin anew.
            Event::PodRemoved(other) => {
                far(other)
                    || any_meant(required_anti(other), pod)
                    || (near(other) && meant(required(pod), pod))
            }
            Event::NodeAdded(node) | Event::NodeChanged { new: node, .. } => {
                let mut terms = required(pod).iter().chain(required_anti(pod));
                // Kept away by others, it may go to any other node.
                required(pod).is_empty()
                    || terms.any(|term| node.label(&term.topology_key).is_some())
            }
            Event::NodeRemoved => false,
        }
    }
}
