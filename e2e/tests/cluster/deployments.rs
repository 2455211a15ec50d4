//! Rollouts and ReplicaSets, as upstream's conformance has them under [sig-apps].

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, ensure};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Kubectl, Lab};
use serde_json::{Value, json};

use crate::manifests::{shell, sleeping_web};
use crate::steps::{names, pods, ready_pods, text};

/// Nothing listens on port 9 of a node.
const NO_IMAGE: &str = "127.0.0.1:9/none:1";

/// A Deployment `web` of pods that end at once when they are asked to.
fn web(kubectl: &Kubectl, replicas: usize, spec: Value) -> anyhow::Result<()> {
    let mut object = sleeping_web(replicas);
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    kubectl.create(&object.to_string()).map(drop)
}

/// Changes the pod template: the n-th revision.
fn set_version(kubectl: &Kubectl, version: usize) -> anyhow::Result<()> {
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"version": version.to_string()}}}}});
    let patch = patch.to_string();
    let words = ["patch", "deployment", "web", "--type=merge", "-p", &patch];
    kubectl.words(&words).map(drop)
}

fn version_of(object: &Value) -> &str {
    text(&object["spec"]["template"]["metadata"]["annotations"]["version"])
}

/// The ReplicaSets of `web`.
fn sets(kubectl: &Kubectl) -> anyhow::Result<Vec<Value>> {
    let list = kubectl.json("replicasets -l app=web")?;
    let items = list["items"].as_array();
    Ok(items.context("a list has items")?.clone())
}

fn set_of_image(kubectl: &Kubectl, image: &str) -> anyhow::Result<Value> {
    let all = sets(kubectl)?;
    let same = |set: &&Value| set["spec"]["template"]["spec"]["containers"][0]["image"] == image;
    let found = all.iter().find(same);
    found
        .cloned()
        .with_context(|| format!("no ReplicaSet has the image {image}"))
}

fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().into_iter();
    let mut same = conditions.flatten().filter(|own| own["type"] == kind);
    same.next().cloned().unwrap_or_default()
}

/// Waits until `web` is complete.
fn complete(kubectl: &Kubectl) -> anyhow::Result<()> {
    let said = kubectl.ok("rollout status deployment/web --timeout=80s")?;
    ensure!(
        said.ends_with("deployment \"web\" successfully rolled out\n"),
        "{said}"
    );
    Ok(())
}

fn set_image(kubectl: &Kubectl, image: &str) -> anyhow::Result<()> {
    kubectl
        .ok(&format!("set image deployment/web main={image}"))
        .map(drop)
}

pub fn recreation_ends_old_pods_before_new_ones_come(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 2, json!({"strategy": {"type": "Recreate"}}))?;
    complete(kubectl)?;
    let hash = |pod: &Value| text(&pod["metadata"]["labels"]["pod-template-hash"]).to_owned();
    let old = hash(
        ready_pods(kubectl, "app=web", 2)?
            .first()
            .context("a pod")?,
    );
    set_version(kubectl, 2)?;
    until("the new pods are ready", seconds(60), || {
        let list = kubectl.json("pods -l app=web")?;
        let all = list["items"].as_array().context("a list has items")?;
        let new = all.iter().filter(|pod| hash(pod) != old).count();
        let runs = |pod: &&Value| !["Succeeded", "Failed"].contains(&text(&pod["status"]["phase"]));
        let before = all
            .iter()
            .filter(|pod| hash(pod) == old)
            .filter(runs)
            .count();
        if new > 0 && before > 0 {
            return Ok(Err(anyhow::anyhow!(
                "{before} old pods run beside {new} new ones"
            )));
        }
        let ready = all.iter().filter(|pod| crate::steps::is_ready(pod)).count();
        ensure!(new == 2 && ready == 2, "{new} new, {ready} ready");
        Ok(Ok(()))
    })?
}

