//! The proxy's program.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::Informer;
use ferrule_client::events::{EventType, ObjectReference, Recorder};
use ferrule_component_base::cli::{self, CommonArgs};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_kube_proxy::cidr::Cidr;
use ferrule_kube_proxy::health::services::ServiceHealth;
use ferrule_kube_proxy::health::{ProxyHealth, http};
use ferrule_kube_proxy::introspection::{Introspection, Listing};
use ferrule_kube_proxy::objects::{EndpointSlice, NodeFacts, Service, ServiceName};
use ferrule_kube_proxy::ruleset::Settings;
use ferrule_kube_proxy::shell::{Options, Proxy, Readers};
use ferrule_proto::v1::proxy_introspection_server::ProxyIntrospectionServer;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

const PORT: u16 = 10249;
const HEALTHZ: &str = "0.0.0.0:10256";

/// Leads connections to Services to their endpoints, by one nf_tables table on this node.
#[derive(Parser)]
#[command(name = "kube-proxy", version)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    /// The name of this node; by default its host name.
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
    /// The address of this node; by default that of its Node object.
    #[arg(long, value_name = "IP")]
    node_ip: Option<Ipv4Addr>,
    /// The addresses of all pods: other sources are masqueraded when they use a cluster IP. Empty: nobody is.
    #[arg(long, value_name = "CIDR", default_value = "10.244.0.0/16")]
    cluster_cidr: String,
    /// The addresses of all services: those that are not allocated are rejected. Empty: only those of services are.
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/16")]
    service_cluster_ip_range: String,
    /// The bit of the packet mark that asks for masquerading.
    #[arg(long, value_name = "BIT", default_value_t = 14, value_parser = clap::value_parser!(u8).range(0..32))]
    nftables_masquerade_bit: u8,
    /// Masquerade everything that goes through a cluster IP.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    masquerade_all: bool,
    /// Where load balancers ask for the proxy's health, without TLS. Empty: nowhere.
    #[arg(long, value_name = "IP:PORT", default_value = HEALTHZ)]
    healthz_bind_address: String,
    /// Milliseconds at least between two changes of the table.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    min_sync_milliseconds: u64,
    /// Seconds between two comparisons of the table with what was programmed.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    sync_seconds: u64,
}

fn main() -> ExitCode {
    let arguments: Arguments = cli::parse();
    let common = arguments.common.clone();
    cli::run("kube-proxy", &common, |shutdown| run(arguments, shutdown))
}

async fn run(arguments: Arguments, shutdown: CancellationToken) -> anyhow::Result<()> {
    let node_name = node_name(arguments.hostname_override.as_deref())?;
    let options = Options {
        settings: Settings {
            cluster_cidr: network(&arguments.cluster_cidr).context("--cluster-cidr")?,
            service_range: network(&arguments.service_cluster_ip_range)
                .context("--service-cluster-ip-range")?,
            masquerade_bit: arguments.nftables_masquerade_bit,
            masquerade_all: arguments.masquerade_all,
        },
        node_name: node_name.clone(),
        node_ip: arguments.node_ip,
        min_sync_period: Duration::from_millis(arguments.min_sync_milliseconds),
        sync_period: Duration::from_secs(arguments.sync_seconds.max(1)),
    };
    let client = arguments.common.client("kube-proxy")?;
    let readers = Readers {
        services: Informer::<Service>::builder(&client, gvr::SERVICES).start(shutdown.clone()),
        slices: Informer::<EndpointSlice>::builder(&client, gvr::ENDPOINT_SLICES)
            .start(shutdown.clone()),
        node: Informer::<NodeFacts>::builder(&client, gvr::NODES)
            .field_selector(&format!("metadata.name={node_name}"))
            .start(shutdown.clone()),
    };

    let (health, metrics) = (Health::default(), Metrics::default());
    let listing = Listing::default();
    let proxy_health = ProxyHealth::new(options.sync_period * 2);
    let recorder = Recorder::new(&client, "kube-proxy", &node_name);
    let services = ServiceHealth::new(
        proxy_health.clone(),
        Arc::new(move |service: &ServiceName, port, error: &std::io::Error| {
            tell_of_closed_port(&recorder, &node_name, service, port, error);
        }),
    );
    let healthz = answer_healthz(
        &arguments.healthz_bind_address,
        proxy_health.clone(),
        shutdown.clone(),
    )
    .await?;
    let proxy = Proxy::new(
        options,
        listing.clone(),
        health.clone(),
        proxy_health,
        services,
        &metrics,
    );
    let server = Server::new(health, metrics)
        .grpc(ProxyIntrospectionServer::new(Introspection::new(listing)))
        .serve(
            arguments.common.address(PORT),
            arguments.common.tls_files()?,
            shutdown.clone(),
        );
    // On a task of its own: programming many services must not hold up health checks.
    let proxy = tokio::spawn(proxy.run(readers, shutdown));
    let healthz = async {
        healthz.await;
        Ok(())
    };
    let proxy = async { proxy.await.context("the proxy's task")? };
    tokio::try_join!(proxy, server, healthz)?;
    Ok(())
}

/// Listens for those who ask for the proxy's health.
async fn answer_healthz(
    address: &str,
    health: ProxyHealth,
    shutdown: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()>> {
    let listener = if address.is_empty() {
        None
    } else {
        let listener = tokio::net::TcpListener::bind(address).await;
        Some(listener.with_context(|| format!("listen on --healthz-bind-address {address}"))?)
    };
    Ok(async move {
        if let Some(listener) = listener {
            let answer = move |path: &str| health.answer(path, Instant::now(), Timestamp::now());
            http::serve(listener, shutdown, answer).await;
        }
    })
}

fn tell_of_closed_port(
    recorder: &Recorder,
    node: &str,
    service: &ServiceName,
    port: u16,
    error: &std::io::Error,
) {
    tracing::warn!(%service, port, %error, "cannot open a health check port");
    let object = ObjectReference {
        kind: "Service".to_owned(),
        namespace: service.namespace.to_string(),
        name: service.name.to_string(),
        uid: service.to_string(),
        ..ObjectReference::default()
    };
    let message =
        format!("node {node} failed to start healthcheck \"{service}\" on port {port}: {error}");
    let reason = "FailedToStartServiceHealthcheck";
    recorder.event(&object, EventType::Warning, reason, &message);
}

/// An IPv4 network, or none for an empty text.
fn network(text: &str) -> anyhow::Result<Option<Cidr>> {
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(text.parse()?))
}

/// The name of this node, in lower case as node names are.
fn node_name(given: Option<&str>) -> anyhow::Result<String> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => nix::unistd::gethostname()?.to_string_lossy().into_owned(),
    };
    Ok(name.trim().to_lowercase())
}
