//! `kubectl apply --prune`: objects that were applied once and are in no file any more go away.

use std::collections::BTreeSet;

use ferrule_client::client::DeleteOptions;
use ferrule_proto::v1::ApiResource;
use serde_json::Value;

use super::super::write::Report;
use super::super::{delete, select, warn};
use super::LAST_APPLIED;
use crate::args::{ApplyArgs, DryRun};
use crate::error::{Error, Result};
use crate::resources::{Resources, at, long_kind};
use crate::session::Session;

/// What is looked at when no kind is named.
const DEFAULT: [&str; 16] = [
    "core/v1/ConfigMap",
    "core/v1/Endpoints",
    "core/v1/PersistentVolumeClaim",
    "core/v1/Pod",
    "core/v1/ReplicationController",
    "core/v1/Secret",
    "core/v1/Service",
    "batch/v1/Job",
    "batch/v1/CronJob",
    "networking.k8s.io/v1/Ingress",
    "apps/v1/DaemonSet",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
    "core/v1/Namespace",
    "core/v1/PersistentVolume",
];

/// The objects that were applied.
#[derive(Default)]
pub struct Visited {
    uids: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Visited {
    /// Remembers an object.
    pub fn add(&mut self, resource: &ApiResource, object: &Value) {
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        self.uids.insert(text("uid"));
        if resource.namespaced {
            self.namespaces.insert(text("namespace"));
        }
    }
}

/// The resources of `--prune-allowlist`: `core/v1/ConfigMap`.
pub fn kinds(resources: &Resources, allowlist: &[String]) -> Result<Vec<ApiResource>> {
    let mut found = Vec::new();
    let defaults = allowlist
        .is_empty()
        .then_some(DEFAULT)
        .into_iter()
        .flatten();
    for text in allowlist.iter().map(String::as_str).chain(defaults) {
        let [group, version, kind] = text.split('/').collect::<Vec<_>>()[..] else {
            return Err(Error::local(format!(
                "invalid GroupVersionKind format: {text}, please follow <group/version/kind>"
            )));
        };
        let api_version = match group {
            "core" | "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        match resources.of_kind(&api_version, kind) {
            Some(resource) => found.push(resource.clone()),
            None if allowlist.is_empty() => {}
            None => {
                return Err(Error::local(format!(
                    "error retrieving RESTMappings to prune: no matches for kind {kind:?} in version {api_version:?}"
                )));
            }
        }
    }
    Ok(found)
}

/// Deletes what was applied once, is of one of the kinds, fits the selector, and was not applied now.
pub async fn run(
    session: &Session,
    args: &ApplyArgs,
    kinds: &[ApiResource],
    visited: &Visited,
    report: &Report,
) -> Result<()> {
    if session.namespace_given && args.prune_allowlist.is_empty() {
        warn(
            "Warning: Deprecated: kubectl apply will no longer prune non-namespaced resources by default when used with the \
             --namespace flag in a future release. To preserve the current behaviour, list the resources you want to target \
             explicitly in the --prune-allowlist flag.",
        );
    }
    let none = String::new();
    for namespace in &visited.namespaces {
        for resource in kinds.iter().filter(|own| own.namespaced) {
            prune(session, args, resource, namespace, visited, report)
                .await
                .map_err(|error| failed("namespaced", resource, &error))?;
        }
    }
    for resource in kinds.iter().filter(|own| !own.namespaced) {
        prune(session, args, resource, &none, visited, report)
            .await
            .map_err(|error| failed("nonNamespaced", resource, &error))?;
    }
    Ok(())
}

fn failed(scope: &str, resource: &ApiResource, error: &Error) -> Error {
    let kind = long_kind(resource);
    Error::local(format!(
        "error pruning {scope} object {kind}: {}",
        error.message()
    ))
}

/// The objects of a list that are to go.
fn left_over<'a>(objects: &'a [Value], visited: &Visited) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| {
            let metadata = &object["metadata"];
            let uid = metadata["uid"].as_str().unwrap_or_default();
            metadata["annotations"].get(LAST_APPLIED).is_some() && !visited.uids.contains(uid)
        })
        .collect()
}

/// What would be pruned, with its resource.
pub async fn candidates(
    session: &Session,
    selector: Option<&str>,
    kinds: &[ApiResource],
    visited: &Visited,
) -> Result<Vec<(ApiResource, Value)>> {
    let options = select::options(selector, None);
    let mut found = Vec::new();
    for resource in kinds {
        let namespaces: Vec<&str> = match resource.namespaced {
            true => visited.namespaces.iter().map(String::as_str).collect(),
            false => vec![""],
        };
        for namespace in namespaces {
            let objects = select::list(session, resource, namespace, &options).await?;
            let gone = left_over(&objects, visited).into_iter();
            found.extend(gone.map(|object| (resource.clone(), object.clone())));
        }
    }
    Ok(found)
}

async fn prune(
    session: &Session,
    args: &ApplyArgs,
    resource: &ApiResource,
    namespace: &str,
    visited: &Visited,
    report: &Report,
) -> Result<()> {
    let options = select::options(args.selector.as_deref(), None);
    let objects = select::list(session, resource, namespace, &options).await?;
    for object in left_over(&objects, visited) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if args.write.dry_run != DryRun::Client {
            let seconds = args.delete.grace_period;
            let options = DeleteOptions {
                grace_period_seconds: (seconds >= 0).then_some(seconds),
                propagation: Some(delete::propagation(&args.delete.cascade)?),
                dry_run: args.write.dry_run == DryRun::Server,
                ..DeleteOptions::default()
            };
            let place = at(resource, namespace).name(name);
            match session.client.delete(&place, &options).await {
                Ok(_) => {}
                Err(status) if status.is_not_found() => continue,
                Err(status) => return Err(status.into()),
            }
        }
        report.print(object, resource, "pruned")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_applied_and_is_in_no_file_goes() {
        let object = |uid: &str, applied: bool| match applied {
            true => json!({"metadata": {"uid": uid, "annotations": {LAST_APPLIED: "{}"}}}),
            false => json!({"metadata": {"uid": uid}}),
        };
        let objects = [object("a", true), object("b", true), object("c", false)];
        let mut visited = Visited::default();
        visited.add(&ApiResource::default(), &objects[0]);
        assert_eq!(left_over(&objects, &visited), [&objects[1]]);
    }

    #[test]
    fn a_kind_to_prune_has_three_parts_and_is_served() {
        let resources = Resources::new(vec![ApiResource {
            version: "v1".into(),
            kind: "ConfigMap".into(),
            name: "configmaps".into(),
            ..ApiResource::default()
        }]);
        let read = |text: &str| match kinds(&resources, &[text.to_owned()]) {
            Ok(found) => found[0].name.clone(),
            Err(error) => error.message(),
        };
        for (text, expected) in [
            ("core/v1/ConfigMap", "configmaps"),
            (
                "v1/ConfigMap",
                "invalid GroupVersionKind format: v1/ConfigMap, please follow <group/version/kind>",
            ),
            (
                "a/v1/B",
                "error retrieving RESTMappings to prune: no matches for kind \"B\" in version \"a/v1\"",
            ),
        ] {
            assert_eq!(read(text), expected);
        }
    }
}
