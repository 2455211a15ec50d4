//! Every type of patch, and server-side apply with its owners and conflicts.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Container};
use kube::ResourceExt;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};

use crate::lab::{Lab, config_map, deployment, refusal};

const NONE: &str = "none";

fn containers(seen: &Deployment) -> &[Container] {
    let template = seen
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    template.map_or(&[], |spec| &spec.containers)
}

fn names(seen: &Deployment) -> Vec<&str> {
    containers(seen)
        .iter()
        .map(|container| container.name.as_str())
        .collect()
}

fn replicas(seen: &Deployment) -> Option<i32> {
    seen.spec.as_ref().and_then(|spec| spec.replicas)
}

fn template(containers: Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

async fn made(lab: &Lab) -> anyhow::Result<Api<Deployment>> {
    let deployments = lab.api::<Deployment>();
    let wanted = serde_json::from_value(deployment("web", 0))?;
    deployments.create(&PostParams::default(), &wanted).await?;
    Ok(deployments)
}

pub async fn json_patch(lab: Lab) -> anyhow::Result<()> {
    let deployments = made(&lab).await?;
    let plain = PatchParams::default();
    let patch =
        |operations: Value| anyhow::Ok(Patch::<()>::Json(serde_json::from_value(operations)?));
    let changes = patch(json!([
        {"op": "test", "path": "/spec/replicas", "value": 0},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/web:2"},
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "side", "image": "registry.example/side:1"}},
        {"op": "move", "from": "/metadata/labels/app", "path": "/metadata/labels/moved"},
    ]))?;
    let seen = deployments.patch("web", &plain, &changes).await?;
    ensure!(names(&seen) == ["web", "side"]);
    ensure!(containers(&seen)[0].image.as_deref() == Some("registry.example/web:2"));
    ensure!(seen.labels().contains_key("moved") && !seen.labels().contains_key("app"));
    let test = patch(json!([{"op": "test", "path": "/spec/replicas", "value": 5}]))?;
    refusal(
        deployments.patch("web", &plain, &test).await,
        422,
        "Invalid",
    )?;
    let nowhere = patch(json!([{"op": "remove", "path": "/spec/nothing"}]))?;
    refusal(
        deployments.patch("web", &plain, &nowhere).await,
        422,
        "Invalid",
    )?;
    Ok(())
}

pub async fn merge_patch(lab: Lab) -> anyhow::Result<()> {
    let deployments = made(&lab).await?;
    let plain = PatchParams::default();
    let only = template(json!([{"name": "only", "image": "registry.example/only:1"}]));
    let seen = deployments
        .patch("web", &plain, &Patch::Merge(only))
        .await?;
    ensure!(names(&seen) == ["only"]);
    let gone = json!({"metadata": {"labels": {"app": null}}});
    ensure!(
        deployments
            .patch("web", &plain, &Patch::Merge(gone))
            .await?
            .labels()
            .is_empty()
    );
    // A revision in the patch is a condition.
    let stale =
        json!({"metadata": {"resourceVersion": seen.resource_version(), "labels": {"a": "b"}}});
    refusal(
        deployments.patch("web", &plain, &Patch::Merge(stale)).await,
        409,
        "Conflict",
    )?;
    let fixed = json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}});
    refusal(
        deployments.patch("web", &plain, &Patch::Merge(fixed)).await,
        422,
        "Invalid",
    )?;
    refusal(
        deployments
            .patch(NONE, &plain, &Patch::Merge(json!({})))
            .await,
        404,
        "NotFound",
    )?;
    Ok(())
}

