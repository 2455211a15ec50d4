//! The agent: what the Node objects and the kernel say becomes routes, masquerading and CNI configuration.
//!
//! ```text
//! Nodes (informer) --+
//! netlink events ----+--> shell --> plan::plan(&Observed) -> Plan --> routes of our protocol number
//! periodic resync ---+      |                                  \----> CNI configuration
//!                           +--> guard (before anything is known): blackholes, forwarding, nf_tables
//!
//! The main table of a node with the pod CIDR 10.244.1.0/24:
//!
//!   10.244.1.0/24 dev cni0                             the bridge's own address makes it
//!   10.244.2.0/24 via 172.30.0.12 dev eth0  proto 70   another node (host gateway), or
//!   10.244.2.0/24 via 10.244.2.0 dev ferrule.1 onlink  another node (VXLAN, see `tunnel`)
//!   blackhole 10.244.0.0/16                 proto 70   pods of no node we know
//!   10.96.0.0/16 dev lo src 172.30.0.11     proto 70   services (see below)
//!   blackhole 10.96.0.0/16 metric max       proto 70   services, while the node's address is away
//! ```
//!
//! Packets to a service are translated after the first routing decision, so that decision must succeed for the node's own
//! processes: it leads to `lo`, where an untranslated packet ends. One that a pod sent is dropped by our forward chain.

pub mod configuration;
pub mod guard;
pub mod nodes;
pub mod plan;
pub mod shell;
pub mod tunnel;

pub use plan::{Backend, Settings};
