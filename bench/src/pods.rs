//! Pods one after the other and many at once: from the create to the phase Running, as a watcher sees it.

use std::collections::BTreeSet;
use std::time::Instant;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, DeleteOptions, WriteOptions};
use serde_json::{Value, json};

use crate::changes::Changes;
use crate::latency::Latencies;

/// What was measured.
#[derive(Default)]
pub struct Pods {
    /// Create to Running.
    pub running: Latencies,
    /// Delete, with a grace of one second, to the end of the object.
    pub gone: Latencies,
}

/// Creates so many pods, each after the one before is gone.
pub async fn measure(client: &Client, namespace: &str, count: usize) -> anyhow::Result<Pods> {
    let pods = At::of(gvr::PODS).namespace(namespace);
    let mut changes = Changes::of(client, &pods).await?;
    let mut measured = Pods::default();
    for number in 0..count {
        let name = format!("pod-{number}");
        let started = Instant::now();
        client
            .create(&pods, pod(&name).to_string(), &WriteOptions::default())
            .await?;
        let runs = |deleted: bool, pod: &Value| !deleted && is(pod, &name) && running(pod);
        changes.wait_for(runs).await?;
        measured.running.add(started.elapsed());
        let started = Instant::now();
        client.delete(&pods.clone().name(&name), &soon()).await?;
        changes
            .wait_for(|deleted, pod| deleted && is(pod, &name))
            .await?;
        measured.gone.add(started.elapsed());
    }
    Ok(measured)
}

/// Creates so many pods at once, all for one node. Each is measured from the first create on.
pub async fn burst(
    client: &Client,
    namespace: &str,
    node: &str,
    count: usize,
) -> anyhow::Result<Pods> {
    let pods = At::of(gvr::PODS).namespace(namespace);
    let mut changes = Changes::of(client, &pods).await?;
    let names: Vec<String> = (0..count).map(|number| format!("burst-{number}")).collect();
    let mut measured = Pods::default();
    let started = Instant::now();
    let creates = names.iter().map(|name| {
        let mut pod = pod(name);
        pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
        let (client, pods) = (client.clone(), pods.clone());
        async move {
            let options = WriteOptions::default();
            client.create(&pods, pod.to_string(), &options).await
        }
    });
    futures::future::try_join_all(creates).await?;
    let mut waiting: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    while !waiting.is_empty() {
        let name = changes.wait_for(|deleted, pod| !deleted && running(pod));
        if waiting.remove(name.await?.as_str()) {
            measured.running.add(started.elapsed());
        }
    }
    let started = Instant::now();
    let deletes = names.iter().map(|name| {
        let (client, one) = (client.clone(), pods.clone().name(name));
        async move { client.delete(&one, &soon()).await }
    });
    futures::future::try_join_all(deletes).await?;
    for _ in 0..count {
        changes.wait_for(|deleted, _| deleted).await?;
        measured.gone.add(started.elapsed());
    }
    Ok(measured)
}

fn soon() -> DeleteOptions {
    DeleteOptions {
        grace_period_seconds: Some(1),
        ..DeleteOptions::default()
    }
}

fn is(pod: &Value, name: &str) -> bool {
    pod["metadata"]["name"] == name
}

fn running(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running"
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "containers": [{
                "name": "main",
                "image": "ferrule.local/echo-hname:latest",
                "imagePullPolicy": "IfNotPresent"
            }]
        }
    })
}
