//! Services, their names and their addresses, from pods and from outside.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab};

use crate::manifests::{self, shell};
use crate::steps::{answers_of_all, echo, names, node_port, ready_pod, ready_pods, text};

/// A pod to ask from.
fn client(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl
        .apply(&shell("client", "Always", "sleep 3600"))?;
    ready_pod(&lab.kubectl, "client").map(drop)
}

/// What `wget` in a pod gets, within 5 seconds.
fn fetch(kubectl: &Kubectl, pod: &str, address: &str) -> anyhow::Result<String> {
    let shown = kubectl.words(&["exec", pod, "--", "timeout", "5", "wget", "-qO-", address])?;
    Ok(shown.trim_end().to_owned())
}

pub fn a_pod_finds_a_service_by_name_and_reaches_it(lab: &Lab) -> anyhow::Result<()> {
    let echo = echo(lab, "web", 2)?;
    client(lab)?;
    let service = lab.kubectl.json("service web")?;
    let address = text(&service["spec"]["clusterIP"]);
    let whole = format!("web.{}.svc.cluster.local", lab.namespace);
    let looked_up = lab
        .kubectl
        .words(&["exec", "client", "--", "nslookup", &whole])?;
    ensure!(looked_up.contains(address), "{looked_up}");
    let in_namespace = format!("web.{}", lab.namespace);
    for name in [address, "web", &in_namespace, &whole] {
        let answer = fetch(&lab.kubectl, "client", &format!("http://{name}"))?;
        ensure!(
            names(&echo.pods).contains(&answer),
            "{name} answers {answer:?}"
        );
    }
    let missing = lab.kubectl.run(
        &[
            "exec",
            "client",
            "--",
            "nslookup",
            "nobody.default.svc.cluster.local",
        ],
        "",
    )?;
    ensure!(
        !missing.success() && (missing.stdout + &missing.stderr).contains("NXDOMAIN"),
        "a missing name is found"
    );
    Ok(())
}

pub fn a_service_answers_only_from_ready_pods_and_rejects_without(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl.apply(manifests::ON_DEMAND)?;
    client(lab)?;
    let port = node_port(&lab.kubectl, "on-demand")?;
    let refused = |when: &str| {
        until(&format!("it is refused {when}"), seconds(15), || {
            let output = lab.kubectl.run(
                &[
                    "exec",
                    "client",
                    "--",
                    "timeout",
                    "5",
                    "wget",
                    "-qO-",
                    "http://on-demand",
                ],
                "",
            )?;
            ensure!(
                output.code == Some(1) && output.stderr.contains("Connection refused"),
                "{output:?}"
            );
            let outside = lab.cluster.get("node2", port);
            ensure!(outside.is_err(), "from outside it answers {outside:?}");
            Ok(())
        })
    };
    until("the pod runs", seconds(30), || {
        lab.kubectl.words(&["exec", "on-demand", "--", "true"])
    })?;
    refused("before the pod is ready")?;
    lab.kubectl
        .words(&["exec", "on-demand", "--", "touch", "/tmp/ready"])?;
    until("it answers when the pod is ready", seconds(15), || {
        let answer = fetch(&lab.kubectl, "client", "http://on-demand")?;
        ensure!(answer == "on-demand", "{answer:?}");
        ensure!(
            lab.cluster.get("node2", port)?.trim() == "on-demand",
            "from outside"
        );
        Ok(())
    })?;
    lab.kubectl
        .words(&["exec", "on-demand", "--", "rm", "/tmp/ready"])?;
    refused("when the pod is not ready any more")
}

pub fn a_headless_service_resolves_to_its_pods(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl
        .ok("create deployment web --image=sysnet4admin/echo-hname --replicas=2")?;
    lab.kubectl.apply(manifests::HEADLESS)?;
    client(lab)?;
    let pods = ready_pods(&lab.kubectl, "app=web", 2)?;
    until("the name has both addresses", seconds(15), || {
        let name = format!("headless.{}.svc.cluster.local", lab.namespace);
        let shown = lab
            .kubectl
            .words(&["exec", "client", "--", "nslookup", &name])?;
        for pod in &pods {
            let address = text(&pod["status"]["podIP"]);
            ensure!(
                shown.split_whitespace().any(|word| word == address),
                "no {address}: {shown}"
            );
        }
        Ok(())
    })
}

pub fn a_pod_reaches_itself_through_its_service(lab: &Lab) -> anyhow::Result<()> {
    let echo = echo(lab, "mirror", 1)?;
    let pod = names(&echo.pods).pop_first().context("a pod")?;
    for _ in 0..5 {
        let answer = fetch(&lab.kubectl, &pod, "http://mirror")?;
        ensure!(answer == pod, "{answer:?}");
    }
    Ok(())
}

pub fn pods_of_different_nodes_reach_each_other(lab: &Lab) -> anyhow::Result<()> {
    let placed = [("one", "node1"), ("two", "node2"), ("three", "node3")];
    for (name, node) in placed {
        lab.kubectl.apply(&manifests::on_node(name, node))?;
    }
    let mut addresses = Vec::new();
    for (name, node) in placed {
        let pod = ready_pod(&lab.kubectl, name)?;
        ensure!(
            text(&pod["spec"]["nodeName"]) == node,
            "{name} is elsewhere"
        );
        addresses.push((name, text(&pod["status"]["podIP"]).to_owned()));
    }
    let different: BTreeSet<&str> = addresses.iter().map(|(_, address)| &**address).collect();
    ensure!(different.len() == placed.len(), "{addresses:?}");
    for (from, _) in placed {
        for (to, address) in &addresses {
            let answer = fetch(&lab.kubectl, from, &format!("http://{address}"))?;
            ensure!(answer == *to, "{from} asks {to} and {answer:?} answers");
        }
    }
    Ok(())
}

pub fn a_taken_node_port_is_refused(lab: &Lab) -> anyhow::Result<()> {
    let echo = echo(lab, "first", 1)?;
    let manifest = manifests::node_port("second", echo.port);
    for kubectl in std::iter::once(&lab.kubectl).chain(&lab.upstream) {
        let output = kubectl.run(&["apply", "-f", "-"], &manifest)?;
        let expected = format!(
            "The Service \"second\" is invalid: spec.ports[0].nodePort: Invalid value: {}: provided port is already allocated\n",
            echo.port
        );
        ensure!(
            output.code == Some(1) && output.stderr == expected,
            "{}: {output:?}",
            kubectl.whose()
        );
    }
    lab.kubectl.ok("delete service first")?;
    lab.kubectl.apply(&manifest)?;
    lab.kubectl
        .ok("create deployment second --image=sysnet4admin/echo-hname")?;
    let pods = ready_pods(&lab.kubectl, "app=second", 1)?;
    until("the port answers from the new Service", seconds(10), || {
        answers_of_all(lab.cluster, "node1", echo.port, &names(&pods), 1)
    })
}
