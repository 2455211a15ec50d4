//! Objects through the typed interface: create, read, list, replace, delete, and what is refused.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::ResourceExt;
use kube::api::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
    VersionMatch,
};
use kube::core::PartialObjectMetaExt;
use kube::core::metadata::PartialObjectMeta;
use kube::runtime::wait::delete::delete_and_finalize;
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

use crate::lab::{Lab, config_map, deployment, eventually, refusal, soon, value};

pub async fn a_pod_is_created_runs_and_goes(lab: Lab) -> anyhow::Result<()> {
    let pods = lab.api::<Pod>();
    let wanted: Pod = serde_json::from_value(json!({
        "metadata": {"name": "blog", "labels": {"app": "blog"}},
        "spec": {"containers": [{"name": "blog", "image": "registry.example/blog:1"}]},
    }))?;
    let made = pods.create(&PostParams::default(), &wanted).await?;
    ensure!(
        made.name_any() == "blog" && made.uid().is_some() && made.creation_timestamp().is_some()
    );
    let running = await_condition(pods.clone(), "blog", conditions::is_pod_running());
    let running = soon("the pod runs", running).await??.context("no pod")?;
    ensure!(running.spec.and_then(|spec| spec.node_name).is_some());

    let bound = ListParams::default()
        .labels("app=blog")
        .fields("status.phase=Running");
    eventually("the pod is selected by its phase", async || {
        Ok((pods.list(&bound).await?.items.len() == 1).then_some(()))
    })
    .await?;
    let graceful = DeleteParams::default().grace_period(1);
    soon(
        "the pod is gone",
        delete_and_finalize(pods.clone(), "blog", &graceful),
    )
    .await??;
    ensure!(pods.get_opt("blog").await?.is_none());
    Ok(())
}

