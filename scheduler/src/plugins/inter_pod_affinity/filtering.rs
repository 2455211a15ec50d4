//! Required terms, of the new pod and of those on nodes.

use std::borrow::Cow;

use super::{required, required_anti};
use crate::affinity::AffinityTerm;
use crate::framework::{Difference, NodeFilter, Refusal, Verdict};
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::{Held, Holding, Matcher, Snapshot, Tally, Topology};

/// A term, with the pods in each of its domains.
struct Counted<'a> {
    term: &'a AffinityTerm,
    topology: Cow<'a, Topology>,
    tally: Cow<'a, Tally>,
}

impl Counted<'_> {
    fn in_domain(&self, domain: u32) -> i64 {
        let counts = self.tally.of_domains(&self.term.topology_key);
        counts.get(domain as usize).copied().unwrap_or(0).into()
    }
}

/// Judges nodes by the pods near them.
pub(super) struct Near<'a> {
    pod: &'a Pod,
    snapshot: &'a Snapshot,
    /// Required affinity: a pod counts when all terms mean it.
    near: Vec<Counted<'a>>,
    matcher: Matcher,
    /// No pod of the cluster is meant by the required affinity, but the new one is.
    first: bool,
    /// Required anti-affinity.
    far: Vec<Counted<'a>>,
    /// Anti-affinity of others that means the new pod.
    repelling: Vec<(&'a Held, Cow<'a, Topology>)>,
}

impl<'a> Near<'a> {
    pub(super) fn new(pod: &'a Pod, snapshot: &'a Snapshot) -> Near<'a> {
        let matcher = Matcher::all(required(pod));
        let counted = |term: &'a AffinityTerm, matcher: &Matcher| Counted {
            term,
            topology: snapshot.topology(&term.topology_key),
            tally: snapshot.tally(matcher, &[&term.topology_key]),
        };
        let near: Vec<Counted> = required(pod)
            .iter()
            .map(|term| counted(term, &matcher))
            .collect();
        let far = required_anti(pod).iter();
        let own = snapshot.namespace(&pod.namespace);
        let repels = |held: &&Held| {
            held.holding == Holding::RequiredAnti && held.term.pods.matches(pod, own)
        };
        let nobody = || {
            let empty = |counted: &Counted| {
                let counts = counted.tally.of_domains(&counted.term.topology_key);
                counts.iter().all(|count| *count == 0)
            };
            near.iter().all(empty)
        };
        Near {
            pod,
            snapshot,
            first: !near.is_empty() && matcher.matches(pod, own) && nobody(),
            near,
            far: far
                .map(|term| counted(term, &Matcher::all([term])))
                .collect(),
            repelling: snapshot
                .held()
                .filter(repels)
                .map(|held| (held, snapshot.topology(&held.term.topology_key)))
                .collect(),
            matcher,
        }
    }

    /// Whether nothing can be said against any node. Pods that are only nominated may still keep
    /// the pod away.
    pub(super) fn allows_all(&self) -> bool {
        self.near.is_empty()
            && self.far.is_empty()
            && self.repelling.is_empty()
            && !self.snapshot.any_nominated()
    }

    fn means(&self, matches: impl Fn(&Pod) -> bool, difference: &Difference) -> i64 {
        if difference.is_empty() {
            return 0;
        }
        difference.count(|other| i64::from(matches(other)))
    }

    fn is_near(&self, node: &Node, difference: &Difference) -> bool {
        let mut found = true;
        let change = self.means(
            |other| {
                let namespace = self.snapshot.namespace(&other.namespace);
                self.matcher.matches(other, namespace)
            },
            difference,
        );
        for counted in &self.near {
            let Some(domain) = counted.topology.domain(node.id) else {
                return false;
            };
            found &= counted.in_domain(domain) + change > 0;
        }
        found || (self.first && change <= 0)
    }

    fn is_far(&self, node: &Node, difference: &Difference) -> bool {
        self.far.iter().all(|counted| {
            let Some(domain) = counted.topology.domain(node.id) else {
                return true;
            };
            let change = self.means(
                |other| {
                    let namespace = self.snapshot.namespace(&other.namespace);
                    counted.term.pods.matches(other, namespace)
                },
                difference,
            );
            counted.in_domain(domain) + change <= 0
        })
    }

    fn is_welcome(&self, node: &Node, difference: &Difference) -> bool {
        let own = self.snapshot.namespace(&self.pod.namespace);
        let held_here = |(held, topology): &(&Held, Cow<Topology>)| {
            let Some(domain) = topology.domain(node.id) else {
                return false;
            };
            let counts = held.tally.of_domains(&held.term.topology_key);
            let here = i64::from(counts.get(domain as usize).copied().unwrap_or(0));
            let gone = |other: &&std::sync::Arc<Pod>| required_anti(other).contains(&held.term);
            let gone = difference.removed.iter().filter(gone).count();
            here > i64::try_from(gone).unwrap_or(i64::MAX)
        };
        let repels = |other: &Pod| {
            required_anti(other).iter().any(|term| {
                term.pods.matches(self.pod, own) && node.label(&term.topology_key).is_some()
            })
        };
        !self.repelling.iter().any(held_here) && !difference.added.iter().any(|other| repels(other))
    }
}

impl NodeFilter for Near<'_> {
    fn judge(&self, node: &Node, difference: &Difference) -> Verdict {
        if !self.near.is_empty() && !self.is_near(node, difference) {
            return Err(Refusal::unresolvable(
                "node(s) didn't match pod affinity rules",
            ));
        }
        if !self.is_far(node, difference) {
            return Err(Refusal::unschedulable(
                "node(s) didn't match pod anti-affinity rules",
            ));
        }
        if !self.is_welcome(node, difference) {
            return Err(Refusal::unschedulable(
                "node(s) didn't satisfy existing pods anti-affinity rules",
            ));
        }
        Ok(())
    }
}
