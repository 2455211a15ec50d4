//! Namespaces that are being deleted: their content goes first, whatever its kind.

pub mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use ferrule_apimachinery::scheme::{GroupVersionResource, gvr};
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Client, Controller, DeleteOptions, Key, ListOptions, Next, Patch, Queue, Reader,
    Typed, Writes,
};
use ferrule_proto::v1;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::meta::now;
use crate::objects::namespace::Namespace;
use plan::{FINALIZER, Observed, Remaining};

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    enqueue_all(&manager.caches.namespaces, &queue);
    let (namespaces, own) = (manager.caches.namespaces.clone(), queue.clone());
    manager.caches.pods.on_change(move |change| {
        // What waits most often is the last pod: no need to wait for its whole grace.
        let key = Key::cluster(change.key().namespace);
        let ending = |key| {
            namespaces
                .get(key)
                .is_some_and(|namespace| namespace.value.metadata.is_deleting())
        };
        if matches!(change, Change::Deleted(_)) && ending(&key) {
            own.add(key);
        }
    });
    let readers = Readers::default().with(&manager.caches.namespaces);
    let controller = Namespaces {
        namespaces: manager.caches.namespaces.clone(),
    };
    manager.run(
        controller,
        queue,
        readers,
        manager.options.concurrent_namespace_syncs,
    );
}

struct Namespaces {
    namespaces: Reader<Typed<Namespace>>,
}

#[async_trait]
impl Controller for Namespaces {
    fn name(&self) -> &'static str {
        "namespace"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.namespaces.get(key) else {
            return Ok(Next::Done);
        };
        let namespace: &Namespace = &seen.value;
        if !namespace.metadata.is_deleting()
            || !namespace
                .spec
                .finalizers
                .iter()
                .any(|name| name == FINALIZER)
        {
            return Ok(Next::Done);
        }
        let at = At::of(gvr::NAMESPACES).name(&*key.name);
        let mut observed = Observed {
            namespace: Some(namespace),
            ..Observed::default()
        };
        match writes.client().resources().await {
            Ok(resources) => {
                delete_content(&key.name, &resources, &mut observed, writes.client()).await
            }
            Err(status) => observed.discovery_error = Some(status.to_string()),
        }
        let plan = plan::plan(&observed, now());
        if plan.finalize {
            finalize(&at, writes.client()).await?;
            return Ok(Next::Done);
        }
        if let Some(conditions) = plan.conditions {
            let patch = json!({
                "metadata": {"resourceVersion": namespace.metadata.resource_version},
                "status": {"conditions": conditions},
            });
            unless_gone(
                writes
                    .patch(&at.subresource("status"), &Patch::Merge(patch))
                    .await,
            )?;
        }
        Ok(plan.next.map_or(Next::Done, Next::After))
    }
}

/// Deletes what can be deleted and counts what is left. Pods go before everything else, so that
/// nothing that they use is taken from under them.
async fn delete_content(
    namespace: &str,
    resources: &[v1::ApiResource],
    observed: &mut Observed<'_>,
    client: &Client,
) {
    let has = |resource: &v1::ApiResource, verb: &str| resource.verbs.iter().any(|own| own == verb);
    // Other versions of a resource show the same objects; the preferred one comes first.
    let mut preferred = HashSet::new();
    let deletable: Vec<&v1::ApiResource> = resources
        .iter()
        .filter(|resource| resource.namespaced && has(resource, "list") && has(resource, "delete"))
        .filter(|resource| preferred.insert((&resource.group, &resource.name)))
        .collect();
    let is_pods =
        |resource: &&&v1::ApiResource| resource.group.is_empty() && resource.name == "pods";
    let pods = deletable.iter().filter(is_pods);
    let others = deletable.iter().filter(|resource| !is_pods(resource));
    for (stage, resources) in [pods.collect::<Vec<_>>(), others.collect()]
        .into_iter()
        .enumerate()
    {
        if stage == 1
            && observed
                .remaining
                .iter()
                .any(|remaining| remaining.count > 0)
        {
            return;
        }
        for resource in resources {
            match delete_all(
                namespace,
                resource,
                has(resource, "deletecollection"),
                client,
            )
            .await
            {
                Ok(remaining) => observed.remaining.push(remaining),
                Err(status) => observed.delete_errors.push(status.to_string()),
            }
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Item {
    metadata: ItemMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ItemMeta {
    name: String,
    uid: String,
    finalizers: Vec<String>,
    deletion_timestamp: Option<Timestamp>,
}

async fn delete_all(
    namespace: &str,
    resource: &v1::ApiResource,
    as_collection: bool,
    client: &Client,
) -> Result<Remaining, Status> {
    let gvr = GroupVersionResource::from_parts(&resource.group, &resource.version, &resource.name);
    let at = At::of(gvr).namespace(namespace);
    let mut items = list(&at, client).await?;
    if items
        .iter()
        .any(|item| item.metadata.deletion_timestamp.is_none())
    {
        let options = DeleteOptions {
            propagation: Some(ferrule_client::Propagation::Background),
            ..DeleteOptions::default()
        };
        if as_collection {
            client.delete_collection(&at, &options, "", "").await?;
        } else {
            for item in &items {
                let options = DeleteOptions {
                    uid: Some(item.metadata.uid.clone()),
                    ..options.clone()
                };
                unless_gone(
                    client
                        .delete(&at.clone().name(&item.metadata.name), &options)
                        .await,
                )?;
            }
        }
        items = list(&at, client).await?;
    }
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for finalizer in items.iter().flat_map(|item| &item.metadata.finalizers) {
        *finalizers.entry(finalizer.clone()).or_default() += 1;
    }
    // The deletion timestamp is when an object's grace ends.
    let now = Timestamp::now();
    let grace = items
        .iter()
        .filter_map(|item| item.metadata.deletion_timestamp);
    Ok(Remaining {
        resource: resource.name.clone(),
        group: resource.group.clone(),
        version: resource.version.clone(),
        count: items.len(),
        finalizers,
        grace_seconds: grace
            .map(|end| end.duration_since(now).as_secs())
            .max()
            .unwrap_or(0),
    })
}

async fn list(at: &At, client: &Client) -> Result<Vec<Item>, Status> {
    let options = ListOptions {
        form: v1::Form::Metadata,
        ..ListOptions::default()
    };
    match client.list_all(at, &options).await {
        Ok(list) => list
            .items
            .iter()
            .map(|item| ferrule_client::client::parse(item))
            .collect(),
        // A resource that went away since discovery holds nothing.
        Err(status) if status.is_not_found() => Ok(Vec::new()),
        Err(status) => Err(status),
    }
}

/// Gives this controller's consent by the subresource that upstream has for it, which replaces
/// nothing but the finalizers. The object is a fresh one, fields unknown here included.
async fn finalize(at: &At, client: &Client) -> Result<(), Status> {
    let mut object: Value = match client.get(at).await {
        Ok(object) => object.parse()?,
        Err(status) if status.is_not_found() => return Ok(()),
        Err(status) => return Err(status),
    };
    if let Some(finalizers) = object
        .pointer_mut("/spec/finalizers")
        .and_then(Value::as_array_mut)
    {
        finalizers.retain(|name| name != FINALIZER);
    }
    let at = at.clone().subresource("finalize");
    unless_gone(
        client
            .update(&at, object.to_string(), &Default::default())
            .await,
    )
}
