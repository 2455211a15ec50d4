//! Mirrors Endpoints of services without a selector, which somebody keeps by hand, to EndpointSlices.

pub mod plan;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{Controller, EventType, Key, Next, Queue, Reader, Recorder, Typed, Writes};

use crate::endpointslice::carry_out;
use crate::endpointslice::plan::{MANAGED_BY, SERVICE_NAME};
use crate::manager::{Manager, enqueue_all};
use crate::objects::meta::Meta;
use crate::objects::service::{EndpointSlice, Endpoints, Service};
use plan::{CONTROLLER, MOST, Observed};

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.endpoints, &queue);
    enqueue_all(&caches.services, &queue);
    let own = queue.clone();
    caches.slices.on_change(move |change| {
        let meta: &Meta = &change.object().value.metadata;
        if let Some(service) = endpoints_of(meta) {
            own.add(Key::new(meta.namespace.as_str(), service));
        }
    });
    let readers = Readers::default()
        .with(&caches.endpoints)
        .with(&caches.services)
        .with(&caches.slices);
    let controller = Mirroring {
        endpoints: caches.endpoints.clone(),
        services: caches.services.clone(),
        slices: caches.slices.clone(),
        recorder: manager.recorder("endpoint-slice-mirroring-controller"),
    };
    let workers = manager.options.mirroring_concurrent_service_endpoint_syncs;
    manager.run(controller, queue, readers, workers);
}

fn endpoints_of(slice: &Meta) -> Option<&str> {
    let manager = slice.labels.get(MANAGED_BY);
    let own = manager.is_some_and(|manager| manager == CONTROLLER);
    let name = slice.labels.get(SERVICE_NAME).filter(|_| own);
    name.map(String::as_str)
}

struct Mirroring {
    endpoints: Reader<Typed<Endpoints>>,
    services: Reader<Typed<Service>>,
    slices: Reader<Typed<EndpointSlice>>,
    recorder: Recorder,
}

#[async_trait]
impl Controller for Mirroring {
    fn name(&self) -> &'static str {
        "endpointslicemirroring"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let (endpoints, service) = (self.endpoints.get(key), self.services.get(key));
        let mut slices = self.slices.in_namespace(&key.namespace);
        slices.retain(|slice| endpoints_of(&slice.value.metadata) == Some(&*key.name));
        let slices: Vec<&EndpointSlice> = slices.iter().map(|slice| &*slice.value).collect();
        let plan = plan::plan(&Observed {
            endpoints: endpoints.as_ref().map(|seen| &*seen.value),
            service: service.as_ref().map(|seen| &*seen.value),
            slices: slices.clone(),
        });
        if let Some(endpoints) = &endpoints {
            self.report(&endpoints.value.metadata, plan.invalid, plan.skipped);
        }
        let changes = (&*plan.create, &*plan.change, &*plan.delete);
        carry_out(&key.namespace, &slices, changes, writes).await?;
        Ok(Next::Done)
    }
}

impl Mirroring {
    fn report(&self, endpoints: &Meta, invalid: usize, skipped: usize) {
        let object = endpoints.reference("v1", "Endpoints");
        let warn = |reason: &str, message: String| {
            self.recorder
                .event(&object, EventType::Warning, reason, message);
        };
        if invalid > 0 {
            warn(
                "InvalidIPAddress",
                format!("Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices"),
            );
        }
        if skipped > invalid {
            warn(
                "TooManyAddressesToMirror",
                format!(
                    "A max of {MOST} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
                ),
            );
        }
    }
}
