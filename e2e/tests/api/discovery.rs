//! Which groups, versions and resources there are: legacy and aggregated discovery.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::stage::{Stage, items, same, says_no_such_path, text, within};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// All versions of all groups, the core's first.
pub fn versions(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut all = vec!["v1".to_owned()];
    let groups = stage.rest.get("/apis")?.ok()?;
    for group in list(&groups, "groups") {
        let versions = list(group, "versions").iter();
        all.extend(versions.map(|version| text(version, "groupVersion").to_owned()));
    }
    Ok(all)
}

/// All resources with their group and version, subresources aside.
pub fn all(stage: &Stage) -> anyhow::Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for version in versions(stage)? {
        let resources = stage.rest.get(&root(&version))?.ok()?;
        let resources = list(&resources, "resources").iter();
        let whole = resources.filter(|resource| !text(resource, "name").contains('/'));
        all.extend(whole.map(|resource| (version.clone(), resource.clone())));
    }
    Ok(all)
}

/// The path of a group and version.
pub fn root(version: &str) -> String {
    within(version, None, "").trim_end_matches('/').to_owned()
}

pub fn the_groups_of_the_stable_api_are_there_in_their_order(stage: &Stage) -> anyhow::Result<()> {
    let groups = stage.rest.get("/apis")?.ok()?;
    let found: Vec<&str> = list(&groups, "groups")
        .iter()
        .map(|group| text(group, "name"))
        .collect();
    same(
        "groups by priority",
        found,
        [
            "apiregistration.k8s.io",
            "apps",
            "events.k8s.io",
            "authentication.k8s.io",
            "authorization.k8s.io",
            "autoscaling",
            "batch",
            "certificates.k8s.io",
            "networking.k8s.io",
            "policy",
            "rbac.authorization.k8s.io",
            "storage.k8s.io",
            "admissionregistration.k8s.io",
            "apiextensions.k8s.io",
            "scheduling.k8s.io",
            "coordination.k8s.io",
            "node.k8s.io",
            "discovery.k8s.io",
            "resource.k8s.io",
            "flowcontrol.apiserver.k8s.io",
        ],
    )?;
    let autoscaling = stage.rest.get("/apis/autoscaling")?.ok()?;
    let versions: Vec<&str> = list(&autoscaling, "versions")
        .iter()
        .map(|own| text(own, "version"))
        .collect();
    same("the preferred one first", versions, ["v2", "v1"])
}

pub fn every_group_prefers_a_version_that_it_has(stage: &Stage) -> anyhow::Result<()> {
    let groups = stage.rest.get("/apis")?.ok()?;
    for group in list(&groups, "groups") {
        let name = text(group, "name");
        let preferred = &group["preferredVersion"];
        ensure!(
            list(group, "versions").contains(preferred),
            "{name}: {preferred} of {group}"
        );
        // The group tells the same by itself.
        let mut alone = stage.rest.get(&format!("/apis/{name}"))?.ok()?;
        same(
            name,
            (text(&alone, "kind"), text(&alone, "apiVersion")),
            ("APIGroup", "v1"),
        )?;
        for field in ["kind", "apiVersion"] {
            alone.as_object_mut().context("an object")?.remove(field);
        }
        same(name, &alone, group)?;
        for version in list(group, "versions") {
            let version = text(version, "groupVersion");
            let resources = stage.rest.get(&root(version))?.ok()?;
            same(version, text(&resources, "groupVersion"), version)?;
            same(version, text(&resources, "kind"), "APIResourceList")?;
            ensure!(
                !list(&resources, "resources").is_empty(),
                "{version} has no resources"
            );
        }
    }
    Ok(())
}

pub fn resources_say_what_they_are(stage: &Stage) -> anyhow::Result<()> {
    for version in versions(stage)? {
        let resources = stage.rest.get(&root(&version))?.ok()?;
        let mut seen = BTreeSet::new();
        for resource in list(&resources, "resources") {
            let name = text(resource, "name");
            let shown = format!("{version} {name}");
            ensure!(seen.insert(name.to_owned()), "{shown} is there twice");
            ensure!(!text(resource, "kind").is_empty(), "{resource}");
            let verbs: Vec<&str> = list(resource, "verbs")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            ensure!(!verbs.is_empty() && verbs.is_sorted(), "{resource}");
            if name.contains('/') {
                same(&shown, text(resource, "singularName"), "")?;
                let (whole, _) = name.split_once('/').context("a part")?;
                ensure!(
                    seen.contains(whole),
                    "{shown} comes before what it is part of"
                );
                continue;
            }
            let singular = text(resource, "kind").to_lowercase();
            same(&shown, text(resource, "singularName"), singular.as_str())?;
            // What is stored has a hash of how.
            let stored = verbs.contains(&"watch");
            same(
                &shown,
                !text(resource, "storageVersionHash").is_empty(),
                stored,
            )?;
        }
    }
    Ok(())
}

