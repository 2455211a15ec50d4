//! Deletes pods from nodes whose NoExecute taints they do not bear, or not any longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Controller, DeleteOptions, EventType, Key, Next, Queue, Reader, Recorder, Typed,
    Writes,
};
use jiff::Timestamp;

use super::eviction::{Stay, stay};
use super::pods::ByNode;
use crate::manager::{Manager, unless_gone};
use crate::objects::node::{Node, Taint};
use crate::objects::pod::Pod;
use crate::podgc::disrupt;

/// Pods that are evicted at a time.
const WORKERS: usize = 8;

pub(super) fn start(manager: &Manager, pods: Arc<ByNode>) {
    let queue = Queue::new();
    let caches = &manager.caches;
    let (nodes, own) = (caches.nodes.clone(), queue.clone());
    caches.pods.on_change(move |change| {
        let pod = &change.object().value;
        let new_here = match change {
            Change::Added(_) => true,
            Change::Modified { old, .. } => old.value.spec != pod.spec,
            Change::Deleted(_) => false,
        };
        let node = nodes
            .get(&Key::cluster(pod.spec.node_name.as_str()))
            .filter(|_| new_here);
        if node.is_some_and(|node| no_execute(&node.value)) {
            own.add(change.key());
        }
    });
    let own = queue.clone();
    caches.nodes.on_change(move |change| {
        let node: &Node = &change.object().value;
        let look = match change {
            // Pods may have to leave, or need no longer.
            Change::Modified { old, .. } => {
                old.value.spec.taints != node.spec.taints
                    && (no_execute(node) || no_execute(&old.value))
            }
            Change::Added(_) => no_execute(node),
            Change::Deleted(_) => false,
        };
        if look {
            pods.on(&node.metadata.name)
                .iter()
                .for_each(|pod| own.add(pod.key()));
        }
    });
    let readers = Readers::default().with(&caches.nodes).with(&caches.pods);
    let controller = TaintEviction {
        nodes: caches.nodes.clone(),
        pods: caches.pods.clone(),
        recorder: manager.recorder("taint-eviction-controller"),
        scheduled: Mutex::default(),
    };
    manager.run(controller, queue, readers, WORKERS);
}

fn no_execute(node: &Node) -> bool {
    node.spec
        .taints
        .iter()
        .any(|taint: &Taint| taint.effect == "NoExecute")
}

struct TaintEviction {
    nodes: Reader<Typed<Node>>,
    pods: Reader<Typed<Pod>>,
    recorder: Recorder,
    /// The pods that are to be deleted later, by their uids.
    scheduled: Mutex<HashMap<Key, String>>,
}

impl TaintEviction {
    fn scheduled(&self) -> MutexGuard<'_, HashMap<Key, String>> {
        self.scheduled
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn event(&self, pod: &Pod, message: String) {
        let object = pod.meta().reference("v1", "Pod");
        self.recorder
            .event(&object, EventType::Normal, "TaintManagerEviction", message);
    }
}

#[async_trait]
impl Controller for TaintEviction {
    fn name(&self) -> &'static str {
        "taint-eviction"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let before = self.scheduled().remove(key);
        let Some(seen) = self.pods.get(key) else {
            return Ok(Next::Done);
        };
        let pod: &Pod = &seen.value;
        let meta = pod.meta();
        if meta.is_deleting() {
            return Ok(Next::Done);
        }
        let Some(node) = self.nodes.get(&Key::cluster(pod.spec.node_name.as_str())) else {
            return Ok(Next::Done);
        };
        let now = Timestamp::now();
        let until = match stay(pod, &node.value.spec.taints, now) {
            Stay::Forever => {
                if before.is_some_and(|uid| uid == meta.uid) {
                    let message = format!("Cancelling deletion of Pod {key}");
                    self.event(pod, message);
                }
                return Ok(Next::Done);
            }
            Stay::Until(until) => until,
        };
        if until > now {
            self.scheduled().insert(key.clone(), meta.uid.clone());
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
            // Looked at again then: the taint may be gone.
            return Ok(Next::After(wait + Duration::from_millis(10)));
        }
        self.event(pod, format!("Marking for deletion Pod {key}"));
        let why = (
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        );
        disrupt(pod, Some(why), false, writes).await?;
        let at = At::of(gvr::PODS)
            .namespace(&meta.namespace)
            .name(&meta.name);
        unless_gone(
            writes
                .delete(&at, &DeleteOptions::only_uid(&meta.uid))
                .await,
        )?;
        Ok(Next::Done)
    }
}
