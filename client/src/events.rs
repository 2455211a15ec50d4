//! The event recorder: what a component did and why, as core/v1 Events.
//!
//! Recording never waits: events go through a bounded queue to a task, which counts repeated events
//! up instead of creating them again, and limits how many one object may cause. Where much happens
//! at a time there are several tasks, always the same one for an object.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Reason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{At, Client, Patch, WriteOptions};

/// Events that a component of the whole cluster sends at a time.
const LANES: usize = 16;
/// Events that may wait for each task; further ones are dropped.
const QUEUE: usize = 1000;
/// Keys that each task remembers for counting.
const REMEMBERED: usize = 4096;
/// Events of one object before the limit applies, and how fast the allowance comes back.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// `Pod`.
    pub kind: String,
    /// Its namespace; `""` for cluster-scoped objects, whose events live in `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// `v1`, `apps/v1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Its resourceVersion, where known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// A part of it: `spec.containers{web}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

/// Whether somebody should worry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// As intended.
    Normal,
    /// Something went wrong.
    Warning,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Event {
    object: ObjectReference,
    kind: EventType,
    reason: String,
    message: String,
}

/// Records events. Clones share the queues.
#[derive(Clone)]
pub struct Recorder {
    lanes: Arc<[mpsc::Sender<(Event, Timestamp)>]>,
}

impl Recorder {
    /// Starts the task that sends. `component` is `kubelet`, `host` a node or `""`.
    pub fn new(client: &Client, component: &str, host: &str) -> Recorder {
        Recorder::with_lanes(client, component, host, 1)
    }

    /// Starts the tasks that send for a component that acts on many objects at a time.
    pub fn of_cluster(client: &Client, component: &str) -> Recorder {
        Recorder::with_lanes(client, component, "", LANES)
    }

    fn with_lanes(client: &Client, component: &str, host: &str, lanes: usize) -> Recorder {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let sending = Sending {
                client: client.clone(),
                component: component.into(),
                host: host.into(),
                known: HashMap::new(),
                allowance: HashMap::new(),
            };
            tokio::spawn(sending.run(receiver));
            sender
        };
        Recorder {
            lanes: (0..lanes).map(lane).collect(),
        }
    }

    /// Records an event.
    pub fn event(
        &self,
        object: &ObjectReference,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let event = Event {
            object: object.clone(),
            kind,
            reason: reason.to_owned(),
            message: message.into(),
        };
        let mut hasher = DefaultHasher::new();
        (&object.namespace, &object.name, &object.uid).hash(&mut hasher);
        let lane = &self.lanes[hasher.finish() as usize % self.lanes.len()];
        if lane.try_send((event, Timestamp::now())).is_err() {
            tracing::debug!(reason, "an event was dropped: too many wait");
        }
    }
}

struct Sent {
    name: String,
    count: u64,
    last: Instant,
}

struct Sending {
    client: Client,
    component: Arc<str>,
    host: Arc<str>,
    known: HashMap<Event, Sent>,
    allowance: HashMap<(String, String), (f64, Instant)>,
}

impl Sending {
    async fn run(mut self, mut receiver: mpsc::Receiver<(Event, Timestamp)>) {
        while let Some((event, time)) = receiver.recv().await {
            if !self.allowed(&event) {
                continue;
            }
            // Counting again is cheaper than remembering for ever.
            if self.known.len() >= REMEMBERED {
                let recent = Instant::now() - Duration::from_secs(600);
                self.known.retain(|_, sent| sent.last > recent);
                if self.known.len() >= REMEMBERED {
                    self.known.clear();
                }
            }
            self.send(event, time).await;
        }
    }

    /// A token bucket per object and reason's source.
    fn allowed(&mut self, event: &Event) -> bool {
        let now = Instant::now();
        if self.allowance.len() >= REMEMBERED {
            self.allowance
                .retain(|_, (_, last)| now.duration_since(*last) < REFILL * 25);
            if self.allowance.len() >= REMEMBERED {
                self.allowance.clear();
            }
        }
        let key = (
            event.object.namespace.clone(),
            format!("{}/{}", event.object.uid, event.object.name),
        );
        let (tokens, last) = self.allowance.entry(key).or_insert((BURST, now));
        *tokens =
            (*tokens + now.duration_since(*last).as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        *last = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }

    async fn send(&mut self, mut event: Event, time: Timestamp) {
        // The same may happen again to a later state of the object: it counts as the same event.
        let seen = ObjectReference {
            resource_version: std::mem::take(&mut event.object.resource_version),
            ..event.object.clone()
        };
        let namespace = match event.object.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        };
        let stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let collection = At::of(gvr::EVENTS).namespace(namespace);
        if let Some(sent) = self.known.get_mut(&event) {
            let patch = json!({"count": sent.count + 1, "lastTimestamp": stamp});
            let at = collection.clone().name(&sent.name);
            match self
                .client
                .patch(&at, &Patch::Merge(patch), &WriteOptions::default())
                .await
            {
                Ok(_) => {
                    sent.count += 1;
                    sent.last = Instant::now();
                    return;
                }
                Err(status) if status.reason == Reason::NotFound => {}
                Err(status) => return tracing::debug!(error = %status, "an event was not counted"),
            }
        }
        let nanoseconds = time.as_nanosecond();
        let name = format!("{}.{nanoseconds:x}", event.object.name);
        let object = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": seen,
            "reason": event.reason,
            "message": event.message,
            "source": source(&self.component, &self.host),
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "type": format!("{:?}", event.kind),
            "reportingComponent": &*self.component,
            "reportingInstance": &*self.host,
        });
        match self
            .client
            .create(&collection, object.to_string(), &WriteOptions::default())
            .await
        {
            Ok(_) => drop(self.known.insert(
                event,
                Sent {
                    name,
                    count: 1,
                    last: Instant::now(),
                },
            )),
            Err(status) => tracing::debug!(error = %status, "an event was not recorded"),
        }
    }
}

fn source(component: &str, host: &str) -> serde_json::Value {
    if host.is_empty() {
        return json!({"component": component});
    }
    json!({"component": component, "host": host})
}
