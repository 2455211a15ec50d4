//! Constraints that must be kept: the filter.

use std::borrow::Cow;

use crate::affinity::SpreadConstraint;
use crate::framework::{Difference, NodeFilter, Refusal, Verdict};
use crate::node::Node;
use crate::plugins::{node_affinity, taints};
use crate::pod::Pod;
use crate::snapshot::{Matcher, Snapshot, Tally, Topology};

/// Whether a node takes part in a constraint.
pub(super) fn takes_part(pod: &Pod, node: &Node, constraint: &SpreadConstraint) -> bool {
    (!constraint.honor_affinity || node_affinity::selects(pod, node))
        && (!constraint.honor_taints || taints::tolerates_all(pod, node.taints()))
}

/// Whether all known nodes take part in a constraint, for certain.
pub(super) fn all_take_part(pod: &Pod, snapshot: &Snapshot, constraint: &SpreadConstraint) -> bool {
    let anywhere = pod.node_selector.is_empty() && pod.node_affinity.is_none();
    (!constraint.honor_affinity || anywhere) && (!constraint.honor_taints || !snapshot.any_taints())
}

/// The pods in each domain of a constraint.
struct Domains<'a> {
    constraint: SpreadConstraint,
    matcher: Matcher,
    topology: Cow<'a, Topology>,
    /// By domain; `None` for those that take no part.
    counts: Vec<Option<i64>>,
    number: usize,
    /// The emptiest domain, and the count of the emptiest other one.
    least: (usize, i64),
    next: i64,
    counts_itself: i64,
}

/// The filter.
pub(super) struct Hard<'a> {
    pod: &'a Pod,
    snapshot: &'a Snapshot,
    constraints: Vec<Domains<'a>>,
}

impl<'a> Hard<'a> {
    pub(super) fn new(
        pod: &'a Pod,
        snapshot: &'a Snapshot,
        constraints: Vec<SpreadConstraint>,
    ) -> Hard<'a> {
        let topologies: Vec<Cow<Topology>> = constraints
            .iter()
            .map(|constraint| snapshot.topology(&constraint.topology_key))
            .collect();
        let has_all = |node: &Node| {
            let mut all = topologies.iter();
            all.all(|topology| topology.domain(node.id).is_some())
        };
        let complete = topologies.iter().all(|topology| topology.complete());
        let constraints = constraints
            .into_iter()
            .zip(&topologies)
            .map(|(constraint, topology)| {
                let matcher = Matcher::spread(&pod.namespace, constraint.selector.clone());
                let tally = snapshot.tally(&matcher, &[&constraint.topology_key]);
                let counts = if complete && all_take_part(pod, snapshot, &constraint) {
                    of_all(&tally, topology)
                } else {
                    let nodes = snapshot
                        .known()
                        .filter(|node| has_all(node) && takes_part(pod, node, &constraint));
                    of_some(&tally, topology, nodes)
                };
                Domains::new(pod, constraint, matcher, topology.clone(), counts)
            })
            .collect();
        Hard {
            pod,
            snapshot,
            constraints,
        }
    }
}

/// Counts where every node takes part.
fn of_all(tally: &Tally, topology: &Topology) -> Vec<Option<i64>> {
    let counts = tally.of_domains(&topology.key);
    let count = |domain: usize| i64::from(counts.get(domain).copied().unwrap_or(0));
    (0..topology.len())
        .map(|domain| topology.has_nodes(domain).then(|| count(domain)))
        .collect()
}

/// Counts where only some nodes do.
fn of_some<'a>(
    tally: &Tally,
    topology: &Topology,
    nodes: impl Iterator<Item = &'a Node>,
) -> Vec<Option<i64>> {
    let mut counts = vec![None; topology.len()];
    for node in nodes {
        if let Some(domain) = topology.domain(node.id) {
            *counts[domain as usize].get_or_insert(0) += tally.of_node(node.id);
        }
    }
    counts
}

impl<'a> Domains<'a> {
    fn new(
        pod: &Pod,
        constraint: SpreadConstraint,
        matcher: Matcher,
        topology: Cow<'a, Topology>,
        counts: Vec<Option<i64>>,
    ) -> Domains<'a> {
        let mut least = (usize::MAX, i64::MAX);
        let mut next = i64::MAX;
        let mut number = 0;
        for (domain, count) in counts.iter().enumerate() {
            let Some(count) = *count else { continue };
            number += 1;
            if count < least.1 {
                next = least.1;
                least = (domain, count);
            } else {
                next = next.min(count);
            }
        }
        Domains {
            counts_itself: i64::from(constraint.selector.matches(&pod.labels)),
            constraint,
            matcher,
            topology,
            counts,
            number,
            least,
            next,
        }
    }

    /// The lowest count, when a domain has so many more.
    fn lowest(&self, domain: usize, change: i64) -> i64 {
        if self.number < self.constraint.min_domains {
            return 0;
        }
        let changed = self.counts.get(domain).copied().flatten();
        match changed {
            Some(count) if change != 0 => {
                let others = if domain == self.least.0 {
                    self.next
                } else {
                    self.least.1
                };
                others.min(count + change)
            }
            // Without any domain the pod's own is the emptiest.
            _ if self.number == 0 => i64::from(i32::MAX),
            _ => self.least.1,
        }
    }
}

impl NodeFilter for Hard<'_> {
    fn judge(&self, node: &Node, difference: &Difference) -> Verdict {
        for domains in &self.constraints {
            let Some(domain) = domains.topology.domain(node.id) else {
                return Err(Refusal::unresolvable(
                    "node(s) didn't match pod topology spread constraints (missing required label)",
                ));
            };
            let domain = domain as usize;
            let change =
                if difference.is_empty() || !takes_part(self.pod, node, &domains.constraint) {
                    0
                } else {
                    difference.count(|other| {
                        let namespace = self.snapshot.namespace(&other.namespace);
                        i64::from(domains.matcher.matches(other, namespace))
                    })
                };
            let here = domains.counts.get(domain).copied().flatten().unwrap_or(0) + change;
            let skew = here + domains.counts_itself - domains.lowest(domain, change);
            if skew > domains.constraint.max_skew {
                return Err(Refusal::unschedulable(
                    "node(s) didn't match pod topology spread constraints",
                ));
            }
        }
        Ok(())
    }
}
