//! Starts `kube-controller-manager`.

use std::process::ExitCode;

use anyhow::Context;
use ferrule_client::LeaderElection;
use ferrule_client::leader::Times;
use ferrule_component_base::cli;
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_controller_manager::introspection::{Introspection, QueueMetrics};
use ferrule_controller_manager::manager::{Manager, Registry};
use ferrule_controller_manager::options::Options;
use ferrule_proto::v1::controller_introspection_server::ControllerIntrospectionServer;
use tokio_util::sync::CancellationToken;

const PORT: u16 = 10257;

fn main() -> ExitCode {
    let options: Options = cli::parse();
    let common = options.common.clone();
    cli::run("kube-controller-manager", &common, |shutdown| {
        start(options, shutdown)
    })
}

async fn start(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = options.common.client("kube-controller-manager")?;
    let address = options.common.address(PORT);
    let registry = Registry::default();
    let metrics = Metrics::default();
    metrics.register(|all| all.register_collector(Box::new(QueueMetrics(registry.clone()))));
    let server = Server::new(Health::default(), metrics)
        .grpc(ControllerIntrospectionServer::new(Introspection(
            registry.clone(),
        )))
        .serve(address, options.common.tls_files()?, shutdown.clone());
    let controllers = async {
        if !options.leader_elect {
            Manager::lead(client, options, registry, shutdown.clone()).await;
            return Ok(());
        }
        let times = Times {
            lease_duration: options.leader_elect_lease_duration,
            renew_deadline: options.leader_elect_renew_deadline,
            retry_period: options.leader_elect_retry_period,
        };
        let identity = format!("{}_{}", hostname(), address.port());
        let election = LeaderElection::new(
            &client,
            "kube-system",
            "kube-controller-manager",
            &identity,
            times,
        );
        let lead = |client, term| Manager::lead(client, options, registry, term);
        election
            .run(shutdown.clone(), lead)
            .await
            .context("leadership was lost")
    };
    tokio::try_join!(server, controllers).map(|_| ())
}

/// The host's name: a restarted controller manager finds its own lease, and needs not wait for it
/// to expire. Two on one host differ by their ports.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
