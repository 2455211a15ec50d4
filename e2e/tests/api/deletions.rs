//! Deletes: preconditions, propagation, grace, finalizers, collections.

use anyhow::ensure;
use ferrule_e2e::rest::Answer;
use ferrule_e2e::wait::{seconds, until};
use serde_json::{Value, json};

use crate::stage::{Stage, at, causes, items, names, revision, same, says, text};

fn delete(stage: &Stage, path: &str, options: &Value) -> anyhow::Result<Answer> {
    stage.rest.request("DELETE", path).json(options).send()
}

fn gone(stage: &Stage, path: &str) -> anyhow::Result<()> {
    until("it is gone", seconds(60), || {
        stage.rest.get(path)?.refused(404).map(drop)
    })
}

pub fn a_delete_answers_with_what_was_deleted(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    let status = stage.rest.delete(&path)?.ok()?;
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": text(&made, "metadata.uid")},
    });
    same("answer", &status, &expected)?;
    let again = stage.rest.delete(&path)?;
    says(&again, 404, "NotFound", "configmaps \"a\" not found")?;
    Ok(())
}

pub fn preconditions_hold_or_it_stays(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    let uid = text(&made, "metadata.uid");
    for preconditions in [
        json!({"uid": "11111111-1111-1111-1111-111111111111"}),
        json!({"resourceVersion": "1"}),
        json!({"uid": uid, "resourceVersion": "1"}),
    ] {
        let answer = delete(stage, &path, &json!({"preconditions": preconditions}))?;
        let status = answer.refused(409)?;
        same("reason", text(&status, "reason"), "Conflict")?;
        ensure!(
            text(&status, "message").contains("in the precondition ("),
            "{answer}"
        );
    }
    stage.rest.get(&path)?.ok()?;
    let right = json!({"uid": uid, "resourceVersion": revision(&made)});
    delete(stage, &path, &json!({"preconditions": right}))?.ok()?;
    stage.rest.get(&path)?.refused(404)?;
    Ok(())
}

pub fn malformed_options_are_refused(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    for (options, field) in [
        (
            json!({"propagationPolicy": "Sideways"}),
            "propagationPolicy",
        ),
        (
            json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
            "propagationPolicy",
        ),
        (json!({"dryRun": ["Maybe"]}), "dryRun"),
    ] {
        let status = delete(stage, &path, &options)?.refused(422)?;
        same("kind", text(&status, "details.kind"), "DeleteOptions")?;
        ensure!(
            causes(&status).iter().any(|(_, found)| *found == field),
            "{status}"
        );
    }
    stage
        .rest
        .delete(&format!("{path}?propagationPolicy=Sideways"))?
        .refused(422)?;
    delete(stage, &path, &json!({"apiVersion": "v1", "kind": "Pod"}))?.refused(400)?;
    let cut = stage
        .rest
        .request("DELETE", &path)
        .body("application/json", "{")
        .send()?;
    cut.refused(400)?;
    stage.rest.get(&path)?.ok()?;
    Ok(())
}

pub fn a_finalizer_holds_what_is_deleted(stage: &Stage) -> anyhow::Result<()> {
    let object = json!({"metadata": {"name": "f", "finalizers": ["a.example/f"]}});
    stage.rest.post(&stage.maps(), &object)?.ok()?;
    let path = format!("{}/f", stage.maps());
    let held = stage.rest.delete(&path)?.ok()?;
    same("the object", text(&held, "kind"), "ConfigMap")?;
    ensure!(
        !text(&held, "metadata.deletionTimestamp").is_empty(),
        "{held}"
    );
    same(
        "grace",
        at(&held, "metadata.deletionGracePeriodSeconds"),
        &json!(0),
    )?;
    let status = stage.rest.post(&stage.maps(), &object)?.refused(409)?;
    ensure!(
        text(&status, "message").starts_with("object is being deleted: "),
        "{status}"
    );
    let more = json!({"metadata": {"finalizers": ["a.example/f", "b.example/g"]}});
    let status = stage.rest.patch("merge", &path, &more)?.refused(422)?;
    ensure!(
        text(&status, "message").contains("no new finalizers can be added"),
        "{status}"
    );
    let alive = stage
        .rest
        .patch(
            "merge",
            &path,
            &json!({"metadata": {"deletionTimestamp": null}}),
        )?
        .ok()?;
    ensure!(
        !text(&alive, "metadata.deletionTimestamp").is_empty(),
        "it cannot be undone: {alive}"
    );
    stage
        .rest
        .patch("merge", &path, &json!({"metadata": {"finalizers": null}}))?
        .ok()?;
    stage.rest.get(&path)?.refused(404)?;
    Ok(())
}

