//! What nodes hold for pods, and what is left of pods that are gone.

use anyhow::ensure;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::wait::{seconds, until};

/// What a node holds for pods: sandboxes, containers, their interfaces and addresses.
pub fn holdings(cluster: &Cluster, node: &str) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let addresses = cluster
        .folder(node, "/var/lib/cni/ferrule")?
        .into_iter()
        .flat_map(|entry| {
            let inside = cluster.folder(node, &format!("/var/lib/cni/ferrule/{entry}"));
            match inside {
                Ok(names) if !names.is_empty() => names,
                _ => vec![entry],
            }
        })
        .filter(|name| name.parse::<std::net::Ipv4Addr>().is_ok())
        .collect();
    // The node's own interface is a veth too: those of pods are on the bridge.
    let links = cluster
        .exec(node, &["ip", "-o", "link", "show", "type", "veth"])?
        .lines()
        .filter(|line| line.contains(" master cni0 "))
        .map(str::to_owned)
        .collect();
    Ok(vec![
        (
            "sandboxes",
            cluster.folder(node, "/var/lib/ferrule/cri/sandboxes")?,
        ),
        (
            "containers",
            cluster.folder(node, "/var/lib/ferrule/cri/containers")?,
        ),
        (
            "pods",
            cluster.folder(node, "/var/lib/ferrule/kubelet/pods")?,
        ),
        ("addresses", addresses),
        ("interfaces", links),
    ])
}

/// Waits until the node holds as much for pods as there are pods on it, and no more.
pub fn holds_only_its_pods(cluster: &Cluster, node: &str) -> anyhow::Result<()> {
    until(
        &format!("{node} holds nothing but its pods"),
        seconds(45),
        || {
            let list = cluster
                .kubectl()
                .json(&format!("pods -A --field-selector=spec.nodeName={node}"))?;
            let pods: Vec<&Value> = list["items"].as_array().into_iter().flatten().collect();
            let containers: usize = pods
                .iter()
                .map(|pod| pod["spec"]["containers"].as_array().map_or(0, Vec::len))
                .sum();
            for (what, names) in holdings(cluster, node)? {
                let allowed = if what == "containers" {
                    containers
                } else {
                    pods.len()
                };
                ensure!(
                    names.len() <= allowed,
                    "{} pods, but {what} {names:?}",
                    pods.len()
                );
            }
            Ok(())
        },
    )
}

/// Whether the rules of a node's proxy speak of an address or a port.
pub fn rules_speak_of(cluster: &Cluster, node: &str, word: &str) -> anyhow::Result<bool> {
    let rules = cluster.exec(node, &["nft", "list", "table", "ip", "ferrule-proxy"])?;
    Ok(rules
        .split(|character: char| !(character.is_ascii_alphanumeric() || character == '.'))
        .any(|found| found == word))
}
