//! `spec.nodeSelector` and node affinity, required and preferred.

use serde::Deserialize;

use crate::events::Event;
use crate::framework::{Candidates, Difference, NodeFilter, Plugin, Refusal, normalize};
use crate::node::Node;
use crate::node_selector::{NodeSelector, PreferredTerm};
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// Upstream's `NodeAffinity`.
#[derive(Clone, Debug, Default)]
pub struct NodeAffinity {
    /// Asked of every pod of the profile, besides its own affinity (`addedAffinity`).
    pub added: AddedAffinity,
}

/// Node affinity that the configuration adds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AddedAffinity {
    /// Nodes of which a pod must get one.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
    /// Nodes that are preferred.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<PreferredTerm>,
}

/// Whether a node is one that the pod asks for.
pub fn selects(pod: &Pod, node: &Node) -> bool {
    pod.node_selector
        .iter()
        .all(|(key, value)| node.label(key) == Some(value))
        && pod
            .node_affinity
            .as_ref()
            .is_none_or(|affinity| affinity.matches(node))
}

impl NodeAffinity {
    fn allows(&self, node: &Node) -> bool {
        let required = self.added.required.as_ref();
        required.is_none_or(|required| required.matches(node))
    }
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn candidates<'a>(&self, pod: &'a Pod) -> Candidates<'a> {
        let Some(affinity) = &pod.node_affinity else {
            return Candidates::All;
        };
        if affinity.node_selector_terms.is_empty() {
            return Candidates::All;
        }
        let mut names: Vec<&str> = Vec::new();
        for term in &affinity.node_selector_terms {
            let mut own: Option<Vec<&str>> = None;
            for field in &term.match_fields {
                if &*field.key == "metadata.name" && &*field.operator == "In" {
                    let values = field.values.iter().map(|value| &**value);
                    own = Some(match own {
                        None => values.collect(),
                        Some(own) => values.filter(|value| own.contains(value)).collect(),
                    });
                }
            }
            match own {
                Some(own) => names.extend(own),
                None => return Candidates::All,
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Candidates::None(Refusal::unresolvable("pod affinity terms conflict"));
        }
        Candidates::Named(names)
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Option<Box<dyn NodeFilter + 'a>> {
        if pod.node_selector.is_empty()
            && pod.node_affinity.is_none()
            && self.added.required.is_none()
        {
            return None;
        }
        Some(Box::new(|node: &Node, _: &Difference| {
            if !self.allows(node) {
                return Err(Refusal::unresolvable(
                    "node(s) didn't match scheduler-enforced node affinity",
                ));
            }
            if !selects(pod, node) {
                return Err(Refusal::unresolvable(
                    "node(s) didn't match Pod's node affinity/selector",
                ));
            }
            Ok(())
        }))
    }

    fn score(&self, pod: &Pod, _: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        let preferred = || {
            let own = pod.preferred_nodes.iter().chain(&self.added.preferred);
            own.filter(|term| term.weight != 0 && !term.preference.is_empty())
        };
        preferred().next()?;
        let raw = |node: &&Node| {
            let matching = preferred().filter(|term| term.preference.matches(node));
            matching.map(|term| term.weight).sum()
        };
        let mut scores: Vec<i64> = nodes.iter().map(raw).collect();
        normalize(&mut scores, false);
        Some(scores)
    }

    fn wakes(&self, pod: &Pod, event: &Event, _: &Snapshot) -> bool {
        let Some((node, old)) = event.node() else {
            return false;
        };
        let fits = |node: &Node| self.allows(node) && selects(pod, node);
        let fitted = |old| {
            let before = Node {
                object: Some(std::sync::Arc::new(Clone::clone(old))),
                name: node.name.clone(),
                ..Node::default()
            };
            fits(&before)
        };
        fits(node) && !old.is_some_and(fitted)
    }
}
