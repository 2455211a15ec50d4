//! What the scheduler writes: bindings, what it says of refused pods, and pods made to leave.

use std::collections::HashMap;
use std::sync::Arc;

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::client::{At, Client, DeleteOptions, Patch, WriteOptions};
use ferrule_client::{EventType, ObjectReference, Recorder};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::pod::Pod;

/// Bindings under way at a time.
const BINDINGS: usize = 128;
/// Other writes under way at a time.
const OTHERS: usize = 64;

/// Writes to the API server, many at a time. Clones share the limits.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    /// One for each scheduler name: events tell who decided.
    recorders: Arc<HashMap<Box<str>, Recorder>>,
    bindings: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

/// What becomes of the node that is kept for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nomination {
    /// As it was.
    Keep,
    /// This one; `""` for none.
    Set(Box<str>),
}

impl Writer {
    /// Writes by `client` for schedulers of these names.
    pub fn new<'a>(client: Client, names: impl Iterator<Item = &'a str>) -> Writer {
        let recorders = names.map(|name| (name.into(), Recorder::of_cluster(&client, name)));
        Writer {
            recorders: Arc::new(recorders.collect()),
            client,
            bindings: Arc::new(Semaphore::new(BINDINGS)),
            others: Arc::new(Semaphore::new(OTHERS)),
        }
    }

    /// Binds a pod to a node.
    pub async fn bind(&self, pod: &Pod, node: &str) -> Result<(), Status> {
        let _place = self.bindings.acquire().await;
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": &*pod.namespace, "name": &*pod.name, "uid": &*pod.uid},
            "target": {"kind": "Node", "name": node},
        });
        let at = at(pod).subresource("binding");
        match self
            .client
            .create(&at, binding.to_string(), &WriteOptions::default())
            .await
        {
            Ok(_) => Ok(()),
            // Nobody said what became of it: the pod itself does.
            Err(status)
                if matches!(status.reason, Reason::Timeout | Reason::ServiceUnavailable) =>
            {
                let now: Value = self.client.get(&self::at(pod)).await?.parse()?;
                if now["spec"]["nodeName"] == node {
                    Ok(())
                } else {
                    Err(status)
                }
            }
            Err(status) => Err(status),
        }
    }

    /// Tells that a pod was bound. It happens once to a pod, so nothing has to be counted, and
    /// many such events can be on their way at a time.
    pub async fn tell_scheduled(&self, pod: &Pod, node: &str) {
        let _place = self.others.acquire().await;
        let time = Timestamp::now();
        let stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let component = &*pod.scheduler_name;
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "namespace": &*pod.namespace,
                "name": format!("{}.{:x}", pod.name, time.as_nanosecond()),
            },
            "involvedObject": reference(pod),
            "reason": "Scheduled",
            "message": format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name),
            "source": {"component": component},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "type": "Normal",
            "reportingComponent": component,
            "reportingInstance": "",
        });
        let at = At::of(gvr::EVENTS).namespace(&*pod.namespace);
        let created = self
            .client
            .create(&at, event.to_string(), &WriteOptions::default())
            .await;
        if let Err(status) = created {
            tracing::debug!(pod = %pod.name, error = %status, "the event was not written");
        }
    }

    /// Says why a pod waits, by an event and by its condition; what the pod says already is not
    /// written again.
    pub async fn tell_refused(&self, pod: &Pod, message: String, nomination: Nomination) {
        let event = ("FailedScheduling", shortened(&message));
        self.record(pod, pod, EventType::Warning, event);
        let said = pod.refusal.as_ref();
        let same =
            said.is_some_and(|(reason, said)| &**reason == "Unschedulable" && **said == *message);
        let nominated = match nomination {
            Nomination::Set(node) if node != pod.nominated => Some(node),
            _ => None,
        };
        if same && nominated.is_none() {
            return;
        }
        let mut condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
        });
        if said.is_none() {
            condition["lastTransitionTime"] = json!(now());
        }
        let mut status = json!({"conditions": [condition]});
        if let Some(node) = nominated {
            status["nominatedNodeName"] = match node.is_empty() {
                true => Value::Null,
                false => json!(&*node),
            };
        }
        if let Err(error) = self.patch_status(pod, status).await {
            tracing::debug!(pod = %pod.name, %error, "the condition was not written");
        }
    }

    /// Takes back that room is kept for a pod.
    pub async fn clear_nomination(&self, pod: &Pod) {
        let status = json!({"nominatedNodeName": null});
        if let Err(error) = self.patch_status(pod, status).await {
            tracing::debug!(pod = %pod.name, %error, "the nominated node was not cleared");
        }
    }

    /// Makes pods leave a node for another one. Returns the revision of the last deletion.
    pub async fn evict(
        &self,
        preemptor: &Pod,
        node: &str,
        victims: &[Arc<Pod>],
    ) -> Result<i64, Status> {
        let leaving = victims.iter().filter(|victim| !victim.deleting);
        let evictions = leaving.map(|victim| self.evict_one(preemptor, node, victim));
        let revisions = futures::future::try_join_all(evictions).await?;
        Ok(revisions.into_iter().max().unwrap_or(0))
    }

    async fn evict_one(&self, preemptor: &Pod, node: &str, victim: &Pod) -> Result<i64, Status> {
        let message = format!(
            "{}: preempting to accommodate a higher priority pod",
            preemptor.scheduler_name
        );
        let condition = json!({
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": message,
            "lastTransitionTime": now(),
        });
        let told = self
            .patch_status(victim, json!({"conditions": [condition]}))
            .await;
        let deleted = match told {
            Ok(()) => {
                let options = DeleteOptions::only_uid(&*victim.uid);
                self.client.delete(&at(victim), &options).await
            }
            Err(status) => Err(status),
        };
        let revision = match deleted {
            Ok(object) => object.revision,
            // It has left already.
            Err(status) if is_gone(&status) => return Ok(0),
            Err(status) => return Err(status),
        };
        let message = format!("Preempted by pod {} on node {node}", preemptor.uid);
        self.record(preemptor, victim, EventType::Normal, ("Preempted", message));
        Ok(revision)
    }

    /// Records what was decided about a pod by the scheduler of another, or its own.
    fn record(&self, by: &Pod, about: &Pod, kind: EventType, (reason, message): (&str, String)) {
        if let Some(recorder) = self.recorders.get(&by.scheduler_name) {
            recorder.event(&reference(about), kind, reason, message);
        }
    }

    async fn patch_status(&self, pod: &Pod, status: Value) -> Result<(), Status> {
        let _place = self.others.acquire().await;
        let patch = json!({"metadata": {"uid": &*pod.uid}, "status": status});
        let at = at(pod).subresource("status");
        self.client
            .patch(&at, &Patch::Strategic(patch), &WriteOptions::default())
            .await
            .map(drop)
    }
}

/// Whether the pod is gone, or another of the same name is there.
fn is_gone(status: &Status) -> bool {
    matches!(status.reason, Reason::NotFound | Reason::Conflict)
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An event's message has a limit.
fn shortened(message: &str) -> String {
    const LONGEST: usize = 1024;
    if message.len() <= LONGEST {
        return message.to_owned();
    }
    let end = (0..=LONGEST - 4)
        .rev()
        .find(|end| message.is_char_boundary(*end));
    format!("{} ...", &message[..end.unwrap_or(0)])
}

fn at(pod: &Pod) -> At {
    At::of(gvr::PODS)
        .namespace(&*pod.namespace)
        .name(&*pod.name)
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: "Pod".to_owned(),
        api_version: "v1".to_owned(),
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
        uid: pod.uid.to_string(),
        ..ObjectReference::default()
    }
}