pub fn old_replica_sets_beyond_the_limit_are_deleted(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 1, json!({"revisionHistoryLimit": 1}))?;
    complete(kubectl)?;
    for version in 2..5 {
        set_version(kubectl, version)?;
        complete(kubectl)?;
    }
    until("two ReplicaSets are left", seconds(30), || {
        let mut left: Vec<String> = sets(kubectl)?
            .iter()
            .map(|set| version_of(set).to_owned())
            .collect();
        left.sort();
        ensure!(left == ["3", "4"], "there are {left:?}");
        Ok(())
    })
}

pub fn a_rollout_that_is_overtaken_gives_way_to_the_newest(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 3, json!({"minReadySeconds": 1}))?;
    complete(kubectl)?;
    set_image(kubectl, NO_IMAGE)?;
    until("the rollout has begun", seconds(20), || {
        let set = set_of_image(kubectl, NO_IMAGE)?;
        ensure!(set["status"]["replicas"] == 1, "{}", set["status"]);
        Ok(())
    })?;
    set_version(kubectl, 3)?;
    set_image(kubectl, "busybox")?;
    complete(kubectl)?;
    until("only the newest has pods", seconds(20), || {
        for set in sets(kubectl)? {
            let wanted = if version_of(&set) == "3" && !set.to_string().contains(NO_IMAGE) {
                3
            } else {
                0
            };
            ensure!(set["spec"]["replicas"] == wanted, "{}", set["spec"]);
        }
        Ok(())
    })
}

pub fn scaling_in_mid_rollout_is_shared_in_proportion(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    let bounds =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}});
    web(kubectl, 6, json!({"strategy": bounds}))?;
    complete(kubectl)?;
    set_image(kubectl, NO_IMAGE)?;
    let sizes = |expected: (u64, u64), what: &str| {
        until(what, seconds(30), || {
            let size =
                |image| anyhow::Ok(set_of_image(kubectl, image)?["spec"]["replicas"].as_u64());
            let found = (size("busybox")?, size(NO_IMAGE)?);
            ensure!(found == (Some(expected.0), Some(expected.1)), "{found:?}");
            Ok(())
        })
    };
    sizes((4, 5), "the rollout is stuck in its middle")?;
    kubectl.ok("scale deployment web --replicas=12")?;
    // 15 with the surge, shared as 4 and 5 of 9.
    sizes((7, 8), "both grow")?;
    until("all are counted", seconds(60), || {
        let status = &kubectl.json("deployment web")?["status"];
        ensure!(
            status["replicas"] == 15
                && status["updatedReplicas"] == 8
                && status["availableReplicas"] == 7,
            "{status}"
        );
        Ok(())
    })?;
    // 7 with the surge, shared as 3 and 4; then one old pod more may be missing.
    kubectl.ok("scale deployment web --replicas=4")?;
    sizes((2, 4), "both shrink")
}

pub fn undo_brings_back_each_of_ten_revisions(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 0, json!({}))?;
    let revision = |expected: usize| {
        until(&format!("revision {expected}"), seconds(20), || {
            let deployment = kubectl.json("deployment web")?;
            let found = &deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
            ensure!(text(found) == expected.to_string(), "{found}");
            Ok(deployment)
        })
    };
    revision(1)?;
    for version in 1..=11 {
        set_version(kubectl, version)?;
        revision(version + 1)?;
    }
    // The first one, without a version, is beyond the limit of ten.
    until("ten old ReplicaSets are left", seconds(20), || {
        let count = sets(kubectl)?.len();
        ensure!(count == 11, "there are {count}");
        Ok(())
    })?;
    for version in 1..=10 {
        let asked = version + 1;
        let said = kubectl.ok(&format!(
            "rollout undo deployment/web --to-revision={asked}"
        ))?;
        ensure!(said == "deployment.apps/web rolled back\n", "{said}");
        let deployment = revision(12 + version)?;
        ensure!(
            version_of(&deployment) == version.to_string(),
            "{deployment}"
        );
    }
    ensure!(sets(kubectl)?.len() == 11, "a return makes no ReplicaSet");
    let history = kubectl.ok("rollout history deployment/web")?;
    ensure!(
        history.contains("\n12 ") && history.contains("\n22 "),
        "{history}"
    );
    kubectl.ok("scale deployment web --replicas=1")?;
    let pod = ready_pods(kubectl, "app=web", 1)?.remove(0);
    ensure!(
        pod["metadata"]["annotations"]["version"] == "10",
        "{}",
        pod["metadata"]
    );
    Ok(())
}

