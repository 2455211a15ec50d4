//! What a kubelet may do: its own node, its lease, the pods bound to it and what they refer to.

use ferrule_component_base::identity::Identity;

use super::Attributes;

/// What is bound to a node, as the cache has it.
pub trait Bound: Send + Sync {
    /// Whether the pod exists and is bound to the node; `None` when there is no such pod.
    fn pod_on_node(&self, node: &str, namespace: &str, pod: &str) -> Option<bool>;
    /// Whether a pod on the node refers to the object (`configmaps`, `secrets`,
    /// `persistentvolumeclaims` or `serviceaccounts`).
    fn referred_on_node(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool;
}

/// The node whose kubelet calls.
pub(super) fn name(identity: &Identity) -> Option<&str> {
    if !identity.in_group("system:nodes") {
        return None;
    }
    identity
        .user
        .strip_prefix("system:node:")
        .filter(|node| !node.is_empty())
}

/// `Err` holds the reason, perhaps empty, that upstream appends to its refusal.
pub(super) fn decide(
    node: &str,
    attributes: &Attributes<'_>,
    bound: &dyn Bound,
) -> Result<(), String> {
    let unrelated = || format!("no relationship found between node '{node}' and this object");
    let allowed = match (attributes.group, attributes.resource) {
        ("", "nodes") => return own_node(node, attributes),
        ("", "pods") => return pods(node, attributes, bound),
        ("", "configmaps" | "secrets" | "persistentvolumeclaims" | "serviceaccounts") => {
            let name = match attributes.verb {
                "get" if attributes.subresource.is_empty() => attributes.name,
                "list" | "watch" => selected(attributes, "metadata.name").unwrap_or_default(),
                _ => return Err("can only read resources of this type".to_owned()),
            };
            if name.is_empty() {
                return Err("No Object name found".to_owned());
            }
            if !bound.referred_on_node(node, attributes.resource, attributes.namespace, name) {
                return Err(unrelated());
            }
            true
        }
        ("coordination.k8s.io", "leases") => {
            if attributes.namespace != "kube-node-lease" {
                return Err(
                    "can only access leases in the \"kube-node-lease\" system namespace".to_owned(),
                );
            }
            matches!(attributes.verb, "create")
                || (attributes.name == node
                    && matches!(attributes.verb, "get" | "update" | "patch" | "delete"))
        }
        ("" | "events.k8s.io", "events") => {
            matches!(attributes.verb, "create" | "patch" | "update")
        }
        ("", "services" | "namespaces")
        | ("node.k8s.io", "runtimeclasses")
        | ("storage.k8s.io", "csidrivers")
        | ("discovery.k8s.io", "endpointslices") => {
            attributes.subresource.is_empty() && matches!(attributes.verb, "get" | "list" | "watch")
        }
        _ => false,
    };
    if allowed { Ok(()) } else { Err(String::new()) }
}

fn own_node(node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
    let own = attributes.name == node;
    let allowed = match (attributes.verb, attributes.subresource) {
        // The name of the new object is checked where the object is known.
        ("create", "") => true,
        ("get", "" | "status") if own => true,
        ("get", _) => {
            return Err(format!(
                "node '{node}' cannot read '{}', only its own Node object",
                attributes.name
            ));
        }
        ("list" | "watch", "") if selected(attributes, "metadata.name") == Some(node) => true,
        ("list" | "watch", _) => {
            return Err(format!(
                "node '{node}' cannot read all nodes, only its own Node object"
            ));
        }
        ("update" | "patch", "" | "status") => own,
        _ => false,
    };
    if allowed { Ok(()) } else { Err(String::new()) }
}

fn pods(node: &str, attributes: &Attributes<'_>, bound: &dyn Bound) -> Result<(), String> {
    match (attributes.verb, attributes.subresource) {
        ("list" | "watch", "") => {
            if selected(attributes, "spec.nodeName") == Some(node) {
                return Ok(());
            }
            Err("can only list/watch pods with spec.nodeName field selector".to_owned())
        }
        ("get" | "delete", "") | ("get" | "update" | "patch", "status") => {
            match bound.pod_on_node(node, attributes.namespace, attributes.name) {
                // What is gone is answered with NotFound.
                Some(true) | None => Ok(()),
                Some(false) => Err(format!(
                    "no relationship found between node '{node}' and this object"
                )),
            }
        }
        _ => Err(String::new()),
    }
}

/// The only value of a field that the selector lets through.
fn selected<'a>(attributes: &Attributes<'a>, field: &str) -> Option<&'a str> {
    attributes.fields?.exact(field)
}
