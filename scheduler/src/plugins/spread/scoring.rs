//! Constraints that had better be kept: the score.

use std::borrow::Cow;

use super::Constraints;
use super::domains::{all_take_part, takes_part};
use crate::affinity::SpreadConstraint;
use crate::framework::MAX_SCORE;
use crate::node::{HOSTNAME, Node};
use crate::pod::Pod;
use crate::snapshot::{Matcher, Snapshot, Topology};

/// For each node the pods around it, weighed so that labels with few values are not drowned by
/// those with many; the fewer, the better the score.
pub(super) fn scores(
    pod: &Pod,
    snapshot: &Snapshot,
    nodes: &[&Node],
    constraints: &Constraints,
) -> Vec<i64> {
    let topologies: Vec<Cow<Topology>> = constraints
        .list
        .iter()
        .map(|own| snapshot.topology(&own.topology_key))
        .collect();
    let has_all = |node: &Node| {
        let mut all = topologies.iter();
        all.all(|topology| topology.domain(node.id).is_some())
    };
    let left_out = |node: &Node| constraints.all_labels && !has_all(node);
    let out: Vec<bool> = nodes.iter().map(|node| left_out(node)).collect();
    let mut crowds = vec![0.0_f64; nodes.len()];
    // Some node is left out of every count.
    let incomplete = topologies.iter().any(|topology| !topology.complete());
    let partial = constraints.all_labels && incomplete;
    for constraint in &constraints.list {
        let counts =
            |node: &Node| !(partial && left_out(node)) && takes_part(pod, node, constraint);
        let everywhere = !partial && all_take_part(pod, snapshot, constraint);
        let counts = (!everywhere).then_some(&counts as &dyn Fn(&Node) -> bool);
        add_crowds(
            pod,
            snapshot,
            constraint,
            counts,
            (nodes, &out),
            &mut crowds,
        );
    }
    let crowds: Vec<i64> = crowds.iter().map(|crowd| crowd.round() as i64).collect();
    let scored = || crowds.iter().zip(&out).filter(|(_, out)| !**out);
    let highest = scored().map(|(crowd, _)| *crowd).max().unwrap_or(0);
    let lowest = scored().map(|(crowd, _)| *crowd).min().unwrap_or(0);
    crowds
        .iter()
        .zip(&out)
        .map(|(crowd, out)| match highest {
            _ if *out => 0,
            0 => MAX_SCORE,
            highest => MAX_SCORE * (highest + lowest - crowd) / highest,
        })
        .collect()
}

/// Adds the pods around each node, by one constraint. `counts` says which nodes take part, where
/// not all do.
fn add_crowds(
    pod: &Pod,
    snapshot: &Snapshot,
    constraint: &SpreadConstraint,
    counts: Option<&dyn Fn(&Node) -> bool>,
    (nodes, out): (&[&Node], &[bool]),
    crowds: &mut [f64],
) {
    let key = &*constraint.topology_key;
    let matcher = Matcher::spread(&pod.namespace, constraint.selector.clone());
    let tally = snapshot.tally(&matcher, &[key]);
    let topology = snapshot.topology(key);
    let tolerance = (constraint.max_skew - 1) as f64;
    if key == HOSTNAME {
        let taking_part = out.iter().filter(|out| !**out).count();
        let weight = weight(taking_part);
        for ((node, out), crowd) in nodes.iter().zip(out).zip(crowds) {
            if !out && topology.domain(node.id).is_some() {
                *crowd += tally.of_node(node.id) as f64 * weight + tolerance;
            }
        }
        return;
    }
    // Domains without a node that fits do not matter.
    let mut around: Vec<Option<i64>> = vec![None; topology.len()];
    let mut size = 0;
    let mut unlabelled = false;
    for (node, _) in nodes.iter().zip(out).filter(|(_, out)| !**out) {
        match topology.domain(node.id) {
            Some(domain) if around[domain as usize].is_none() => {
                around[domain as usize] = Some(0);
                size += 1;
            }
            Some(_) => {}
            None => unlabelled = true,
        }
    }
    // Upstream takes the absence of the label for one more value.
    size += usize::from(unlabelled);
    if let Some(counts) = counts {
        for node in snapshot.known().filter(|node| counts(node)) {
            let domain = topology.domain(node.id);
            if let Some(Some(count)) = domain.map(|domain| &mut around[domain as usize]) {
                *count += tally.of_node(node.id);
            }
        }
    } else {
        let of_domains = tally.of_domains(key);
        for (domain, count) in around.iter_mut().enumerate() {
            if let Some(count) = count {
                *count = of_domains.get(domain).copied().unwrap_or(0).into();
            }
        }
    }
    let weight = weight(size);
    for ((node, out), crowd) in nodes.iter().zip(out).zip(crowds) {
        let domain = topology.domain(node.id).filter(|_| !out);
        if let Some(count) = domain.and_then(|domain| around[domain as usize]) {
            *crowd += count as f64 * weight + tolerance;
        }
    }
}

/// The weight of a label with so many values.
fn weight(size: usize) -> f64 {
    ((size + 2) as f64).ln()
}