pub async fn an_object_through_its_life(lab: Lab) -> anyhow::Result<()> {
    let services = lab.api::<Service>();
    let wanted: Service = serde_json::from_value(json!({
        "metadata": {"name": "front"},
        "spec": {"selector": {"app": "front"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }))?;
    let made = services.create(&PostParams::default(), &wanted).await?;
    let address = made.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    ensure!(address.is_some());
    let mut changed = services.get("front").await?;
    ensure!(changed == made);
    changed.labels_mut().insert("tier".into(), "front".into());
    let replaced = services
        .replace("front", &PostParams::default(), &changed)
        .await?;
    ensure!(
        replaced
            .spec
            .as_ref()
            .and_then(|spec| spec.cluster_ip.clone())
            == address
    );
    ensure!(replaced.resource_version() != made.resource_version());
    // Another name in the body than in the path.
    changed.metadata.name = Some("other".into());
    refusal(
        services
            .replace("front", &PostParams::default(), &changed)
            .await,
        400,
        "BadRequest",
    )?;

    let secrets = lab.api::<Secret>();
    let secret = Secret {
        string_data: Some(BTreeMap::from([("user".into(), "admin".into())])),
        metadata: kube::api::ObjectMeta {
            generate_name: Some("token-".into()),
            ..Default::default()
        },
        ..Secret::default()
    };
    let secret = secrets.create(&PostParams::default(), &secret).await?;
    ensure!(
        secret.name_any().starts_with("token-") && secret.name_any().len() == "token-".len() + 5
    );
    let data = secret.data.as_ref().context("no data")?;
    ensure!(data["user"].0 == b"admin");

    // Most kinds answer a deletion with a status; a Service comes back as it was.
    let uid = secret.metadata.uid.clone();
    let gone = secrets
        .delete(&secret.name_any(), &DeleteParams::default())
        .await?;
    let status = gone.right().context("not a status")?;
    ensure!(
        status.is_success()
            && status
                .details
                .is_some_and(|details| Some(details.uid) == uid)
    );
    let gone = services.delete("front", &DeleteParams::default()).await?;
    ensure!(gone.left().context("not a Service")?.uid() == made.uid());
    Ok(())
}

pub async fn refusals_say_why(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    ensure!(maps.get_opt("nobody").await?.is_none());
    let status = refusal(maps.get("nobody").await, 404, "NotFound")?;
    ensure!(status.is_not_found() && status.message == "configmaps \"nobody\" not found");
    ensure!(
        status
            .details
            .is_some_and(|details| details.name == "nobody" && details.kind == "configmaps")
    );

    let first = lab.config_map("once", "x", "1").await?;
    let again = maps
        .create(&PostParams::default(), &config_map("once", "x", "2"))
        .await;
    ensure!(refusal(again, 409, "AlreadyExists")?.is_already_exists());
    let mut second = first.clone();
    second.data = Some(BTreeMap::from([("key".into(), "second".into())]));
    maps.replace("once", &PostParams::default(), &second)
        .await?;
    let status = refusal(
        maps.replace("once", &PostParams::default(), &first).await,
        409,
        "Conflict",
    )?;
    ensure!(status.is_conflict() && status.message.contains("the object has been modified"));

    let mut wrong: Deployment = serde_json::from_value(deployment("web", -1))?;
    wrong.metadata.name = Some("Not_A_Name".into());
    let wrong = lab
        .api::<Deployment>()
        .create(&PostParams::default(), &wrong)
        .await;
    let status = refusal(wrong, 422, "Invalid")?;
    let causes = status.details.clone().context("no details")?.causes;
    let fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
    ensure!(
        status.is_invalid() && fields == ["metadata.name", "spec.replicas"],
        "{status:?}"
    );
    Ok(())
}

pub async fn a_dry_run_changes_nothing(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    ensure!(
        maps.create(&dry, &config_map("tried", "x", "1"))
            .await?
            .uid()
            .is_some()
    );
    ensure!(maps.get_opt("tried").await?.is_none());
    let kept = lab.config_map("kept", "x", "1").await?;
    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    let patched = maps
        .patch("kept", &PatchParams::default().dry_run(), &patch)
        .await?;
    ensure!(value(&patched) == "2");
    maps.delete("kept", &DeleteParams::default().dry_run())
        .await?;
    ensure!(maps.get("kept").await? == kept);
    Ok(())
}

pub async fn entries_are_made_and_changed(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    let set = |map: &mut ConfigMap, value: &str| {
        map.data
            .get_or_insert_default()
            .insert("key".into(), value.into());
    };
    let made = maps.entry("entry").await?.or_insert(ConfigMap::default);
    made.and_modify(|map| set(map, "1"))
        .commit(&PostParams::default())
        .await?;
    let entry = maps.entry("entry").await?.or_insert(ConfigMap::default);
    ensure!(value(entry.get()) == "1");
    let mut mine = entry.and_modify(|map| set(map, "mine"));
    // Somebody else is faster: what was read is no longer what is there.
    maps.patch(
        "entry",
        &PatchParams::default(),
        &Patch::Merge(json!({"data": {"key": "theirs"}})),
    )
    .await?;
    ensure!(mine.commit(&PostParams::default()).await.is_err());
    let now = maps
        .entry("entry")
        .await?
        .and_modify(|map| set(map, "mine"));
    now.or_insert(ConfigMap::default)
        .commit(&PostParams::default())
        .await?;
    ensure!(value(&maps.get("entry").await?) == "mine");
    Ok(())
}

pub async fn lists_are_paged_selected_and_of_a_revision(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    for number in 0..7 {
        let group = if number % 2 == 0 { "even" } else { "odd" };
        lab.config_map(&format!("item-{number}"), group, "before")
            .await?;
    }
    let mut wanted = ListParams::default()
        .limit(3)
        .labels("group in (even, odd)");
    let (mut names, mut revisions, mut pages) = (Vec::new(), Vec::new(), 0);
    loop {
        let page = maps.list(&wanted).await?;
        names.extend(page.items.iter().map(ResourceExt::name_any));
        revisions.push(page.metadata.resource_version.clone());
        pages += 1;
        // What is made meanwhile is not of the revision of the first page.
        lab.config_map(&format!("item-0-{pages}"), "odd", "late")
            .await?;
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => wanted = wanted.continue_token(&token),
            None => break,
        }
    }
    ensure!(
        pages == 3 && names == (0..7).map(|n| format!("item-{n}")).collect::<Vec<_>>(),
        "{names:?}"
    );
    revisions.dedup();
    ensure!(revisions.len() == 1, "{revisions:?}");
    let counted = maps.list(&ListParams::default().limit(1)).await?;
    ensure!(
        counted
            .metadata
            .remaining_item_count
            .is_some_and(|rest| rest >= 9)
    );

    let even = ListParams::default().labels("group=even");
    let before = maps.list(&even).await?;
    let revision = before
        .metadata
        .resource_version
        .clone()
        .context("no revision")?;
    maps.patch(
        "item-2",
        &PatchParams::default(),
        &Patch::Merge(json!({"data": {"key": "after"}})),
    )
    .await?;
    let exact = maps
        .list(&even.clone().at(&revision).matching(VersionMatch::Exact))
        .await?;
    ensure!(exact.metadata.resource_version.as_ref() == Some(&revision));
    ensure!(exact.items.iter().all(|map| value(map) == "before") && exact.items.len() == 4);
    let newer = maps
        .list(
            &even
                .clone()
                .at(&revision)
                .matching(VersionMatch::NotOlderThan),
        )
        .await?;
    ensure!(newer.items.len() == 4);
    ensure!(
        !maps
            .list(&ListParams::default().match_any())
            .await?
            .items
            .is_empty()
    );
    ensure!(maps.get_with("item-2", &GetParams::any()).await?.name_any() == "item-2");

    let one = maps
        .list(&ListParams::default().fields("metadata.name=item-4"))
        .await?;
    ensure!(one.items.len() == 1);
    refusal(
        maps.list(&ListParams::default().fields("data.key=x")).await,
        400,
        "BadRequest",
    )?;
    refusal(
        maps.list(&ListParams::default().limit(1).continue_token("none"))
            .await,
        400,
        "BadRequest",
    )?;
    Ok(())
}

pub async fn many_are_deleted_at_once(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    for number in 0..3 {
        lab.config_map(&format!("doomed-{number}"), "doomed", "")
            .await?;
    }
    lab.config_map("spared", "spared", "").await?;
    let doomed = ListParams::default().labels("group=doomed");
    maps.delete_collection(&DeleteParams::default(), &doomed)
        .await?;
    eventually("they are gone", async || {
        Ok(maps.list(&doomed).await?.items.is_empty().then_some(()))
    })
    .await?;
    ensure!(maps.get_opt("spared").await?.is_some());

    let held = |uid: &str| {
        DeleteParams::default().preconditions(Preconditions {
            uid: Some(uid.into()),
            resource_version: None,
        })
    };
    let other = held("00000000-0000-0000-0000-000000000000");
    refusal(maps.delete("spared", &other).await, 409, "Conflict")?;
    let uid = maps.get("spared").await?.uid().context("no uid")?;
    maps.delete("spared", &held(&uid)).await?;
    Ok(())
}

pub async fn a_deletion_waits_for_dependents(lab: Lab) -> anyhow::Result<()> {
    let (deployments, sets) = (lab.api::<Deployment>(), lab.api::<ReplicaSet>());
    let wanted: Deployment = serde_json::from_value(deployment("web", 1))?;
    deployments.create(&PostParams::default(), &wanted).await?;
    let complete = await_condition(
        deployments.clone(),
        "web",
        conditions::is_deployment_completed(),
    );
    soon("the rollout is complete", complete).await??;
    let owned = sets.list(&ListParams::default().labels("app=web")).await?;
    ensure!(owned.items.len() == 1 && owned.items[0].owner_references()[0].name == "web");
    let deleted = deployments
        .delete("web", &DeleteParams::foreground())
        .await?;
    let deleted = deleted.left().context("gone at once")?;
    ensure!(deleted.finalizers() == ["foregroundDeletion"]);
    let uid = deleted.uid().context("no uid")?;
    let gone = await_condition(deployments, "web", conditions::is_deleted(&uid));
    soon("the Deployment is gone", gone).await??;
    ensure!(
        sets.list(&ListParams::default().labels("app=web"))
            .await?
            .items
            .is_empty()
    );
    Ok(())
}

pub async fn only_metadata(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    lab.config_map("known", "meta", "hidden").await?;
    let known = maps.get_metadata("known").await?;
    ensure!(
        known
            .types
            .as_ref()
            .is_some_and(|types| types.kind == "PartialObjectMetadata")
    );
    ensure!(known.labels()["group"] == "meta");
    ensure!(maps.get_metadata_opt("nobody").await?.is_none());
    let listed = maps
        .list_metadata(&ListParams::default().labels("group=meta"))
        .await?;
    ensure!(listed.items.len() == 1);
    let change = kube::api::ObjectMeta {
        annotations: Some(BTreeMap::from([("note".into(), "written".into())])),
        ..Default::default()
    }
    .into_request_partial::<ConfigMap>();
    let patched = maps
        .patch_metadata("known", &PatchParams::apply("meta"), &Patch::Apply(&change))
        .await?;
    ensure!(patched.annotations()["note"] == "written");
    ensure!(value(&maps.get("known").await?) == "hidden");
    // A whole interface that knows metadata alone.
    let only = lab.api::<PartialObjectMeta<ConfigMap>>();
    ensure!(only.get("known").await?.annotations().contains_key("note"));
    Ok(())
}

pub async fn unknown_fields_by_the_wish_of_the_client(lab: Lab) -> anyhow::Result<()> {
    let maps = lab.api::<ConfigMap>();
    lab.config_map("strict", "x", "1").await?;
    let patch = Patch::Merge(json!({"datum": {"key": "2"}}));
    let strict = PatchParams::default().validation_strict();
    let status = refusal(maps.patch("strict", &strict, &patch).await, 422, "Invalid")?;
    ensure!(
        status.message.contains("unknown field \"datum\""),
        "{status:?}"
    );
    maps.patch("strict", &PatchParams::default().validation_warn(), &patch)
        .await?;
    maps.patch(
        "strict",
        &PatchParams::default().validation_ignore(),
        &patch,
    )
    .await?;
    Ok(())
}
