//! A cluster on paper for tests.

use std::sync::Arc;

use ferrule_apimachinery::selector::Labels;
use ferrule_apimachinery::{Header, Resource};
use ferrule_client::{Key, Projection};
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::disruption::Budget;
use crate::framework::Difference;
use crate::node::NodeObject;
use crate::pod::Pod;
use crate::profile::Profile;
use crate::schedule::{Decision, Turn, judge, schedule, scores};
use crate::workloads::{ReplicaSet, Service};

/// An object as the informer shows it.
pub fn projected<T: Projection>(object: &Value) -> T {
    let bytes = object.to_string();
    let header = Header::parse(&Resource::default(), bytes.as_bytes()).unwrap();
    T::project(&header, bytes.as_bytes()).unwrap()
}

/// A pod of the namespace `default`, unless its metadata says otherwise.
pub fn pod(name: &str, mut object: Value) -> Arc<Pod> {
    let mut metadata = json!({"name": name, "namespace": "default", "uid": name});
    if let Some(more) = object["metadata"].as_object() {
        metadata.as_object_mut().unwrap().extend(more.clone());
    }
    object["metadata"] = metadata;
    Arc::new(projected(&object))
}

/// A pod with labels and a spec.
pub fn labelled(name: &str, labels: Value, spec: Value) -> Arc<Pod> {
    pod(name, json!({"metadata": {"labels": labels}, "spec": spec}))
}

/// A spec with one container that asks for this.
pub fn asks(requests: Value) -> Value {
    json!({"containers": [{"name": "main", "image": "busybox", "resources": {"requests": requests}}]})
}

/// A cluster that decides by a profile.
#[derive(Default)]
pub struct Paper {
    pub cache: Cache,
    pub profile: Profile,
}

impl Paper {
    /// A cluster with these nodes, each with its labels; 4 cores, 4 GiB and 10 pods each.
    pub fn of(nodes: &[(&str, &[(&str, &str)])]) -> Paper {
        let mut paper = Paper::default();
        for (name, labels) in nodes {
            let labels: Labels = labels.iter().copied().collect();
            let labels: serde_json::Map<String, Value> = labels
                .iter()
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect();
            paper.node(name, json!(labels), json!({}));
        }
        paper
    }

    pub fn node(&mut self, name: &str, labels: Value, spec: Value) {
        let status = json!({"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "10"}});
        self.node_with(name, labels, spec, status);
    }

    pub fn node_with(&mut self, name: &str, labels: Value, spec: Value, status: Value) {
        let mut labels = labels;
        if labels.get("kubernetes.io/hostname").is_none() {
            labels["kubernetes.io/hostname"] = json!(name);
        }
        let object = json!({
            "metadata": {"name": name, "labels": labels}, "spec": spec, "status": status,
        });
        let object: NodeObject = projected(&object);
        self.cache.put_node(name, Some(object));
    }

    /// Puts a pod on a node.
    pub fn put(&mut self, pod: &Arc<Pod>, node: &str) {
        self.cache.put_pod(key(pod), pod.clone(), node);
    }

    pub fn remove(&mut self, pod: &Pod) {
        self.cache.remove_pod(&key(pod));
    }

    pub fn namespace(&mut self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().copied().collect();
        self.cache.put_namespace(name, Some(labels));
    }

    pub fn service(&mut self, name: &str, selector: Value) {
        let object = json!({"metadata": {"name": name}, "spec": {"selector": selector}});
        let service: Service = projected(&object);
        self.cache
            .put_service(&Key::new("default", name), Some(service));
    }

    pub fn replica_set(&mut self, name: &str, selector: Value) {
        let object =
            json!({"metadata": {"name": name}, "spec": {"selector": {"matchLabels": selector}}});
        let set: ReplicaSet = projected(&object);
        self.cache
            .put_replica_set(&Key::new("default", name), Some(set));
    }

    pub fn budget(&mut self, name: &str, selector: Value, allowed: i64) {
        let object = json!({
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": selector}},
            "status": {"disruptionsAllowed": allowed},
        });
        let budget: Budget = projected(&object);
        self.cache
            .put_budget(&Key::new("default", name), Some(budget));
    }

    /// The decision about a pod.
    pub fn decide(&mut self, pod: &Pod, turn: Turn) -> Decision {
        let snapshot = self.cache.prepare(&self.profile, pod);
        schedule(&self.profile, snapshot, pod, turn)
    }

    /// Where a pod goes, or the message that it goes nowhere.
    pub fn place(&mut self, pod: &Pod) -> String {
        match self.decide(pod, Turn::default()) {
            Decision::Place { node, .. } => self.cache.snapshot().node(node).name.to_string(),
            Decision::Refuse(diagnosis) => diagnosis.message(),
        }
    }

    /// What each node says of a pod: `""`, or its reasons with a `!` where leaving does not help.
    ///
    /// Asked twice, once with what is counted ahead and once without: both must agree.
    pub fn verdicts(&mut self, pod: &Pod) -> Vec<(String, String)> {
        let verdicts = |snapshot: &crate::snapshot::Snapshot| {
            let judges = self.profile.judges(pod, snapshot);
            let mut said: Vec<(String, String)> = snapshot
                .known()
                .map(|node| {
                    let said = match judge(&judges, snapshot, pod, node, Difference::default()) {
                        Ok(()) => String::new(),
                        Err((_, refusal)) => {
                            let mark = if refusal.unresolvable { "!" } else { "" };
                            format!("{mark}{}", refusal.reasons.join(", "))
                        }
                    };
                    (node.name.to_string(), said)
                })
                .collect();
            said.sort();
            said
        };
        self.cache.prepare(
            &Profile::new("", 0, &Default::default(), &Default::default()),
            pod,
        );
        let slow = verdicts(self.cache.snapshot());
        let fast = verdicts(self.cache.prepare(&self.profile, pod));
        assert_eq!(slow, fast);
        fast
    }

    /// Nodes that take a pod.
    pub fn fitting(&mut self, pod: &Pod) -> Vec<String> {
        let verdicts = self.verdicts(pod).into_iter();
        let fitting = verdicts.filter(|(_, said)| said.is_empty());
        fitting.map(|(node, _)| node).collect()
    }

    /// The scores of one plugin for all nodes, sorted by the nodes' names.
    pub fn scores(&mut self, plugin: &str, pod: &Pod) -> Option<Vec<i64>> {
        let snapshot = self.cache.prepare(&self.profile, pod);
        let mut nodes: Vec<_> = snapshot.known().collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        let all = scores(&self.profile, snapshot, pod, &nodes);
        let mut of = all.into_iter().filter(|(name, _, _)| *name == plugin);
        of.next().map(|(_, _, scores)| scores)
    }
}

pub fn key(pod: &Pod) -> Key {
    Key::new(pod.namespace.as_ref(), pod.name.as_ref())
}
