//! Deployments, ReplicaSets and the scheduler.

use anyhow::{Context, ensure};
use ferrule_e2e::Lab;
use ferrule_e2e::wait::{seconds, until};

use crate::manifests;
use crate::steps::{names, pods, ready_pods, text};

pub fn a_rolling_update_replaces_pods_and_its_status_says_so(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    kubectl.ok("create deployment web --image=sysnet4admin/echo-hname --replicas=3")?;
    let status = kubectl.ok("rollout status deployment/web --timeout=60s")?;
    ensure!(
        status.ends_with("deployment \"web\" successfully rolled out\n"),
        "{status}"
    );
    let old = names(&ready_pods(kubectl, "app=web", 3)?);

    let said = kubectl.ok("set image deployment/web echo-hname=sysnet4admin/echo-ip")?;
    ensure!(said == "deployment.apps/web image updated\n", "{said}");
    until("the update is complete", seconds(60), || {
        let deployment = kubectl.json("deployment web")?;
        let status = &deployment["status"];
        // 25% of 3, rounded down: none may be missing.
        if status["availableReplicas"].as_u64() < Some(3) {
            return Ok(Err(anyhow::anyhow!("too few pods are available: {status}")));
        }
        ensure!(
            status["updatedReplicas"] == 3
                && status["replicas"] == 3
                && status["observedGeneration"] == deployment["metadata"]["generation"],
            "{status}"
        );
        Ok(Ok(()))
    })??;
    let status = kubectl.ok("rollout status deployment/web --timeout=10s")?;
    ensure!(
        status == "deployment \"web\" successfully rolled out\n",
        "{status}"
    );
    let new = ready_pods(kubectl, "app=web", 3)?;
    ensure!(names(&new).is_disjoint(&old), "pods of before are left");
    for pod in &new {
        let image = &pod["spec"]["containers"][0]["image"];
        ensure!(*image == "sysnet4admin/echo-ip", "{image}");
    }
    let sets = kubectl.json("replicasets -l app=web")?;
    let mut sizes: Vec<u64> = sets["items"]
        .as_array()
        .context("a list has items")?
        .iter()
        .filter_map(|set| set["spec"]["replicas"].as_u64())
        .collect();
    sizes.sort_unstable();
    ensure!(sizes == [0, 3], "the ReplicaSets want {sizes:?}");
    Ok(())
}

pub fn an_update_that_cannot_start_leaves_the_old_pods_serving(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    kubectl.ok("create deployment web --image=sysnet4admin/echo-hname --replicas=3")?;
    let old = names(&ready_pods(kubectl, "app=web", 3)?);
    // Nothing listens on port 9 of the node.
    kubectl.ok("set image deployment/web echo-hname=127.0.0.1:9/none:1")?;
    let output = kubectl.run(&["rollout", "status", "deployment/web", "--timeout=6s"], "")?;
    ensure!(
        output.code == Some(1)
            && output
                .stderr
                .contains("timed out waiting for the condition"),
        "{output:?}"
    );
    let ready = pods(kubectl, "app=web")?
        .into_iter()
        .filter(crate::steps::is_ready)
        .collect::<Vec<_>>();
    ensure!(names(&ready) == old, "ready are {:?}", names(&ready));
    kubectl.ok("set image deployment/web echo-hname=sysnet4admin/echo-hname")?;
    kubectl.ok("rollout status deployment/web --timeout=60s")?;
    ensure!(
        names(&ready_pods(kubectl, "app=web", 3)?) == old,
        "pods were replaced"
    );
    Ok(())
}

pub fn a_deleted_pod_is_replaced(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl
        .ok("create deployment web --image=sysnet4admin/echo-hname --replicas=2")?;
    let before = names(&ready_pods(&lab.kubectl, "app=web", 2)?);
    let victim = before.first().context("a pod")?;
    let said = lab.kubectl.words(&["delete", "pod", victim])?;
    ensure!(
        said.starts_with(&format!("pod \"{victim}\" deleted")),
        "{said}"
    );
    let after = names(&ready_pods(&lab.kubectl, "app=web", 2)?);
    ensure!(!after.contains(victim), "{victim} is still there");
    ensure!(
        after.intersection(&before).count() == 1,
        "{before:?} became {after:?}"
    );
    Ok(())
}

pub fn a_pod_that_fits_nowhere_says_why(lab: &Lab) -> anyhow::Result<()> {
    let manifest = manifests::shell("large", "Always", "sleep 600").replace(
        "      image: busybox\n",
        "      image: busybox\n      resources: {requests: {cpu: \"1000\"}}\n",
    );
    lab.kubectl.apply(&manifest)?;
    let words = "0/3 nodes are available: 3 Insufficient cpu.";
    until("the condition says why", seconds(15), || {
        let pod = lab.kubectl.json("pod large")?;
        let condition = pod["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "PodScheduled")
            .context("it has no condition PodScheduled")?
            .clone();
        ensure!(
            condition["status"] == "False"
                && condition["reason"] == "Unschedulable"
                && text(&condition["message"]).starts_with(words),
            "{condition}"
        );
        Ok(())
    })?;
    until("an event says why", seconds(15), || {
        let described = lab.kubectl.ok("describe pod large")?;
        ensure!(
            described.contains("FailedScheduling") && described.contains(words),
            "{described}"
        );
        Ok(())
    })
}
