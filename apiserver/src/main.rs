//! Starts `kube-apiserver`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ferrule_apimachinery::scheme::Scheme;
use ferrule_apiserver::admission::TolerationSeconds;
use ferrule_apiserver::serve::{self, ServeOptions};
use ferrule_apiserver::store::{EtcdMetrics, EtcdTls, Store, StoreOptions};
use ferrule_apiserver::verbs::allocation::{Network, Ranges};
use ferrule_apiserver::verbs::bootstrap::Advertised;
use ferrule_apiserver::verbs::connect::{KubeletTls, Kubelets};
use ferrule_apiserver::verbs::service_range::INTERVAL;
use ferrule_apiserver::verbs::{Api, ApiOptions};
use ferrule_component_base::cli::{self, CommonArgs};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use tokio_util::sync::CancellationToken;

/// The Kubernetes API server.
#[derive(Parser, Debug)]
#[command(name = "kube-apiserver", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The client URLs of etcd.
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    etcd_servers: Vec<String>,
    /// The authority of etcd's certificates.
    #[arg(long, value_name = "FILE", requires_all = ["etcd_certfile", "etcd_keyfile"])]
    etcd_cafile: Option<PathBuf>,
    /// The certificate to show to etcd.
    #[arg(long, value_name = "FILE", requires = "etcd_cafile")]
    etcd_certfile: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "etcd_cafile")]
    etcd_keyfile: Option<PathBuf>,
    /// The addresses of Services.
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/16")]
    service_cluster_ip_range: Network,
    /// The ports of Services on nodes.
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-32767", value_parser = port_range)]
    service_node_port_range: (u16, u16),
    /// The address that members of the cluster reach this server at.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    advertise_address: Ipv4Addr,
    /// The certificate to show to kubelets.
    #[arg(long, value_name = "FILE", requires = "kubelet_client_key")]
    kubelet_client_certificate: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "kubelet_client_certificate")]
    kubelet_client_key: Option<PathBuf>,
    /// The authority of the kubelets' certificates; --client-ca-file when it is not given.
    #[arg(long, value_name = "FILE")]
    kubelet_certificate_authority: Option<PathBuf>,
    /// Reading requests at a time, watches aside.
    #[arg(long, value_name = "N", default_value_t = 400)]
    max_requests_inflight: usize,
    /// Writing requests at a time.
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_mutating_requests_inflight: usize,
    /// Seconds that a pod stays on a node that is not ready, where the pod does not say.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    default_not_ready_toleration_seconds: i64,
    /// Seconds that a pod stays on a node that cannot be reached, where the pod does not say.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    default_unreachable_toleration_seconds: i64,
    /// Seconds that an Event is kept.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    event_ttl: u64,
    /// Seconds between compactions of etcd's history; 0 leaves it alone.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    etcd_compaction_interval: u64,
}

fn port_range(text: &str) -> Result<(u16, u16), String> {
    let malformed = || format!("{text:?} is not a range like 30000-32767");
    let (first, last) = text.split_once('-').ok_or_else(malformed)?;
    let range = (
        first.parse().map_err(|_| malformed())?,
        last.parse().map_err(|_| malformed())?,
    );
    if range.0 == 0 || range.0 > range.1 {
        Err(malformed())
    } else {
        Ok(range)
    }
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    let common = args.common.clone();
    cli::run("kube-apiserver", &common, async |shutdown| {
        run(args, shutdown).await
    })
}

/// How long a server that ends may take to say so.
const GOODBYE: Duration = Duration::from_secs(3);