pub fn aggregated_discovery_says_the_same(stage: &Stage) -> anyhow::Result<()> {
    let mut aggregated = BTreeMap::new();
    let mut order = Vec::new();
    for path in ["/api", "/apis"] {
        let answer = stage.rest.request("GET", path).accept(AGGREGATED).send()?;
        same("media type", answer.header("content-type"), AGGREGATED)?;
        let groups = answer.ok()?;
        same("kind", text(&groups, "kind"), "APIGroupDiscoveryList")?;
        same(
            "version",
            text(&groups, "apiVersion"),
            "apidiscovery.k8s.io/v2",
        )?;
        for group in items(&groups) {
            let name = text(group, "metadata.name");
            for version in list(group, "versions") {
                same("freshness", text(version, "freshness"), "Current")?;
                let number = text(version, "version");
                let version_name = match name {
                    "" => number.to_owned(),
                    name => format!("{name}/{number}"),
                };
                order.push(version_name.clone());
                for resource in list(version, "resources") {
                    let whole = text(resource, "resource").to_owned();
                    aggregated.insert((version_name.clone(), whole.clone()), resource.clone());
                    for part in list(resource, "subresources") {
                        let part_name = format!("{whole}/{}", text(part, "subresource"));
                        aggregated.insert((version_name.clone(), part_name), part.clone());
                    }
                }
            }
        }
    }
    same("versions in their order", &order, &versions(stage)?)?;
    let mut legacy = 0;
    for version in versions(stage)? {
        let resources = stage.rest.get(&root(&version))?.ok()?;
        for resource in list(&resources, "resources") {
            legacy += 1;
            let name = text(resource, "name").to_owned();
            let shown = format!("{version} {name}");
            let other = aggregated
                .get(&(version.clone(), name.clone()))
                .context(shown.clone())?;
            same(
                &shown,
                text(other, "responseKind.kind"),
                text(resource, "kind"),
            )?;
            same(&shown, &other["verbs"], &resource["verbs"])?;
            if !name.contains('/') {
                let scope = if resource["namespaced"] == true {
                    "Namespaced"
                } else {
                    "Cluster"
                };
                same(&shown, text(other, "scope"), scope)?;
                same(&shown, &other["shortNames"], &resource["shortNames"])?;
                same(&shown, &other["categories"], &resource["categories"])?;
                same(
                    &shown,
                    &other["singularResource"],
                    &resource["singularName"],
                )?;
            }
        }
    }
    same("none more", aggregated.len(), legacy)
}

pub fn aggregated_discovery_is_sent_once_to_who_keeps_it(stage: &Stage) -> anyhow::Result<()> {
    for path in ["/api", "/apis"] {
        let first = stage.rest.request("GET", path).accept(AGGREGATED).send()?;
        let tag = first.header("etag").to_owned();
        ensure!(
            tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'),
            "ETag: {tag}"
        );
        same("Vary", first.header("vary"), "Accept")?;
        let again = stage.rest.request("GET", path).accept(AGGREGATED);
        let again = again.header("If-None-Match", &tag).send()?;
        same("code", again.code, 304)?;
        same("body", again.body.len(), 0)?;
        same("ETag", again.header("etag"), tag.as_str())?;
        let other = stage.rest.request("GET", path).accept(AGGREGATED);
        let other = other.header("If-None-Match", "\"other\"").send()?;
        same("code", other.code, 200)?;
    }
    Ok(())
}

pub fn a_client_that_knows_no_aggregation_is_given_the_plain_list(
    stage: &Stage,
) -> anyhow::Result<()> {
    // As client-go asks: its preference first, then plain JSON.
    for (media, kind) in [
        (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
             application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
            "APIGroupDiscoveryList",
        ),
        (
            "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json",
            "APIGroupList",
        ),
        ("application/json", "APIGroupList"),
        ("*/*", "APIGroupList"),
    ] {
        let answer = stage.rest.request("GET", "/apis").accept(media).send()?;
        same(media, text(&answer.ok()?, "kind"), kind)?;
    }
    let core = stage.rest.get("/api")?.ok()?;
    same(
        "core",
        (text(&core, "kind"), &core["versions"]),
        ("APIVersions", &json!(["v1"])),
    )
}

pub fn what_is_not_there_is_said_so(stage: &Stage) -> anyhow::Result<()> {
    for path in [
        "/apis/apps/v9",
        "/api/v9",
        "/apis/apps/v1/things",
        "/api/v1/things/one",
        "/api/v1//pods",
    ] {
        let answer = stage.rest.get(path)?;
        says_no_such_path(&answer)?;
    }
    for path in ["/nothing", "/apis/nothing.example.com"] {
        let answer = stage.rest.get(path)?;
        same(
            path,
            (answer.code, answer.text().as_str()),
            (404, "404 page not found\n"),
        )?;
        same(
            path,
            answer.header("content-type"),
            "text/plain; charset=utf-8",
        )?;
    }
    Ok(())
}

pub fn the_version_is_that_of_kubernetes(stage: &Stage) -> anyhow::Result<()> {
    let version = stage.rest.get("/version")?.ok()?;
    same(
        "version",
        (text(&version, "major"), text(&version, "minor")),
        ("1", "36"),
    )?;
    ensure!(
        text(&version, "gitVersion").starts_with("v1.36."),
        "{version}"
    );
    for field in [
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ] {
        ensure!(!text(&version, field).is_empty(), "{field}: {version}");
    }
    let paths = stage.rest.get("/")?.ok()?;
    let paths = list(&paths, "paths");
    for path in [
        "/api/v1",
        "/apis/apps/v1",
        "/openapi/v3",
        "/version",
        "/readyz",
    ] {
        ensure!(
            paths.contains(&json!(path)),
            "{path} is not among {paths:?}"
        );
    }
    Ok(())
}
