//! Making room: which pods of lower priority should leave which node. Pure, as the decision is.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::diagnosis::{Diagnosis, counted, none_of};
use crate::disruption::part_by_budgets;
use crate::framework::{Difference, Refusal};
use crate::node::{Node, NodeId};
use crate::pod::Pod;
use crate::profile::{Judge, PreemptionArgs, Profile};
use crate::schedule::{Turn, judge};
use crate::snapshot::Snapshot;

/// What came of it.
#[derive(Clone, Debug)]
pub enum Preemption {
    /// The pod fits on this node once these have left.
    Nominate {
        /// The node.
        node: NodeId,
        /// Those who leave, the most important first.
        victims: Vec<Arc<Pod>>,
    },
    /// It helps nowhere; a node that was kept for the pod is kept no more.
    Futile(String),
    /// It is not tried.
    NotEligible(String),
}

/// A node where the pod would fit, and what it costs.
struct Candidate {
    node: NodeId,
    victims: Vec<Arc<Pod>>,
    violations: usize,
}

/// Looks for the node where the least is lost.
pub fn preempt(
    profile: &Profile,
    args: PreemptionArgs,
    snapshot: &Snapshot,
    pod: &Pod,
    diagnosis: &Diagnosis,
    turn: Turn,
) -> Preemption {
    if let Some(reason) = not_eligible(snapshot, pod, diagnosis) {
        return Preemption::NotEligible(reason.to_owned());
    }
    let nodes: Vec<NodeId> = match diagnosis.hopeless {
        true => Vec::new(),
        false => diagnosis.resolvable().collect(),
    };
    let wanted = (nodes.len() * args.least_percentage / 100)
        .max(args.least_absolute)
        .min(nodes.len());
    let judges = profile.judges(pod, snapshot);
    let offset = usize::try_from(turn.random % nodes.len().max(1) as u64).unwrap_or(0);
    let (before, behind) = nodes.split_at(offset.min(nodes.len()));
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut refusals: Vec<Refusal> = Vec::new();
    for id in behind.iter().chain(before) {
        match candidate(&judges, snapshot, pod, snapshot.node(*id)) {
            Ok(candidate) => candidates.push(candidate),
            Err(refusal) => refusals.push(refusal),
        }
        let harmless = candidates.iter().any(|candidate| candidate.violations == 0);
        if harmless && candidates.len() >= wanted {
            break;
        }
    }
    match best(candidates) {
        Some(Candidate { node, victims, .. }) => Preemption::Nominate { node, victims },
        None => Preemption::Futile(futile(diagnosis.nodes, &refusals)),
    }
}

fn futile(nodes: usize, refusals: &[Refusal]) -> String {
    let helpless = Refusal::unresolvable("Preemption is not helpful for scheduling");
    let others = (nodes.saturating_sub(refusals.len()), &helpless);
    let tried = refusals.iter().map(|refusal| (1, refusal));
    format!("{}: {}.", none_of(nodes), counted(tried.chain([others])))
}

/// Why a pod may make no others leave.
fn not_eligible(snapshot: &Snapshot, pod: &Pod, diagnosis: &Diagnosis) -> Option<&'static str> {
    if pod.never_preempts {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let node = snapshot.named(&pod.nominated)?;
    if diagnosis.unresolvable(node.id) {
        return None;
    }
    let leaving =
        |other: &Arc<Pod>| other.priority < pod.priority && other.deleting && other.preempted;
    let waits = node.pods.iter().any(leaving);
    waits.then_some("not eligible due to a terminating pod on the nominated node.")
}

/// The fewest and least important pods whose leaving makes room on a node.
fn candidate(
    judges: &[Judge],
    snapshot: &Snapshot,
    pod: &Pod,
    node: &Node,
) -> Result<Candidate, Refusal> {
    let lower = |other: &&Arc<Pod>| other.priority < pod.priority;
    let mut possible: Vec<Arc<Pod>> = node.pods.iter().filter(lower).cloned().collect();
    if possible.is_empty() {
        return Err(Refusal::unresolvable(
            "No preemption victims found for incoming pod",
        ));
    }
    let mut left = node.clone();
    for victim in &possible {
        left.remove(victim);
    }
    let fits = |node: &Node, removed: &[Arc<Pod>]| {
        let difference = Difference {
            removed,
            added: &[],
        };
        judge(judges, snapshot, pod, node, difference).map_err(|(_, refusal)| refusal)
    };
    fits(&left, &possible)?;
    possible.sort_by_key(|victim| Reverse(importance(victim)));
    let mut removed = possible.clone();
    let (violating, harmless) = part_by_budgets(possible, &snapshot.budgets);
    let number = violating.len();
    let mut victims: Vec<Arc<Pod>> = Vec::new();
    let mut violations = 0;
    // Whoever can stay stays: first those whose leaving breaks a budget, and of both kinds the
    // most important first.
    for (index, victim) in violating.into_iter().chain(harmless).enumerate() {
        left.add(victim.clone());
        let place = removed.iter().position(|own| Arc::ptr_eq(own, &victim));
        let place = place.unwrap_or_default();
        removed.remove(place);
        if fits(&left, &removed).is_err() {
            left.remove(&victim);
            removed.insert(place, victim.clone());
            violations += usize::from(index < number);
            victims.push(victim);
        }
    }
    if victims.is_empty() {
        return Err(Refusal::unresolvable(format!(
            "expected at least one victim pod on node {:?}",
            node.name
        )));
    }
    victims.sort_by_key(|victim| Reverse(importance(victim)));
    Ok(Candidate {
        node: node.id,
        victims,
        violations,
    })
}

/// Higher priority is more important, then having run longer.
fn importance(pod: &Pod) -> (i32, Reverse<i64>) {
    // A pod that has not started counts as starting now.
    let started = pod.started.unwrap_or(i64::MAX);
    (pod.priority, Reverse(started))
}

/// The candidate that loses the least: fewest broken budgets, then the lowest highest priority,
/// the lowest sum of priorities, the fewest pods, and the latest start of the most important ones.
fn best(candidates: Vec<Candidate>) -> Option<Candidate> {
    let cost = |candidate: &Candidate| {
        let victims = &candidate.victims;
        let highest = victims.iter().map(|pod| pod.priority).max();
        // Shifted above zero, so that fewer pods of negative priority are better than more.
        let shifted = |pod: &Arc<Pod>| i64::from(pod.priority) + i64::from(i32::MAX) + 1;
        let sum: i64 = victims.iter().map(shifted).sum();
        let most_important = victims.iter().filter(|pod| Some(pod.priority) == highest);
        let earliest = most_important
            .map(|pod| pod.started.unwrap_or(i64::MAX))
            .min();
        (
            candidate.violations,
            highest,
            sum,
            victims.len(),
            Reverse(earliest),
        )
    };
    // The first of equals.
    candidates.into_iter().min_by_key(cost)
}

#[cfg(test)]
mod tests;
