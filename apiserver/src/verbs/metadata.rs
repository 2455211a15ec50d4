//! What a write does with metadata: what the server sets, what stays, and what must match.

use bytes::Bytes;
use ferrule_apimachinery::field::{FieldError, Path};
use ferrule_apimachinery::object::{self, Stored};
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::change::Current;
use super::{Target, errors, options};
use crate::resources::Rules;

/// Canonical bytes with a resourceVersion.
pub(super) fn with_version(bytes: &Bytes, revision: i64) -> Bytes {
    let Ok(offset) = object::splice_offset(bytes) else {
        return bytes.clone();
    };
    let mut out = Vec::with_capacity(bytes.len() + 42);
    object::splice(bytes, offset as usize, revision, &mut out);
    out.into()
}

/// A stored object as a tree, with its resourceVersion and without managedFields.
pub(super) fn value_of(stored: &Stored) -> Result<Value, Status> {
    split(stored).map(|(value, _)| value)
}

/// The same, and the managedFields as JSON.
pub(super) fn split(stored: &Stored) -> Result<(Value, Option<Bytes>), Status> {
    stored
        .to_unmanaged()
        .map_err(|error| Status::internal(format!("a stored object cannot be read: {error}")))
}

/// A text of the metadata; `""` when absent.
pub(super) fn meta_text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The metadata, made when it is not there.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    match &mut object["metadata"] {
        Value::Object(metadata) => metadata,
        _ => unreachable!("it was made an object above"),
    }
}

/// What the server sets on a new object, and what clients may not set.
pub(super) fn stamp(new: &mut Value, target: &Target, now: Timestamp) {
    let namespaced = target.resource.namespaced;
    let metadata = metadata(new);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
        "resourceVersion",
        "generation",
    ] {
        metadata.remove(field);
    }
    metadata.insert("name".into(), target.name.clone().into());
    if namespaced {
        metadata.insert("namespace".into(), target.namespace.clone().into());
    } else {
        metadata.remove("namespace");
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), seconds(now).into());
    if target.name.is_empty() {
        metadata.remove("name");
    }
}

/// RFC 3339 with whole seconds.
pub(super) fn seconds(time: Timestamp) -> String {
    ferrule_apimachinery::time::format(time)
}

/// What an update cannot change keeps its value where the client left it out or may not say.
pub(super) fn carry_over(new: &mut Value, old: &Value) {
    let old = &old["metadata"];
    let metadata = metadata(new);
    for field in ["resourceVersion", "selfLink", "managedFields"] {
        metadata.remove(field);
    }
    for field in ["uid", "creationTimestamp", "deletionGracePeriodSeconds"] {
        let empty = metadata
            .get(field)
            .is_none_or(|value| value.is_null() || value == "");
        if let (true, Some(value)) = (empty, old.get(field)) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    for (field, always) in [("deletionTimestamp", false), ("generation", true)] {
        match old.get(field) {
            Some(value) => {
                metadata.insert(field.to_owned(), value.clone());
            }
            None if always => {
                metadata.remove(field);
            }
            None => {}
        }
    }
}

/// Whether the update took away the last thing that kept an object that is being deleted.
pub(super) fn deletion_is_complete(resource: &Resource, new: &Value, old: &Value) -> bool {
    let metadata = &new["metadata"];
    let none = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    let deleting = !old["metadata"]["deletionTimestamp"].is_null();
    let in_time = old["metadata"]["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or_default()
        == 0;
    let namespace = resource.group.is_empty() && resource.plural == "namespaces";
    deleting
        && in_time
        && none(&metadata["finalizers"])
        && (!namespace || none(&new["spec"]["finalizers"]))
}

/// Refuses a body whose name is not that of the path.
pub(super) fn check_name_matches(target: &Target, object: &Value) -> Result<(), Status> {
    let (name, expected) = (meta_text(object, "name"), &target.name);
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({expected} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != expected {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({expected})"
        )));
    }
    Ok(())
}

/// Refuses a body whose namespace is not that of the path; fills it in where it is missing.
pub(super) fn check_namespace_matches(target: &Target, object: &mut Value) -> Result<(), Status> {
    let given = meta_text(object, "namespace");
    if !target.resource.namespaced {
        metadata(object).remove("namespace");
        return Ok(());
    }
    if given.is_empty() {
        metadata(object).insert("namespace".into(), target.namespace.clone().into());
        return Ok(());
    }
    if given != target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// The resourceVersion that the new object names must be the current one.
pub(super) fn check_revision(
    target: &Target,
    new: &Value,
    current: &Current,
) -> Result<(), Status> {
    match meta_text(new, "resourceVersion") {
        "" => Ok(()),
        text => match options::parse_revision(text) {
            Err(why) => Err(Status::bare_error(why)),
            Ok(0) => Ok(()),
            Ok(revision) if revision == current.stored.revision => Ok(()),
            Ok(_) => Err(errors::modified(&target.resource, &target.name)),
        },
    }
}

pub(super) fn check_uid(target: &Target, new: &Value, current: &Current) -> Result<(), Status> {
    let (wanted, actual) = (meta_text(new, "uid"), meta_text(&current.value, "uid"));
    if wanted.is_empty() || wanted == actual {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}",
        target.key()
    );
    Err(errors::conflict(&target.resource, &target.name, why))
}

pub(super) fn check_unconditional(
    target: &Target,
    rules: &dyn Rules,
    new: &Value,
) -> Result<(), Status> {
    if rules.strategy().unconditional_update
        || !matches!(meta_text(new, "resourceVersion"), "" | "0")
    {
        return Ok(());
    }
    let path = Path::new("metadata").child("resourceVersion");
    let detail = "must be specified for an update";
    let problem = FieldError::invalid(&path, 0, detail);
    // Upstream names the resource here, not the kind.
    let resource = &target.resource;
    Err(Status::invalid(
        &resource.group,
        &resource.plural,
        &target.name,
        &[problem],
    ))
}