async fn run(args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let health = Health::default();
    let metrics = Metrics::default();
    let scheme = Arc::new(Scheme::builtin());
    health.set("etcd", Err("the store is being loaded".to_owned()));
    // The store works on until this server has said that it goes.
    let stopped = CancellationToken::new();
    let _stopping = stopped.clone().drop_guard();
    let store = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        store = Store::open(store_options(&args, &metrics)?, scheme.clone(), stopped.clone()) => store?,
    };
    let api = Api::new(store, scheme.clone(), api_options(&args, &scheme)?);
    let options = ServeOptions {
        max_reading: args.max_requests_inflight,
        max_mutating: args.max_mutating_requests_inflight,
    };
    let address = args.common.address(6443);
    let advertised = Advertised {
        address: args.advertise_address,
        port: address.port(),
    };
    health.set("bootstrap", Err("not done yet".to_owned()));
    let presence = tokio::spawn(bootstrap(
        api.clone(),
        advertised,
        health.clone(),
        shutdown.clone(),
    ));
    tokio::spawn(watch_etcd(api.clone(), health.clone(), shutdown.clone()));
    serve::server(api, options, health, metrics)
        .serve(address, args.common.tls_files()?, shutdown)
        .await?;
    // Nothing depends on it: others notice the absence by themselves.
    let _ = tokio::time::timeout(GOODBYE, presence).await;
    Ok(())
}

fn store_options(args: &Args, metrics: &Metrics) -> anyhow::Result<StoreOptions> {
    let read = |path: &Option<PathBuf>| {
        let path = path
            .as_ref()
            .context("etcd's certificates need all three files")?;
        std::fs::read(path).with_context(|| format!("read {}", path.display()))
    };
    let mut options = StoreOptions::new(&args.etcd_servers);
    if args.etcd_cafile.is_some() {
        options.tls = Some(EtcdTls {
            ca: read(&args.etcd_cafile)?,
            cert: read(&args.etcd_certfile)?,
            key: read(&args.etcd_keyfile)?,
        });
    }
    options.metrics = EtcdMetrics::register(metrics);
    let seconds = |number: u64| (number > 0).then(|| Duration::from_secs(number));
    options.compaction_interval = seconds(args.etcd_compaction_interval);
    options.event_ttl = seconds(args.event_ttl);
    Ok(options)
}

fn api_options(args: &Args, scheme: &Scheme) -> anyhow::Result<ApiOptions> {
    let addresses = scheme
        .lookup("networking.k8s.io", "v1", "ipaddresses")
        .context("the scheme has no IPAddress")?;
    let (first, last) = args.service_node_port_range;
    let tls = match (&args.kubelet_client_certificate, &args.kubelet_client_key) {
        (Some(certificate), Some(key)) => {
            let authority = args.kubelet_certificate_authority.as_ref();
            let authority = authority.or(args.common.client_ca_file.as_ref());
            Some(KubeletTls {
                certificate: certificate.clone(),
                key: key.clone(),
                authority: authority
                    .context("--kubelet-certificate-authority is required")?
                    .clone(),
            })
        }
        _ => None,
    };
    Ok(ApiOptions {
        ranges: Ranges {
            network: args.service_cluster_ip_range,
            ports: first..=last,
            addresses: addresses.clone(),
        },
        kubelets: Kubelets::new(tls),
        tolerations: TolerationSeconds {
            not_ready: args.default_not_ready_toleration_seconds,
            unreachable: args.default_unreachable_toleration_seconds,
        },
    })
}

/// Makes what every cluster has; tries until it is there. Then looks after it, and says that this server is
/// there.
async fn bootstrap(api: Api, advertised: Advertised, health: Health, shutdown: CancellationToken) {
    loop {
        match api.bootstrap(advertised).await {
            Ok(()) => {
                health.set("bootstrap", Ok(()));
                tokio::join!(
                    api.keep_service_range(INTERVAL, shutdown.clone()),
                    api.be_present(advertised, shutdown),
                );
                return;
            }
            Err(status) => {
                tracing::warn!(%status, "cannot make the first objects yet");
                health.set("bootstrap", Err(status.message));
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Keeps the check `etcd` up to date.
async fn watch_etcd(api: Api, health: Health, shutdown: CancellationToken) {
    loop {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
        let state = api.store().current_revision(deadline).await;
        health.set("etcd", state.map(drop).map_err(|error| error.to_string()));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}
