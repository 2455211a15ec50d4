//! The node object: registered, kept true, and alive by its lease.

pub mod addresses;
pub mod facts;
pub mod lease;
pub mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{
    At, Change, Client, EventType, Key, ObjectReference, Patch, Reader, Typed, WriteOptions,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::context::Kubelet;

/// How the node object is kept.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often the status is checked.
    pub update: Duration,
    /// How often an unchanged status is written.
    pub report: Duration,
}

/// How often the node's addresses are looked at.
const ADDRESSES: Duration = Duration::from_secs(2);

/// The labels that every kubelet puts on its node.
pub fn labels(node: &str) -> BTreeMap<String, String> {
    let arch = facts::architecture();
    [
        ("beta.kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("kubernetes.io/hostname", node),
        ("kubernetes.io/os", "linux"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Registers the node and keeps its status true, until `shutdown`.
pub async fn run(
    kubelet: Arc<Kubelet>,
    node: Reader<Typed<Node>>,
    timing: Timing,
    register: bool,
    port: u16,
    shutdown: CancellationToken,
) {
    let mut keeper = Keeper {
        kubelet,
        port,
        registered: !register,
        last: None,
        timing,
        written: None,
        ready: None,
    };
    let mut failures = 0;
    let mut changes = node.subscribe();
    let mut addresses = tokio::time::interval(ADDRESSES);
    loop {
        let done = keeper.tick(&node).await;
        failures = if done { 0 } else { failures + 1 };
        let pause = match (done, keeper.ready) {
            (false, _) => Duration::from_millis(200 << failures.min(5)),
            // A node that is about to become ready should not wait for the next regular look.
            (true, Some(true)) => timing.update,
            (true, _) => Duration::from_millis(500).min(timing.update),
        };
        let next = tokio::time::sleep(pause);
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = &mut next => break,
                _ = addresses.tick() => {
                    if keeper.has_moved().await {
                        break;
                    }
                }
                // Who took the node for dead should learn at once that it is not.
                Some(change) = changes.recv() => {
                    // Somebody deleted the node while we live: it comes back.
                    if matches!(change, Change::Deleted(_)) && keeper.written.is_some() {
                        break;
                    }
                    let status = change.object().value.status.as_ref();
                    if done && keeper.ready.is_some() && ready(status) != keeper.ready {
                        break;
                    }
                }
            }
        }
    }
}

/// What the Ready condition of a node says, where it has one.
fn ready(status: Option<&NodeStatus>) -> Option<bool> {
    let conditions = status?.conditions.iter().flatten();
    let own = { conditions }.find(|own| own.type_ == "Ready")?;
    Some(own.status == "True")
}

struct Keeper {
    kubelet: Arc<Kubelet>,
    port: u16,
    registered: bool,
    /// The status that was written last, without its times of heartbeat.
    last: Option<Value>,
    timing: Timing,
    written: Option<Timestamp>,
    ready: Option<bool>,
}

impl Keeper {
    /// Whether the node has other addresses than it had.
    async fn has_moved(&self) -> bool {
        let kubelet = self.kubelet.clone();
        let moved = tokio::task::spawn_blocking(move || kubelet.addresses.refresh()).await;
        let moved = moved.unwrap_or(false);
        if moved {
            let addresses = self.kubelet.addresses.all();
            tracing::info!(?addresses, "the node has other addresses");
        }
        moved
    }

    /// One look; says whether all could be written that had to be.
    async fn tick(&mut self, reader: &Reader<Typed<Node>>) -> bool {
        let name = self.kubelet.config.node.clone();
        if !self.registered {
            match self.register(&name).await {
                Ok(()) => self.registered = true,
                Err(status) => {
                    tracing::warn!(%status, "cannot register the node");
                    return false;
                }
            }
        }
        if !reader.synced() {
            // Unseen, the node's last status could not be kept.
            return false;
        }
        let current = reader.get(&Key::cluster(name.as_str()));
        if current.is_none() && self.written.is_some() {
            tracing::info!(node = name, "the node was deleted; it is registered again");
            self.registered = false;
            self.written = None;
            self.last = None;
            return false;
        }
        let old = current
            .as_ref()
            .and_then(|own| own.value.status.clone())
            .unwrap_or_default();
        let now = Timestamp::now();
        let new = status::generate(&self.kubelet, &old, self.port, now).await;
        let is_ready = ready(Some(&new)) == Some(true);
        let comparable = without_heartbeats(&new);
        let report =
            SignedDuration::try_from(self.timing.report).unwrap_or(SignedDuration::from_mins(5));
        let due = self
            .written
            .is_none_or(|written| now.duration_since(written) >= report);
        // Others write conditions too: a controller that took the node for dead is set right.
        let undone = current.is_some() && !conditions_hold(&old, &new);
        if self.last.as_ref() == Some(&comparable) && !due && !undone {
            self.ready = Some(is_ready);
            return true;
        }
        let Some(patch) = status::patch(&old, &new) else {
            return true;
        };
        let at = At::of(gvr::NODES).name(&*name).subresource("status");
        match self
            .kubelet
            .client
            .patch(&at, &Patch::Strategic(patch), &WriteOptions::default())
            .await
        {
            Ok(_) => {
                // The object remembers what was said before this process began.
                let told = self.ready.or_else(|| ready(Some(&old)));
                if told.is_some_and(|told| told != is_ready) {
                    self.say(&name, is_ready);
                }
                (self.ready, self.last, self.written) =
                    (Some(is_ready), Some(comparable), Some(now));
                true
            }
            Err(status) if status.code == 404 => {
                self.registered = false;
                false
            }
            Err(status) => {
                tracing::warn!(%status, "cannot write the node's status");
                false
            }
        }
    }

    fn say(&self, name: &str, ready: bool) {
        let reason = if ready { "NodeReady" } else { "NodeNotReady" };
        let object = ObjectReference {
            kind: "Node".to_owned(),
            name: name.to_owned(),
            uid: name.to_owned(),
            ..ObjectReference::default()
        };
        let message = format!("Node {name} status is now: {reason}");
        self.kubelet
            .recorder
            .event(&object, EventType::Normal, reason, message);
    }

    async fn register(&self, name: &str) -> Result<(), ferrule_apimachinery::Status> {
        let client: &Client = &self.kubelet.client;
        let status = status::generate(
            &self.kubelet,
            &NodeStatus::default(),
            self.port,
            Timestamp::now(),
        )
        .await;
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": labels(name),
                "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            },
            "spec": {},
            "status": status,
        });
        match client
            .create(
                &At::of(gvr::NODES),
                node.to_string(),
                &WriteOptions::default(),
            )
            .await
        {
            Ok(_) => {
                tracing::info!(node = name, "registered the node");
                return Ok(());
            }
            Err(status) if status.code == 409 => {}
            Err(status) => return Err(status),
        }
        // It was here before: only our own labels are set right.
        let at = At::of(gvr::NODES).name(name);
        let existing: Node = client.get(&at).await?.parse()?;
        let present = existing.metadata.labels.unwrap_or_default();
        let missing: BTreeMap<String, String> = labels(name)
            .into_iter()
            .filter(|(key, value)| present.get(key) != Some(value))
            .collect();
        if !missing.is_empty() {
            let patch = Patch::Merge(json!({"metadata": {"labels": missing}}));
            client.patch(&at, &patch, &WriteOptions::default()).await?;
        }
        Ok(())
    }
}

fn without_heartbeats(status: &NodeStatus) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    for condition in value["conditions"].as_array_mut().into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastHeartbeatTime");
        }
    }
    value
}

fn conditions_hold(old: &NodeStatus, new: &NodeStatus) -> bool {
    new.conditions.iter().flatten().all(|condition| {
        old.conditions
            .iter()
            .flatten()
            .any(|own| own.type_ == condition.type_ && own.status == condition.status)
    })
}
