//! EndpointSlices: where services with a selector lead.

pub mod plan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Controller, DeleteOptions, Key, Next, Patch, Queue, Reader, Typed, Writes,
};
use serde_json::{Value, json};

use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::meta::{Map, Meta};
use crate::objects::node::Node;
use crate::objects::pod::Pod;
use crate::objects::service::{EndpointSlice, Service};
use plan::{CONTROLLER, MANAGED_BY, Observed, SERVICE_NAME};

const ZONE: &str = "topology.kubernetes.io/zone";
/// When a service is looked at again whose pod's node is not there.
const NODE_PERIOD: Duration = Duration::from_secs(2);

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.services, &queue);
    enqueue_for_pods(&caches.pods, &caches.services, &queue);
    let own = queue.clone();
    caches.slices.on_change(move |change| {
        let meta: &Meta = &change.object().value.metadata;
        if let Some(service) = service_of(meta) {
            own.add(Key::new(meta.namespace.as_str(), service));
        }
    });
    let readers = Readers::default()
        .with(&caches.services)
        .with(&caches.pods)
        .with(&caches.slices)
        .with(&caches.nodes);
    let controller = EndpointSlices {
        services: caches.services.clone(),
        pods: caches.pods.clone(),
        nodes: caches.nodes.clone(),
        slices: caches.slices.clone(),
    };
    manager.run(
        controller,
        queue,
        readers,
        manager.options.concurrent_service_endpoint_syncs,
    );
}

/// Adds the services that led or lead to a pod when it changes in a way that services see.
pub fn enqueue_for_pods(
    pods: &Reader<Typed<Pod>>,
    services: &Reader<Typed<Service>>,
    queue: &Queue,
) {
    let (services, queue) = (services.clone(), queue.clone());
    let add = move |namespace: &str, labels: &[&Map]| {
        for service in services.in_namespace(namespace) {
            if labels.iter().any(|labels| service.value.selects(labels)) {
                queue.add(service.key());
            }
        }
    };
    pods.on_change(move |change| match change {
        Change::Modified { old, new } => {
            let (old, new) = (&*old.value, &*new.value);
            let same = visible(old) == visible(new)
                && old.labels() == new.labels()
                && old.spec == new.spec;
            if !same {
                add(&new.meta().namespace, &[old.labels(), new.labels()]);
            }
        }
        Change::Added(pod) | Change::Deleted(pod) => {
            add(&pod.value.meta().namespace, &[pod.value.labels()])
        }
    });
}

/// What a service sees of a pod's state.
fn visible(pod: &Pod) -> (Option<&str>, bool, bool, bool) {
    (
        pod.ipv4(),
        pod.is_ready(),
        pod.is_terminal(),
        pod.meta().is_deleting(),
    )
}

fn service_of(slice: &Meta) -> Option<&str> {
    let own = slice
        .labels
        .get(MANAGED_BY)
        .is_some_and(|manager| manager == CONTROLLER);
    slice
        .labels
        .get(SERVICE_NAME)
        .filter(|_| own)
        .map(String::as_str)
}

struct EndpointSlices {
    services: Reader<Typed<Service>>,
    pods: Reader<Typed<Pod>>,
    nodes: Reader<Typed<Node>>,
    slices: Reader<Typed<EndpointSlice>>,
}

#[async_trait]
impl Controller for EndpointSlices {
    fn name(&self) -> &'static str {
        "endpointslice"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        // The slices of a service that is gone are the garbage collector's.
        let Some(seen) = self.services.get(key) else {
            return Ok(Next::Done);
        };
        let service: &Service = &seen.value;
        if service.pod_labels().is_none() || service.metadata.is_deleting() {
            return Ok(Next::Done);
        }
        let pods = self.pods.in_namespace(&key.namespace);
        let nodes = self.nodes.list();
        let slices: Vec<_> = self
            .slices
            .in_namespace(&key.namespace)
            .into_iter()
            .filter(|slice| service_of(&slice.value.metadata) == Some(&*key.name))
            .collect();
        let zone = |node: &'_ Node| node.metadata.labels.get(ZONE).cloned();
        let zones: Vec<(String, String)> = nodes
            .iter()
            .map(|node| {
                (
                    node.value.metadata.name.clone(),
                    zone(&node.value).unwrap_or_default(),
                )
            })
            .collect();
        let observed = Observed {
            service,
            pods: pods
                .iter()
                .map(|pod| &*pod.value)
                .filter(|pod: &&Pod| service.selects(pod.labels()))
                .collect(),
            zones: zones
                .iter()
                .map(|(node, zone)| (node.as_str(), zone.as_str()))
                .collect(),
            slices: slices.iter().map(|slice| &*slice.value).collect(),
        };
        let plan = plan::plan(&observed);
        let present: Vec<&EndpointSlice> = slices.iter().map(|slice| &*slice.value).collect();
        let changes = (&*plan.create, &*plan.change, &*plan.delete);
        carry_out(&key.namespace, &present, changes, writes).await?;
        Ok(match plan.lacks_nodes {
            true => Next::After(NODE_PERIOD),
            false => Next::Done,
        })
    }
}

/// Slices to make, to change (by their place, with a merge patch) and to delete.
pub(crate) type Changes<'a> = (&'a [Value], &'a [(usize, Value)], &'a [usize]);

/// Carries out a plan for slices as they were observed.
pub(crate) async fn carry_out(
    namespace: &str,
    present: &[&EndpointSlice],
    (create, change, delete): Changes<'_>,
    writes: &Writes,
) -> Result<(), Status> {
    let collection = At::of(gvr::ENDPOINT_SLICES).namespace(namespace);
    for object in create {
        match writes.create(&collection, object.to_string()).await {
            Err(status) if status.is_namespace_terminating() => return Ok(()),
            result => drop(result?),
        }
    }
    for (place, patch) in change {
        let meta = &present[*place].metadata;
        let mut patch = patch.clone();
        patch["metadata"]["resourceVersion"] = json!(meta.resource_version);
        let at = collection.clone().name(&meta.name);
        writes.patch(&at, &Patch::Merge(patch)).await?;
    }
    for place in delete {
        let meta = &present[*place].metadata;
        let options = DeleteOptions::only_uid(&meta.uid);
        let at = collection.clone().name(&meta.name);
        unless_gone(writes.delete(&at, &options).await)?;
    }
    Ok(())
}
