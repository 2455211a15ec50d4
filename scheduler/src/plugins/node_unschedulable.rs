//! Cordoned nodes take no pods, but for those that tolerate it.

use crate::events::Event;
use crate::framework::{Difference, NodeFilter, Plugin, Refusal};
use crate::node::Node;
use crate::pod::{Pod, Taint};
use crate::snapshot::Snapshot;

/// Upstream's `NodeUnschedulable`.
pub struct NodeUnschedulable;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn filter<'a>(
        &'a self,
        pod: &'a Pod,
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn NodeFilter + 'a>> {
        let taint = Taint {
            key: "node.kubernetes.io/unschedulable".into(),
            effect: "NoSchedule".into(),
            ..Taint::default()
        };
        let mut tolerations = pod.tolerations.iter();
        if !snapshot.any_cordoned() || tolerations.any(|own| own.tolerates(&taint)) {
            return None;
        }
        Some(Box::new(|node: &Node, _: &Difference| match &node.object {
            Some(object) if object.unschedulable => {
                Err(Refusal::unresolvable("node(s) were unschedulable"))
            }
            _ => Ok(()),
        }))
    }

    fn wakes(&self, _: &Pod, event: &Event, _: &Snapshot) -> bool {
        let Some((node, old)) = event.node() else {
            return false;
        };
        let open = node.object.as_ref().is_some_and(|node| !node.unschedulable);
        open && old.is_none_or(|old| old.unschedulable)
    }
}