/// A ReplicaSet of one that the Deployment `web` owns, as a child that stays.
fn family(stage: &Stage, name: &str) -> anyhow::Result<(String, String)> {
    let owner = stage.make_map(&format!("{name}-owner"), json!({}))?;
    let mut child = json!({"metadata": {"name": format!("{name}-child")}});
    child["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": text(&owner, "metadata.name"),
        "uid": text(&owner, "metadata.uid"), "blockOwnerDeletion": true,
    }]);
    stage.rest.post(&stage.maps(), &child)?.ok()?;
    let path = |role: &str| format!("{}/{name}-{role}", stage.maps());
    Ok((path("owner"), path("child")))
}

pub fn dependents_follow_their_owner_as_it_was_asked(stage: &Stage) -> anyhow::Result<()> {
    let (owner, child) = family(stage, "background")?;
    delete(stage, &owner, &json!({"propagationPolicy": "Background"}))?.ok()?;
    stage.rest.get(&owner)?.refused(404)?;
    gone(stage, &child)?;

    let (owner, child) = family(stage, "foreground")?;
    let waiting = stage
        .rest
        .delete(&format!("{owner}?propagationPolicy=Foreground"))?
        .ok()?;
    let finalizers = at(&waiting, "metadata.finalizers");
    same("it waits", finalizers, &json!(["foregroundDeletion"]))?;
    gone(stage, &owner)?;
    stage.rest.get(&child)?.refused(404)?;

    let (owner, child) = family(stage, "orphan")?;
    let waiting = delete(stage, &owner, &json!({"propagationPolicy": "Orphan"}))?.ok()?;
    same(
        "it waits",
        at(&waiting, "metadata.finalizers"),
        &json!(["orphan"]),
    )?;
    gone(stage, &owner)?;
    let left = stage.rest.get(&child)?.ok()?;
    same(
        "nobody's",
        at(&left, "metadata.ownerReferences"),
        &Value::Null,
    )?;

    let (owner, child) = family(stage, "old")?;
    delete(stage, &owner, &json!({"orphanDependents": true}))?.ok()?;
    gone(stage, &owner)?;
    stage.rest.get(&child)?.ok()?;
    Ok(())
}

