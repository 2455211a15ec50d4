//! Statuses of the verbs, and what the store's errors become.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;

use crate::store::{CommitError, StoreError};

/// There is no such object.
pub fn not_found(resource: &Resource, name: &str) -> Status {
    Status::not_found(&resource.group, &resource.plural, name)
}

/// The object was changed by somebody else.
pub fn modified(resource: &Resource, name: &str) -> Status {
    Status::modified(&resource.group, &resource.plural, name)
}

/// The write cannot be done on the object as it is.
pub fn conflict(resource: &Resource, name: &str, why: impl std::fmt::Display) -> Status {
    Status::conflict(&resource.group, &resource.plural, name, why)
}

/// The object does not follow the rules of its kind.
pub fn invalid(resource: &Resource, name: &str, problems: Vec<FieldError>) -> Status {
    // Upstream's rules know a kind by the group in which it is stored.
    Status::invalid(&resource.storage_group, &resource.kind, name, &problems)
}

/// Refuses options that are not valid.
pub fn invalid_options(kind: &str, problems: Vec<FieldError>) -> Result<(), Status> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Status::invalid("meta.k8s.io", kind, "", &problems))
}

/// The leader that asks is no longer the leader.
pub fn epoch_over(resource: &Resource, name: &str) -> Status {
    conflict(resource, name, "the leader's epoch is over")
}

/// What a read's failure is to a client.
pub fn of_store(error: StoreError) -> Status {
    match error {
        StoreError::Unavailable(why) => unavailable(&why),
        StoreError::RevisionTooLarge { requested, current } => {
            Status::too_large_resource_version(requested, current)
        }
        StoreError::Expired { requested, oldest } => Status::too_old(requested, oldest),
        other => Status::internal(other.to_string()),
    }
}

/// 503: etcd is away. Only the innermost of the reasons tells anybody anything.
fn unavailable(why: &str) -> Status {
    let why = why
        .rsplit_once("transport error: ")
        .map_or(why, |(_, inner)| inner);
    Status::service_unavailable(format!("etcd is unavailable: {why}"))
}

/// What a commit's failure is to a client, conflicts aside.
pub fn of_commit(error: &CommitError) -> Status {
    match error {
        CommitError::Unavailable(why) => unavailable(why),
        CommitError::Unknown(why) => Status::timeout(
            format_args!("the outcome of the write is not known: {why}"),
            0,
        ),
        // Upstream does not tell it from other errors of etcd.
        CommitError::TooLarge(_) => Status::bare_error("etcdserver: request is too large"),
        other => Status::internal(other.to_string()),
    }
}
