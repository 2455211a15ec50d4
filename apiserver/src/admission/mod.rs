//! What is done to a new object, or refused, between decoding it and its kind's own rules.
//!
//! The steps run in this order: namespace lifecycle, then the changing steps (service account,
//! priority, tolerations, classes and protection of storage), then the default class of priorities and the node restriction. Each is a pure function.

mod namespace;
mod node;
mod pod;
mod priority;
mod storage;
#[cfg(test)]
mod tests;

use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use serde_json::Value;

pub use namespace::{NamespaceState, check_create as check_namespace, check_delete};
pub use storage::DefaultClass;

/// What is asked of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
}

/// A write on its way to the store.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks; absent for the server itself.
    pub identity: Option<&'a Identity>,
    /// What is asked.
    pub operation: Operation,
    /// Of which resource.
    pub resource: &'a Resource,
    /// `""`: the object itself.
    pub subresource: &'a str,
    /// What new pods tolerate.
    pub tolerations: TolerationSeconds,
    /// The object as it was, for an update.
    pub old: Option<&'a Value>,
    /// The classes that a new pod may be of, or that a class competes with.
    pub classes: &'a [PriorityClass],
    /// The classes that a new claim or Ingress is of when it names none.
    pub default_classes: &'a [DefaultClass],
}

/// A PriorityClass, as far as pods are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityClass {
    /// Its name.
    pub name: String,
    /// The priority of its pods.
    pub value: i64,
    /// Whether pods that name no class are of this one.
    pub global_default: bool,
    /// Whether its pods may take the place of others; `None` leaves it to the pod.
    pub preemption: Option<String>,
}

impl PriorityClass {
    /// Reads a PriorityClass.
    pub fn read(object: &Value) -> PriorityClass {
        PriorityClass {
            name: object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            value: object["value"].as_i64().unwrap_or_default(),
            global_default: object["globalDefault"].as_bool().unwrap_or_default(),
            preemption: object["preemptionPolicy"].as_str().map(str::to_owned),
        }
    }
}

/// How long a pod that does not say so itself stays on a failing node, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TolerationSeconds {
    /// On a node that is not ready.
    pub not_ready: i64,
    /// On a node that cannot be reached.
    pub unreachable: i64,
}

impl Default for TolerationSeconds {
    fn default() -> TolerationSeconds {
        TolerationSeconds {
            not_ready: 300,
            unreachable: 300,
        }
    }
}

/// The changing steps, then the refusing ones.
pub fn admit(request: &Request<'_>, object: &mut Value) -> Result<(), Status> {
    let core = request.resource.group.is_empty();
    if core && request.resource.plural == "pods" && request.subresource.is_empty() {
        match request.operation {
            Operation::Create => {
                pod::service_account(object);
                priority::resolve(object, request.classes)?;
            }
            Operation::Update => priority::keep(object, request.old),
        }
        pod::tolerations(object, request.tolerations);
    }
    if core
        && request.resource.plural == "nodes"
        && request.operation == Operation::Create
        && request.subresource.is_empty()
    {
        node::taint(object);
    }
    if request.resource.group == "scheduling.k8s.io" && request.resource.plural == "priorityclasses"
    {
        priority::check_default(request, object)?;
    }
    if request.operation == Operation::Create && request.subresource.is_empty() {
        match (
            request.resource.group.as_ref(),
            request.resource.plural.as_ref(),
        ) {
            ("", "persistentvolumes") => storage::protect(object, storage::VOLUME),
            ("", "persistentvolumeclaims") => {
                storage::class_of_claim(object, request.default_classes);
                storage::protect(object, storage::CLAIM);
            }
            ("networking.k8s.io", "ingresses") => {
                storage::class_of_ingress(object, request.default_classes);
            }
            _ => {}
        }
    }
    node::restrict(request, object)
}
