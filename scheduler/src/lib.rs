//! The Kubernetes scheduler: gives every pod a node.
//!
//! ```text
//!  informers (pods, nodes, …) ──> Cache ──> Snapshot ──┐
//!        │                                              ├─ schedule(profile, snapshot, pod) -> Decision   (pure)
//!        └──> SchedulingQueue: active, back-off, ───────┘       │
//!                 unschedulable (woken by events)   Place ──> assume ──> bind (beside the loop)
//!                         ^                         Refuse ─> preempt(…) -> Preemption   (pure)
//!                         └──────────────────────────┴─> condition, event, pods made to leave
//! ```
//!
//! [`framework`] holds the plugin points, [`plugins`] the plugins, [`profile`] which of them decide
//! about which pods and [`config`] the file that says so; [`snapshot`] is what they look at,
//! [`schedule`] the decision and [`preemption`] what follows a refusal; [`queue`] holds the pods
//! that wait, and [`run`] is the shell around all of it.

pub mod affinity;
pub mod cache;
pub mod config;
pub mod counters;
pub mod diagnosis;
pub mod disruption;
pub mod events;
pub mod explain;
pub mod framework;
pub mod informers;
pub mod node;
pub mod node_selector;
pub mod plugins;
pub mod pod;
pub mod preemption;
pub mod profile;
pub mod queue;
pub mod resources;
pub mod run;
pub mod schedule;
pub mod snapshot;
pub mod workloads;
pub mod writes;

#[cfg(test)]
mod testing;
