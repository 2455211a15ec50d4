//! The container runtime of a node: a CRI v1 server, the default one of a Ferrule node.
//!
//! ```text
//!   kubelet ──CRI, unix socket──▶ server ──▶ image store ◀── archives, registries
//!      ▲                            │ ├────▶ CNI plugins
//!      └── WebSocket (exec) ──▶ streaming └──▶ shim of each pod ──libcontainer──▶ containers
//! ```
//!
//! - [`server`] holds what is known of sandboxes and containers and changes it; it can be killed at any time.
//! - [`shim`] is a process of its own for each pod: the parent of its containers. Killing the server stops
//!   no container and loses no exit code.
//! - [`spec`] turns CRI's words into an OCI specification; [`cgroup`] knows both versions of cgroups.
//! - [`image`] stores, imports and pulls; [`cni`] connects; [`streaming`] carries exec and attach.
//! - [`simulated`] serves CRI for thousands of nodes that run nothing.
//! - [`layout`] says where everything lies.

pub mod cgroup;
pub mod cni;
pub mod error;
pub mod image;
pub mod layout;
pub mod options;
pub mod server;
pub mod shim;
pub mod simulated;
pub mod spec;
pub mod streaming;

/// The descriptors of CRI v1 for server reflection (`protoc --descriptor_set_out` of k8s-cri's `v1.proto`).
pub const CRI_DESCRIPTORS: &[u8] = include_bytes!("../proto/cri-v1.bin");
