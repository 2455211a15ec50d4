//! The snapshot, kept up to date by informers and by what was decided.

use std::collections::HashMap;
use std::sync::Arc;

use ferrule_apimachinery::selector::Labels;
use ferrule_client::Key;

use crate::disruption::Budget;
use crate::node::{Node, NodeId, NodeObject};
use crate::pod::Pod;
use crate::profile::Profile;
use crate::snapshot::Snapshot;
use crate::workloads::{ReplicaSet, Service};

/// What the scheduler knows of the cluster, with the pods that it decided on counted as if they
/// were bound.
#[derive(Default)]
pub struct Cache {
    snapshot: Snapshot,
    /// Where each pod is counted.
    places: HashMap<Key, (NodeId, Arc<Pod>)>,
    /// For whom room is made.
    nominated: HashMap<Key, Arc<Pod>>,
}

impl Cache {
    /// What a decision is made from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Makes ready for a decision about a pod.
    pub fn prepare(&mut self, profile: &Profile, pod: &Pod) -> &Snapshot {
        self.snapshot.settle();
        for (matcher, keys) in profile.needs(pod, &self.snapshot) {
            let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
            self.snapshot.prepare(&matcher, &keys);
        }
        &self.snapshot
    }

    /// Counts what a matcher means from now on.
    #[cfg(test)]
    pub(crate) fn count(&mut self, matcher: &crate::snapshot::Matcher, keys: &[&str]) {
        self.snapshot.prepare(matcher, keys);
    }

    /// Counts a pod on its node, in place of what was known of it.
    pub fn put_pod(&mut self, key: Key, pod: Arc<Pod>, node: &str) {
        self.remove_pod(&key);
        self.renounce(&key);
        let id = self.snapshot.slot(node);
        self.places.insert(key, (id, pod.clone()));
        self.snapshot.add_pod(id, pod);
    }

    /// Forgets a pod, and says what was counted.
    pub fn remove_pod(&mut self, key: &Key) -> Option<Arc<Pod>> {
        let (id, pod) = self.places.remove(key)?;
        self.snapshot.remove_pod(id, &pod);
        Some(pod)
    }

    /// A pod that is counted somewhere.
    pub fn pod(&self, key: &Key) -> Option<&Arc<Pod>> {
        self.places.get(key).map(|(_, pod)| pod)
    }

    /// Takes a node's object, or its end; returns the object as it was.
    pub fn put_node(&mut self, name: &str, object: Option<NodeObject>) -> Option<Arc<NodeObject>> {
        let id = self.snapshot.slot(name);
        let old = self.snapshot.node(id).object.clone();
        if old.as_deref() != object.as_ref() || old.is_none() {
            self.snapshot.put_node(id, object);
        }
        old
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.snapshot.named(name)
    }

    /// Room is made for a pod where it says.
    pub fn nominate(&mut self, key: Key, pod: Arc<Pod>) {
        self.renounce(&key);
        self.snapshot.nominate(&pod.nominated, pod.clone());
        self.nominated.insert(key, pod);
    }

    /// No room is kept for a pod any more.
    pub fn renounce(&mut self, key: &Key) {
        if let Some(pod) = self.nominated.remove(key) {
            self.snapshot.renounce(&pod.nominated, &pod.uid);
        }
    }

    /// Takes a namespace's labels, or its end.
    pub fn put_namespace(&mut self, name: &str, labels: Option<Labels>) {
        self.snapshot.put_namespace(name, labels);
    }

    /// Takes a Service's selector, or its end.
    pub fn put_service(&mut self, key: &Key, service: Option<Service>) {
        let workloads = &mut self.snapshot.workloads;
        workloads.put_service(&key.namespace, &key.name, service);
    }

    /// Takes a ReplicaSet's selector, or its end.
    pub fn put_replica_set(&mut self, key: &Key, set: Option<ReplicaSet>) {
        let workloads = &mut self.snapshot.workloads;
        workloads.put_replica_set(&key.namespace, &key.name, set);
    }

    /// Takes a disruption budget, or its end.
    pub fn put_budget(&mut self, key: &Key, budget: Option<Budget>) {
        let budgets = &mut self.snapshot.budgets;
        budgets.retain(|own| *own.namespace != *key.namespace || *own.name != *key.name);
        budgets.extend(budget.map(Arc::new));
    }
}
