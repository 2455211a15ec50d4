//! How many pods of a kind each node and each domain has.

use ferrule_apimachinery::selector::{LabelSelector, Labels};

use crate::affinity::{AffinityTerm, PodAffinity, PodTerm};
use crate::node::NodeId;
use crate::pod::Pod;

/// Which pods are counted: those that all terms mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matcher {
    terms: Box<[PodTerm]>,
    /// Only pods whose deletion has not begun.
    living: bool,
}

impl Matcher {
    /// Pods that all of these terms mean.
    pub fn all<'a>(terms: impl IntoIterator<Item = &'a AffinityTerm>) -> Matcher {
        Matcher {
            terms: terms.into_iter().map(|term| term.pods.clone()).collect(),
            living: false,
        }
    }

    /// Pods of one namespace that a spread counts.
    pub fn spread(namespace: &str, selector: LabelSelector) -> Matcher {
        let term = PodTerm {
            namespaces: Box::new([namespace.into()]),
            namespace_selector: LabelSelector::nothing(),
            selector,
        };
        Matcher {
            terms: Box::new([term]),
            living: true,
        }
    }

    /// Whether a pod is meant; `namespace` are the labels of its namespace.
    pub fn matches(&self, pod: &Pod, namespace: &Labels) -> bool {
        if self.terms.is_empty() || (self.living && pod.deleting) {
            return false;
        }
        self.terms.iter().all(|term| term.matches(pod, namespace))
    }

    pub(super) fn selects_namespaces(&self) -> bool {
        let selects = |term: &PodTerm| !term.namespace_selector.is_nothing();
        self.terms.iter().any(selects)
    }
}

/// What a term means to the pod that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holding {
    /// It goes only near the pods that are meant.
    Required,
    /// It goes never near them.
    RequiredAnti,
    /// It would like to be near them, by this weight.
    Preferred(i64),
    /// It would like to be far from them, by this weight.
    PreferredAnti(i64),
}

impl Holding {
    /// All terms that a pod holds.
    pub fn all(affinity: &PodAffinity) -> impl Iterator<Item = (Holding, &AffinityTerm)> {
        let required = affinity
            .required
            .iter()
            .map(|term| (Holding::Required, term));
        let anti = affinity.required_anti.iter();
        let preferred = affinity.preferred.iter();
        let preferred_anti = affinity.preferred_anti.iter();
        required
            .chain(anti.map(|term| (Holding::RequiredAnti, term)))
            .chain(preferred.map(|(weight, term)| (Holding::Preferred(*weight), term)))
            .chain(preferred_anti.map(|(weight, term)| (Holding::PreferredAnti(*weight), term)))
    }
}

/// Counts of pods, by node and by domain.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    nodes: Vec<u32>,
    total: i64,
    domains: Vec<(Box<str>, Vec<u32>)>,
}

impl Tally {
    pub(super) fn new(keys: &[&str]) -> Tally {
        Tally {
            domains: keys.iter().map(|key| ((*key).into(), Vec::new())).collect(),
            ..Tally::default()
        }
    }

    /// Pods of a node.
    pub fn of_node(&self, id: NodeId) -> i64 {
        self.nodes.get(id.index()).copied().unwrap_or(0).into()
    }

    /// Pods of each domain of a label that is counted; a shorter list goes on with zeros.
    pub fn of_domains(&self, key: &str) -> &[u32] {
        let mut known = self.domains.iter();
        known
            .find(|(own, _)| &**own == key)
            .map_or(&[], |(_, counts)| counts)
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.domains.iter().any(|(own, _)| &**own == key)
    }

    pub(super) fn keys(&self) -> Vec<Box<str>> {
        self.domains.iter().map(|(key, _)| key.clone()).collect()
    }

    /// So many more pods on a node.
    pub(super) fn change(&mut self, id: NodeId, change: i64, domain: impl Fn(&str) -> Option<u32>) {
        if change == 0 {
            return;
        }
        self.total += change;
        add(&mut self.nodes, id.index(), change);
        for (key, counts) in &mut self.domains {
            if let Some(domain) = domain(key) {
                add(counts, domain as usize, change);
            }
        }
    }

    /// A node is in other domains than before.
    pub(super) fn relocate(
        &mut self,
        id: NodeId,
        before: impl Fn(&str) -> Option<u32>,
        after: impl Fn(&str) -> Option<u32>,
    ) {
        let here = self.of_node(id);
        if here == 0 {
            return;
        }
        for (key, counts) in &mut self.domains {
            if let Some(domain) = before(key) {
                add(counts, domain as usize, -here);
            }
            if let Some(domain) = after(key) {
                add(counts, domain as usize, here);
            }
        }
    }
}

fn add(counts: &mut Vec<u32>, index: usize, change: i64) {
    if counts.len() <= index {
        counts.resize(index + 1, 0);
    }
    let count = i64::from(counts[index]).saturating_add(change).max(0);
    counts[index] = u32::try_from(count).unwrap_or(u32::MAX);
}
