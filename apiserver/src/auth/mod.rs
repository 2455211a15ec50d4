//! Who may do what: a fixed table of what each component needs, until roles come.
//!
//! Members of `system:masters` may do everything; a caller without an identity may do nothing. A
//! kubelet reaches only what belongs to its node, as upstream's node authorizer has it.

mod node;
mod table;
#[cfg(test)]
mod tests;

use ferrule_apimachinery::selector::FieldSelector;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use serde_json::{Value, json};

pub use node::Bound;

/// Members may do everything.
const MASTERS: &str = "system:masters";

/// What a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'a str,
    /// `""` is the core group.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// `""`: the object itself.
    pub subresource: &'a str,
    /// `""`: all namespaces, or cluster-scoped.
    pub namespace: &'a str,
    /// `""`: the collection.
    pub name: &'a str,
    /// What a list or a watch is limited to.
    pub fields: Option<&'a FieldSelector>,
}

/// Refuses what the caller may not do. `bound` answers what is bound to a node.
pub fn authorize(
    identity: Option<&Identity>,
    attributes: &Attributes<'_>,
    bound: &dyn Bound,
) -> Result<(), Status> {
    let identity = identity.ok_or_else(Status::unauthorized)?;
    decide(identity, attributes, bound).map_err(|reason| forbidden(identity, attributes, &reason))
}

/// Whether somebody may do something; `Err` holds the reason, perhaps empty, that upstream appends to its refusal.
pub fn decide(
    identity: &Identity,
    attributes: &Attributes<'_>,
    bound: &dyn Bound,
) -> Result<(), String> {
    if identity.in_group(MASTERS) || asks_about_itself(attributes) {
        return Ok(());
    }
    match node::name(identity) {
        Some(node) => node::decide(node, attributes, bound),
        None if table::allows(identity, attributes) => Ok(()),
        None => Err(String::new()),
    }
}

/// Everybody may ask who they are and what they may do.
fn asks_about_itself(attributes: &Attributes<'_>) -> bool {
    attributes.verb == "create"
        && attributes.subresource.is_empty()
        && matches!(
            (attributes.group, attributes.resource),
            ("authentication.k8s.io", "selfsubjectreviews")
                | (
                    "authorization.k8s.io",
                    "selfsubjectaccessreviews" | "selfsubjectrulesreviews"
                )
        )
}

/// Paths that are no resources and that everybody may read who is known.
const PATHS: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/healthz/*",
    "/livez",
    "/livez/*",
    "/metrics",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/readyz/*",
    "/version",
    "/version/",
];

/// Whether somebody may do something at a path that is no resource.
pub fn decide_path(identity: &Identity, verb: &str, path: &str) -> Result<(), String> {
    let open = PATHS.iter().any(|open| match open.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == *open,
    });
    let reads = verb == "get" && identity.in_group("system:authenticated");
    if identity.in_group(MASTERS) || (reads && open) {
        return Ok(());
    }
    Err(String::new())
}

/// What somebody may do in a namespace, in the form of a SelfSubjectRulesReview.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesIn {
    /// ResourceRules.
    pub resources: Vec<Value>,
    /// NonResourceRules.
    pub paths: Vec<Value>,
    /// Why there is more than is said here.
    pub incomplete: Option<&'static str>,
}

/// What somebody may do in a namespace.
pub fn rules_in(identity: &Identity, namespace: &str) -> RulesIn {
    let all = ["*"];
    if identity.in_group(MASTERS) {
        return RulesIn {
            resources: vec![json!({ "verbs": all, "apiGroups": all, "resources": all })],
            paths: vec![json!({ "verbs": all, "nonResourceURLs": all })],
            incomplete: None,
        };
    }
    let mut resources = table::rules_in(identity, namespace);
    for (group, plurals) in [
        ("authentication.k8s.io", vec!["selfsubjectreviews"]),
        (
            "authorization.k8s.io",
            vec!["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        ),
    ] {
        resources.push(json!({ "verbs": ["create"], "apiGroups": [group], "resources": plurals }));
    }
    RulesIn {
        resources,
        paths: vec![json!({ "verbs": ["get"], "nonResourceURLs": PATHS })],
        incomplete: node::name(identity)
            .map(|_| "node authorizer does not support user rule resolution"),
    }
}

/// Forbidden, in upstream's words.
fn forbidden(identity: &Identity, attributes: &Attributes<'_>, reason: &str) -> Status {
    let resource = match attributes.subresource {
        "" => attributes.resource.to_owned(),
        subresource => format!("{}/{subresource}", attributes.resource),
    };
    let place = match attributes.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let mut message = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {place}",
        identity.user, attributes.verb, attributes.group,
    );
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Status::forbidden(
        attributes.group,
        attributes.resource,
        attributes.name,
        message,
    )
}
