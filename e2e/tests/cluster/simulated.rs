//! Nodes that join and leave: real kubelets over a runtime that pretends.

use anyhow::{Context, ensure};
use ferrule_e2e::Lab;
use ferrule_e2e::simulated::SimulatedNodes;
use ferrule_e2e::wait::{seconds, until};
use serde_json::Value;

const NODES: usize = 3;

fn ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|own| own["type"] == "Ready" && own["status"] == "True")
}

fn manifest(replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: pretended}}\nspec:\n  replicas: {replicas}\n  \
        selector: {{matchLabels: {{app: pretended}}}}\n  template:\n    metadata: {{labels: {{app: pretended}}}}\n    \
        spec:\n      tolerations: [{{key: simulated, operator: Exists}}]\n      nodeSelector: {{simulated: 'yes'}}\n      \
        containers: [{{name: main, image: nobody-has-this}}]\n"
    )
}

pub fn simulated_nodes_join_run_pods_and_leave(lab: &Lab) -> anyhow::Result<()> {
    let cluster = lab.cluster;
    let all = cluster.kubectl();
    let names: Vec<String> = (0..NODES)
        .map(|number| format!("pretended-{number}"))
        .collect();
    let folder = cluster.state().join("simulated");
    let flags = ["--simulated-pod-network=10.244.200.0"];
    let nodes = SimulatedNodes::start(cluster, folder, &names, &flags)?;
    let mut kubelets = Vec::new();
    for (number, name) in names.iter().enumerate() {
        kubelets.push(nodes.kubelet(number, name)?);
    }
    let joined = until("the nodes have joined", seconds(30), || {
        for name in &names {
            let node = all.json(&format!("node {name}"))?;
            ensure!(ready(&node), "{name}: {}", node["status"]["conditions"]);
            let lease = all.json(&format!("lease {name} -n kube-node-lease"))?;
            let owners = &lease["metadata"]["ownerReferences"];
            ensure!(owners[0]["name"] == *name, "{name}: the lease has no owner");
        }
        Ok(())
    });
    let ran = joined.and_then(|()| {
        for name in &names {
            all.words(&["taint", "node", name, "simulated=yes:NoSchedule"])?;
            all.words(&["label", "node", name, "simulated=yes"])?;
        }
        runs_and_leaves(lab, &names, &mut kubelets)
    });
    // While their kubelets run: pods of nodes that are gone stay for a quarantine of up to a minute.
    let ended = pods_end(lab);
    drop(kubelets);
    for name in &names {
        all.run(&["delete", "node", name, "--ignore-not-found"], "")?;
    }
    ran.and(ended)
}

fn pods_end(lab: &Lab) -> anyhow::Result<()> {
    let words = ["delete", "deployment", "pretended", "--ignore-not-found"];
    lab.kubectl.run(&words, "")?;
    until("the pods have ended", seconds(90), || {
        let pods = lab.kubectl.json("pods -l app=pretended")?;
        let left = pods["items"].as_array().context("a list has items")?;
        ensure!(left.is_empty(), "{} are left", left.len());
        Ok(())
    })
}

fn runs_and_leaves(
    lab: &Lab,
    names: &[String],
    kubelets: &mut Vec<ferrule_e2e::simulated::Background>,
) -> anyhow::Result<()> {
    let (kubectl, all) = (&lab.kubectl, lab.cluster.kubectl());
    kubectl.apply(&manifest(30))?;
    until(
        "thirty pods run on three pretended nodes",
        seconds(60),
        || running_on(lab, 30, names),
    )?;

    // A node whose kubelet is gone is found silent; deleted, it takes its pods with it.
    let lost = names.last().context("a node")?;
    kubelets.pop();
    until("the silent node is not ready", seconds(40), || {
        ensure!(
            !ready(&all.json(&format!("node {lost}"))?),
            "{lost} is ready"
        );
        Ok(())
    })?;
    all.words(&["delete", "node", lost])?;
    until("the others run its pods", seconds(60), || {
        running_on(lab, 30, &names[..NODES - 1])
    })?;
    lease_goes(lab, lost)?;

    // A node that is deleted while its kubelet runs comes back by itself.
    let back = &names[0];
    let before = all.json(&format!("node {back}"))?["metadata"]["uid"].clone();
    all.words(&["delete", "node", back])?;
    until("the node is registered again", seconds(40), || {
        let node = all.json(&format!("node {back}"))?;
        ensure!(node["metadata"]["uid"] != before, "it is the old object");
        ensure!(ready(&node), "it is not ready");
        Ok(())
    })
}

fn lease_goes(lab: &Lab, node: &str) -> anyhow::Result<()> {
    until("the lease goes with its node", seconds(30), || {
        let words = ["get", "lease", node, "-n", "kube-node-lease", "-o", "yaml"];
        let left = lab.cluster.kubectl().run(&words, "")?;
        ensure!(!left.success(), "{}", left.stdout);
        Ok(())
    })
}

fn running_on(lab: &Lab, count: usize, names: &[String]) -> anyhow::Result<()> {
    let pods = lab.kubectl.json("pods -l app=pretended")?;
    let pods = pods["items"].as_array().context("a list has items")?;
    let running: Vec<&str> = pods
        .iter()
        .filter(|pod| pod["status"]["phase"] == "Running")
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .filter_map(|pod| pod["spec"]["nodeName"].as_str())
        .collect();
    ensure!(running.len() == count, "{} of {count} run", running.len());
    for name in names {
        ensure!(running.contains(&name.as_str()), "none runs on {name}");
    }
    ensure!(
        running
            .iter()
            .all(|node| names.iter().any(|name| name == node)),
        "some run elsewhere: {running:?}"
    );
    Ok(())
}