pub fn a_paused_deployment_is_scaled_and_rolls_nothing_out(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 1, json!({"progressDeadlineSeconds": 2}))?;
    complete(kubectl)?;
    kubectl.ok("rollout pause deployment/web")?;
    set_version(kubectl, 2)?;
    kubectl.ok("scale deployment web --replicas=2")?;
    ready_pods(kubectl, "app=web", 2)?;
    let paused = Instant::now();
    until("the deadline would be over", seconds(10), || {
        ensure!(paused.elapsed() > seconds(4), "not yet");
        Ok(())
    })?;
    let progressing = condition(&kubectl.json("deployment web")?, "Progressing");
    ensure!(
        progressing["reason"] == "DeploymentPaused" && progressing["status"] == "Unknown",
        "{progressing}"
    );
    ensure!(sets(kubectl)?.len() == 1, "something was rolled out");
    kubectl.ok("rollout resume deployment/web")?;
    complete(kubectl)?;
    let now = ready_pods(kubectl, "app=web", 2)?;
    let new = |pod: &Value| pod["metadata"]["annotations"]["version"] == "2";
    ensure!(now.iter().all(new), "old pods are left");
    let progressing = condition(&kubectl.json("deployment web")?, "Progressing");
    ensure!(
        progressing["reason"] == "NewReplicaSetAvailable",
        "{progressing}"
    );
    Ok(())
}

pub fn a_rollout_without_progress_exceeds_its_deadline_and_is_undone(
    lab: &Lab,
) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 2, json!({"progressDeadlineSeconds": 3}))?;
    complete(kubectl)?;
    let old = names(&ready_pods(kubectl, "app=web", 2)?);
    set_image(kubectl, NO_IMAGE)?;
    let output = kubectl.run(
        &["rollout", "status", "deployment/web", "--timeout=30s"],
        "",
    )?;
    ensure!(
        output.code == Some(1)
            && output.stderr == "error: deployment \"web\" exceeded its progress deadline\n",
        "{output:?}"
    );
    let name = text(&set_of_image(kubectl, NO_IMAGE)?["metadata"]["name"]).to_owned();
    let progressing = condition(&kubectl.json("deployment web")?, "Progressing");
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    ensure!(
        progressing["status"] == "False"
            && progressing["reason"] == "ProgressDeadlineExceeded"
            && progressing["message"] == *message,
        "{progressing}"
    );
    kubectl.ok("rollout undo deployment/web")?;
    complete(kubectl)?;
    let now = names(&ready_pods(kubectl, "app=web", 2)?);
    ensure!(now == old, "{old:?} became {now:?}");
    until("events tell of it", seconds(10), || {
        let described = kubectl.ok("describe deployment web")?;
        for event in [
            format!("Scaled up replica set {name} from 0 to 1"),
            format!("Scaled down replica set {name} from 1 to 0"),
        ] {
            ensure!(
                described.contains(&event),
                "{event} is missing in\n{described}"
            );
        }
        Ok(())
    })
}

