//! The network agent's program.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::Informer;
use ferrule_component_base::cli::{self, CommonArgs};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_network::agent::nodes::NodeNetwork;
use ferrule_network::agent::shell::{Agent, Local};
use ferrule_network::agent::{Backend, Settings};
use ferrule_network::cidr::Cidr;
use tokio_util::sync::CancellationToken;

const PORT: u16 = 10258;

/// Connects the pods of this node with each other, with other nodes and with the world.
#[derive(Parser)]
#[command(name = "network-agent", version)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    /// The name of this node; by default its host name.
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
    /// The addresses of all pods of the cluster.
    #[arg(long, value_name = "CIDR", default_value = "10.244.0.0/16")]
    cluster_cidr: Cidr,
    /// The addresses of all services of the cluster.
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/16")]
    service_cluster_ip_range: Cidr,
    /// How nodes reach each other's pods.
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// The number of the tunnel's network, the same on all nodes.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    vxlan_id: u32,
    /// The tunnel's UDP port, the same on all nodes.
    #[arg(long, value_name = "PORT", default_value_t = 8472)]
    vxlan_port: u16,
    /// Whether pods' traffic that leaves the cluster gets this node's address.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    ip_masq: bool,
    /// The bridge that pods are connected to.
    #[arg(long, value_name = "NAME", default_value = "cni0")]
    bridge: String,
    /// The MTU of pods' interfaces; 0 takes that of this node's interface, less what a tunnel needs.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    mtu: u32,
    /// Where the runtime looks for CNI configuration.
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    cni_conf_dir: PathBuf,
    /// Where the CNI plugin keeps its reservations of addresses.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/cni/ferrule")]
    cni_data_dir: PathBuf,
    /// Seconds between looks at everything, changed or not.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    resync_seconds: u64,
}

fn main() -> ExitCode {
    let arguments: Arguments = cli::parse();
    let common = arguments.common.clone();
    cli::run("network-agent", &common, |shutdown| {
        run(arguments, shutdown)
    })
}

async fn run(arguments: Arguments, shutdown: CancellationToken) -> anyhow::Result<()> {
    let node = node_name(arguments.hostname_override.as_deref())?;
    let settings = Settings {
        node,
        cluster: arguments.cluster_cidr,
        services: arguments.service_cluster_ip_range,
        backend: arguments.backend,
        tunnel_id: arguments.vxlan_id,
        tunnel_port: arguments.vxlan_port,
    };
    let local = Local {
        bridge: arguments.bridge,
        mtu: arguments.mtu,
        masquerade: arguments.ip_masq,
        configuration_directory: arguments.cni_conf_dir,
        data_directory: arguments.cni_data_dir,
        resync: Duration::from_secs(arguments.resync_seconds.max(1)),
    };
    let (health, metrics) = (Health::default(), Metrics::default());
    let agent = Agent::new(settings, local, health.clone(), &metrics);
    agent.guard()?;

    let client = arguments.common.client("network-agent")?;
    let nodes = Informer::<NodeNetwork>::builder(&client, gvr::NODES).start(shutdown.clone());
    let server = Server::new(health, metrics).serve(
        arguments.common.address(PORT),
        arguments.common.tls_files()?,
        shutdown.clone(),
    );
    let agent = tokio::spawn(agent.run(client, nodes, shutdown));
    tokio::try_join!(async { agent.await.context("the agent's task")? }, server)?;
    Ok(())
}

/// The name of this node, in lower case as node names are.
fn node_name(given: Option<&str>) -> anyhow::Result<String> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => nix::unistd::gethostname()?.to_string_lossy().into_owned(),
    };
    Ok(name.trim().to_lowercase())
}
