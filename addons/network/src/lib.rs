//! The pod network of a node: the CNI plugin that connects pods, and the agent that connects nodes.
//!
//! ```text
//! pod eth0 --veth--+
//! pod eth0 --veth--+-- cni0 (.1 of the node's pod CIDR) -- routes -- the node's interface -- other nodes
//!
//! agent   keeps the node's routes, bridge, masquerading and CNI configuration (binary `network-agent`)
//! cni     connects one pod to the bridge (binary `ferrule-cni`, called by the runtime)
//! bridge  the bridge that both make when it is missing
//! ```
//!
//! What is programmed stays when a program ends: the agent may be killed at any time, and finds its own again.

pub mod agent;
pub mod bridge;
pub mod cidr;
pub mod cni;
