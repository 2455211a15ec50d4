//! Endpoints: where services lead, in the older form.

pub mod plan;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Mutex;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Controller, DeleteOptions, Key, Next, Patch, Queue, Reader, Typed, Writes,
};
use serde_json::json;

use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::pod::Pod;
use crate::objects::service::{Endpoints, Service};
use plan::{Observed, Plan, is_ours};

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.services, &queue);
    enqueue_all(&caches.endpoints, &queue);
    crate::endpointslice::enqueue_for_pods(&caches.pods, &caches.services, &queue);
    let readers = Readers::default()
        .with(&caches.services)
        .with(&caches.pods)
        .with(&caches.endpoints);
    let controller = AllEndpoints {
        services: caches.services.clone(),
        pods: caches.pods.clone(),
        endpoints: caches.endpoints.clone(),
        known: Mutex::default(),
    };
    manager.run(
        controller,
        queue,
        readers,
        manager.options.concurrent_endpoint_syncs,
    );
}

struct AllEndpoints {
    services: Reader<Typed<Service>>,
    pods: Reader<Typed<Pod>>,
    endpoints: Reader<Typed<Endpoints>>,
    /// The services that there were.
    known: Mutex<HashSet<Key>>,
}

#[async_trait]
impl Controller for AllEndpoints {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let collection = At::of(gvr::ENDPOINTS).namespace(&*key.namespace);
        let at = collection.clone().name(&*key.name);
        let present = self.endpoints.get(key);
        let Some(seen) = self.services.get(key) else {
            // They go with their service, as upstream; nothing owns them by reference. Those that never had
            // one are somebody else's.
            let known = self.known.lock().is_ok_and(|mut known| known.remove(key));
            if let Some(present) = present.filter(|present| known || is_ours(&present.value)) {
                let options = DeleteOptions::only_uid(&present.value.metadata.meta.uid);
                unless_gone(writes.delete(&at, &options).await)?;
            }
            return Ok(Next::Done);
        };
        if let Ok(mut known) = self.known.lock() {
            known.insert(key.clone());
        }
        let service: &Service = &seen.value;
        if service.pod_labels().is_none() || service.metadata.is_deleting() {
            return Ok(Next::Done);
        }
        let pods = self.pods.in_namespace(&key.namespace);
        let observed = Observed {
            service,
            pods: pods
                .iter()
                .map(|pod| &*pod.value)
                .filter(|pod: &&Pod| service.selects(pod.labels()))
                .collect(),
            endpoints: present.as_ref().map(|present| &*present.value),
        };
        match plan::plan(&observed) {
            Plan::Nothing => {}
            Plan::Create(object) => match writes.create(&collection, object.to_string()).await {
                Err(status) if status.is_namespace_terminating() => {}
                result => drop(result?),
            },
            Plan::Change(mut patch) => {
                let version =
                    present.map(|present| present.value.metadata.meta.resource_version.clone());
                patch["metadata"]["resourceVersion"] = json!(version);
                writes.patch(&at, &Patch::Merge(patch)).await?;
            }
        }
        Ok(Next::Done)
    }
}
