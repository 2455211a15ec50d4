//! Measures a cluster of its own and prints the figures as Markdown.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use ferrule_bench::{connect, creates, hollow, memory, pods, scheduling};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Cluster, Settings, command};

const CALLERS: [usize; 3] = [1, 16, 64];
const EACH: Duration = Duration::from_secs(5);
/// The machine's speed changes from minute to minute: each way has its turn so often.
const ROUNDS: usize = 5;
const PODS: usize = 50;
const NAMESPACE: &str = "bench";
const PAPER_NODES: usize = 1000;
const PAPER_PODS: usize = 10_000;
const HOLLOW_NODES: usize = 1000;
const PODS_EACH: usize = 10;
const PARTS: [&str; 5] = ["idle", "pods", "creates", "scheduling", "hollow"];

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let file = words.next().context("say which file the figures are for")?;
    let mut parts: Vec<String> = words.collect();
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        anyhow::bail!(
            "there is no part {unknown}; the parts are {}",
            PARTS.join(", ")
        );
    }
    if parts.is_empty() {
        parts = PARTS.map(str::to_owned).into();
    }
    let wanted = |some: &[&str]| parts.iter().any(|part| some.contains(&part.as_str()));
    let runtime = tokio::runtime::Runtime::new()?;
    let mut report = format!("{}\n", machine());
    if wanted(&["idle", "pods", "creates"]) {
        let cluster = start()?;
        if wanted(&["idle"]) {
            eprintln!("measuring the memory of idle processes");
            std::thread::sleep(seconds(20));
            report += &idle(&cluster)?;
        }
        if wanted(&["pods"]) {
            eprintln!("measuring {PODS} pods");
            report += &runtime.block_on(sequence(&cluster))?;
        }
        if wanted(&["creates"]) {
            eprintln!("measuring creates");
            report += &create_tables(&cluster, &runtime)?;
        }
    }
    if wanted(&["scheduling"]) {
        eprintln!("measuring {PAPER_PODS} bindings");
        report += &runtime.block_on(bindings(&start()?))?;
    }
    if wanted(&["hollow"]) {
        eprintln!("measuring {HOLLOW_NODES} simulated nodes");
        report += &runtime.block_on(simulated(&start()?))?;
    }
    std::fs::write(&file, report).with_context(|| format!("write {file}"))
}

/// A fresh cluster. What starts it speaks on standard error.
fn start() -> anyhow::Result<Cluster> {
    let cluster = Cluster::start(Settings::of_benchmarks())?;
    cluster
        .kubectl()
        .words(&["create", "namespace", NAMESPACE])?;
    Ok(cluster)
}

async fn bindings(cluster: &Cluster) -> anyhow::Result<String> {
    let client = connect(cluster)?;
    let bound = scheduling::measure(cluster, &client, NAMESPACE, PAPER_NODES, PAPER_PODS).await?;
    Ok(format!(
        "\n### Scheduling\n\n{} pods of one shape bound to {PAPER_NODES} nodes through the API server in {:.1} s: \
        {:.0} pods/s, {} events recorded.\n",
        bound.pods,
        bound.took.as_secs_f64(),
        bound.pods as f64 / bound.took.as_secs_f64(),
        bound.events
    ))
}

async fn simulated(cluster: &Cluster) -> anyhow::Result<String> {
    let client = connect(cluster)?;
    let minutes = std::env::var("FERRULE_BENCH_MINUTES").ok();
    let minutes = minutes.and_then(|own| own.parse().ok()).unwrap_or(10);
    let stay = Duration::from_secs(60 * minutes);
    let seen = hollow::measure(cluster, &client, NAMESPACE, HOLLOW_NODES, PODS_EACH, stay).await?;
    Ok(hollow::table(HOLLOW_NODES, PODS_EACH, stay, &seen))
}

/// What was measured on.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches(['\t', ':', ' '])
        });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{model}, {cores} cores, Linux {}, release profile, everything on one machine.\n",
        kernel.trim()
    )
}

fn idle(cluster: &Cluster) -> anyhow::Result<String> {
    let services = [
        "etcd",
        "apiserver",
        "scheduler",
        "controller-manager",
        "node1",
    ];
    let mut table = "\n### Idle memory\n\nThree nodes, no pods, 20 s after the start.\n\n\
        | process | where | resident | of it allocated |\n|---|---|---:|---:|\n"
        .to_owned();
    for process in memory::processes(cluster, &services)? {
        if process.program == "docker-init" {
            continue;
        }
        table += &format!(
            "| {} | {} | {:.1} MiB | {:.1} MiB |\n",
            process.program,
            process.service,
            process.resident as f64 / 1024.0,
            process.allocated as f64 / 1024.0
        );
    }
    Ok(table)
}

