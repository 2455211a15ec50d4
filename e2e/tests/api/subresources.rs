//! `scale` and `status`, and what else is a part of an object.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::stage::{Stage, at, causes, deployment, number, revision, same, says, text};

/// What has replicas; each is paused or wants none, so that no controller gets in the way.
fn scalable() -> Vec<(&'static str, &'static str, Value)> {
    let template = json!({
        "metadata": {"labels": {"app": "s"}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    });
    let selector = json!({"matchLabels": {"app": "s"}});
    vec![
        ("apps/v1", "deployments", deployment("s")),
        (
            "apps/v1",
            "replicasets",
            json!({"metadata": {"name": "s"}, "spec": {"replicas": 0, "selector": selector, "template": template}}),
        ),
        (
            "apps/v1",
            "statefulsets",
            json!({
                "metadata": {"name": "s"},
                "spec": {"replicas": 0, "serviceName": "s", "selector": selector, "template": template},
            }),
        ),
        (
            "v1",
            "replicationcontrollers",
            json!({"metadata": {"name": "s"}, "spec": {"replicas": 0, "selector": {"app": "s"}, "template": template}}),
        ),
    ]
}

pub fn everything_with_replicas_is_scaled_the_same_way(stage: &Stage) -> anyhow::Result<()> {
    for (version, resource, object) in scalable() {
        let made = stage
            .rest
            .post(&stage.of(version, resource), &object)?
            .ok()?;
        let whole = stage.of(version, &format!("{resource}/s"));
        let path = format!("{whole}/scale");
        let scale = stage.rest.get(&path)?.ok()?;
        let kind = (text(&scale, "kind"), text(&scale, "apiVersion"));
        same(resource, kind, ("Scale", "autoscaling/v1"))?;
        same(
            resource,
            text(&scale, "metadata.uid"),
            text(&made, "metadata.uid"),
        )?;
        same(resource, text(&scale, "metadata.name"), "s")?;
        same(resource, text(&scale, "status.selector"), "app=s")?;

        let mut wanted = scale.clone();
        wanted["spec"]["replicas"] = json!(2);
        wanted["metadata"]
            .as_object_mut()
            .context("metadata")?
            .remove("resourceVersion");
        let scaled = stage.rest.put(&path, &wanted)?.ok()?;
        same(resource, at(&scaled, "spec.replicas"), &json!(2))?;
        let now = stage.rest.get(&whole)?.ok()?;
        same(resource, at(&now, "spec.replicas"), &json!(2))?;
        ensure!(number(&scaled)? > number(&scale)?, "{scaled}");
        let patched = stage
            .rest
            .patch("merge", &path, &json!({"spec": {"replicas": 0}}))?
            .ok()?;
        // Upstream leaves out what is 0.
        same(
            resource,
            at(&patched, "spec.replicas").as_i64().unwrap_or_default(),
            0,
        )?;
        let patched = stage.rest.patch(
            "json",
            &path,
            &json!([{"op": "add", "path": "/spec/replicas", "value": 1}]),
        )?;
        same(resource, at(&patched.ok()?, "spec.replicas"), &json!(1))?;

        let mut bad = scale.clone();
        bad["spec"]["replicas"] = json!(-1);
        bad["metadata"]
            .as_object_mut()
            .context("metadata")?
            .remove("resourceVersion");
        let status = stage.rest.put(&path, &bad)?.refused(422)?;
        same(
            resource,
            causes(&status),
            [("FieldValueInvalid", "spec.replicas")],
        )?;
        same(resource, text(&status, "details.kind"), "Scale")?;
        let stale = stage.rest.put(&path, &scale)?.refused(409)?;
        same(resource, text(&stale, "reason"), "Conflict")?;
        let mut other = wanted.clone();
        other["metadata"]["name"] = json!("other");
        says(
            &stage.rest.put(&path, &other)?,
            400,
            "BadRequest",
            "the name of the object (other) does not match the name on the URL (s)",
        )?;
        stage
            .rest
            .get(&stage.of(version, &format!("{resource}/none/scale")))?
            .refused(404)?;
        for method in ["POST", "DELETE"] {
            let answer = stage.rest.request(method, &path).json(&wanted).send()?;
            answer.refused(405)?;
        }
    }
    stage
        .rest
        .get(&stage.of("apps/v1", "daemonsets/s/scale"))?
        .refused(404)?;
    Ok(())
}

pub fn a_status_is_written_apart_from_the_rest(stage: &Stage) -> anyhow::Result<()> {
    // Of a claim's status, no controller here has a say.
    let path = stage.of("v1", "resourcequotas");
    let object = json!({
        "metadata": {"name": "q"}, "spec": {"hard": {"count/things.example.com": "5"}},
        "status": {"hard": {"count/things.example.com": "7"}},
    });
    let made = stage.rest.post(&path, &object)?.ok()?;
    let hard = "count/things.example.com";
    ensure!(
        made["status"]["hard"][hard] != "7",
        "not when it is made: {made}"
    );
    let one = format!("{path}/q");
    let patch = json!({"status": {"hard": {hard: "9"}}, "metadata": {"labels": {"l": "1"}}});
    let patched = stage.rest.patch("merge", &one, &patch)?.ok()?;
    ensure!(
        patched["status"]["hard"][hard] != "9",
        "not by the whole: {patched}"
    );
    same("label", text(&patched, "metadata.labels.l"), "1")?;

    let patch = json!({"spec": {"hard": {hard: "6"}}, "status": {"hard": {hard: "9"}, "used": {hard: "2"}}});
    let patched = stage
        .rest
        .patch("merge", &format!("{one}/status"), &patch)?
        .ok()?;
    same("status", &patched["status"]["used"][hard], &json!("2"))?;
    same("specification", &patched["spec"]["hard"][hard], &json!("5"))?;
    let read = stage.rest.get(&format!("{one}/status"))?.ok()?;
    same("the whole object", text(&read, "kind"), "ResourceQuota")?;
    let bad = json!({"status": {"used": {hard: "-1"}}});
    let status = stage
        .rest
        .patch("merge", &format!("{one}/status"), &bad)?
        .refused(422)?;
    same("causes", causes(&status).len(), 1)?;
    for method in ["POST", "DELETE"] {
        stage
            .rest
            .request(method, &format!("{one}/status"))
            .json(&object)
            .send()?
            .refused(405)?;
    }
    stage
        .rest
        .get(&format!("{}/x/status", stage.maps()))?
        .refused(404)?;
    Ok(())
}

pub fn a_generation_counts_changes_of_what_is_wanted(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_deployment("d")?;
    same("first", at(&made, "metadata.generation"), &json!(1))?;
    let path = stage.of("apps/v1", "deployments/d");
    let labelled = stage
        .rest
        .patch("merge", &path, &json!({"metadata": {"labels": {"a": "b"}}}))?
        .ok()?;
    same("a label", at(&labelled, "metadata.generation"), &json!(1))?;
    let status = json!({"status": {"observedGeneration": 1}});
    let told = stage
        .rest
        .patch("merge", &format!("{path}/status"), &status)?
        .ok()?;
    same("a status", at(&told, "metadata.generation"), &json!(1))?;
    let changed = stage
        .rest
        .patch("merge", &path, &json!({"spec": {"minReadySeconds": 3}}))?
        .ok()?;
    same("a change", at(&changed, "metadata.generation"), &json!(2))?;
    let forged = stage
        .rest
        .patch("merge", &path, &json!({"metadata": {"generation": 99}}))?
        .ok()?;
    same(
        "not by a client",
        at(&forged, "metadata.generation"),
        &json!(2),
    )
}

pub fn a_pod_is_bound_once(stage: &Stage) -> anyhow::Result<()> {
    let pods = stage.of("v1", "pods");
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]},
    });
    stage.rest.post(&pods, &pod)?.ok()?;
    let binding = |kind: &str, name: &str| {
        let body = json!({"metadata": {"name": "p"}, "target": {"kind": kind, "name": name}});
        stage.rest.post(&format!("{pods}/p/binding"), &body)
    };
    binding("Pod", "x")?.refused(500)?;
    let bound = binding("Node", "somewhere")?;
    same("code", bound.code, 201)?;
    same("answer", text(&bound.json()?, "status"), "Success")?;
    let status = binding("Node", "elsewhere")?.refused(409)?;
    same(
        "message",
        text(&status, "message"),
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"somewhere\"",
    )?;
    Ok(())
}

pub fn an_ephemeral_container_is_added_and_stays(stage: &Stage) -> anyhow::Result<()> {
    let pods = stage.of("v1", "pods");
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]},
    });
    stage.rest.post(&pods, &pod)?.ok()?;
    let path = format!("{pods}/p/ephemeralcontainers");
    let patch = |image: &str| {
        let patch = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": image}]}});
        stage.rest.patch("strategic-merge", &path, &patch)
    };
    let added = patch("busybox")?.ok()?;
    same(
        "added",
        text(&added, "spec.ephemeralContainers.0.name"),
        "debug",
    )?;
    same(
        "read",
        revision(&stage.rest.get(&path)?.ok()?),
        revision(&added),
    )?;
    patch("other")?.refused(422)?;
    // Not by the pod itself.
    let direct = json!({"spec": {"ephemeralContainers": [{"name": "more", "image": "busybox"}]}});
    stage
        .rest
        .patch("strategic-merge", &format!("{pods}/p"), &direct)?
        .refused(422)?;
    Ok(())
}
