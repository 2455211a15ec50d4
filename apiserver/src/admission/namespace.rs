//! Nothing new in a namespace that is not there or is ending; some namespaces and priority classes stay
//! for ever.

use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::{Cause, Status};

use crate::resources::SYSTEM_CLASSES;

/// A namespace, as far as its content is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceState {
    /// It does not exist.
    Missing,
    /// It is being deleted.
    Terminating,
    /// It takes new objects.
    Active,
}

/// Refuses a new object where its namespace cannot take it.
pub fn check_create(
    state: NamespaceState,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    match state {
        NamespaceState::Active => Ok(()),
        NamespaceState::Missing => Err(Status::not_found("", "namespaces", namespace)),
        NamespaceState::Terminating => {
            let message = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            let mut status = Status::forbidden(&resource.group, &resource.plural, name, message);
            if let Some(details) = &mut status.details {
                details.causes.push(Cause {
                    reason: "NamespaceTerminating".to_owned(),
                    message: format!("namespace {namespace} is being terminated"),
                    field: "metadata.namespace".to_owned(),
                });
            }
            Err(status)
        }
    }
}

/// Refuses to delete the namespaces and priority classes that every cluster has.
pub fn check_delete(resource: &Resource, name: &str) -> Result<(), Status> {
    let lasting = ["default", "kube-system", "kube-public"];
    if resource.group.is_empty() && resource.plural == "namespaces" && lasting.contains(&name) {
        return Err(Status::forbidden(
            "",
            "namespaces",
            name,
            "this namespace may not be deleted",
        ));
    }
    let class = resource.group == "scheduling.k8s.io" && resource.plural == "priorityclasses";
    if class && SYSTEM_CLASSES.iter().any(|(own, ..)| *own == name) {
        return Err(Status::forbidden(
            &resource.group,
            &resource.plural,
            name,
            "this is a system priority class and cannot be deleted",
        ));
    }
    Ok(())
}
