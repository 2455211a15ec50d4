//! Claims, kept while pods use them.

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Client, Controller, Key, ListOptions, Next, Queue, Reader, Typed, Writes,
};

use super::carry_out;
use super::plan::{CLAIM, concerns, plan, uses};
use crate::manager::Manager;
use crate::objects::meta::HasMeta;
use crate::objects::pod::Pod;
use crate::objects::volume::Protected;

pub(super) fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    let own = queue.clone();
    caches.claims.on_change(move |change| {
        if concerns(&change.object().value, CLAIM) {
            own.add(change.key());
        }
    });
    let own = queue.clone();
    caches.pods.on_change(move |change| match change {
        Change::Deleted(pod) => enqueue_claims(&pod.value, &own),
        Change::Added(pod) => enqueue_if_it_lets_go(&pod.value, &own),
        Change::Modified { old, new } => {
            enqueue_if_it_lets_go(&new.value, &own);
            // Another pod of the same name: the one before it is gone.
            if old.value.meta().uid != new.value.meta().uid {
                enqueue_claims(&old.value, &own);
            }
        }
    });
    let readers = Readers::default().with(&caches.claims).with(&caches.pods);
    let controller = Claims {
        claims: caches.claims.clone(),
        pods: caches.pods.clone(),
    };
    manager.run(controller, queue, readers, 1);
}

/// Only a pod that is about to end, or has no node, can free a claim.
fn enqueue_if_it_lets_go(pod: &Pod, queue: &Queue) {
    if !pod.is_active() || pod.spec.node_name.is_empty() {
        enqueue_claims(pod, queue);
    }
}

fn enqueue_claims(pod: &Pod, queue: &Queue) {
    for volume in &pod.spec.volumes {
        let namespace = pod.meta().namespace.as_str();
        queue.add(Key::new(namespace, volume.claim_name(pod)));
    }
}

struct Claims {
    claims: Reader<Typed<Protected>>,
    pods: Reader<Typed<Pod>>,
}

#[async_trait]
impl Controller for Claims {
    fn name(&self) -> &'static str {
        "persistentvolumeclaim-protection"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.claims.get(key) else {
            return Ok(Next::Done);
        };
        let claim: &Protected = &seen.value;
        if !concerns(claim, CLAIM) {
            return Ok(Next::Done);
        }
        let in_use = claim.meta().is_deleting() && self.is_used(claim, writes.client()).await?;
        let at = At::of(gvr::PERSISTENT_VOLUME_CLAIMS)
            .namespace(&*key.namespace)
            .name(&*key.name);
        carry_out(plan(claim, CLAIM, in_use), &at, claim, CLAIM, writes).await?;
        Ok(Next::Done)
    }
}

impl Claims {
    /// Whether a pod uses the claim. What the cache does not know yet is asked for before the claim is let go.
    async fn is_used(&self, claim: &Protected, client: &Client) -> Result<bool, Status> {
        let namespace = claim.meta().namespace.as_str();
        let cached = self.pods.in_namespace(namespace);
        if cached.iter().any(|pod| uses(&pod.value, claim)) {
            return Ok(true);
        }
        let at = At::of(gvr::PODS).namespace(namespace);
        let pods = client.list_all(&at, &ListOptions::default()).await?;
        for item in &pods.items {
            let pod: Pod = ferrule_client::client::parse(item)?;
            if uses(&pod, claim) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
