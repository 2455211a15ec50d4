//! The decision: a pure function of what is known and one pod.

use crate::diagnosis::Diagnosis;
use crate::framework::{Candidates, Difference, Refusal, Verdict};
use crate::node::{Node, NodeId};
use crate::pod::Pod;
use crate::profile::{Judge, Profile};
use crate::snapshot::Snapshot;

/// With fewer nodes than this all are looked at, and never fewer than this.
const LEAST_NODES: usize = 100;
const LEAST_PERCENTAGE: usize = 5;

/// What chance and the decisions before give to one decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// Where to begin among the nodes.
    pub start: usize,
    /// Decides between equally good nodes.
    pub random: u64,
}

/// Where a pod goes, or why nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// On this node.
    Place {
        /// The node.
        node: NodeId,
        /// How many nodes were judged: the next decision begins behind them.
        judged: usize,
    },
    /// Nowhere now.
    Refuse(Diagnosis),
}

/// Chooses a node for `pod`.
pub fn schedule(profile: &Profile, snapshot: &Snapshot, pod: &Pod, turn: Turn) -> Decision {
    let (fitting, judged) = match fitting(profile, snapshot, pod, turn) {
        Ok(found) => found,
        Err(diagnosis) => return Decision::Refuse(diagnosis),
    };
    let node = match fitting.as_slice() {
        [one] => one.id,
        several => best(profile, snapshot, pod, several, turn.random),
    };
    Decision::Place { node, judged }
}

/// Nodes that fit, as many as are worth looking at, and how many were judged to find them.
fn fitting<'a>(
    profile: &Profile,
    snapshot: &'a Snapshot,
    pod: &Pod,
    turn: Turn,
) -> Result<(Vec<&'a Node>, usize), Diagnosis> {
    let order = snapshot.order();
    let mut diagnosis = Diagnosis {
        nodes: order.len(),
        ..Diagnosis::default()
    };
    if order.is_empty() {
        return Err(diagnosis);
    }
    let mut named: Option<Vec<&Node>> = None;
    for plugin in profile.filters() {
        match plugin.candidates(pod) {
            Candidates::All => {}
            Candidates::None(refusal) => {
                diagnosis.others = Some((plugin.name(), refusal));
                diagnosis.hopeless = true;
                return Err(diagnosis);
            }
            Candidates::Named(names) => {
                let reason = format!("node(s) didn't satisfy plugin(s) [{}]", plugin.name());
                diagnosis.others = Some((plugin.name(), Refusal::unresolvable(reason)));
                let nodes = names.iter().filter_map(|name| snapshot.named(name));
                named = Some(nodes.collect());
            }
        }
    }
    let judges = profile.judges(pod, snapshot);
    let fits = |node: &Node| judge(&judges, snapshot, pod, node, Difference::default());
    // The node on which room was made is likely the only one.
    if let Some(node) = snapshot.named(&pod.nominated)
        && fits(node).is_ok()
    {
        return Ok((vec![node], 0));
    }
    let all = named.as_ref().map_or(order.len(), Vec::len);
    let wanted = enough(profile.percentage_of_nodes_to_score, all);
    let mut found: Vec<&Node> = Vec::with_capacity(wanted);
    let mut judged = 0;
    let mut take = |node: &'a Node| {
        judged += 1;
        match fits(node) {
            Ok(()) => found.push(node),
            Err((plugin, refusal)) => diagnosis.refusals.push((node.id, plugin, refusal)),
        }
        found.len() >= wanted
    };
    match &named {
        Some(nodes) => nodes.iter().any(|node| take(node)),
        None => {
            let (before, behind) = order.split_at(turn.start % order.len());
            let mut turned = behind.iter().chain(before);
            turned.any(|id| take(snapshot.node(*id)))
        }
    };
    if found.is_empty() {
        return Err(diagnosis);
    }
    Ok((found, judged))
}

/// How many fitting nodes are enough, of so many.
fn enough(percentage: usize, nodes: usize) -> usize {
    if nodes < LEAST_NODES {
        return nodes;
    }
    let percentage = match percentage {
        0 => 50_usize.saturating_sub(nodes / 125).max(LEAST_PERCENTAGE),
        set => set,
    };
    (nodes * percentage / 100).max(LEAST_NODES)
}

/// Of a node: nothing, or the plugin that refuses it and why.
pub type Judgement = Result<(), (&'static str, Refusal)>;

/// Whether a node takes the pod. Pods of the same or a higher priority for which room is made on
/// the node are imagined on it, and then not: either may be against it.
pub fn judge(
    judges: &[Judge],
    snapshot: &Snapshot,
    pod: &Pod,
    node: &Node,
    difference: Difference,
) -> Judgement {
    let nominated = snapshot.nominated(&node.name);
    let counts =
        |other: &&std::sync::Arc<Pod>| other.priority >= pod.priority && other.uid != pod.uid;
    if nominated.iter().any(|other| counts(&other)) {
        let mut with = node.clone();
        let mut added = difference.added.to_vec();
        for other in nominated.iter().filter(counts) {
            with.add(other.clone());
            added.push(other.clone());
        }
        let difference = Difference {
            added: &added,
            ..difference
        };
        judge_once(judges, &with, &difference)?;
    }
    judge_once(judges, node, &difference)
}

fn judge_once(judges: &[Judge], node: &Node, difference: &Difference) -> Judgement {
    for (plugin, judge) in judges {
        let verdict: Verdict = judge.judge(node, difference);
        verdict.map_err(|refusal| (*plugin, refusal))?;
    }
    Ok(())
}

/// The scores of one plugin for all nodes, with the plugin's weight.
pub type PluginScores = (&'static str, i64, Vec<i64>);

/// What each plugin says of the nodes.
pub fn scores(
    profile: &Profile,
    snapshot: &Snapshot,
    pod: &Pod,
    nodes: &[&Node],
) -> Vec<PluginScores> {
    profile
        .scores()
        .filter_map(|(plugin, weight)| {
            Some((plugin.name(), weight, plugin.score(pod, snapshot, nodes)?))
        })
        .collect()
}

/// The node with the highest sum of weighted scores; among equals `random` decides.
fn best(profile: &Profile, snapshot: &Snapshot, pod: &Pod, nodes: &[&Node], random: u64) -> NodeId {
    let mut totals = vec![0_i64; nodes.len()];
    for (plugin, weight) in profile.scores() {
        let Some(scores) = plugin.score(pod, snapshot, nodes) else {
            continue;
        };
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += score * weight;
        }
    }
    let highest = totals.iter().copied().max().unwrap_or(0);
    let number = totals.iter().filter(|total| **total == highest).count();
    let chosen = usize::try_from(random % number.max(1) as u64).unwrap_or(0);
    let mut best = nodes
        .iter()
        .zip(&totals)
        .filter(|(_, total)| **total == highest);
    best.nth(chosen)
        .map(|(node, _)| node.id)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
