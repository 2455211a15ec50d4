//! Observes nodes, and tells of those that fell silent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Controller, EventType, Key, Next, ObjectReference, Patch, Queue, Reader, Recorder,
    Typed, Writes,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::contact::{self, Contact};
use super::health::{self, Grace, Heard, Observed};
use super::pods::ByNode;
use super::zones::{Eviction, Rates, Zones};
use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::meta::{now, time};
use crate::objects::node::{Node, NodeLease};
use crate::objects::pod::Pod;

/// Where kubelets renew their leases.
pub(super) const LEASES: &str = "kube-node-lease";
/// Nodes that are looked at at a time.
const WORKERS: usize = 4;

pub(super) fn start(manager: &Manager, pods: Arc<ByNode>) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.nodes, &queue);
    let readers = Readers::default()
        .with(&caches.nodes)
        .with(&caches.leases)
        .with(&caches.pods);
    let options = &manager.options;
    let signed =
        |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let (contact, proving) = contact::watch(
        &manager.client,
        caches,
        options.node_monitor_period,
        manager.shutdown.clone(),
    );
    manager.spawn(proving);
    let rates = Rates {
        primary: options.node_eviction_rate,
        secondary: options.secondary_node_eviction_rate,
        threshold: options.unhealthy_zone_threshold,
        large: options.large_cluster_size_threshold,
    };
    let controller = Lifecycle {
        nodes: caches.nodes.clone(),
        leases: caches.leases.clone(),
        pods,
        zones: follow(&caches.nodes, rates),
        contact,
        heard: Mutex::default(),
        grace: Grace {
            monitor: signed(options.node_monitor_grace_period),
            startup: signed(options.node_startup_grace_period),
        },
        period: options.node_monitor_period,
        recorder: manager.recorder("node-controller"),
    };
    manager.run(controller, queue, readers, WORKERS);
}

struct Lifecycle {
    nodes: Reader<Typed<Node>>,
    leases: Reader<Typed<NodeLease>>,
    pods: Arc<ByNode>,
    zones: Arc<Mutex<Zones>>,
    contact: Arc<Mutex<Contact>>,
    heard: Mutex<HashMap<Key, (String, Heard)>>,
    grace: Grace,
    period: Duration,
    recorder: Recorder,
}

#[async_trait]
impl Controller for Lifecycle {
    fn name(&self) -> &'static str {
        "node-lifecycle"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.nodes.get(key) else {
            self.forget(key);
            return Ok(Next::Done);
        };
        let node: &Node = &seen.value;
        let now = now();
        let heard = self.hear(key, node, now);
        let pods = self.pods.on(&key.name);
        let cancelled = lock(&self.zones).all_disrupted();
        let mut observed = Observed {
            node,
            heard: &heard,
            contact: *self
                .contact
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
            pods: pods.iter().map(|pod| &*pod.value).collect(),
            eviction: if cancelled {
                Eviction::Cancelled
            } else {
                Eviction::Later
            },
        };
        let mut plan = health::plan(&observed, self.grace, now);
        let mut turn = None;
        if plan.awaits_eviction {
            match lock(&self.zones).pass(key, Timestamp::now()) {
                Ok(()) => {
                    observed.eviction = Eviction::Allowed;
                    plan = health::plan(&observed, self.grace, now);
                }
                Err(wait) => turn = wait.and_then(|wait| Duration::try_from(wait).ok()),
            }
        }
        let at = At::of(gvr::NODES).name(&*key.name);
        let mut version = node.metadata.resource_version.clone();
        if !plan.conditions.is_empty() {
            // A status that the kubelet posts meanwhile wins: the version is another then.
            let patch = json!({
                "metadata": {"resourceVersion": version},
                "status": {"conditions": plan.conditions},
            });
            let patched = writes
                .patch(&at.clone().subresource("status"), &Patch::Strategic(patch))
                .await?;
            version = patched.revision.to_string();
        }
        if plan.lost {
            let message = format!("Node {} status is now: NodeNotReady", key.name);
            self.recorder.event(
                &node.metadata.reference("v1", "Node"),
                EventType::Normal,
                "NodeNotReady",
                message,
            );
        }
        if let Some(taints) = &plan.taints {
            let patch =
                json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
            writes.patch(&at, &Patch::Merge(patch)).await?;
        }
        for place in plan.unready_pods {
            self.mark_unready(&pods[place].value, now, writes).await?;
        }
        let grace = plan.judge_in.and_then(|left| Duration::try_from(left).ok());
        // Times are in whole seconds: a moment later the grace has surely ended.
        let judge = grace.map_or(self.period, |left| left + Duration::from_secs(1));
        Ok(Next::After(
            self.period.min(judge).min(turn.unwrap_or(judge)),
        ))
    }
}

impl Lifecycle {
    fn hear(&self, key: &Key, node: &Node, now: Timestamp) -> Heard {
        let lease = self.leases.get(&Key::new(LEASES, key.name.clone()));
        let lease = lease.as_ref().map(|lease| &*lease.value);
        let mut all = self
            .heard
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let uid = &node.metadata.uid;
        let first = Heard::first(node, lease, now);
        let (_, heard) = all
            .entry(key.clone())
            .and_modify(|(known, heard)| {
                if known == uid {
                    heard.update(node, lease, now);
                } else {
                    (*known, *heard) = (uid.clone(), Heard::first(node, lease, now));
                }
            })
            .or_insert_with(|| {
                let message = format!(
                    "Node {0} event: Registered Node {0} in Controller",
                    key.name
                );
                let node = node.metadata.reference("v1", "Node");
                self.recorder
                    .event(&node, EventType::Normal, "RegisteredNode", message);
                (uid.clone(), first)
            });
        heard.clone()
    }

    fn forget(&self, key: &Key) {
        let forgotten = self
            .heard
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .remove(key);
        if let Some((uid, _)) = forgotten {
            let node = ObjectReference {
                kind: "Node".to_owned(),
                name: key.name.to_string(),
                uid,
                ..ObjectReference::default()
            };
            let message = format!(
                "Node {0} event: Removing Node {0} from Controller",
                key.name
            );
            self.recorder
                .event(&node, EventType::Normal, "RemovingNode", message);
        }
    }

    async fn mark_unready(&self, pod: &Pod, now: Timestamp, writes: &Writes) -> Result<(), Error> {
        let meta = pod.meta();
        let patch = json!({
            "metadata": {"uid": meta.uid},
            "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": time(now)}]},
        });
        let at = At::of(gvr::PODS)
            .namespace(&meta.namespace)
            .name(&meta.name)
            .subresource("status");
        unless_gone(writes.patch(&at, &Patch::Strategic(patch)).await)?;
        self.recorder.event(
            &meta.reference("v1", "Pod"),
            EventType::Warning,
            "NodeNotReady",
            "Node is not ready",
        );
        Ok(())
    }
}

fn lock(zones: &Mutex<Zones>) -> MutexGuard<'_, Zones> {
    zones
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Keeps the count of nodes in each zone.
fn follow(nodes: &Reader<Typed<Node>>, rates: Rates) -> Arc<Mutex<Zones>> {
    let zones = Arc::new(Mutex::new(Zones::new(rates)));
    let own = zones.clone();
    nodes.on_change(move |change| match change {
        Change::Deleted(_) => lock(&own).remove(&change.key()),
        _ => lock(&own).observe(change.key(), &change.object().value),
    });
    zones
}
