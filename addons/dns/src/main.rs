//! Starts `node-dns`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::Informer;
use ferrule_component_base::cli::{self, CommonArgs};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_dns::catalog::Catalog;
use ferrule_dns::forward::Forwarder;
use ferrule_dns::server::{Handler, serve};
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

const PORT: u16 = 10254;

/// The DNS server of a node, at the cluster's DNS address.
#[derive(Parser)]
#[command(name = "node-dns", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The address to answer on; it is added to the loopback interface.
    #[arg(long, value_name = "IP", default_value = "10.96.0.10")]
    cluster_dns: Ipv4Addr,
    /// The port to answer on.
    #[arg(long, value_name = "PORT", default_value_t = 53)]
    dns_port: u16,
    /// The domain of the cluster.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// Where the resolvers for other names stand.
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    let common = args.common.clone();
    cli::run("node-dns", &common, |shutdown| start(args, shutdown))
}

async fn start(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = args.common.client("node-dns")?;
    let (health, metrics) = (Health::default(), Metrics::default());
    health.set("informers", Err("services are not listed yet".to_owned()));
    let questions = Counter::default();
    metrics.register(|registry| {
        registry.register("dns_questions", "Questions answered", questions.clone())
    });

    let catalog = Catalog {
        services: Informer::builder(&client, gvr::SERVICES).start(shutdown.clone()),
        slices: Informer::builder(&client, gvr::ENDPOINT_SLICES).start(shutdown.clone()),
    };
    ferrule_dns::address::ensure(args.cluster_dns)?;
    let server = Server::new(health.clone(), metrics).serve(
        args.common.address(PORT),
        args.common.tls_files()?,
        shutdown.clone(),
    );
    let answering = async {
        // A wrong "no such name" is kept by clients; silence is asked again.
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = async { catalog.services.wait_synced().await; catalog.slices.wait_synced().await } => {}
        }
        health.set("informers", Ok(()));
        let handler = Handler {
            view: catalog,
            domain: args.cluster_domain.trim_matches('.').to_lowercase(),
            forwarder: Forwarder::from_file(&args.resolv_conf, IpAddr::V4(args.cluster_dns)),
            questions,
        };
        serve(handler, args.cluster_dns, args.dns_port, shutdown.clone()).await
    };
    tokio::try_join!(server, answering).map(|_| ())
}