pub fn a_pod_has_its_grace(stage: &Stage) -> anyhow::Result<()> {
    let pods = stage.of("v1", "pods");
    let make = |name: &str, node: Value| {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "schedulerName": "nobody", "nodeName": node, "terminationGracePeriodSeconds": 600,
                "containers": [{"name": "c", "image": "i"}],
            },
        });
        stage.rest.post(&pods, &pod)?.ok()
    };
    make("unscheduled", Value::Null)?;
    let at_once = stage.rest.delete(&format!("{pods}/unscheduled"))?.ok()?;
    same("the pod", text(&at_once, "kind"), "Pod")?;
    stage
        .rest
        .get(&format!("{pods}/unscheduled"))?
        .refused(404)?;

    // Nobody collects it while its node is there.
    let node = format!("node-of-{}", stage.namespace);
    stage
        .rest
        .post("/api/v1/nodes", &json!({"metadata": {"name": node}}))?
        .ok()?;
    make("scheduled", json!(node))?;
    let path = format!("{pods}/scheduled");
    let ending = stage.rest.delete(&path)?.ok()?;
    same(
        "its own grace",
        at(&ending, "metadata.deletionGracePeriodSeconds"),
        &json!(600),
    )?;
    let first = text(&ending, "metadata.deletionTimestamp").to_owned();
    let shorter = delete(stage, &path, &json!({"gracePeriodSeconds": 500}))?.ok()?;
    same(
        "shorter",
        at(&shorter, "metadata.deletionGracePeriodSeconds"),
        &json!(500),
    )?;
    ensure!(
        text(&shorter, "metadata.deletionTimestamp") < first.as_str(),
        "earlier: {shorter}"
    );
    let longer = delete(stage, &path, &json!({"gracePeriodSeconds": 900}))?.ok()?;
    same(
        "never longer",
        at(&longer, "metadata.deletionGracePeriodSeconds"),
        &json!(500),
    )?;
    stage
        .rest
        .delete(&format!("{path}?gracePeriodSeconds=0"))?
        .ok()?;
    stage.rest.get(&path)?.refused(404)?;
    stage.rest.delete(&format!("/api/v1/nodes/{node}"))?.ok()?;
    Ok(())
}

pub fn a_collection_is_deleted_as_it_is_selected(stage: &Stage) -> anyhow::Result<()> {
    for (name, label) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"), ("e", "z")] {
        stage.make_map(name, json!({"of": label}))?;
    }
    let select = |query: &str| format!("{}?{query}", stage.maps());
    let deleted = stage.rest.delete(&select("labelSelector=of%3Dx"))?.ok()?;
    same("kind", text(&deleted, "kind"), "ConfigMapList")?;
    same("these", names(&deleted), ["a", "b"])?;
    let deleted = stage
        .rest
        .delete(&select("fieldSelector=metadata.name%3Dc"))?
        .ok()?;
    same("this", names(&deleted), ["c"])?;
    stage
        .rest
        .delete(&select("fieldSelector=data.x%3D5"))?
        .refused(400)?;
    stage
        .rest
        .delete(&select("labelSelector=a%20b"))?
        .refused(400)?;
    let left = stage.rest.get(&select("labelSelector=of"))?.ok()?;
    same("left", names(&left), ["d", "e"])?;
    let held = json!({"metadata": {"finalizers": ["a.example/f"]}});
    stage
        .rest
        .patch("merge", &format!("{}/e", stage.maps()), &held)?
        .ok()?;
    stage.rest.delete(&select("labelSelector=of"))?.ok()?;
    let left = stage.rest.get(&select("labelSelector=of"))?.ok()?;
    same("held", names(&left), ["e"])?;
    ensure!(
        !text(&items(&left)[0], "metadata.deletionTimestamp").is_empty(),
        "{left}"
    );
    let free = json!({"metadata": {"finalizers": null}});
    stage
        .rest
        .patch("merge", &format!("{}/e", stage.maps()), &free)?
        .ok()?;
    Ok(())
}

pub fn a_job_warns_that_its_pods_stay(stage: &Stage) -> anyhow::Result<()> {
    let jobs = stage.of("batch/v1", "jobs");
    let job = json!({
        "metadata": {"name": "j"},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}],
        }}},
    });
    stage.rest.post(&jobs, &job)?.ok()?;
    let answer = stage.rest.delete(&format!("{jobs}/j"))?;
    answer.ok()?;
    same(
        "warning",
        answer.warnings(),
        [
            "299 - \"child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
          them or set propagationPolicy=Orphan to suppress this warning\"",
        ],
    )?;
    gone(stage, &format!("{jobs}/j"))
}

pub fn some_namespaces_stay(stage: &Stage) -> anyhow::Result<()> {
    for name in ["default", "kube-system", "kube-public"] {
        let answer = stage.rest.delete(&format!("/api/v1/namespaces/{name}"))?;
        let message =
            format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        says(&answer, 403, "Forbidden", &message)?;
    }
    Ok(())
}
