//! Terms over other pods: who is meant, and how often a pod names them.

use ferrule_apimachinery::selector::{LabelSelector, Labels, Operator, Requirement};

use crate::pod::Pod;

/// Which pods are meant: in these namespaces, with these labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodTerm {
    /// Namespaces by name.
    pub namespaces: Box<[Box<str>]>,
    /// Namespaces by label, besides.
    pub namespace_selector: LabelSelector,
    /// The labels of the pods.
    pub selector: LabelSelector,
}

impl PodTerm {
    /// Whether a pod is meant; `namespace` are the labels of its namespace.
    pub fn matches(&self, pod: &Pod, namespace: &Labels) -> bool {
        (self.namespaces.contains(&pod.namespace) || self.namespace_selector.matches(namespace))
            && self.selector.matches(&pod.labels)
    }
}

/// Nodes near the pods that are meant: those with the same value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AffinityTerm {
    /// The pods.
    pub pods: PodTerm,
    /// The node label that makes nodes near.
    pub topology_key: Box<str>,
}

/// What a pod says of the nearness of other pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodAffinity {
    /// All of these must be near; a pod counts when all terms mean it.
    pub required: Box<[AffinityTerm]>,
    /// None of these may be near.
    pub required_anti: Box<[AffinityTerm]>,
    /// Better near, by this weight.
    pub preferred: Box<[(i64, AffinityTerm)]>,
    /// Better far, by this weight.
    pub preferred_anti: Box<[(i64, AffinityTerm)]>,
}

impl PodAffinity {
    /// Whether nothing is said at all.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty()
            && self.required_anti.is_empty()
            && self.preferred.is_empty()
            && self.preferred_anti.is_empty()
    }
}

/// How a pod's own labels narrow a selector.
#[derive(Clone, Copy)]
pub enum Keys {
    /// Only pods with the same values (`matchLabelKeys`).
    Same,
    /// Only pods with other values (`mismatchLabelKeys`).
    Other,
}

/// Adds the pod's own values of some labels to a selector. Keys that the pod lacks are left out,
/// and an absent selector stays absent. Doing it twice changes nothing, so it does not matter
/// whether the API server has done it already.
pub fn narrowed(
    selector: LabelSelector,
    labels: &Labels,
    keys: &[String],
    how: Keys,
) -> LabelSelector {
    if selector.is_nothing() || keys.is_empty() {
        return selector;
    }
    let mut requirements = selector.requirements().to_vec();
    for key in keys {
        let Some(value) = labels.get(key) else {
            continue;
        };
        let requirement = Requirement {
            key: key.as_str().into(),
            operator: match how {
                Keys::Same => Operator::In,
                Keys::Other => Operator::NotIn,
            },
            values: Box::new([value.into()]),
        };
        if !requirements.contains(&requirement) {
            requirements.push(requirement);
        }
    }
    LabelSelector::from_requirements(requirements)
}

/// What is done with a pod for which a spread cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsatisfiable {
    /// It waits.
    DoNotSchedule,
    /// It is placed as well as can be.
    ScheduleAnyway,
}

/// One of a pod's topology spread constraints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpreadConstraint {
    /// How many more pods a domain may have than the emptiest one.
    pub max_skew: i64,
    /// The node label whose values are the domains.
    pub topology_key: Box<str>,
    /// What happens otherwise.
    pub unsatisfiable: Unsatisfiable,
    /// The pods that are counted.
    pub selector: LabelSelector,
    /// With fewer domains than this, the emptiest counts as empty.
    pub min_domains: usize,
    /// Count only nodes that the pod's node affinity selects.
    pub honor_affinity: bool,
    /// Count only nodes whose taints the pod tolerates.
    pub honor_taints: bool,
}
