//! Watchers that record every event, resume by revision, and note where a 410 made a gap.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::{At, Batch, Client, WatchOptions};
use ferrule_proto::v1::EventType;
use futures::StreamExt;
use serde_json::Value;

use super::history::{Clock, Event, Facts, Pod, Stretch, Tape};

/// The pause before a watch is opened again.
const PAUSE: Duration = Duration::from_millis(200);

/// A tape that is still being written.
#[derive(Clone)]
pub struct Recording(Arc<Mutex<Tape>>);

impl Recording {
    /// Watches a resource of a namespace for as long as the runtime lives.
    pub fn start(
        client: Client,
        watcher: String,
        resource: GroupVersionResource,
        namespace: &str,
        clock: Clock,
    ) -> Recording {
        let GroupVersionResource {
            resource: std::borrow::Cow::Borrowed(plural),
            ..
        } = resource
        else {
            unreachable!("the names of built-in resources are constants")
        };
        let recording = Recording(Arc::new(Mutex::new(Tape {
            watcher,
            resource: plural,
            stretches: Vec::new(),
            resumed: 0,
        })));
        let at = At::of(resource).namespace(namespace);
        tokio::spawn(recording.clone().follow(client, at, clock));
        recording
    }

    /// What was recorded until now.
    pub fn tape(&self) -> Tape {
        self.lock().clone()
    }

    /// The last revision up to which everything was seen.
    pub fn revision(&self) -> i64 {
        self.lock().stretches.last().map_or(0, |stretch| stretch.to)
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self, client: Client, at: At, clock: Clock) {
        loop {
            let after = self.revision();
            let ended = self.watch(&client, &at, after, clock).await;
            if let Err(status) = ended
                && matches!(status.reason, Reason::Expired | Reason::Gone)
            {
                // The next watch begins with the present state.
                self.lock().stretches.push(Stretch::default());
            }
            self.lock().resumed += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn watch(
        &self,
        client: &Client,
        at: &At,
        after: i64,
        clock: Clock,
    ) -> Result<(), Status> {
        let mut options = WatchOptions::default();
        let mut present = None;
        if after == 0 {
            options.send_initial_events = true;
            present = Some(Vec::new());
        } else {
            options.resource_version = after.to_string();
        }
        let mut batches = client.watch(at, &options).await?;
        while let Some(batch) = batches.next().await {
            self.record(batch?, &mut present, clock);
        }
        Ok(())
    }

    fn record(&self, batch: Batch, present: &mut Option<Vec<Event>>, clock: Clock) {
        let events = batch
            .changes
            .iter()
            .map(|change| event(change.kind, change.revision, &change.object, clock.now()));
        let mut tape = self.lock();
        if let Some(state) = present {
            state.extend(events);
            if batch.initial_events_end {
                let stretch = Stretch {
                    from: batch.revision,
                    to: batch.revision,
                    present: present.take().unwrap_or_default(),
                    events: Vec::new(),
                };
                tape.stretches.retain(|stretch| stretch.from > 0);
                tape.stretches.push(stretch);
            }
        } else if let Some(stretch) = tape.stretches.last_mut() {
            stretch.events.extend(events);
            stretch.to = stretch.to.max(batch.revision);
        }
    }
}

fn event(kind: EventType, revision: i64, bytes: &[u8], at: Duration) -> Event {
    let object: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let mut digest = DefaultHasher::new();
    bytes.hash(&mut digest);
    let metadata = &object["metadata"];
    Event {
        kind,
        revision,
        key: format!(
            "{}/{}",
            text(&metadata["namespace"]),
            text(&metadata["name"])
        ),
        uid: text(&metadata["uid"]),
        digest: digest.finish(),
        at,
        facts: facts(&object),
    }
}

fn facts(object: &Value) -> Facts {
    let spec = &object["spec"];
    match object["kind"].as_str() {
        Some("ConfigMap") => match object["data"]["value"].as_str() {
            Some(value) => Facts::Value(value.to_owned()),
            None => Facts::Other,
        },
        Some("Pod") => Facts::Pod(Box::new(pod(object))),
        Some("ReplicaSet") => Facts::ReplicaSet(spec["replicas"].as_u64().unwrap_or(1)),
        Some("Service") => {
            let ports = spec["ports"].as_array().into_iter().flatten();
            let ports = ports.filter_map(|port| port["nodePort"].as_u64());
            Facts::Service(text(&spec["clusterIP"]), ports.collect())
        }
        Some("Node") => {
            let networks = spec["podCIDRs"].as_array().into_iter().flatten();
            Facts::Node(networks.map(text).collect())
        }
        Some("Lease") => Facts::Lease(
            text(&spec["holderIdentity"]),
            spec["leaseTransitions"].as_u64().unwrap_or(0),
        ),
        _ => Facts::Other,
    }
}

fn pod(object: &Value) -> Pod {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let owner = list(&metadata["ownerReferences"])
        .iter()
        .find(|owner| owner["controller"] == true)
        .map(|owner| text(&owner["uid"]));
    let containers = list(&status["containerStatuses"]);
    let ended = containers.first().and_then(|container| {
        let ended = &container["state"]["terminated"];
        Some((ended["exitCode"].as_i64()?, text(&ended["reason"])))
    });
    Pod {
        node: text(&object["spec"]["nodeName"]),
        owner: owner.unwrap_or_default(),
        phase: text(&status["phase"]),
        deleted: !metadata["deletionTimestamp"].is_null(),
        ended,
        restarts: containers
            .iter()
            .filter_map(|container| container["restartCount"].as_u64())
            .sum(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_facts_of_a_pod_are_those_that_checks_need() {
        let object = json!({
            "kind": "Pod",
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"uid": "x"}, {"uid": "r", "controller": true}]},
            "spec": {"nodeName": "node1"},
            "status": {"phase": "Failed", "containerStatuses": [
                {"restartCount": 2, "state": {"terminated": {"exitCode": 7, "reason": "Error"}}}]},
        });
        let Facts::Pod(pod) = facts(&object) else {
            panic!("it is a pod")
        };
        assert_eq!((&*pod.node, &*pod.owner, pod.restarts), ("node1", "r", 2));
        assert_eq!(pod.ended, Some((7, "Error".to_owned())));
        assert!(pod.deleted && !pod.is_active());
    }

    #[test]
    fn the_facts_of_other_kinds_are_read() {
        let service = json!({"kind": "Service", "spec": {"clusterIP": "10.96.0.9", "ports": [{"nodePort": 30001}, {}]}});
        assert_eq!(
            facts(&service),
            Facts::Service("10.96.0.9".into(), vec![30001])
        );
        let lease =
            json!({"kind": "Lease", "spec": {"holderIdentity": "a", "leaseTransitions": 3}});
        assert_eq!(facts(&lease), Facts::Lease("a".into(), 3));
        let map = json!({"kind": "ConfigMap", "data": {"value": "v"}});
        assert_eq!(facts(&map), Facts::Value("v".into()));
    }
}
