//! Pod clean-up: pods that no kubelet will ever remove.

pub mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Controller, DeleteOptions, Key, Next, Patch, Queue, Reader, Typed, Writes,
};
use jiff::Timestamp;
use serde_json::json;

use crate::manager::{Manager, everything, unless_gone};
use crate::objects::meta::time;
use crate::objects::node::Node;
use crate::objects::pod::Pod;
use plan::{Observed, Why};

/// How often pods are looked over.
const PERIOD: Duration = Duration::from_secs(20);

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    queue.add(everything());
    let caches = &manager.caches;
    let readers = Readers::default().with(&caches.pods).with(&caches.nodes);
    let controller = PodGc {
        pods: caches.pods.clone(),
        nodes: caches.nodes.clone(),
        missing_since: Mutex::default(),
        threshold: manager.options.terminated_pod_gc_threshold,
    };
    manager.run(controller, queue, readers, 1);
}

struct PodGc {
    pods: Reader<Typed<Pod>>,
    nodes: Reader<Typed<Node>>,
    missing_since: Mutex<BTreeMap<String, Timestamp>>,
    threshold: i64,
}

#[async_trait]
impl Controller for PodGc {
    fn name(&self) -> &'static str {
        "pod-garbage-collector"
    }

    async fn reconcile(&self, _: &Key, writes: &Writes) -> Result<Next, Error> {
        let (pods, nodes) = (self.pods.list(), self.nodes.list());
        let observed = Observed {
            pods: pods.iter().map(|pod| &*pod.value).collect(),
            nodes: nodes
                .iter()
                .map(|node| (&*node.header.name, &*node.value))
                .collect(),
            missing_since: self.missing_since().clone(),
            threshold: self.threshold,
        };
        let plan = plan::plan(&observed, Timestamp::now());
        *self.missing_since() = plan.missing_since;
        let mut there = BTreeSet::new();
        for node in plan.verify {
            // The cache may lag behind; a node that is there keeps its pods.
            match writes.client().get(&At::of(gvr::NODES).name(&node)).await {
                Err(status) if status.is_not_found() => {}
                _ => drop(there.insert(node)),
            }
        }
        for (place, why) in plan.remove {
            let pod: &Pod = &pods[place].value;
            if why == Why::Orphaned && there.contains(&pod.spec.node_name) {
                continue;
            }
            tracing::info!(pod = %pods[place].key(), ?why, "removing a pod that nobody else will");
            if let Err(status) = remove(pod, why, writes).await {
                tracing::warn!(pod = %pods[place].key(), error = %status, "the pod was not removed");
            }
        }
        Ok(Next::After(PERIOD))
    }
}

impl PodGc {
    fn missing_since(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.missing_since
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn remove(pod: &Pod, why: Why, writes: &Writes) -> Result<(), Status> {
    let meta = pod.meta();
    let said = why.message().map(|message| ("DeletionByPodGC", message));
    disrupt(pod, said, true, writes).await?;
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        ..DeleteOptions::only_uid(&meta.uid)
    };
    unless_gone(
        writes
            .delete(
                &At::of(gvr::PODS)
                    .namespace(&meta.namespace)
                    .name(&meta.name),
                &options,
            )
            .await,
    )
}

/// Says on a pod why it is about to be deleted, and that it failed if nobody else can.
pub async fn disrupt(
    pod: &Pod,
    why: Option<(&str, &str)>,
    fail: bool,
    writes: &Writes,
) -> Result<(), Status> {
    if pod.is_terminal() {
        return Ok(());
    }
    let meta = pod.meta();
    let mut patch = json!({"metadata": {"uid": meta.uid}, "status": {}});
    if let Some((reason, message)) = why {
        patch["status"]["conditions"] = json!([{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": time(Timestamp::now()),
        }]);
    }
    if fail {
        patch["status"]["phase"] = json!("Failed");
    }
    let at = At::of(gvr::PODS)
        .namespace(&meta.namespace)
        .name(&meta.name)
        .subresource("status");
    unless_gone(writes.patch(&at, &Patch::Strategic(patch)).await)
}
