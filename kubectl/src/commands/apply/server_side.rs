//! Server-side apply: the server merges, and keeps who owns what.
//!
//! An object that was applied by the client before is moved over: its last applied configuration
//! gets an owner of its own, and what `kubectl-client-side-apply` owned goes to the manager.

use ferrule_client::WriteOptions;
use ferrule_client::client::{At, Patch};
use ferrule_proto::v1::ApiResource;
use serde_json::{Map, Value, json};

use super::super::{warn, write};
use super::LAST_APPLIED;
use crate::args::{ApplyArgs, DryRun};
use crate::error::{Error, Result};
use crate::files::FromFile;
use crate::resources::at;
use crate::session::Session;

/// Who applies, when nobody is named.
pub const MANAGER: &str = "kubectl";
/// Who owns the last applied configuration.
const ANNOTATION_MANAGER: &str = "kubectl-last-applied";
/// How often a conflict with another writer is tried again.
const TRIES: usize = 5;

/// Makes an object what its file says: the object, and the word for what was done.
pub async fn apply(
    session: &Session,
    args: &ApplyArgs,
    resource: &ApiResource,
    file: &FromFile,
) -> Result<(Value, &'static str)> {
    let mut wanted = file.object.clone();
    let namespace = write::place(&mut wanted, resource, session);
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        let unnamed = || Error::local("resource name may not be empty");
        return Err(super::unnamed(&wanted).unwrap_or_else(unnamed));
    }
    let options = write::options(&args.write, MANAGER)?;
    let mut place = at(resource, &namespace).name(name);
    if let Some(subresource) = &args.subresource {
        place = place.subresource(subresource);
    }
    let force = args.server_side.force_conflicts;
    let object = send(session, &place, wanted.clone(), force, &options).await?;
    let done = "serverside-applied";
    if args.write.dry_run == DryRun::Server || args.subresource.is_some() {
        return Ok((object, done));
    }
    match move_over(session, &place, &object, &options).await {
        Ok(false) => Ok((object, done)),
        // Applied once more, so that fields which the file no longer has can go.
        Ok(true) => match send(session, &place, wanted, force, &options).await {
            Ok(object) => Ok((object, done)),
            Err(error) => {
                warn(&format!(
                    "Warning: failed to re-apply configuration after performing Server-Side Apply migration. This is \
                     non-fatal and will be retried next time you apply. Error: {}",
                    error.message()
                ));
                Ok((object, done))
            }
        },
        Err(error) => {
            warn(&format!(
                "Warning: server rejected managed fields migration to Server-Side Apply. This is non-fatal and will be retried \
                 next time you apply. Error: {}",
                error.message()
            ));
            Ok((object, done))
        }
    }
}

/// Applies an object; a conflict is told with the ways out of it.
pub async fn send(
    session: &Session,
    place: &At,
    object: Value,
    force: bool,
    options: &WriteOptions,
) -> Result<Value> {
    let patch = Patch::Apply { object, force };
    match session.client.patch(place, &patch, options).await {
        Ok(object) => Ok(object.parse()?),
        Err(status) if status.is_conflict() => Err(Error::local(format!(
            "{}\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this \
             warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the \
             `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to \
             remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating \
             your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  \
             stop managing the field (remove it from their configuration).\nSee \
             https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
            status.message
        ))),
        Err(status) => Err(status.into()),
    }
}

