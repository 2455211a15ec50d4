//! Discovery, and objects of kinds that are known by discovery alone.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::core::TypeMeta;
use kube::discovery::{self, Discovery, Scope, verbs};
use serde_json::json;

use crate::lab::Lab;

pub async fn every_resource_is_found_and_listed(lab: Lab) -> anyhow::Result<()> {
    lab.config_map("found", "x", "1").await?;
    let found = Discovery::new(lab.client.clone()).run().await?;
    let mut listed = 0;
    for group in found.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(lab.client.clone(), &resource);
            let list = api.list(&ListParams::default().limit(2)).await;
            let list =
                list.with_context(|| format!("list {} {}", resource.api_version, resource.plural))?;
            let types = TypeMeta {
                api_version: resource.api_version.clone(),
                kind: format!("{}List", resource.kind),
            };
            ensure!(list.types == types, "{:?} is not {types:?}", list.types);
            listed += 1;
        }
    }
    ensure!(listed >= 50, "only {listed} kinds are listed");

    let kind = GroupVersionKind::gvk("", "v1", "ConfigMap");
    let (resource, capabilities) = found.resolve_gvk(&kind).context("no ConfigMap")?;
    ensure!(capabilities.scope == Scope::Namespaced && resource.plural == "configmaps");
    ensure!(capabilities.supports_operation(verbs::WATCH));
    let maps: Api<DynamicObject> =
        Api::namespaced_with(lab.client.clone(), &lab.namespace, &resource);
    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    let seen = maps.patch("found", &PatchParams::default(), &patch).await?;
    ensure!(seen.data["data"]["key"] == json!("2"));
    let typed: ConfigMap = seen.try_parse()?;
    ensure!(typed.name_any() == "found");
    Ok(())
}

pub async fn both_forms_of_discovery_agree(lab: Lab) -> anyhow::Result<()> {
    let plain = Discovery::new(lab.client.clone()).run().await?;
    let aggregated = Discovery::new(lab.client.clone()).run_aggregated().await?;
    let names = |found: &Discovery| {
        let groups = found.groups_alphabetical().into_iter();
        groups
            .flat_map(|group| {
                group
                    .versions()
                    .flat_map(|version| group.versioned_resources(version))
                    .map(|(resource, capabilities)| {
                        let mut operations = capabilities.operations;
                        operations.sort();
                        let parts = capabilities.subresources.into_iter();
                        let parts: BTreeSet<String> = parts.map(|(part, _)| part.plural).collect();
                        (
                            resource.api_version,
                            resource.kind,
                            resource.plural,
                            operations,
                            parts,
                        )
                    })
                    .collect::<Vec<_>>()
            })
            .collect::<BTreeSet<_>>()
    };
    let (plain, aggregated) = (names(&plain), names(&aggregated));
    let differing: Vec<_> = plain.symmetric_difference(&aggregated).collect();
    ensure!(differing.is_empty(), "{differing:?}");

    let chosen = Discovery::new(lab.client.clone())
        .filter(&["apps"])
        .run()
        .await?;
    ensure!(chosen.groups().count() == 1);
    let apps = discovery::group(&lab.client, "apps").await?;
    ensure!(
        apps.preferred_version() == Some("v1") && apps.recommended_kind("Deployment").is_some()
    );
    let kind = GroupVersionKind::gvk("autoscaling", "v1", "HorizontalPodAutoscaler");
    let (resource, _) = discovery::pinned_kind(&lab.client, &kind).await?;
    ensure!(resource.version == "v1");
    ensure!(discovery::group(&lab.client, "example.org").await.is_err());
    Ok(())
}

pub async fn the_server_says_what_it_is(lab: Lab) -> anyhow::Result<()> {
    let version = lab.client.apiserver_version().await?;
    ensure!(version.major == "1" && version.minor == "36", "{version:?}");
    ensure!(lab.client.list_core_api_versions().await?.versions == ["v1"]);
    let groups = lab.client.list_api_groups().await?.groups;
    ensure!(groups.iter().any(|group| group.name == "batch"));
    let resources = lab
        .client
        .list_api_group_resources("apps/v1")
        .await?
        .resources;
    ensure!(
        resources
            .iter()
            .any(|resource| resource.name == "deployments/scale")
    );
    Ok(())
}
