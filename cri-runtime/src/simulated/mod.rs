//! A runtime that only pretends: `cri-runtime --simulated`, for clusters of thousands of nodes.
//!
//! ```text
//!   kubelet node-0 ──CRI──▶ cri-0.sock ─┐
//!   kubelet node-1 ──CRI──▶ cri-1.sock ─┼─▶ one process: sandboxes and containers are table rows,
//!   …                                   │   pulls, starts and stops take the time they are told to take,
//!   kubelet node-n ──CRI──▶ cri-n.sock ─┘   and fail as often as they are told to fail
//! ```
//! Everything above it is real: kubelets, API server, controllers, scheduler. No image is pulled, no process
//! is started and no address is reachable.
//!
//! A pod says how its containers shall behave by annotations:
//!
//! | annotation | meaning |
//! |---|---|
//! | `simulated.ferrule.dev/exit-after` | seconds after which each container ends by itself (`0.5`) |
//! | `simulated.ferrule.dev/exit-code` | the code with which it ends then (0) |

mod node;
mod service;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use k8s_cri::v1::image_service_server::ImageServiceServer;
use k8s_cri::v1::runtime_service_server::RuntimeServiceServer;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;

use crate::server::serve::bind;
use node::Node;
use service::Service;

/// The flags of the simulation.
#[derive(Debug, Clone, Args)]
pub struct SimulationArgs {
    /// Pretend: no images, no processes, no network.
    #[arg(long)]
    pub simulated: bool,
    /// How many nodes to pretend to be. With more than one, node I listens on the path of --listen with
    /// -I before its extension: /run/ferrule/cri-0.sock, /run/ferrule/cri-1.sock, …
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub simulated_nodes: u32,
    /// Milliseconds that a sandbox, and a container, takes to start: `20`, or `10-50` for anything between.
    #[arg(long, value_name = "MILLISECONDS", default_value = "10", value_parser = range)]
    pub simulated_start_delay: (u64, u64),
    /// Milliseconds that a container takes to end when it is told to: `20`, or `10-50`.
    #[arg(long, value_name = "MILLISECONDS", default_value = "10", value_parser = range)]
    pub simulated_stop_delay: (u64, u64),
    /// Milliseconds that pulling an image takes that the node does not have: `20`, or `10-50`.
    #[arg(long, value_name = "MILLISECONDS", default_value = "100", value_parser = range)]
    pub simulated_pull_delay: (u64, u64),
    /// The share of sandboxes, container starts and pulls that fail, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub simulated_failure_rate: f64,
    /// Where the addresses of pods come from; each node has 256 of them. Nothing answers there: keep a
    /// blackhole route for it when pods have network probes.
    #[arg(long, value_name = "ADDRESS", default_value = "10.244.0.0")]
    pub simulated_pod_network: Ipv4Addr,
}

/// How the pretended nodes behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Shortest and longest start, in milliseconds.
    pub start: (u64, u64),
    /// Shortest and longest stop, in milliseconds.
    pub stop: (u64, u64),
    /// Shortest and longest pull, in milliseconds.
    pub pull: (u64, u64),
    /// The share of things that fail.
    pub failures: f64,
}

/// Reads `20` or `10-50`.
fn range(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("{text:?} is no number of milliseconds: {error}"))
    };
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (number(low)?, number(high)?),
        None => (number(text)?, number(text)?),
    };
    if low > high {
        return Err(format!("{low} is more than {high}"));
    }
    Ok((low, high))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 1 is expected".to_owned()),
    }
}

/// The socket of one of `nodes` nodes.
pub fn socket_of(listen: &Path, node: u32, nodes: u32) -> PathBuf {
    if nodes == 1 {
        return listen.to_owned();
    }
    let stem = listen.file_stem().unwrap_or_default().to_string_lossy();
    let name = match listen.extension() {
        Some(extension) => format!("{stem}-{node}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{node}"),
    };
    listen.with_file_name(name)
}

/// Serves all nodes until `shutdown`.
pub async fn serve(
    args: &SimulationArgs,
    listen: &Path,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let behaviour = Arc::new(Behaviour {
        start: args.simulated_start_delay,
        stop: args.simulated_stop_delay,
        pull: args.simulated_pull_delay,
        failures: args.simulated_failure_rate,
    });
    let network = u32::from(args.simulated_pod_network);
    let last = network.checked_add(args.simulated_nodes.saturating_mul(256));
    anyhow::ensure!(
        last.is_some(),
        "--simulated-pod-network leaves no room for {} nodes",
        args.simulated_nodes
    );
    let mut nodes = JoinSet::new();
    for number in 0..args.simulated_nodes {
        let socket = socket_of(listen, number, args.simulated_nodes);
        let node = Node::new(Ipv4Addr::from(network + number * 256));
        let service = Service::new(Arc::new(node), behaviour.clone());
        let listener = bind(&socket)?;
        nodes.spawn(one(service, listener, socket, shutdown.clone()));
    }
    tracing::info!(nodes = args.simulated_nodes, listen = %listen.display(), "pretending to run containers");
    while let Some(ended) = nodes.join_next().await {
        ended??;
    }
    Ok(())
}

async fn one(
    service: Service,
    listener: tokio::net::UnixListener,
    socket: PathBuf,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_serving::<RuntimeServiceServer<Service>>()
        .await;
    let end = shutdown.clone();
    let server = tonic::transport::Server::builder()
        .add_service(health)
        .add_service(RuntimeServiceServer::new(service.clone()))
        .add_service(ImageServiceServer::new(service))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move {
            end.cancelled().await;
        });
    // Event streams never end by themselves.
    let grace = async {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        result = server => result.with_context(|| format!("serve {}", socket.display()))?,
        () = grace => {}
    }
    let _ = std::fs::remove_file(socket);
    Ok(())
}
