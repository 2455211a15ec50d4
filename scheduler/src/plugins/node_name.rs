//! A pod that names its node goes nowhere else.

use crate::events::Event;
use crate::framework::{Difference, NodeFilter, Plugin, Refusal};
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// Upstream's `NodeName`.
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Option<Box<dyn NodeFilter + 'a>> {
        if pod.node_name.is_empty() {
            return None;
        }
        Some(Box::new(|node: &Node, _: &Difference| {
            if pod.node_name == node.name {
                return Ok(());
            }
            Err(Refusal::unresolvable(
                "node(s) didn't match the requested node name",
            ))
        }))
    }

    fn wakes(&self, pod: &Pod, event: &Event, _: &Snapshot) -> bool {
        matches!(event, Event::NodeAdded(node) if node.name == pod.node_name)
    }
}
