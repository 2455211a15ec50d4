//! What is said about nodes: a new one is not ready, and a kubelet makes only what is its own.

use ferrule_apimachinery::status::Status;
use serde_json::{Value, json};

use super::{Operation, Request};

/// The annotation of a pod that mirrors a file on its node.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Nothing is scheduled to a new node before it has been seen to be ready.
pub(super) fn taint(node: &mut Value) {
    const NOT_READY: &str = "node.kubernetes.io/not-ready";
    if !node["spec"].is_object() {
        node["spec"] = json!({});
    }
    if !node["spec"]["taints"].is_array() {
        node["spec"]["taints"] = json!([]);
    }
    if let Some(taints) = node["spec"]["taints"].as_array_mut()
        && !taints
            .iter()
            .any(|taint| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule")
    {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
}

/// A kubelet makes only its own Node and Lease, and no pods but mirrors of its own.
pub(super) fn restrict(request: &Request<'_>, object: &Value) -> Result<(), Status> {
    let Some(identity) = request
        .identity
        .filter(|identity| identity.in_group("system:nodes"))
    else {
        return Ok(());
    };
    let Some(node) = identity.user.strip_prefix("system:node:") else {
        return Ok(());
    };
    let resource = request.resource;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let forbid = |message: String| {
        Err(Status::forbidden(
            &resource.group,
            &resource.plural,
            name,
            message,
        ))
    };
    match (
        resource.group.as_ref(),
        resource.plural.as_ref(),
        request.operation,
    ) {
        ("", "nodes", Operation::Create) if name != node => forbid(format!(
            "node {node:?} is not allowed to modify node {name:?}"
        )),
        ("coordination.k8s.io", "leases", Operation::Create) if name != node => forbid(
            "can only access node lease with the same name as the requesting node".to_owned(),
        ),
        ("", "pods", Operation::Create) => {
            let mirror = object["metadata"]["annotations"].get(MIRROR).is_some();
            if mirror && object["spec"]["nodeName"].as_str() == Some(node) {
                Ok(())
            } else if mirror {
                forbid(format!(
                    "node {node:?} can only create pods with spec.nodeName set to itself"
                ))
            } else {
                forbid(format!(
                    "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
                ))
            }
        }
        _ => Ok(()),
    }
}
