//! Which groups, versions and resources there are: plain and aggregated discovery.

use ferrule_apimachinery::scheme::{self, Resource, Scheme, Subresource};
use serde_json::{Value, json};

fn set_texts(map: &mut Value, field: &str, texts: &[std::borrow::Cow<'static, str>]) {
    if !texts.is_empty() {
        map[field] = texts
            .iter()
            .map(|text| Value::from(text.as_ref()))
            .collect();
    }
}

fn of_version<'a>(scheme: &'a Scheme, group: &str, version: &str) -> Vec<&'a Resource> {
    let mut resources: Vec<&Resource> = scheme
        .iter()
        .map(|resource| &**resource)
        .filter(|resource| resource.group == group && resource.version == version)
        .collect();
    // Upstream sorts the paths, with a name below every longer one.
    resources.sort_by(|left, right| left.plural.cmp(&right.plural));
    resources
}

fn subresources(resource: &Resource) -> Vec<&Subresource> {
    let mut all: Vec<&Subresource> = resource.subresources.iter().collect();
    all.sort_by(|left, right| left.name.cmp(&right.name));
    all
}

/// `/api`.
pub(super) fn core_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    })
}

fn group(name: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": scheme::api_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

/// `/apis`.
pub(super) fn groups(scheme: &Scheme) -> Value {
    let groups = scheme.groups();
    let named: Vec<Value> = groups
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, versions)| group(name, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": named})
}

/// `/apis/<group>`.
pub(super) fn one_group(scheme: &Scheme, name: &str) -> Option<Value> {
    let groups = scheme.groups();
    let (_, versions) = groups
        .iter()
        .find(|(own, _)| *own == name && !own.is_empty())?;
    let mut one = group(name, versions);
    one["kind"] = "APIGroup".into();
    one["apiVersion"] = "v1".into();
    Some(one)
}

/// `/api/v1` and `/apis/<group>/<version>`.
pub(super) fn resources(scheme: &Scheme, group: &str, version: &str) -> Option<Value> {
    let resources = of_version(scheme, group, version);
    if resources.is_empty() {
        return None;
    }
    let mut list = Vec::new();
    for resource in resources {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
        });
        set_texts(&mut entry, "verbs", &resource.verbs);
        set_texts(&mut entry, "shortNames", &resource.short_names);
        set_texts(&mut entry, "categories", &resource.categories);
        if !resource.storage_version_hash.is_empty() {
            entry["storageVersionHash"] = resource.storage_version_hash.as_ref().into();
        }
        list.push(entry);
        for part in subresources(resource) {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, part.name),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": part.kind,
            });
            set_texts(&mut entry, "verbs", &part.verbs);
            if let Some((group, version)) = &part.kind_group_version {
                entry["group"] = group.as_ref().into();
                entry["version"] = version.as_ref().into();
            }
            list.push(entry);
        }
    }
    let mut answer = json!({
        "kind": "APIResourceList",
        "groupVersion": scheme::api_version(group, version),
        "resources": list,
    });
    if !group.is_empty() {
        answer["apiVersion"] = "v1".into();
    }
    Some(answer)
}

/// `/api` or `/apis`, aggregated; `version` is that of apidiscovery.k8s.io.
pub(super) fn aggregated(scheme: &Scheme, core: bool, version: &str) -> Value {
    let groups = scheme.groups();
    let items: Vec<Value> = groups
        .iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let metadata = if name.is_empty() {
                json!({})
            } else {
                json!({"name": name})
            };
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = of_version(scheme, name, version)
                        .into_iter()
                        .map(aggregated_resource)
                        .collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": scheme::api_version("apidiscovery.k8s.io", version),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
    });
    set_texts(&mut entry, "verbs", &resource.verbs);
    set_texts(&mut entry, "shortNames", &resource.short_names);
    set_texts(&mut entry, "categories", &resource.categories);
    let parts: Vec<Value> = subresources(resource)
        .into_iter()
        .map(|part| {
            let (group, version) = match &part.kind_group_version {
                Some((group, version)) => (group.as_ref(), version.as_ref()),
                None => ("", ""),
            };
            let mut entry = json!({
                "subresource": part.name,
                "responseKind": {"group": group, "version": version, "kind": part.kind},
            });
            set_texts(&mut entry, "verbs", &part.verbs);
            entry
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = parts.into();
    }
    entry
}
