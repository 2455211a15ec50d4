//! The plugin points, with upstream's names.
//!
//! A plugin holds nothing but its arguments, and asks no clock. For each decision it is asked once
//! for a [`NodeFilter`], which then judges node after node, and once for the scores of all nodes
//! that fit; what upstream calls PreFilter and PreScore happens in between.

use std::borrow::Cow;
use std::sync::Arc;

use crate::events::Event;
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::{Matcher, Snapshot};

/// The best score of a node from one plugin.
pub const MAX_SCORE: i64 = 100;

/// Why a node was refused, and whether others leaving could change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In upstream's words, as they are counted in a pod's event.
    pub reasons: Vec<Cow<'static, str>>,
    /// Evicting pods cannot help.
    pub unresolvable: bool,
}

impl Refusal {
    /// A refusal that pods leaving the node could end.
    pub fn unschedulable(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal {
            reasons: vec![reason.into()],
            unresolvable: false,
        }
    }

    /// A refusal that lies in the node itself.
    pub fn unresolvable(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal {
            reasons: vec![reason.into()],
            unresolvable: true,
        }
    }
}

/// What a filter says of a node.
pub type Verdict = Result<(), Refusal>;

/// How a node is imagined to differ from its snapshot. The node that is judged has the difference
/// in it; counts over several nodes have not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Difference<'a> {
    /// Pods that are gone from the node.
    pub removed: &'a [Arc<Pod>],
    /// Pods that are on it besides.
    pub added: &'a [Arc<Pod>],
}

impl Difference<'_> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// How many more pods of a kind the node has.
    pub fn count(&self, mut of: impl FnMut(&Pod) -> i64) -> i64 {
        let added: i64 = self.added.iter().map(|pod| of(pod)).sum();
        let removed: i64 = self.removed.iter().map(|pod| of(pod)).sum();
        added - removed
    }
}

/// Judges nodes for one pod.
pub trait NodeFilter {
    /// Whether the pod can run on the node.
    fn judge(&self, node: &Node, difference: &Difference) -> Verdict;
}

impl<F: Fn(&Node, &Difference) -> Verdict> NodeFilter for F {
    fn judge(&self, node: &Node, difference: &Difference) -> Verdict {
        self(node, difference)
    }
}

/// The counts that a plugin reads for a pod: each with the labels whose domains it looks at.
pub type Needs = Vec<(Matcher, Vec<Box<str>>)>;

/// Where a pod may go at all, by a look at the pod alone.
pub enum Candidates<'a> {
    /// Anywhere.
    All,
    /// To nodes of these names.
    Named(Vec<&'a str>),
    /// Nowhere.
    None(Refusal),
}

/// A plugin. Each method is one of upstream's extension points, or prepares one.
pub trait Plugin: Send + Sync {
    /// Upstream's name: `NodeAffinity`.
    fn name(&self) -> &'static str;

    /// PreEnqueue: why the pod may not even be considered.
    fn gate(&self, pod: &Pod) -> Option<String> {
        let _ = pod;
        None
    }

    /// What should be counted before the decision.
    fn needs(&self, pod: &Pod, snapshot: &Snapshot) -> Needs {
        let _ = (pod, snapshot);
        Vec::new()
    }

    /// PreFilter, as far as it narrows the choice.
    fn candidates<'a>(&self, pod: &'a Pod) -> Candidates<'a> {
        let _ = pod;
        Candidates::All
    }

    /// Filter: who judges nodes for the pod; `None` where every node is right.
    fn filter<'a>(
        &'a self,
        pod: &'a Pod,
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn NodeFilter + 'a>> {
        let _ = (pod, snapshot);
        None
    }

    /// Score: 0 to 100 for each of the nodes that fit; `None` where it has nothing to say.
    fn score(&self, pod: &Pod, snapshot: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        let _ = (pod, snapshot, nodes);
        None
    }

    /// The queueing hint: whether the event may end this plugin's refusal of the pod.
    fn wakes(&self, pod: &Pod, event: &Event, snapshot: &Snapshot) -> bool {
        let _ = (pod, event, snapshot);
        true
    }
}

/// Brings raw scores to 0..=100; `reverse` makes the lowest the best.
pub fn normalize(scores: &mut [i64], reverse: bool) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        *score = if highest == 0 {
            0
        } else {
            *score * MAX_SCORE / highest
        };
        if reverse {
            *score = MAX_SCORE - *score;
        }
    }
}
