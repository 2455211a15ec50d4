//! The Kubernetes controllers.
//!
//! ```text
//!  informers (one per resource) ──> caches of projections ──> changes ──> queues of keys
//!                                        │                                    │
//!                                        └──> Observed ── plan (pure) ──> Plan ── writes
//!                                                                             │
//!             patches and creations with preconditions, carrying the leader's epoch
//! ```
//!
//! Each controller is a folder: `plan.rs` (or a few files) decides and does nothing else;
//! `mod.rs` observes, calls it, and carries out the plan. [`manager`] holds what they share,
//! [`objects`] the projections, [`claim`] ownership.
//!
//! | controller | keeps |
//! |---|---|
//! | [`deployment`] | the ReplicaSets of Deployments |
//! | [`replicaset`] | the pods of ReplicaSets |
//! | [`endpointslice`], [`endpoints`] | where services lead |
//! | [`endpointslicemirroring`] | slices of Endpoints that are kept by hand |
//! | [`disruption`] | how many pods may be evicted |
//! | [`namespace`] | the end of namespaces |
//! | [`garbage`] | nothing whose owners are gone |
//! | [`node`] | health, taints, evictions and pod networks of nodes |
//! | [`podgc`] | no pods that nobody else removes |
//! | [`protection`] | claims and volumes while they are in use |
//! | [`serviceaccount`] | the service account `default` of each namespace |

pub mod claim;
pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod endpointslice;
pub mod endpointslicemirroring;
pub mod garbage;
pub mod introspection;
pub mod manager;
pub mod namespace;
pub mod node;
pub mod objects;
pub mod options;
pub mod podgc;
pub mod protection;
pub mod replicaset;
pub mod serviceaccount;
