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

pub use node::Bound;

/// What a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
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
    if identity.in_group("system:masters") {
        return Ok(());
    }
    let reason = match node::name(identity) {
        Some(node) => match node::decide(node, attributes, bound) {
            Ok(()) => return Ok(()),
            Err(reason) => reason,
        },
        None if table::allows(identity, attributes) => return Ok(()),
        None => String::new(),
    };
    Err(forbidden(identity, attributes, &reason))
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