async fn sequence(cluster: &Cluster) -> anyhow::Result<String> {
    let client = connect(cluster)?;
    // The first pod of a node warms it up.
    pods::measure(&client, NAMESPACE, 3).await?;
    let measured = pods::measure(&client, NAMESPACE, PODS).await?;
    let burst = pods::burst(&client, NAMESPACE, "node1", PODS).await?;
    let last = |latencies: &ferrule_bench::latency::Latencies| {
        latencies.milliseconds(1.0).unwrap_or_default() / 1000.0
    };
    Ok(format!(
        "\n### Pods\n\n{PODS} pods one after the other, image on the node, seen by a watch.\n\n\
        | | p50 | p99 |\n|---|---:|---:|\n| create → Running | {} |\n| delete (grace 1 s) → gone | {} |\n\n\
        {PODS} pods at once on one node: all Running after {:.2} s; deleted at once: all gone after {:.2} s.\n",
        measured.running.cells(),
        measured.gone.cells(),
        last(&burst.running),
        last(&burst.gone),
    ))
}

fn create_tables(cluster: &Cluster, runtime: &tokio::runtime::Runtime) -> anyhow::Result<String> {
    // Clients begin their connection's task when they are made.
    let _context = runtime.enter();
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        let through = CALLERS
            .into_iter()
            .map(|callers| creates_through(cluster, runtime, round, callers))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let value = stored_value(cluster)?;
        cluster.docker("stop", "apiserver")?;
        let alone = CALLERS
            .into_iter()
            .map(|callers| etcd_alone(cluster, callers, &value))
            .collect::<anyhow::Result<Vec<_>>>()?;
        cluster.docker("start", "apiserver")?;
        until("the API server answers", seconds(60), || {
            Ok(cluster.kubectl().words(&["get", "nodes"]).is_ok())
        })?;
        rounds.push((through, alone));
    }
    let mut table = format!(
        "\n### Creates\n\nConfigMaps of {} bytes, each caller on a connection of its own, {} s each. \
        etcd alone: the same values, the same etcd, the API server stopped. One after the other in {ROUNDS} rounds; \
        each figure is the middle one.\n\n\
        | callers | through the API server | p50 | p99 | etcd alone | p50 | p99 |\n|---:|---:|---:|---:|---:|---:|---:|\n",
        creates::DATA_BYTES,
        EACH.as_secs()
    );
    for (at, callers) in CALLERS.into_iter().enumerate() {
        let through = middle(rounds.iter().map(|(through, _)| &*through[at]));
        let alone = middle(rounds.iter().map(|(_, alone)| &*alone[at]));
        table += &format!("| {callers} | {through} | {alone} |\n");
    }
    Ok(table)
}

/// Of rows that begin with a number, the one with the median.
fn middle<'r>(rows: impl Iterator<Item = &'r str>) -> &'r str {
    let number = |row: &&str| -> u64 {
        let digits = row.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    let mut rows: Vec<&str> = rows.collect();
    rows.sort_by_key(number);
    rows[rows.len() / 2]
}

fn creates_through(
    cluster: &Cluster,
    runtime: &tokio::runtime::Runtime,
    round: usize,
    callers: usize,
) -> anyhow::Result<String> {
    let clients = (0..callers)
        .map(|_| connect(cluster))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let latencies = runtime.block_on(creates::measure(clients, NAMESPACE, round, EACH))?;
    let rate = latencies.count() as f64 / EACH.as_secs_f64();
    Ok(format!("{rate:.0}/s | {}", latencies.cells()))
}

/// The file with what one of the ConfigMaps became.
fn stored_value(cluster: &Cluster) -> anyhow::Result<PathBuf> {
    let name = creates::name(1, 1, 0, 0);
    let value =
        cluster
            .kubectl()
            .words(&["get", "configmap", &name, "-n", NAMESPACE, "-o", "json"])?;
    let value: serde_json::Value = serde_json::from_str(&value)?;
    let file = cluster.state().join("value.json");
    std::fs::write(&file, value.to_string())?;
    Ok(file)
}

/// Runs the API server crate's benchmark of etcd: only that crate may speak to etcd.
fn etcd_alone(
    cluster: &Cluster,
    callers: usize,
    value: &std::path::Path,
) -> anyhow::Result<String> {
    let program = std::env::var_os("FERRULE_ETCD_ALONE")
        .context("FERRULE_ETCD_ALONE is not set: start this by bench/run.sh")?;
    let pki = cluster.state().join("pki");
    let mut alone = Command::new(program);
    alone
        .arg(format!("https://{}:2379", cluster.address("etcd")?))
        .arg(pki)
        .arg(value)
        .arg(callers.to_string())
        .arg(EACH.as_secs().to_string());
    let printed = command::run(&mut alone, "", EACH + seconds(30))?.ok()?;
    Ok(printed.trim().to_owned())
}
