//! Taints keep pods away that do not tolerate them.

use crate::events::Event;
use crate::framework::{Difference, MAX_SCORE, NodeFilter, Plugin, Refusal, normalize};
use crate::node::Node;
use crate::pod::{Pod, Taint};
use crate::snapshot::Snapshot;

/// Upstream's `TaintToleration`.
pub struct TaintToleration;

fn tolerated(pod: &Pod, taint: &Taint) -> bool {
    pod.tolerations
        .iter()
        .any(|toleration| toleration.tolerates(taint))
}

/// Whether no taint keeps the pod away.
pub fn tolerates_all(pod: &Pod, taints: &[Taint]) -> bool {
    taints
        .iter()
        .all(|taint| !taint.keeps_away() || tolerated(pod, taint))
}

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn filter<'a>(
        &'a self,
        pod: &'a Pod,
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn NodeFilter + 'a>> {
        if !snapshot.any_taints() {
            return None;
        }
        Some(Box::new(|node: &Node, _: &Difference| {
            if tolerates_all(pod, node.taints()) {
                return Ok(());
            }
            Err(Refusal::unresolvable("node(s) had untolerated taint(s)"))
        }))
    }

    fn score(&self, pod: &Pod, snapshot: &Snapshot, nodes: &[&Node]) -> Option<Vec<i64>> {
        if !snapshot.any_taints() {
            return Some(vec![MAX_SCORE; nodes.len()]);
        }
        let disliked = |node: &&Node| {
            let taints = node.taints().iter();
            let advising = taints.filter(|taint| &*taint.effect == "PreferNoSchedule");
            let count = advising.filter(|taint| !tolerated(pod, taint)).count();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        let mut scores: Vec<i64> = nodes.iter().map(disliked).collect();
        normalize(&mut scores, true);
        Some(scores)
    }

    fn wakes(&self, pod: &Pod, event: &Event, _: &Snapshot) -> bool {
        let Some((node, old)) = event.node() else {
            return false;
        };
        tolerates_all(pod, node.taints()) && old.is_none_or(|old| !tolerates_all(pod, &old.taints))
    }
}
