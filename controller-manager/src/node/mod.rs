//! Nodes: whether they live, what their taints do to pods, and their pod networks.

pub mod cidrs;
pub mod contact;
pub mod eviction;
pub mod health;
mod ipam;
mod lifecycle;
mod pods;
mod taint_eviction;
#[cfg(test)]
mod tests;
pub mod zones;

use std::sync::Arc;

use crate::manager::Manager;

/// Starts the controllers.
pub fn start(manager: &Manager) {
    let pods = Arc::new(pods::ByNode::follow(&manager.caches.pods));
    lifecycle::start(manager, pods.clone());
    taint_eviction::start(manager, pods);
    if manager.options.allocate_node_cidrs {
        ipam::start(manager);
    }
}
