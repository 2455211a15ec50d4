//! How a component reaches the API server, and what it builds on top.
//!
//! ```text
//!  kubeconfig ──> Client ── gRPC over mutual TLS ──> API server
//!                   │
//!      Informer (list and watch in one stream) ──> Reader (the cache) ──> changes
//!                                                                            │
//!      controller runtime: Queue ──> reconcile(key, Writes) ──> patches <────┘
//!                   │                   └─ waits until the readers have seen its own writes
//!      LeaderElection (a Lease; its epoch travels with every write)   Recorder (events)
//! ```
//!
//! Components hold projections of objects ([`cached::Projection`]), never trees, and send
//! changes as patches with preconditions.

pub mod cached;
pub mod client;
pub mod connection;
pub mod controller;
pub mod events;
mod failover;
pub mod informer;
pub mod kubeconfig;
pub mod leader;
pub mod queue;
pub mod request;
pub mod transport;

pub use client::{
    At, Batch, Change as WatchChange, Client, DeleteOptions, List, ListOptions, Object, Patch,
    Propagation, WatchOptions, WriteOptions,
};
pub use controller::{Controller, Next, Writes, run_controller};
pub use events::{EventType, ObjectReference, Recorder};
pub use informer::{Cached, Change, Informer, Key, Projection, Reader, Typed};
pub use kubeconfig::{ClientConfig, Kubeconfig};
pub use leader::{Epoch, LeaderElection};
pub use queue::Queue;
