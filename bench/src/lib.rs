//! Benchmarks on the end-to-end harness.
//!
//! ```text
//!  cluster (release) ─▶ memory of idle processes
//!                    ─▶ pods one after the other, and 50 at once: create ─▶ Running
//!                    ─▶ creates of ConfigMaps by 1, 16, 64 callers
//!                    ─▶ the API server stopped: the same values put into the same etcd
//!  another           ─▶ 1,000 nodes on paper, 10,000 pods: what the scheduler binds in a second
//!  another           ─▶ 1,000 simulated nodes with 10 pods each, for ten minutes
//!  an API server alone ─▶ its REST front: reads, lists, watches, writes
//!  each ─▶ a table in Markdown
//! ```

pub mod changes;
pub mod creates;
pub mod hollow;
pub mod latency;
pub mod memory;
pub mod pods;
pub mod rest;
pub mod scheduling;

use ferrule_client::{Client, ClientConfig};
use ferrule_e2e::Cluster;

/// A connection of its own to a cluster's API server.
pub fn connect(cluster: &Cluster) -> anyhow::Result<Client> {
    let mut config = ClientConfig::load(&cluster.kubeconfig(), "ferrule-bench")?;
    // The container's own address, as for etcd alone: the port on the host leads through docker's proxy.
    config.servers = vec![format!("{}:6443", cluster.address("apiserver")?)];
    Ok(Client::new(&config)?)
}
