//! End-to-end tests and the harness that starts clusters for them.
//!
//! ```text
//!  runner: name ─> test, one after the other
//!     └─ Lab: a namespace and both kubectls ─┐
//!  Cluster: deploy/up.sh … deploy/down.sh    ├─> nodes over HTTP, containers over docker,
//!     └─ Blackholes: nothing may get out ────┘   components over gRPC
//! ```
//!
//! A cluster has a project name, network, port and folder of its own, so that it stands beside
//! one that `make up` started. Nothing is sent to an address that is not the cluster's.
//! [`Processes`] is a smaller one without containers, for what needs no real pods.

pub mod chaos;
pub mod cluster;
pub mod command;
pub mod component;
pub mod kubectl;
pub mod load;
pub mod network;
pub mod processes;
pub mod residue;
pub mod rest;
pub mod runner;
pub mod simulated;
pub mod table;
pub mod wait;

pub use cluster::{Cluster, NODES, Settings};
pub use kubectl::Kubectl;
pub use processes::{Extent, Processes};
pub use runner::{Lab, Test};
