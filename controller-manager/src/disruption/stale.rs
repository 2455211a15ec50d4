//! Pods that were to be disrupted and are not: their condition says so after a while.

use std::time::Duration;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{At, Controller, Key, Next, Patch, Queue, Reader, Typed, Writes};
use serde_json::json;

use super::plan::stale_in;
use crate::manager::{Manager, unless_gone};
use crate::objects::meta::{now, time};
use crate::objects::pod::Pod;

pub(super) fn start(manager: &Manager) {
    let queue = Queue::new();
    let pods = &manager.caches.pods;
    let own = queue.clone();
    pods.on_change(move |change| {
        if stale_in(&change.object().value, now()).is_some() {
            own.add(change.key());
        }
    });
    let controller = StaleDisruptions(pods.clone());
    manager.run(controller, queue, Readers::default().with(pods), 1);
}

struct StaleDisruptions(Reader<Typed<Pod>>);

#[async_trait]
impl Controller for StaleDisruptions {
    fn name(&self) -> &'static str {
        "stale-disruptions"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.0.get(key) else {
            return Ok(Next::Done);
        };
        let (pod, now): (&Pod, _) = (&seen.value, now());
        let Some(left) = stale_in(pod, now) else {
            return Ok(Next::Done);
        };
        if left.is_positive() {
            return Ok(Next::After(
                Duration::try_from(left).unwrap_or(Duration::ZERO),
            ));
        }
        let patch = json!({
            "metadata": {"uid": pod.meta().uid, "resourceVersion": pod.meta().resource_version},
            "status": {"conditions": [{
                "type": "DisruptionTarget",
                "status": "False",
                "reason": null,
                "message": null,
                "lastTransitionTime": time(now),
            }]},
        });
        let at = At::of(gvr::PODS)
            .namespace(&*key.namespace)
            .name(&*key.name)
            .subresource("status");
        unless_gone(writes.patch(&at, &Patch::Strategic(patch)).await)?;
        Ok(Next::Done)
    }
}
