//! What puts a cluster on its feet: certificates, the entrypoint of a node, the lab programs.
//!
//! ```text
//!  make up ─> install.sh ─> cargo build ─> images.sh ─> ferrule-certificates ─> compose ─> nodes Ready
//!                                             │                                   │
//!                              node, control-plane, etcd, lab images      node-entrypoint (PID 1)
//!                                                                           └ cri-runtime, kubelet,
//!                                                                             kube-proxy, network-agent,
//!                                                                             node-dns, each restarted alone
//! ```

pub mod certificates;
pub mod echo;
pub mod supervisor;
