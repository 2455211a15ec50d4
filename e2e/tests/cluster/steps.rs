//! Steps that several tests take.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
pub use ferrule_e2e::residue::{holds_only_its_pods, rules_speak_of};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Cluster, Kubectl, Lab, NODES};
use serde_json::Value;

/// How long a pod may take to run.
pub const POD_STARTS: Duration = seconds(60);

/// The pods of a label, without those that are being deleted.
pub fn pods(kubectl: &Kubectl, selector: &str) -> anyhow::Result<Vec<Value>> {
    let list = kubectl.json(&format!("pods -l {selector}"))?;
    Ok(list["items"]
        .as_array()
        .context("a list has items")?
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .cloned()
        .collect())
}

/// Whether the condition Ready is True.
pub fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Waits until exactly so many pods of a label are there, and all are ready.
pub fn ready_pods(kubectl: &Kubectl, selector: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    until(
        &format!("{count} ready pods of {selector}"),
        POD_STARTS,
        || {
            let pods = pods(kubectl, selector)?;
            let shown: Vec<String> = pods.iter().map(summary).collect();
            ensure!(
                pods.len() == count && pods.iter().all(is_ready),
                "there are {shown:?}"
            );
            Ok(pods)
        },
    )
}

/// A pod in a few words.
pub fn summary(pod: &Value) -> String {
    format!(
        "{} on {} {} {}",
        text(&pod["metadata"]["name"]),
        text(&pod["spec"]["nodeName"]),
        text(&pod["status"]["phase"]),
        pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|status| status["state"].to_string())
            .collect::<String>()
    )
}

/// Waits until a pod is ready.
pub fn ready_pod(kubectl: &Kubectl, name: &str) -> anyhow::Result<Value> {
    until(&format!("{name} is ready"), POD_STARTS, || {
        let pod = kubectl.json(&format!("pod {name}"))?;
        ensure!(is_ready(&pod), "it is {}", summary(&pod));
        Ok(pod)
    })
}

/// A string of an object, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The names of objects.
pub fn names(objects: &[Value]) -> BTreeSet<String> {
    objects
        .iter()
        .map(|object| text(&object["metadata"]["name"]).to_owned())
        .collect()
}

/// Asks a port of a node until each of these has answered, at most `requests` times.
pub fn answers_of_all(
    cluster: &Cluster,
    node: &str,
    port: u16,
    expected: &BTreeSet<String>,
    requests: usize,
) -> anyhow::Result<()> {
    let mut answered = BTreeSet::new();
    for _ in 0..requests {
        answered.insert(cluster.get(node, port)?.trim().to_owned());
        if answered.is_superset(expected) {
            return Ok(());
        }
    }
    ensure!(
        answered == *expected,
        "{requests} requests to {node}:{port} were answered by {answered:?}, not {expected:?}"
    );
    Ok(())
}

/// Waits until a port answers on every node; answers come from these.
pub fn every_node_answers(
    cluster: &Cluster,
    port: u16,
    expected: &BTreeSet<String>,
) -> anyhow::Result<()> {
    for node in NODES {
        until(&format!("{node}:{port} answers"), seconds(10), || {
            let answer = cluster.get(node, port)?;
            ensure!(
                expected.contains(answer.trim()),
                "{answer:?} is none of {expected:?}"
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// The node port that a Service was given.
pub fn node_port(kubectl: &Kubectl, service: &str) -> anyhow::Result<u16> {
    let service = kubectl.json(&format!("service {service}"))?;
    let port = service["spec"]["ports"][0]["nodePort"]
        .as_u64()
        .context("it has a node port")?;
    Ok(u16::try_from(port)?)
}

/// A Deployment of the program that answers with its host name, exposed on a node port.
pub struct Echo {
    /// Its node port.
    pub port: u16,
    /// Its pods.
    pub pods: Vec<Value>,
}

/// Makes a Deployment and a NodePort Service of the name, and waits until they answer.
pub fn echo(lab: &Lab, name: &str, replicas: usize) -> anyhow::Result<Echo> {
    lab.kubectl.ok(&format!(
        "create deployment {name} --image=sysnet4admin/echo-hname --replicas={replicas}"
    ))?;
    lab.kubectl.ok(&format!(
        "expose deployment {name} --type=NodePort --port=80"
    ))?;
    let pods = ready_pods(&lab.kubectl, &format!("app={name}"), replicas)?;
    let port = node_port(&lab.kubectl, name)?;
    every_node_answers(lab.cluster, port, &names(&pods))?;
    Ok(Echo { port, pods })
}
