//! The pod network between nodes: by routes, or through the tunnel when `FERRULE_NETWORK_BACKEND=vxlan` is set for the run.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Lab, NODES, command};

use crate::manifests;
use crate::steps::{is_ready, ready_pod, text};

/// A pod on each node that answers with its name; their names and addresses.
fn one_on_each(lab: &Lab) -> anyhow::Result<Vec<(String, String)>> {
    for node in NODES {
        lab.kubectl
            .apply(&manifests::on_node(&format!("on-{node}"), node))?;
    }
    let address = |node: &&str| {
        let name = format!("on-{node}");
        let pod = ready_pod(&lab.kubectl, &name)?;
        Ok((name, text(&pod["status"]["podIP"]).to_owned()))
    };
    NODES.iter().map(address).collect()
}

/// Each pod reaches each other one.
fn all_reach_all(lab: &Lab, pods: &[(String, String)]) -> anyhow::Result<()> {
    for (from, _) in pods {
        for (to, address) in pods {
            let url = format!("http://{address}");
            let answer = lab
                .kubectl
                .words(&["exec", from, "--", "timeout", "3", "wget", "-qO-", &url])
                .with_context(|| format!("from {from} to {to}"))?;
            ensure!(answer.trim() == to, "{to} answers {answer:?}");
        }
    }
    Ok(())
}

fn tunnels() -> bool {
    std::env::var("FERRULE_NETWORK_BACKEND").is_ok_and(|backend| backend == "vxlan")
}

pub fn nodes_reach_each_others_pods_by_what_was_asked_for(lab: &Lab) -> anyhow::Result<()> {
    let pods = one_on_each(lab)?;
    all_reach_all(lab, &pods)?;
    for node in NODES {
        let routes = lab
            .cluster
            .exec(node, &["ip", "route", "show", "proto", "70"])?;
        let others = routes.lines().filter(|line| line.contains("/24 via "));
        let through: BTreeSet<bool> = others.map(|line| line.contains("dev ferrule.1")).collect();
        ensure!(through == BTreeSet::from([tunnels()]), "{node}:\n{routes}");
        ensure!(
            routes.contains("blackhole 10.244.0.0/16"),
            "{node}:\n{routes}"
        );
        let annotations = &lab.kubectl.json(&format!("node {node}"))?["metadata"]["annotations"];
        let said = &annotations["network.ferrule.dev/public-ip"];
        let expected = if tunnels() {
            lab.cluster.address(node)?.to_string()
        } else {
            String::new()
        };
        ensure!(text(said) == expected, "{node}: {annotations}");
    }
    let mtu = lab
        .kubectl
        .words(&["exec", "on-node1", "--", "cat", "/sys/class/net/eth0/mtu"])?;
    let expected = if tunnels() { "1450" } else { "1500" };
    ensure!(mtu.trim() == expected, "the MTU is {mtu}");
    Ok(())
}

fn docker(words: &[&str]) -> anyhow::Result<String> {
    let mut command = std::process::Command::new("docker");
    command::run(command.args(words), "", seconds(60))?.ok()
}

/// `docker network disconnect` takes the interface with its routes; `connect` brings it back, maybe under another name.
pub fn a_node_whose_interface_is_taken_away_and_given_back_goes_on(
    lab: &Lab,
) -> anyhow::Result<()> {
    let pods = one_on_each(lab)?;
    all_reach_all(lab, &pods)?;
    let (container, address) = (
        lab.cluster.container("node2")?,
        lab.cluster.address("node2")?,
    );
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
    let network = docker(&["inspect", "-f", format, &container])?;
    let network = network.trim();
    docker(&["network", "disconnect", network, &container])?;
    let gone = lab.kubectl.words(&[
        "exec",
        "on-node1",
        "--",
        "timeout",
        "2",
        "wget",
        "-qO-",
        &format!("http://{}", pods[1].1),
    ]);
    let connected = docker(&[
        "network",
        "connect",
        "--ip",
        &address.to_string(),
        network,
        &container,
    ]);
    connected?;
    ensure!(gone.is_err(), "the node is reached without its interface");
    let back = Instant::now();
    until("all pods reach each other again", seconds(20), || {
        all_reach_all(lab, &pods)
    })?;
    println!("    after {:.1} s", back.elapsed().as_secs_f64());
    Ok(())
}

pub fn a_node_that_leaves_is_forgotten_and_found_again_when_it_joins(
    lab: &Lab,
) -> anyhow::Result<()> {
    let pods = one_on_each(lab)?;
    all_reach_all(lab, &pods)?;
    let cidr = |node: &str| -> anyhow::Result<String> {
        let node = lab.kubectl.json(&format!("node {node}"))?;
        Ok(text(&node["spec"]["podCIDR"]).to_owned())
    };
    let routes = || {
        lab.cluster
            .exec("node1", &["ip", "route", "show", "proto", "70"])
    };
    let left = cidr("node3")?;
    lab.cluster.docker("stop", "node3")?;
    let leaves = lab.kubectl.ok("delete node node3").and_then(|_| {
        until("its pods' route is gone", seconds(15), || {
            let routes = routes()?;
            ensure!(!routes.contains(&format!("{left} via")), "{routes}");
            Ok(())
        })
    });
    lab.cluster.docker("start", "node3")?;
    until("it is Ready again", seconds(40), || {
        let node = lab.kubectl.json("node node3")?;
        ensure!(is_ready(&node), "{}", node["status"]["conditions"]);
        Ok(())
    })?;
    leaves?;
    // Its pods are gone with it; a new one is reached from everywhere.
    lab.kubectl.run(
        &[
            "delete",
            "pod",
            "on-node3",
            "--ignore-not-found",
            "--timeout=60s",
        ],
        "",
    )?;
    let pods = one_on_each(lab)?;
    until("all pods reach each other", seconds(20), || {
        all_reach_all(lab, &pods)
    })
}
