//! The plugins, one file each.

pub mod allocation;
pub mod balanced_allocation;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_unschedulable;
pub mod resources_fit;
pub mod scheduling_gates;
pub mod spread;
pub mod taints;

#[cfg(test)]
mod tests;
