//! A host port is given once on a node.

use crate::events::Event;
use crate::framework::{Difference, NodeFilter, Plugin, Refusal};
use crate::node::Node;
use crate::pod::{HostPort, Pod};
use crate::snapshot::Snapshot;

/// Upstream's `NodePorts`.
pub struct NodePorts;

fn conflict(wanted: &[HostPort], taken: &[HostPort]) -> bool {
    let is_taken = |port: &HostPort| taken.iter().any(|own| own.conflicts(port));
    wanted.iter().any(is_taken)
}

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, _: &'a Snapshot) -> Option<Box<dyn NodeFilter + 'a>> {
        if pod.host_ports.is_empty() {
            return None;
        }
        Some(Box::new(|node: &Node, _: &Difference| {
            if !conflict(&pod.host_ports, &node.ports) {
                return Ok(());
            }
            Err(Refusal::unschedulable(
                "node(s) didn't have free ports for the requested pod ports",
            ))
        }))
    }

    fn wakes(&self, pod: &Pod, event: &Event, _: &Snapshot) -> bool {
        match event {
            Event::NodeAdded(_) => true,
            Event::PodRemoved(other) => conflict(&pod.host_ports, &other.host_ports),
            _ => false,
        }
    }
}