pub async fn strategic_merge_patch(lab: Lab) -> anyhow::Result<()> {
    let deployments = made(&lab).await?;
    let plain = PatchParams::default();
    let side = template(json!([{"name": "side", "image": "registry.example/side:1"}]));
    let seen = deployments
        .patch("web", &plain, &Patch::Strategic(side))
        .await?;
    ensure!(names(&seen) == ["side", "web"], "{:?}", names(&seen));
    let gone = template(json!([{"name": "side", "$patch": "delete"}]));
    let seen = deployments
        .patch("web", &plain, &Patch::Strategic(gone))
        .await?;
    ensure!(names(&seen) == ["web"]);
    let whole = template(
        json!([{"$patch": "replace"}, {"name": "new", "image": "registry.example/new:1"}]),
    );
    let seen = deployments
        .patch("web", &plain, &Patch::Strategic(whole))
        .await?;
    ensure!(names(&seen) == ["new"]);
    let retained = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let seen = deployments
        .patch("web", &plain, &Patch::Strategic(retained))
        .await?;
    let strategy = seen
        .spec
        .and_then(|spec| spec.strategy)
        .context("no strategy")?;
    ensure!(strategy.rolling_update.is_none());
    Ok(())
}

pub async fn apply_owns_fields(lab: Lab) -> anyhow::Result<()> {
    let deployments = lab.api::<Deployment>();
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let whole = deployment("web", 0);
    let made = deployments
        .patch("web", &one, &Patch::Apply(&whole))
        .await?;
    let owner = &made.managed_fields()[0];
    ensure!(owner.manager.as_deref() == Some("one") && owner.operation.as_deref() == Some("Apply"));

    let more = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3},
    });
    let status = refusal(
        deployments.patch("web", &two, &Patch::Apply(&more)).await,
        409,
        "Conflict",
    )?;
    ensure!(
        status.message == "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas"
    );
    let causes = status.details.context("no details")?.causes;
    ensure!(
        causes.len() == 1
            && causes[0].field == ".spec.replicas"
            && causes[0].reason == "FieldManagerConflict"
    );
    let forced = deployments
        .patch("web", &two.clone().force(), &Patch::Apply(&more))
        .await?;
    ensure!(replicas(&forced) == Some(3));

    // What is left out by its only owner goes; what another owns stays.
    let mut less = whole.clone();
    less["spec"]
        .as_object_mut()
        .context("no object")?
        .remove("replicas");
    less["metadata"]["labels"] = json!({});
    let seen = deployments.patch("web", &one, &Patch::Apply(&less)).await?;
    ensure!(replicas(&seen) == Some(3) && seen.labels().is_empty());
    // An update by nobody in particular owns what it changes, too.
    let update = json!({"spec": {"replicas": 4}});
    deployments
        .patch("web", &PatchParams::default(), &Patch::Merge(&update))
        .await?;
    refusal(
        deployments.patch("web", &two, &Patch::Apply(&more)).await,
        409,
        "Conflict",
    )?;
    refusal(
        deployments
            .patch("web", &PatchParams::default(), &Patch::Apply(&more))
            .await,
        422,
        "Invalid",
    )?;
    Ok(())
}

pub async fn apply_of_what_nobody_typed(lab: Lab) -> anyhow::Result<()> {
    // The same again writes nothing.
    let (maps, map) = (lab.api::<ConfigMap>(), config_map("same", "x", "1"));
    let first = maps
        .patch("same", &PatchParams::apply("one"), &Patch::Apply(&map))
        .await?;
    let second = maps
        .patch("same", &PatchParams::apply("one"), &Patch::Apply(&map))
        .await?;
    ensure!(first.resource_version() == second.resource_version());

    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "policy",
        "v1",
        "PodDisruptionBudget",
    ));
    let budgets: Api<DynamicObject> =
        Api::namespaced_with(lab.client.clone(), &lab.namespace, &kind);
    let budget = DynamicObject::new("careful", &kind)
        .data(json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}));
    let made = budgets
        .patch(
            "careful",
            &PatchParams::apply("one"),
            &Patch::Apply(&budget),
        )
        .await?;
    ensure!(made.data["spec"]["minAvailable"] == json!(1));
    let budget = budget.data(
        json!({"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}}),
    );
    let changed = budgets
        .patch(
            "careful",
            &PatchParams::apply("one"),
            &Patch::Apply(&budget),
        )
        .await?;
    ensure!(changed.data["spec"]["minAvailable"] == json!("50%"));
    Ok(())
}
