//! The Kubernetes node agent: it keeps the pods of one node as their objects ask.
//!
//! ```text
//!  API server ── pods of this node ──> pods (who has a worker) ──> worker, one a pod
//!                                                                    │ observe (CRI, probes)
//!      status patches <── status::generate <── ObservedPod ──────────┤
//!                                                  │                 │
//!                                     pod::sync (pure) ──> actions ──> CRI, volumes, hooks
//!  runtime ── events, relists ──> pleg ──> workers
//!  node: registration, status, lease        server: logs and exec for the API server
//! ```
//!
//! Decisions are in [`pod::sync`] and [`status`], pure functions over [`pod::ObservedPod`]; the
//! rest observes and carries out. The runtime is reached by CRI alone ([`cri`]).

pub mod admission;
pub mod args;
pub mod cgroups;
pub mod context;
pub mod cri;
pub mod dns;
pub mod env;
pub mod hosts;
pub mod image;
pub mod images;
pub mod log_rotation;
pub mod metrics;
pub mod node;
pub mod objects;
pub mod pleg;
pub mod pod;
pub mod pods;
pub mod probes;
pub mod qos;
pub mod resources;
pub mod run;
pub mod server;
pub mod status;
pub mod volumes;
pub mod worker;
