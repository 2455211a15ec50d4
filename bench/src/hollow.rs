//! A thousand simulated nodes: real kubelets over a runtime that pretends, and a real control plane.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, List, ListOptions, WriteOptions};
use ferrule_e2e::Cluster;
use ferrule_e2e::simulated::{Background, SimulatedNodes};
use serde_json::{Value, json};

use crate::memory;

/// How long nodes and pods may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What was seen.
pub struct Seen {
    /// Until all nodes were Ready.
    pub nodes_ready: Duration,
    /// Until all pods ran.
    pub pods_running: Duration,
    /// How often it was looked while they had to stay so.
    pub looks: usize,
    /// Of all looks, nodes that were not Ready and pods that did not run.
    pub lost: usize,
    /// Resident MiB and share of one core of each process while nothing was asked for.
    pub processes: Vec<(String, f64, f64)>,
}

/// Starts so many nodes, gives each so many pods, and looks at them for a while.
pub async fn measure(
    cluster: &Cluster,
    client: &Client,
    namespace: &str,
    nodes: usize,
    pods_each: usize,
    stay: Duration,
) -> anyhow::Result<Seen> {
    let names: Vec<String> = (0..nodes)
        .map(|number| format!("hollow-{number}"))
        .collect();
    for node in ferrule_e2e::NODES {
        cluster.kubectl().words(&["cordon", node])?;
    }
    let began = Instant::now();
    let runtime = SimulatedNodes::start(
        cluster,
        cluster.state().join("hollow"),
        &names,
        &["--simulated-pod-network=10.240.0.0"],
    )?;
    fs::write(runtime.folder().join("names"), names.join("\n"))?;
    let mut kubelets = Command::new(cluster.program("ferrule-hollow-nodes"));
    let folder = runtime.folder();
    kubelets
        .arg(format!("--names={}", folder.join("names").display()))
        .arg(format!("--pki={}", runtime.pki().display()))
        .arg(format!("--runtime={}", folder.join("cri.sock").display()))
        .arg(format!("--root={}", folder.join("kubelets").display()))
        .arg(format!("--node-ip={}", runtime.address()?));
    let kubelets = Background::start(kubelets, &folder.join("kubelets.log"))?;

    let ready = |list: &List| count(list, "hollow-", node_ready);
    let all_nodes = At::of(gvr::NODES);
    until(client, &all_nodes, nodes, ready).await?;
    let nodes_ready = began.elapsed();
    eprintln!("{nodes} nodes are Ready after {nodes_ready:.1?}");

    let began = Instant::now();
    let pods = At::of(gvr::PODS).namespace(namespace);
    // Ten Deployments, as people would: one of ten thousand would be one controller's key.
    for number in 0..10 {
        let at = At::of(gvr::DEPLOYMENTS).namespace(namespace);
        let deployment = deployment(number, nodes * pods_each / 10).to_string();
        client
            .create(&at, deployment, &WriteOptions::default())
            .await?;
    }
    let running = |list: &List| count(list, "hollow-", pod_running);
    until(client, &pods, nodes * pods_each, running).await?;
    let pods_running = began.elapsed();
    eprintln!("{} pods run after {pods_running:.1?}", nodes * pods_each);

    let services = ["etcd", "apiserver", "scheduler", "controller-manager"];
    let own = [
        ("simulated runtime", runtime.runtime()),
        ("kubelets", kubelets.process()),
    ];
    let before = memory::of_cluster_and(cluster, &services, &own)?;
    let (began, mut looks, mut lost) = (Instant::now(), 0, 0);
    while began.elapsed() < stay {
        tokio::time::sleep(LOOK_EVERY).await;
        let now_nodes = list(client, &all_nodes).await?;
        let now_pods = list(client, &pods).await?;
        looks += 1;
        lost += nodes - ready(&now_nodes).min(nodes);
        lost += nodes * pods_each - running(&now_pods).min(nodes * pods_each);
    }
    let took = began.elapsed().as_secs_f64();
    let processes = memory::of_cluster_and(cluster, &services, &own)?
        .into_iter()
        .map(|(name, now)| {
            let used = now.cpu - before.get(&name).map_or(0.0, |before| before.cpu);
            (name, now.resident as f64 / 1024.0, used / took)
        })
        .collect();
    Ok(Seen {
        nodes_ready,
        pods_running,
        looks,
        lost,
        processes,
    })
}

fn deployment(number: usize, replicas: usize) -> Value {
    let name = format!("hollow-{number}");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "pretended"}]},
            },
        },
    })
}

async fn list(client: &Client, at: &At) -> anyhow::Result<List> {
    let options = ListOptions {
        resource_version: "0".to_owned(),
        ..ListOptions::default()
    };
    Ok(client.list(at, &options).await?)
}

async fn until(
    client: &Client,
    at: &At,
    wanted: usize,
    counted: impl Fn(&List) -> usize,
) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let now = counted(&list(client, at).await?);
        if now >= wanted {
            return Ok(());
        }
        ensure!(
            began.elapsed() < READY_WITHIN,
            "{now} of {wanted} {} after {READY_WITHIN:?}",
            at.gvr.resource
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn count(list: &List, prefix: &str, wanted: impl Fn(&Value) -> bool) -> usize {
    let parsed = list.items.iter();
    parsed
        .filter_map(|bytes| serde_json::from_slice::<Value>(bytes).ok())
        .filter(|object| {
            let name = object["metadata"]["name"].as_str();
            name.is_some_and(|name| name.starts_with(prefix)) && wanted(object)
        })
        .count()
}

fn node_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn pod_running(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running"
}

/// The table of what was seen.
pub fn table(nodes: usize, pods_each: usize, stay: Duration, seen: &Seen) -> String {
    let mut table = format!(
        "\n### Simulated nodes\n\n{nodes} nodes with {pods_each} pods each: all Ready after {:.0} s, all pods \
        Running {:.0} s after ten Deployments asked for them. Then {:.0} minutes of nothing: looked at {} times, \
        {} nodes or pods were not as they should be.\n\n\
        | process | resident | of one core |\n|---|---:|---:|\n",
        seen.nodes_ready.as_secs_f64(),
        seen.pods_running.as_secs_f64(),
        stay.as_secs_f64() / 60.0,
        seen.looks,
        seen.lost,
    );
    let by_name: BTreeMap<&str, (f64, f64)> = seen
        .processes
        .iter()
        .map(|(name, memory, cpu)| (name.as_str(), (*memory, *cpu)))
        .collect();
    for (name, (memory, cpu)) in by_name {
        table += &format!("| {name} | {memory:.0} MiB | {:.1} % |\n", cpu * 100.0);
    }
    table
}
