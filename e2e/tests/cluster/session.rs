//! The first session that a user types, word for word, with either kubectl.

use anyhow::{Context, ensure};
use ferrule_e2e::table::{cells, masked};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab, NODES};

use crate::manifests;
use crate::steps::{
    answers_of_all, every_node_answers, holds_only_its_pods, names, node_port, ready_pods,
    rules_speak_of, text,
};

const SELECTOR: &str = "app=np-pods";

pub fn the_first_session_prints_what_upstream_prints(lab: &Lab) -> anyhow::Result<()> {
    let ours = session(lab, &lab.kubectl)?;
    if let Some(upstream) = &lab.upstream {
        let theirs = session(lab, upstream)?;
        for ((command, our), (_, their)) in ours.iter().zip(&theirs) {
            ensure!(
                our == their,
                "{command}\nours:     {our:?}\nupstream: {their:?}"
            );
        }
    }
    Ok(())
}

type Printed = Vec<(String, Vec<Vec<String>>)>;

/// Types the session; answers with what each command printed, masked.
fn session(lab: &Lab, kubectl: &Kubectl) -> anyhow::Result<Printed> {
    let mut printed = Printed::new();
    let mut say = |command: &str, expected: &[&[&str]]| -> anyhow::Result<()> {
        let text = kubectl.ok(command)?;
        let shown = masked(&text);
        ensure!(
            expected.is_empty() || shown == expected,
            "{}: {command}\nprinted:  {shown:?}\nexpected: {expected:?}",
            kubectl.whose()
        );
        printed.push((command.to_owned(), shown));
        Ok(())
    };
    say(
        "create deployment np-pods --image=sysnet4admin/echo-hname",
        &[&["deployment.apps/np-pods created"]],
    )?;
    ready_pods(kubectl, SELECTOR, 1)?;
    say(
        "get pods",
        &[
            &["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
            &["np-pods-<hash>-<rand>", "1/1", "Running", "0", "<age>"],
        ],
    )?;
    let created = kubectl.create(manifests::NP_SERVICE)?;
    ensure!(created == "service/np-svc created\n", "{created}");
    say(
        "get services",
        &[
            &[
                "NAME",
                "TYPE",
                "CLUSTER-IP",
                "EXTERNAL-IP",
                "PORT(S)",
                "AGE",
            ],
            &[
                "np-svc",
                "NodePort",
                "<ip>",
                "<none>",
                "80:<port>/TCP",
                "<age>",
            ],
        ],
    )?;
    say("get nodes -o wide", &[])?;
    nodes_are_shown_whole(kubectl)?;

    let pods = ready_pods(kubectl, SELECTOR, 1)?;
    every_node_answers(lab.cluster, 30000, &names(&pods))?;

    say(
        "scale deployment np-pods --replicas=3",
        &[&["deployment.apps/np-pods scaled"]],
    )?;
    let pods = ready_pods(kubectl, SELECTOR, 3)?;
    let mut used: Vec<&str> = pods
        .iter()
        .map(|pod| text(&pod["spec"]["nodeName"]))
        .collect();
    used.sort_unstable();
    ensure!(used == NODES, "three pods run on {used:?}");
    until("all pods are reached", seconds(10), || {
        answers_of_all(lab.cluster, "node1", 30000, &names(&pods), 100)
    })?;

    say(
        "expose deployment np-pods --type=NodePort --name=np-svc-v2 --port=80",
        &[&["service/np-svc-v2 exposed"]],
    )?;
    let port = node_port(kubectl, "np-svc-v2")?;
    ensure!(
        (30001..=32767).contains(&port),
        "the node port {port} is not free or not of the range"
    );
    every_node_answers(lab.cluster, port, &names(&pods))?;
    say(
        "get deployments",
        &[
            &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"],
            &["np-pods", "3/3", "3", "3", "<age>"],
        ],
    )?;

    let addresses: Vec<String> = ["np-svc", "np-svc-v2"]
        .into_iter()
        .map(|service| {
            Ok(text(&kubectl.json(&format!("service {service}"))?["spec"]["clusterIP"]).to_owned())
        })
        .collect::<anyhow::Result<_>>()?;
    // Upstream's newer versions name the namespace too; ours speaks as 1.36 does.
    let deleted = kubectl.ok("delete service np-svc np-svc-v2")?;
    ensure!(
        deleted.starts_with("service \"np-svc\" deleted"),
        "{deleted}"
    );
    let deleted = kubectl.ok("delete deployment np-pods")?;
    ensure!(
        deleted.starts_with("deployment.apps \"np-pods\" deleted"),
        "{deleted}"
    );
    everything_is_gone(lab, kubectl, &addresses)?;
    Ok(printed)
}

fn nodes_are_shown_whole(kubectl: &Kubectl) -> anyhow::Result<()> {
    let rows = cells(&kubectl.ok("get nodes -o wide")?);
    let (head, nodes) = rows.split_first().context("the table has a head")?;
    ensure!(
        head.iter().map(String::as_str).eq([
            "NAME",
            "STATUS",
            "ROLES",
            "AGE",
            "VERSION",
            "INTERNAL-IP",
            "EXTERNAL-IP",
            "OS-IMAGE",
            "KERNEL-VERSION",
            "CONTAINER-RUNTIME",
        ]),
        "{head:?}"
    );
    for (node, row) in NODES.iter().zip(nodes) {
        ensure!(
            row[0] == *node && row[1] == "Ready" && row[2] == "<none>",
            "{row:?}"
        );
        ensure!(
            row[4].starts_with("v1.36.") && row[9].starts_with("ferrule://"),
            "{row:?}"
        );
    }
    ensure!(
        nodes.len() == NODES.len(),
        "{} nodes are shown",
        nodes.len()
    );
    Ok(())
}

/// Objects, containers, addresses and rules.
fn everything_is_gone(lab: &Lab, kubectl: &Kubectl, addresses: &[String]) -> anyhow::Result<()> {
    until("the session's objects are gone", seconds(45), || {
        let output = kubectl.run(
            &[
                "get",
                "pods,services,deployments,replicasets,endpointslices",
            ],
            "",
        )?;
        ensure!(
            output.stdout.is_empty()
                && output.stderr == format!("No resources found in {} namespace.\n", lab.namespace),
            "{}{}",
            output.stdout,
            output.stderr
        );
        Ok(())
    })?;
    for node in NODES {
        holds_only_its_pods(lab.cluster, node)?;
        until(
            &format!("{node} has no rule for what is gone"),
            seconds(10),
            || {
                for word in addresses.iter().map(String::as_str).chain(["30000"]) {
                    ensure!(
                        !rules_speak_of(lab.cluster, node, word)?,
                        "a rule speaks of {word}"
                    );
                }
                Ok(())
            },
        )?;
        ensure!(
            lab.cluster.get(node, 30000).is_err(),
            "{node}:30000 still answers"
        );
    }
    Ok(())
}

pub fn both_kubectls_say_the_same_of_what_is_wrong(lab: &Lab) -> anyhow::Result<()> {
    for (line, expected) in [
        (
            "get pod missing",
            "Error from server (NotFound): pods \"missing\" not found\n",
        ),
        (
            "get nonsense",
            "error: the server doesn't have a resource type \"nonsense\"\n",
        ),
    ] {
        for kubectl in std::iter::once(&lab.kubectl).chain(&lab.upstream) {
            let said = kubectl.fails(line)?;
            ensure!(said == expected, "{}: {line}: {said:?}", kubectl.whose());
        }
    }
    lab.kubectl
        .ok("create configmap twice --from-literal=a=b")?;
    for kubectl in std::iter::once(&lab.kubectl).chain(&lab.upstream) {
        let said = kubectl.fails("create configmap twice --from-literal=a=b")?;
        ensure!(
            said.contains("configmaps \"twice\" already exists"),
            "{}: {said}",
            kubectl.whose()
        );
    }
    Ok(())
}
