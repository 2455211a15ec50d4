//! Scale, status, and the parts of pods that have paths of their own.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use kube::api::{EvictParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

use crate::lab::{Lab, deployment, eventually, refusal, soon};

pub async fn scale(lab: Lab) -> anyhow::Result<()> {
    let deployments = lab.api::<Deployment>();
    let wanted = serde_json::from_value(deployment("web", 1))?;
    deployments.create(&PostParams::default(), &wanted).await?;
    let read = deployments.get_scale("web").await?;
    ensure!(
        read.status
            .as_ref()
            .and_then(|status| status.selector.as_deref())
            == Some("app=web")
    );
    // The controller writes the status meanwhile: read again until nobody came between.
    let scaled = eventually("the scale is replaced", async || {
        let mut scale = deployments.get_scale("web").await?;
        scale.spec.get_or_insert_default().replicas = Some(2);
        match deployments
            .replace_scale("web", &PostParams::default(), &scale)
            .await
        {
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(None),
            replaced => Ok(Some(replaced?)),
        }
    })
    .await?;
    ensure!(scaled.spec.and_then(|spec| spec.replicas) == Some(2));
    // What was read before that is surely stale.
    let stale = deployments
        .replace_scale("web", &PostParams::default(), &read)
        .await;
    refusal(stale, 409, "Conflict")?;
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let patched = deployments
        .patch_scale("web", &PatchParams::default(), &patch)
        .await?;
    ensure!(patched.spec.and_then(|spec| spec.replicas) == Some(3));
    let applied = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 0},
    });
    let scaler = PatchParams::apply("scaler").force();
    deployments
        .patch_scale("web", &scaler, &Patch::Apply(&applied))
        .await?;
    let seen = deployments.get("web").await?;
    let entry = seen
        .managed_fields()
        .iter()
        .find(|entry| entry.manager.as_deref() == Some("scaler"));
    let entry = entry.context("the scaler owns nothing")?;
    ensure!(
        entry.subresource.as_deref() == Some("scale")
            && entry.api_version.as_deref() == Some("apps/v1")
    );
    let negative = Patch::Merge(json!({"spec": {"replicas": -1}}));
    let refused = deployments
        .patch_scale("web", &PatchParams::default(), &negative)
        .await;
    refusal(refused, 422, "Invalid")?;
    Ok(())
}

pub async fn status(lab: Lab) -> anyhow::Result<()> {
    let pods = lab.api::<Pod>();
    // Nobody schedules it, so nobody else writes its status.
    let wanted: Pod = serde_json::from_value(json!({
        "metadata": {"name": "still"},
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "still", "image": "registry.example/still:1"}],
        },
    }))?;
    pods.create(&PostParams::default(), &wanted).await?;
    let condition = json!({"type": "example.org/checked", "status": "True"});
    let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
    pods.patch_status("still", &PatchParams::default(), &patch)
        .await?;
    let mut seen = pods.get_status("still").await?;
    let status = seen.status.get_or_insert_default();
    ensure!(
        status
            .conditions
            .iter()
            .flatten()
            .any(|condition| condition.type_ == "example.org/checked")
    );
    status.message = Some("written".into());
    seen.labels_mut().insert("not".into(), "written".into());
    let replaced = pods
        .replace_status("still", &PostParams::default(), &seen)
        .await?;
    ensure!(replaced.status.and_then(|status| status.message).as_deref() == Some("written"));
    // And the rest does not write the status.
    let beside =
        Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}, "status": {"message": "beside"}}));
    let seen = pods
        .patch("still", &PatchParams::default(), &beside)
        .await?;
    ensure!(seen.labels().contains_key("a"));
    ensure!(seen.status.and_then(|status| status.message).as_deref() == Some("written"));
    Ok(())
}

pub async fn eviction_and_other_parts_of_pods(lab: Lab) -> anyhow::Result<()> {
    let pods = lab.api::<Pod>();
    let wanted: Pod = serde_json::from_value(json!({
        "metadata": {"name": "parts"},
        "spec": {"containers": [{
            "name": "main",
            "image": "registry.example/main:1",
            "resources": {"requests": {"cpu": "10m"}},
        }]},
    }))?;
    pods.create(&PostParams::default(), &wanted).await?;
    let running = await_condition(pods.clone(), "parts", conditions::is_pod_running());
    soon("the pod runs", running).await??;

    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example/debug:1"}]}});
    let plain = PatchParams::default();
    let seen = pods
        .patch_ephemeral_containers("parts", &plain, &Patch::Strategic(&debugger))
        .await?;
    let added = seen
        .spec
        .and_then(|spec| spec.ephemeral_containers)
        .unwrap_or_default();
    ensure!(added.len() == 1 && added[0].name == "debug");
    ensure!(pods.get_ephemeral_containers("parts").await?.name_any() == "parts");

    let more = json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "20m"}}}]}});
    let resized = pods
        .patch_resize("parts", &plain, &Patch::Strategic(&more))
        .await?;
    ensure!(cpu(&resized).as_deref() == Some("20m"));
    // Not by the main path.
    let less = json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "5m"}}}]}});
    refusal(
        pods.patch("parts", &plain, &Patch::Strategic(&less)).await,
        422,
        "Invalid",
    )?;

    let uid = resized.uid().context("no uid")?;
    let evicted = pods.evict("parts", &EvictParams::default()).await?;
    ensure!(evicted.is_success());
    let gone = await_condition(pods.clone(), "parts", conditions::is_deleted(&uid));
    soon("the evicted pod is gone", gone).await??;
    refusal(
        pods.evict("parts", &EvictParams::default()).await,
        404,
        "NotFound",
    )?;
    Ok(())
}

fn cpu(pod: &Pod) -> Option<String> {
    let main: &Container = pod.spec.as_ref()?.containers.first()?;
    Some(
        main.resources
            .as_ref()?
            .requests
            .as_ref()?
            .get("cpu")?
            .0
            .clone(),
    )
}

pub async fn a_restart_rolls_the_pods(lab: Lab) -> anyhow::Result<()> {
    let deployments = lab.api::<Deployment>();
    let wanted = serde_json::from_value(deployment("web", 2))?;
    let made = deployments.create(&PostParams::default(), &wanted).await?;
    let complete = || {
        await_condition(
            deployments.clone(),
            "web",
            conditions::is_deployment_completed(),
        )
    };
    soon("the first rollout is complete", complete()).await??;
    let restarted = deployments.restart("web").await?;
    ensure!(restarted.metadata.generation > made.metadata.generation);
    let rolled = await_condition(deployments.clone(), "web", |seen: Option<&Deployment>| {
        seen.is_some_and(|seen| {
            seen.annotations()
                .get("deployment.kubernetes.io/revision")
                .map(String::as_str)
                == Some("2")
                && seen.status.as_ref().is_some_and(|status| {
                    status.observed_generation == seen.metadata.generation
                        && status.updated_replicas == Some(2)
                        && status.replicas == Some(2)
                        && status.available_replicas == Some(2)
                })
        })
    });
    soon("the second rollout is complete", rolled).await??;
    soon("the condition says so", complete()).await??;
    Ok(())
}