pub fn an_orphaned_replica_set_is_adopted_again(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 2, json!({}))?;
    let before = names(&ready_pods(kubectl, "app=web", 2)?);
    kubectl.ok("delete deployment web --cascade=orphan")?;
    let left = sets(kubectl)?.remove(0);
    ensure!(
        left["metadata"]["ownerReferences"].is_null(),
        "{}",
        left["metadata"]
    );
    web(kubectl, 2, json!({}))?;
    complete(kubectl)?;
    until("it is adopted", seconds(20), || {
        let all = sets(kubectl)?;
        let owner = &all[0]["metadata"]["ownerReferences"][0];
        ensure!(
            all.len() == 1 && owner["kind"] == "Deployment" && owner["controller"] == true,
            "{owner}"
        );
        ensure!(
            all[0]["metadata"]["uid"] == left["metadata"]["uid"],
            "it is another"
        );
        Ok(())
    })?;
    let after = names(&ready_pods(kubectl, "app=web", 2)?);
    ensure!(after == before, "{before:?} became {after:?}");
    Ok(())
}

pub fn a_replica_set_adopts_matching_pods_and_releases_others(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    kubectl.apply(&shell("lone", "Always", "sleep 3600"))?;
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "set"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "lone"}},
            "template": {
                "metadata": {"labels": {"app": "lone"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "3600"]}],
                },
            },
        },
    });
    kubectl.create(&object.to_string())?;
    until("the pod is adopted", seconds(20), || {
        let owner = kubectl.json("pod lone")?["metadata"]["ownerReferences"][0].clone();
        ensure!(
            owner["kind"] == "ReplicaSet" && owner["name"] == "set",
            "{owner}"
        );
        Ok(())
    })?;
    ensure!(
        pods(kubectl, "app=lone")?.len() == 1,
        "another pod was made"
    );
    kubectl.ok("label pod lone app=free --overwrite")?;
    until("the pod is released and replaced", seconds(20), || {
        let released = kubectl.json("pod lone")?["metadata"]["ownerReferences"].is_null();
        let others = pods(kubectl, "app=lone")?.len();
        ensure!(released && others == 1, "{released} {others}");
        Ok(())
    })
}

pub fn the_dearest_pod_stays_when_a_deployment_shrinks(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 4, json!({}))?;
    let all: Vec<String> = names(&ready_pods(kubectl, "app=web", 4)?)
        .into_iter()
        .collect();
    let costs = BTreeMap::from([(&all[2], 100), (&all[0], 50), (&all[3], -50)]);
    for (pod, cost) in costs {
        let cost = format!("controller.kubernetes.io/pod-deletion-cost={cost}");
        kubectl.words(&["annotate", "pod", pod, &cost])?;
    }
    for (replicas, expected) in [(3, vec![&all[0], &all[1], &all[2]]), (1, vec![&all[2]])] {
        kubectl.ok(&format!("scale deployment web --replicas={replicas}"))?;
        until("the others go", seconds(20), || {
            let left = names(&pods(kubectl, "app=web")?);
            ensure!(left.iter().eq(expected.iter().copied()), "{left:?}");
            Ok(())
        })?;
    }
    Ok(())
}

pub fn a_name_that_is_taken_leads_to_another(lab: &Lab) -> anyhow::Result<()> {
    let kubectl = &lab.kubectl;
    web(kubectl, 0, json!({}))?;
    let taken = until("it has a ReplicaSet", seconds(20), || {
        let all = sets(kubectl)?;
        let first = all.first().context("there is none")?;
        Ok(text(&first["metadata"]["name"]).to_owned())
    })?;
    kubectl.ok("delete deployment web")?;
    until("its ReplicaSet is gone", seconds(20), || {
        ensure!(sets(kubectl)?.is_empty(), "it is there");
        Ok(())
    })?;
    let labels = json!({"app": "other"});
    let foreign = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": taken},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "busybox"}]},
            },
        },
    });
    kubectl.create(&foreign.to_string())?;
    web(kubectl, 1, json!({}))?;
    complete(kubectl)?;
    let status = &kubectl.json("deployment web")?["status"];
    ensure!(status["collisionCount"] == 1, "{status}");
    let own = sets(kubectl)?;
    ensure!(
        own.len() == 1 && own[0]["metadata"]["name"] != *taken,
        "{own:?}"
    );
    Ok(())
}