/// Moves an object from client-side apply to a manager; whether anything was to do.
async fn move_over(
    session: &Session,
    place: &At,
    object: &Value,
    options: &WriteOptions,
) -> Result<bool> {
    let mut current = object.clone();
    if options.field_manager == MANAGER {
        current = keep_annotation(session, place, current).await?;
    }
    let owners = annotation_owners(&current, "Update");
    for turn in 0.. {
        let before = current["metadata"]["managedFields"].as_array();
        let before = before.cloned().unwrap_or_default();
        let after = owners.iter().fold(before.clone(), |entries, owner| {
            upgraded(entries, owner, &options.field_manager)
        });
        if after == before {
            return Ok(false);
        }
        let version = &current["metadata"]["resourceVersion"];
        let patch = Patch::Json(json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": after},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ]));
        match session
            .client
            .patch(place, &patch, &WriteOptions::default())
            .await
        {
            Ok(_) => return Ok(true),
            Err(status) if status.is_conflict() && turn + 1 < TRIES => {
                current = session.client.get(place).await?.parse()?;
            }
            Err(status) => return Err(status.into()),
        }
    }
    Ok(false)
}

/// Gives the last applied configuration an owner, so that it does not go with its former one.
async fn keep_annotation(session: &Session, place: &At, object: Value) -> Result<Value> {
    let Some(text) = object["metadata"]["annotations"].get(LAST_APPLIED) else {
        return Ok(object);
    };
    if !annotation_owners(&object, "Apply").is_empty() {
        return Ok(object);
    }
    let metadata = &object["metadata"];
    let mut only = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": {"annotations": {LAST_APPLIED: text}, "name": metadata["name"]},
    });
    if let Some(namespace) = metadata.get("namespace") {
        only["metadata"]["namespace"] = namespace.clone();
    }
    let options = WriteOptions {
        field_manager: ANNOTATION_MANAGER.to_owned(),
        ..WriteOptions::default()
    };
    let patch = Patch::Apply {
        object: only,
        force: false,
    };
    Ok(session
        .client
        .patch(place, &patch, &options)
        .await?
        .parse()?)
}

/// The managers of an operation that own the last applied configuration.
fn annotation_owners(object: &Value, operation: &str) -> Vec<String> {
    let path = format!(
        "/fieldsV1/f:metadata/f:annotations/f:{}",
        LAST_APPLIED.replace('/', "~1")
    );
    let entries = object["metadata"]["managedFields"].as_array();
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["operation"] == operation && entry.pointer(&path).is_some())
        .filter_map(|entry| entry["manager"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The entries after what `from` owned by updates has become `to`'s by apply.
fn upgraded(mut entries: Vec<Value>, from: &str, to: &str) -> Vec<Value> {
    let is = |entry: &Value, manager: &str, operation: &str| {
        entry["manager"] == manager
            && entry["operation"] == operation
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
    };
    let mut target = entries.iter().position(|entry| is(entry, to, "Apply"));
    if target.is_none() {
        target = entries.iter().position(|entry| is(entry, from, "Update"));
        if let Some(place) = target {
            entries[place]["operation"] = json!("Apply");
            entries[place]["manager"] = json!(to);
        }
    }
    let Some(target) = target else {
        return entries;
    };
    let version = entries[target]["apiVersion"].clone();
    let same = |entry: &&Value| is(entry, from, "Update") && entry["apiVersion"] == version;
    let more = entries
        .iter()
        .find(same)
        .map(|entry| entry["fieldsV1"].clone());
    if let Some(Value::Object(more)) = more {
        unite(&mut entries[target]["fieldsV1"], more);
    }
    entries.retain(|entry| !is(entry, from, "Update"));
    entries
}

/// The union of two field sets.
fn unite(own: &mut Value, more: Map<String, Value>) {
    let Value::Object(own) = own else {
        *own = Value::Object(more);
        return;
    };
    for (name, inner) in more {
        match (own.get_mut(&name), inner) {
            (Some(known), Value::Object(inner)) => unite(known, inner),
            (Some(_), _) => {}
            (None, inner) => drop(own.insert(name, inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields})
    }

    #[test]
    fn what_client_side_apply_owned_goes_to_the_manager() {
        let old = entry(
            "kubectl-client-side-apply",
            "Update",
            json!({"f:data": {"f:a": {}, ".": {}}}),
        );
        let new = entry("kubectl", "Apply", json!({"f:data": {"f:b": {}}}));
        let other = entry("else", "Update", json!({}));
        let cases = [
            (
                vec![new.clone(), old.clone(), other.clone()],
                vec![
                    entry(
                        "kubectl",
                        "Apply",
                        json!({"f:data": {"f:a": {}, "f:b": {}, ".": {}}}),
                    ),
                    other.clone(),
                ],
            ),
            (
                vec![old.clone()],
                vec![entry(
                    "kubectl",
                    "Apply",
                    json!({"f:data": {"f:a": {}, ".": {}}}),
                )],
            ),
            (vec![other.clone()], vec![other]),
        ];
        for (before, after) in cases {
            assert_eq!(
                upgraded(before, "kubectl-client-side-apply", "kubectl"),
                after
            );
        }
    }
}
