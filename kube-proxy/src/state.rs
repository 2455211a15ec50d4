//! What the informers have told, and which services have to be looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrule_client::{Cached, Change};

use crate::objects::{EndpointSlice, Node, Service, ServiceName};
use crate::ruleset::{Fragment, fragment};

type Slices = BTreeMap<Arc<str>, Arc<Cached<EndpointSlice>>>;

/// All Services and EndpointSlices, this node, and what has changed since the last look.
#[derive(Debug, Default)]
pub struct State {
    node: Node,
    services: BTreeMap<ServiceName, Arc<Cached<Service>>>,
    slices: BTreeMap<ServiceName, Slices>,
    changed: BTreeSet<ServiceName>,
}

impl State {
    /// Nothing on this node.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            ..Self::default()
        }
    }

    /// This node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether there is something to look at.
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Another address or zone of this node touches all services.
    pub fn set_node(&mut self, node: Node) {
        if self.node != node {
            self.node = node;
            self.changed.extend(self.services.keys().cloned());
        }
    }

    /// A Service has changed.
    pub fn service(&mut self, change: &Change<Service>) {
        let object = change.object();
        let name = name(object, &object.header.name);
        match change {
            Change::Deleted(_) => drop(self.services.remove(&name)),
            Change::Added(_) | Change::Modified { .. } => {
                drop(self.services.insert(name.clone(), object.clone()));
            }
        }
        self.changed.insert(name);
    }

    /// An EndpointSlice has changed.
    pub fn slice(&mut self, change: &Change<EndpointSlice>) {
        match change {
            Change::Deleted(object) => self.remove(object),
            Change::Added(object) => self.insert(object),
            Change::Modified { old, new } => {
                // It may have moved to another service.
                if old.value.service != new.value.service {
                    self.remove(old);
                }
                self.insert(new);
            }
        }
    }

    fn insert(&mut self, slice: &Arc<Cached<EndpointSlice>>) {
        if slice.value.service.is_empty() {
            return;
        }
        let service = name(slice, &slice.value.service);
        let slices = self.slices.entry(service.clone()).or_default();
        slices.insert(slice.header.name.as_ref().into(), slice.clone());
        self.changed.insert(service);
    }

    fn remove(&mut self, slice: &Arc<Cached<EndpointSlice>>) {
        let service = name(slice, &slice.value.service);
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(slice.header.name.as_ref());
            if slices.is_empty() {
                self.slices.remove(&service);
            }
            self.changed.insert(service);
        }
    }

    /// What the changed services contribute to the table now.
    pub fn take_changed(&mut self) -> BTreeMap<ServiceName, Option<Fragment>> {
        let changed = std::mem::take(&mut self.changed);
        let now = |name: ServiceName| {
            let slices = self
                .slices
                .get(&name)
                .into_iter()
                .flat_map(BTreeMap::values);
            let slices = slices.map(|slice| &slice.value);
            let fragment = self
                .services
                .get(&name)
                .and_then(|service| fragment(&self.node, &name, &service.value, slices));
            (name, fragment)
        };
        changed.into_iter().map(now).collect()
    }
}

fn name<T>(object: &Cached<T>, name: &str) -> ServiceName {
    ServiceName {
        namespace: object.header.namespace.as_ref().into(),
        name: name.into(),
    }
}
