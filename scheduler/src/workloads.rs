//! What selects pods by their labels, for spreading pods that say nothing of it themselves.

use std::collections::{BTreeMap, HashMap};

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::selector::{LabelSelector, Labels};
use ferrule_client::Projection;
use serde::Deserialize;
use serde_json::Value;

use crate::pod::Pod;

/// The selector of a Service; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service(pub Labels);

/// The selector of a ReplicaSet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSet(pub LabelSelector);

impl Projection for Service {
    fn project(_: &Header, json: &[u8]) -> Result<Service, serde_json::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Whole {
            spec: Spec,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Spec {
            selector: BTreeMap<String, String>,
        }
        let whole: Whole = serde_json::from_slice(json)?;
        Ok(Service(whole.spec.selector.iter().collect()))
    }
}

impl Projection for ReplicaSet {
    fn project(_: &Header, json: &[u8]) -> Result<ReplicaSet, serde_json::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Whole {
            spec: Spec,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Spec {
            selector: Option<Value>,
        }
        let whole: Whole = serde_json::from_slice(json)?;
        let selector = LabelSelector::from_value(whole.spec.selector.as_ref());
        Ok(ReplicaSet(
            selector.unwrap_or_else(|_| LabelSelector::nothing()),
        ))
    }
}

/// The selectors of a cluster's Services and ReplicaSets, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    services: HashMap<Box<str>, BTreeMap<Box<str>, Labels>>,
    replica_sets: HashMap<Box<str>, HashMap<Box<str>, LabelSelector>>,
}

impl Workloads {
    /// Takes a Service's selector, or its end.
    pub fn put_service(&mut self, namespace: &str, name: &str, service: Option<Service>) {
        let all = self.services.entry(namespace.into()).or_default();
        match service {
            // One without a selector selects nothing.
            Some(Service(selector)) if !selector.is_empty() => {
                all.insert(name.into(), selector);
            }
            _ => drop(all.remove(name)),
        }
        if all.is_empty() {
            self.services.remove(namespace);
        }
    }

    /// Takes a ReplicaSet's selector, or its end.
    pub fn put_replica_set(&mut self, namespace: &str, name: &str, set: Option<ReplicaSet>) {
        let all = self.replica_sets.entry(namespace.into()).or_default();
        match set {
            Some(ReplicaSet(selector)) => drop(all.insert(name.into(), selector)),
            None => drop(all.remove(name)),
        }
        if all.is_empty() {
            self.replica_sets.remove(namespace);
        }
    }

    /// The pods that belong with a pod: what its Services and its controller select. `None` where
    /// nothing selects it.
    pub fn selector_of(&self, pod: &Pod) -> Option<LabelSelector> {
        let mut set: BTreeMap<&str, &str> = BTreeMap::new();
        let services = self.services.get(&pod.namespace);
        for selector in services.into_iter().flat_map(BTreeMap::values) {
            let selects = |(key, value): (&str, &str)| pod.labels.get(key) == Some(value);
            if selector.iter().all(selects) {
                set.extend(selector.iter());
            }
        }
        let mut requirements = LabelSelector::from_set(set).requirements().to_vec();
        if let Some(owner) = &pod.controller
            && &*owner.kind == "ReplicaSet"
            && let Some(sets) = self.replica_sets.get(&pod.namespace)
            && let Some(selector) = sets.get(&owner.name)
        {
            requirements.extend_from_slice(selector.requirements());
        }
        (!requirements.is_empty()).then(|| LabelSelector::from_requirements(requirements))
    }
}
