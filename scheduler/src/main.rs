//! Starts `kube-scheduler`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ferrule_client::leader::Times;
use ferrule_client::{Client, ClientConfig, LeaderElection};
use ferrule_component_base::cli::{self, CommonArgs};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_proto::v1::scheduler_introspection_server::SchedulerIntrospectionServer;
use ferrule_scheduler::config::{self, Configuration};
use ferrule_scheduler::counters::Counters;
use ferrule_scheduler::explain::Introspection;
use ferrule_scheduler::informers::Informers;
use ferrule_scheduler::run::{Parts, run};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const PORT: u16 = 10259;

/// The Kubernetes scheduler: gives every pod a node.
#[derive(Parser)]
#[command(name = "kube-scheduler", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Which pods to schedule, by their spec.schedulerName. A KubeSchedulerConfiguration as
    /// --config names them itself, one for each of its profiles.
    #[arg(long, default_value = "default-scheduler")]
    scheduler_name: String,
    /// Lead only while holding the lease kube-system/kube-scheduler.
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    leader_elect: Option<bool>,
    /// Seconds that others wait after the last renewal before they take over.
    #[arg(long)]
    leader_elect_lease_duration_seconds: Option<u64>,
}

fn main() -> ExitCode {
    let (words, configuration) = match configuration(std::env::args_os().collect()) {
        Ok(read) => read,
        Err(line) => {
            eprintln!("{line}");
            return ExitCode::from(64);
        }
    };
    let args: Args = match cli::parse_from(words) {
        Ok(args) => args,
        Err(cli::ParseError::Clap(error)) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let text = error.to_string();
            eprintln!("{}", text.lines().next().unwrap_or_default());
            return ExitCode::from(64);
        }
    };
    let configuration = configuration.unwrap_or_else(|| {
        let mut configuration = Configuration::default();
        configuration.profiles[0].scheduler_name = args.scheduler_name.clone();
        configuration
    });
    let common = args.common.clone();
    cli::run("kube-scheduler", &common, |shutdown| {
        start(args, configuration, shutdown)
    })
}

/// Takes a KubeSchedulerConfiguration out of the command line: `--config` otherwise names a file
/// of flags. Its errors are said in one line.
fn configuration(words: Vec<OsString>) -> Result<(Vec<OsString>, Option<Configuration>), String> {
    let flag = |word: &OsString| word.to_str().is_some_and(|word| word == "--config");
    let joined = |word: &OsString| {
        let path = word.to_str()?.strip_prefix("--config=")?;
        Some(OsString::from(path))
    };
    let Some(place) = words
        .iter()
        .position(|word| flag(word) || joined(word).is_some())
    else {
        return Ok((words, None));
    };
    let path = joined(&words[place]).or_else(|| words.get(place + 1).cloned());
    let Some(path) = path else {
        return Ok((words, None));
    };
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    if !config::is_configuration(&text) {
        return Ok((words, None));
    }
    let configuration = config::read(&text)
        .map_err(|error| format!("error: --config {}: {error}", path.to_string_lossy()))?;
    let mut words = words;
    let number = if flag(&words[place]) { 2 } else { 1 };
    words.drain(place..place + number);
    Ok((words, Some(configuration)))
}

async fn start(
    args: Args,
    configuration: Configuration,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let named = configuration
        .kubeconfig
        .as_ref()
        .map(std::path::PathBuf::from);
    let kubeconfig = args.common.kubeconfig.clone().or(named);
    let kubeconfig = kubeconfig.context("--kubeconfig is required")?;
    let agent = concat!("kube-scheduler/", env!("CARGO_PKG_VERSION"));
    let client = Client::new(&ClientConfig::load(&kubeconfig, agent)?)?;
    let (health, metrics) = (Health::default(), Metrics::default());
    let counters = metrics.register(Counters::register);
    let (ask, questions) = mpsc::channel(16);

    let server = Server::new(health.clone(), metrics)
        .grpc(SchedulerIntrospectionServer::new(Introspection(ask)))
        .serve(
            args.common.address(PORT),
            args.common.tls_files()?,
            shutdown.clone(),
        );
    let scheduling = async {
        let informers = Informers::start(&client, &shutdown);
        let elect = args.leader_elect.or(configuration.leader_elect);
        let duration = args
            .leader_elect_lease_duration_seconds
            .map(Duration::from_secs)
            .or(configuration.lease_duration)
            .unwrap_or(Duration::from_secs(15));
        let (namespace, name) = configuration.lease.clone();
        let parts = Parts {
            configuration,
            informers: &informers,
            health: &health,
            counters,
            questions,
        };
        if elect == Some(false) {
            run(client.clone(), parts, shutdown.clone()).await;
            return Ok(());
        }
        let times = Times {
            lease_duration: duration.max(Duration::from_secs(3)),
            ..Times::default()
        };
        let identity = hostname();
        let election = LeaderElection::new(&client, &namespace, &name, &identity, times);
        let lead = |client, term| run(client, parts, term);
        election
            .run(shutdown.clone(), lead)
            .await
            .context("leadership was lost")
    };
    tokio::try_join!(server, scheduling).map(|_| ())
}

/// The host's name: a restarted scheduler finds its own lease and needs not wait for it to expire.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "kube-scheduler".to_owned()
    } else {
        name.to_owned()
    }
}
