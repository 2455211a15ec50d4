//! Why no node took a pod.

use std::collections::BTreeMap;

use crate::framework::Refusal;
use crate::node::NodeId;

/// What each node said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// How many nodes there are.
    pub nodes: usize,
    /// Nodes that were judged, with the plugin that refused.
    pub refusals: Vec<(NodeId, &'static str, Refusal)>,
    /// What all other nodes are refused for.
    pub others: Option<(&'static str, Refusal)>,
    /// The pod itself is impossible, on whatever node.
    pub hopeless: bool,
    /// What came of making room.
    pub preemption: Option<String>,
}

impl Diagnosis {
    /// The plugins that refused, each once.
    pub fn plugins(&self) -> Vec<&'static str> {
        let judged = self.refusals.iter().map(|(_, plugin, _)| *plugin);
        let others = self.others.iter().map(|(plugin, _)| *plugin);
        let mut plugins: Vec<&'static str> = judged.chain(others).collect();
        plugins.sort_unstable();
        plugins.dedup();
        plugins
    }

    /// Nodes that pods leaving them could make right.
    pub fn resolvable(&self) -> impl Iterator<Item = NodeId> {
        let judged = self.refusals.iter();
        judged
            .filter(|(_, _, refusal)| !refusal.unresolvable)
            .map(|(node, _, _)| *node)
    }

    /// Whether nothing that leaves a node could make it right.
    pub fn unresolvable(&self, node: NodeId) -> bool {
        match self.refusals.iter().find(|(own, _, _)| *own == node) {
            Some((_, _, refusal)) => refusal.unresolvable,
            None => true,
        }
    }

    /// The message of the pod's condition and event, in upstream's words.
    pub fn message(&self) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let reasons = match &self.others {
            Some((_, refusal)) if self.hopeless => refusal.reasons.join(", "),
            _ => {
                let others = self.nodes.saturating_sub(self.refusals.len());
                let judged = self.refusals.iter().map(|(_, _, refusal)| (1, refusal));
                let others = self.others.iter().map(|(_, refusal)| (others, refusal));
                counted(judged.chain(others))
            }
        };
        let mut message = format!("{}: {reasons}.", none_of(self.nodes));
        if let Some(preemption) = &self.preemption {
            message = format!("{message} {preemption}");
        }
        message
    }
}

/// The beginning of every such message.
pub fn none_of(nodes: usize) -> String {
    format!("0/{nodes} nodes are available")
}

/// How often each reason was given. Upstream sorts the finished texts, count first.
pub fn counted<'a>(refusals: impl Iterator<Item = (usize, &'a Refusal)>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (count, refusal) in refusals.filter(|(count, _)| *count > 0) {
        for reason in &refusal.reasons {
            *counts.entry(reason).or_default() += count;
        }
    }
    let texts = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"));
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts.join(", ")
}
