//! Spreads pods that belong together over the domains of node labels.
//!
//! A constraint names a node label, whose values are the domains, and the pods that are counted.
//! No domain may have more than `maxSkew` pods above the emptiest one, or had better not.

mod domains;
mod scoring;

use crate::affinity::{SpreadConstraint, Unsatisfiable};
use crate::events::Event;
use crate::framework::{Needs, NodeFilter, Plugin};
use crate::node::{HOSTNAME, Node, ZONE};
use crate::pod::Pod;
use crate::snapshot::{Matcher, Snapshot};

use self::domains::Hard;
use ferrule_apimachinery::selector::LabelSelector;

/// Upstream's `PodTopologySpread`.
#[derive(Clone, Debug)]
pub struct PodTopologySpread {
    /// For pods without constraints of their own; their selectors are those of the pods' Services
    /// and ReplicaSets.
    pub defaults: Vec<SpreadConstraint>,
    /// The defaults are not somebody's wish: nodes that lack a label take part nevertheless.
    pub system: bool,
}

impl Default for PodTopologySpread {
    /// Hosts and zones, as a preference.
    fn default() -> Self {
        let constraint = |key: &str, max_skew| SpreadConstraint {
            max_skew,
            topology_key: key.into(),
            unsatisfiable: Unsatisfiable::ScheduleAnyway,
            selector: LabelSelector::nothing(),
            min_domains: 1,
            honor_affinity: true,
            honor_taints: false,
        };
        PodTopologySpread {
            defaults: vec![constraint(HOSTNAME, 3), constraint(ZONE, 5)],
            system: true,
        }
    }
}

/// The constraints of one kind that a pod has.
struct Constraints {
    list: Vec<SpreadConstraint>,
    /// Only nodes with all labels take part.
    all_labels: bool,
}

impl PodTopologySpread {
    fn constraints(&self, pod: &Pod, snapshot: &Snapshot, kind: Unsatisfiable) -> Constraints {
        let of_kind = |all: &[SpreadConstraint]| -> Vec<SpreadConstraint> {
            let mut all = all.to_vec();
            all.retain(|constraint| constraint.unsatisfiable == kind);
            all
        };
        let own = !pod.spread.is_empty();
        let mut list = of_kind(if own { &pod.spread } else { &self.defaults });
        if !own && !list.is_empty() {
            match snapshot.workloads.selector_of(pod) {
                Some(selector) => list
                    .iter_mut()
                    .for_each(|constraint| constraint.selector = selector.clone()),
                None => list.clear(),
            }
        }
        Constraints {
            list,
            all_labels: own || !self.system,
        }
    }
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn needs(&self, pod: &Pod, snapshot: &Snapshot) -> Needs {
        let mut needs: Needs = Vec::new();
        for kind in [Unsatisfiable::DoNotSchedule, Unsatisfiable::ScheduleAnyway] {
            for constraint in self.constraints(pod, snapshot, kind).list {
                let matcher = Matcher::spread(&pod.namespace, constraint.selector);
                match needs.iter_mut().find(|(own, _)| *own == matcher) {
                    Some((_, keys)) => keys.push(constraint.topology_key),
                    None => needs.push((matcher, vec![constraint.topology_key])),
                }
            }
        }
        needs
    }

    fn filter<'a>(
        &'a self,
        pod: &'a Pod,
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn NodeFilter + 'a>> {
        let constraints = self.constraints(pod, snapshot, Unsatisfiable::DoNotSchedule);
        if constraints.list.is_empty() {
            return None;
        }
        Some(Box::new(Hard::new(pod, snapshot, constraints.list)))
    }

    fn score(&self, pod: &Pod, snapshot: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        let constraints = self.constraints(pod, snapshot, Unsatisfiable::ScheduleAnyway);
        if constraints.list.is_empty() {
            return None;
        }
        Some(scoring::scores(pod, snapshot, nodes, &constraints))
    }

    fn wakes(&self, pod: &Pod, event: &Event, snapshot: &Snapshot) -> bool {
        let constraints = self.constraints(pod, snapshot, Unsatisfiable::DoNotSchedule);
        let counted = |other: &Pod| {
            let meant = |constraint: &SpreadConstraint| constraint.selector.matches(&other.labels);
            other.namespace == pod.namespace && constraints.list.iter().any(meant)
        };
        let labels = |has: &dyn Fn(&str) -> bool| {
            let mut all = constraints.list.iter();
            all.all(|constraint| has(&constraint.topology_key))
        };
        match event {
            Event::PodAdded(other) | Event::PodRemoved(other) => counted(other),
            Event::PodChanged { old, new } => {
                counted(old) != counted(new) || (old.deleting != new.deleting && counted(new))
            }
            Event::NodeAdded(node) => labels(&|key| node.label(key).is_some()),
            Event::NodeRemoved => true,
            Event::NodeChanged { old, new } => {
                let before = labels(&|key| old.labels.get(key).is_some());
                let after = labels(&|key| new.label(key).is_some());
                (before || after) && (event.brings_labels() || old.taints[..] != *new.taints())
            }
        }
    }
}
