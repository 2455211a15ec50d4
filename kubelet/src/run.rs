//! Wiring: from flags to running tasks.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{Client, ClientConfig, Informer, Kubeconfig, Recorder, Typed};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics as base;
use ferrule_component_base::server::Server;
use ferrule_proto::v1::node_server::NodeServer;
use k8s_cri::v1::{self as cri};
use k8s_openapi::api::core::v1::{Node, Pod};
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::cgroups::{Cgroups, Driver};
use crate::context::{Config, Kubelet};
use crate::cri::Cri;
use crate::env::services::Service;
use crate::images::Images;
use crate::log_rotation;
use crate::metrics::Metrics;
use crate::node::addresses::Addresses;
use crate::node::{self, facts};
use crate::pods::{self, Directory};
use crate::server::NodeService;

/// The port of the kubelet.
pub const PORT: u16 = 10250;

/// Runs the kubelet until `shutdown`.
pub async fn run(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let kubeconfig = args
        .common
        .kubeconfig
        .clone()
        .unwrap_or_else(Kubeconfig::default_path);
    let client_config = ClientConfig::load(&kubeconfig, "kubelet")
        .with_context(|| format!("kubeconfig {}", kubeconfig.display()))?;
    let config = config(&args)?;
    let servers = client_config.servers.iter().map(|own| authority(own));
    let addresses = Addresses::new(args.node_ip.clone(), servers.collect());
    anyhow::ensure!(
        !addresses.all().is_empty(),
        "no address of this node leads to the API server; give --node-ip"
    );
    for directory in [config.root.join("pods"), config.logs.clone()] {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("make {}", directory.display()))?;
    }
    let client = Client::new(&client_config)?;
    let name = config.node.clone();
    let services = Informer::<Service>::builder(&client, gvr::SERVICES).start(shutdown.clone());
    let own_node = Informer::<Typed<Node>>::builder(&client, gvr::NODES)
        .field_selector(&format!("metadata.name={name}"))
        .start(shutdown.clone());
    let metrics = Metrics::default();
    let kubelet = Arc::new(Kubelet {
        capacity: facts::capacity(&config.root, config.max_pods),
        cri: Cri::new(&args.container_runtime_endpoint).context("container runtime endpoint")?,
        runtime: OnceLock::new(),
        recorder: Recorder::new(&client, "kubelet", &name),
        client: client.clone(),
        services,
        objects: Arc::default(),
        images: Images::default(),
        cgroups: if args.cgroups_per_qos {
            Cgroups::find()
        } else {
            Cgroups::none()
        },
        metrics: metrics.clone(),
        config,
        addresses,
    });

    let health = Health::default();
    health.set(
        "runtime",
        Err("the container runtime has not answered yet".to_owned()),
    );
    let base_metrics = base::Metrics::default();
    base_metrics.register(|registry| metrics.register(registry));
    let directory = Directory::default();
    let service = NodeService::new(kubelet.clone(), directory.clone());
    let address = args.common.address(PORT);
    let server = Server::new(health.clone(), base_metrics).grpc(NodeServer::new(service));
    let serving = tokio::spawn(server.serve(address, args.common.tls_files()?, shutdown.clone()));

    let timing = node::Timing {
        update: args.node_status_update_frequency,
        report: args.node_status_report_frequency,
    };
    let duration = Duration::from_secs(args.node_lease_duration_seconds);
    tokio::spawn(node::lease::run(
        kubelet.clone(),
        duration / 4,
        duration,
        shutdown.clone(),
    ));
    tokio::spawn(node::run(
        kubelet.clone(),
        own_node.clone(),
        timing,
        args.register_node,
        address.port(),
        shutdown.clone(),
    ));

    let limits = log_rotation::Limits {
        size: args.container_log_max_size,
        files: args.container_log_max_files,
    };
    tokio::spawn(log_rotation::run(
        kubelet.clone(),
        directory.clone(),
        limits,
        shutdown.clone(),
    ));

    let working = async {
        wait_for_runtime(&kubelet, &shutdown).await;
        health.set("runtime", Ok(()));
        // Pods of the API server are looked at only when the runtime can be asked about them, and
        // started with the variables of services only when these are known.
        let objects = Informer::<Typed<Pod>>::builder(&client, gvr::PODS)
            .field_selector(&format!("spec.nodeName={name}"))
            .start(shutdown.clone());
        tokio::select! {
            () = kubelet.services.wait_synced() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            () = shutdown.cancelled() => return,
        }
        pods::run(
            kubelet.clone(),
            directory,
            objects,
            own_node,
            shutdown.clone(),
        )
        .await;
    };
    tokio::select! {
        () = working => Ok(()),
        served = serving => served.context("the server")?,
    }
}

fn config(args: &Args) -> anyhow::Result<Config> {
    let node = args
        .hostname_override
        .clone()
        .unwrap_or_else(facts::hostname);
    anyhow::ensure!(
        !node.is_empty(),
        "the host has no name; give --hostname-override"
    );
    Ok(Config {
        node,
        root: args.root_dir.clone(),
        logs: args.pod_logs_dir.clone(),
        cluster_dns: args.cluster_dns.iter().map(IpAddr::to_string).collect(),
        cluster_domain: args.cluster_domain.clone(),
        resolv_conf: args.resolv_conf.clone(),
        max_pods: args.max_pods,
        sync_frequency: args.sync_frequency,
    })
}

fn authority(server: &str) -> String {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    if rest
        .rsplit(':')
        .next()
        .is_some_and(|port| port.parse::<u16>().is_ok())
    {
        rest.to_owned()
    } else {
        format!("{rest}:443")
    }
}

async fn wait_for_runtime(kubelet: &Kubelet, shutdown: &CancellationToken) {
    let mut told = false;
    loop {
        match kubelet
            .cri
            .version(cri::VersionRequest {
                version: String::new(),
            })
            .await
        {
            Ok(version) => {
                let driver = kubelet
                    .cri
                    .runtime_config(cri::RuntimeConfigRequest {})
                    .await;
                let systemd = driver
                    .ok()
                    .and_then(|own| own.linux)
                    .is_some_and(|own| own.cgroup_driver == cri::CgroupDriver::Systemd as i32);
                kubelet.cgroups.set_driver(if systemd {
                    Driver::Systemd
                } else {
                    Driver::Cgroupfs
                });
                tracing::info!(
                    name = version.runtime_name,
                    version = version.runtime_version,
                    "found the container runtime"
                );
                let _ = kubelet.runtime.set(version.runtime_name);
                return;
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(%error, "waiting for the container runtime");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}
