//! What happened in the cluster, as far as a refused pod may care.

use crate::node::{Node, NodeObject};
use crate::pod::Pod;

/// A change. Pods are those on nodes.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A node is new.
    NodeAdded(&'a Node),
    /// A node's object changed.
    NodeChanged {
        /// As it was.
        old: &'a NodeObject,
        /// As it is.
        new: &'a Node,
    },
    /// A node is gone.
    NodeRemoved,
    /// A pod came to a node.
    PodAdded(&'a Pod),
    /// A pod on a node changed.
    PodChanged {
        /// As it was.
        old: &'a Pod,
        /// As it is.
        new: &'a Pod,
    },
    /// A pod left its node.
    PodRemoved(&'a Pod),
}

impl<'a> Event<'a> {
    /// The node that is new or changed, and its object as it was.
    pub fn node(&self) -> Option<(&'a Node, Option<&'a NodeObject>)> {
        match self {
            Event::NodeAdded(node) => Some((node, None)),
            Event::NodeChanged { old, new } => Some((new, Some(old))),
            _ => None,
        }
    }

    /// Whether a node is new, or its labels are.
    pub fn brings_labels(&self) -> bool {
        match self {
            Event::NodeAdded(_) => true,
            Event::NodeChanged { old, new } => new
                .object
                .as_ref()
                .is_some_and(|new| new.labels != old.labels),
            _ => false,
        }
    }
}
