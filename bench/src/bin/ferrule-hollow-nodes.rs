//! Many kubelets in one process, over `cri-runtime --simulated`: the code of the real kubelet, one instance for
//! each node, each with its own certificate, connection, lease and pods.
//!
//! ```text
//!   ferrule-hollow-nodes ── kubelet of node 0 ──CRI──▶ cri-0.sock ─┐
//!                        ── kubelet of node 1 ──CRI──▶ cri-1.sock ─┼─ cri-runtime --simulated
//!                        ── …                                      ┘
//! ```

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ferrule_component_base::shutdown;
use ferrule_e2e::simulated::{kubelet_flags, socket_of};
use ferrule_kubelet::args::Args as KubeletArgs;
use tokio::task::JoinSet;

/// Many kubelets in one process.
#[derive(Debug, Parser)]
#[command(name = "ferrule-hollow-nodes")]
struct Args {
    /// The nodes' names, one in each line; node I uses the runtime's socket I.
    #[arg(long)]
    names: PathBuf,
    /// The folder with `kubelet-NAME.crt`, `.key`, `.kubeconfig`, and `ca.crt`.
    #[arg(long)]
    pki: PathBuf,
    /// The path that `cri-runtime --simulated` was given as --listen.
    #[arg(long)]
    runtime: PathBuf,
    /// Where the kubelets keep their files.
    #[arg(long)]
    root: PathBuf,
    /// The address of all nodes.
    #[arg(long)]
    node_ip: String,
    /// The port of the first kubelet; the others follow.
    #[arg(long, default_value_t = 20_000)]
    first_port: u16,
    /// Milliseconds between the starts of two kubelets.
    #[arg(long, default_value_t = 10)]
    pause: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let names = std::fs::read_to_string(&args.names)
        .with_context(|| format!("read {}", args.names.display()))?;
    let names: Vec<&str> = names.lines().filter(|name| !name.is_empty()).collect();
    let kubelets = names
        .iter()
        .enumerate()
        .map(|(number, name)| kubelet(&args, number, names.len(), name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Logs of a thousand kubelets would be the load: only what is wrong is told.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Runtime::new()?.block_on(async {
        let shutdown = shutdown::token();
        let mut running = JoinSet::new();
        for kubelet in kubelets {
            running.spawn(ferrule_kubelet::run::run(kubelet, shutdown.clone()));
            tokio::time::sleep(Duration::from_millis(args.pause)).await;
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    })
}

/// The flags of one kubelet.
fn kubelet(args: &Args, number: usize, nodes: usize, name: &str) -> anyhow::Result<KubeletArgs> {
    let socket = socket_of(&args.runtime, number, nodes);
    let port = usize::from(args.first_port) + number;
    let root = args.root.join(name);
    let flags = kubelet_flags(name, &args.pki, &socket, &root, &args.node_ip, port);
    KubeletArgs::try_parse_from(std::iter::once("kubelet".to_owned()).chain(flags))
        .with_context(|| format!("the flags of {name}"))
}
