//! How many pods the scheduler binds through the API server: nodes and pods are there before it starts.

use std::time::{Duration, Instant};

use anyhow::Context;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, ListOptions, Patch, WriteOptions};
use ferrule_e2e::Cluster;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;

use crate::changes::Changes;

/// Requests that are under way at once.
const CALLERS: usize = 32;

/// What was measured.
pub struct Bound {
    /// Pods that were bound.
    pub pods: usize,
    /// From the first binding that was seen to the last.
    pub took: Duration,
    /// Events that the scheduler had recorded at the end.
    pub events: usize,
}

/// Registers nodes that nothing runs on, creates pods, and then starts the scheduler. The controller manager
/// stays stopped: it would find the nodes silent.
pub async fn measure(
    cluster: &Cluster,
    client: &Client,
    namespace: &str,
    nodes: usize,
    pods: usize,
) -> anyhow::Result<Bound> {
    cluster.docker("stop", "controller-manager")?;
    cluster.docker("stop", "scheduler")?;
    concurrently(nodes, |number| register(client.clone(), number)).await?;
    let at = At::of(gvr::PODS).namespace(namespace);
    concurrently(pods, |number| {
        let (client, at) = (client.clone(), at.clone());
        async move {
            let pod = pod(number).to_string();
            client.create(&at, pod, &WriteOptions::default()).await?;
            anyhow::Ok(())
        }
    })
    .await?;
    let mut changes = Changes::of(client, &at).await?;
    cluster.docker("start", "scheduler")?;
    let (mut bound, mut first) = (0, None);
    while bound < pods {
        // Nothing else writes these pods: each is seen unbound once and bound once.
        changes
            .wait_for(|_, pod| pod["spec"]["nodeName"].is_string())
            .await?;
        first.get_or_insert_with(Instant::now);
        bound += 1;
    }
    let took = first.context("a first binding")?.elapsed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let events = At::of(gvr::EVENTS).namespace(namespace);
    let recorded = client.list_all(&events, &ListOptions::default()).await?;
    Ok(Bound {
        pods,
        took,
        events: recorded.items.len(),
    })
}

async fn concurrently<F, W>(count: usize, work: W) -> anyhow::Result<()>
where
    W: Fn(usize) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    futures::stream::iter((0..count).map(work))
        .buffer_unordered(CALLERS)
        .try_collect()
        .await
}

async fn register(client: Client, number: usize) -> anyhow::Result<()> {
    let nodes = At::of(gvr::NODES);
    let name = format!("paper-{number}");
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": format!("zone-{}", number % 3),
        }},
    });
    let options = WriteOptions::default();
    client.create(&nodes, node.to_string(), &options).await?;
    let now = "2026-01-01T00:00:00Z";
    let amounts = json!({"cpu": "32", "memory": "64Gi", "pods": "110"});
    let status = json!({"status": {
        "capacity": amounts, "allocatable": amounts,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }],
    }});
    let at = nodes.name(&name).subresource("status");
    let patch = Patch::Strategic(status);
    client.patch(&at, &patch, &options).await?;
    // The taint that every new node gets; a controller that is stopped here would take it away.
    let clean = Patch::Merge(json!({"spec": {"taints": null}}));
    let at = At::of(gvr::NODES).name(&name);
    client.patch(&at, &clean, &options).await?;
    Ok(())
}

fn pod(number: usize) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("paper-{number}")},
        "spec": {
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "topology.kubernetes.io/zone", "operator": "Exists"}
                ]}]
            }}},
            "containers": [{
                "name": "main", "image": "pause",
                "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
            }]
        }
    })
}
