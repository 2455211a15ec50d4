//! `kubectl set`: objects are changed in memory, and the difference is sent.

use ferrule_apimachinery::patch;
use ferrule_apimachinery::schema::Schema;
use ferrule_client::client::Patch;
use serde_json::{Value, json};

use super::select::{self, Found, Selection};
use super::write::{self, Report};
use crate::args::{DryRun, SetArgs};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// The annotation that a rollout's history shows.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// What is changed.
pub struct Change<'a> {
    /// TYPE NAME or TYPE/NAME.
    pub words: &'a [String],
    /// The objects, and how to write them.
    pub args: &'a SetArgs,
    /// By labels.
    pub selector: Option<&'a str>,
    /// The word for what was done.
    pub done: &'a str,
    /// How a refused patch is told.
    pub failed: &'a str,
    /// The only version that may be changed.
    pub version: Option<&'a str>,
    /// Objects that stay as they are are told, too.
    pub always: bool,
}

/// Changes the pod specs of objects; those that stay as they are are passed over in silence.
pub async fn run(
    session: &Session,
    change: &Change<'_>,
    mut edit: impl FnMut(&Found, &mut Value) -> Result<()>,
) -> Result<()> {
    objects(session, change, |one, object| {
        let spec = pod_spec(one, object)?;
        edit(one, spec)
    })
    .await
}

/// Changes objects.
pub async fn objects(
    session: &Session,
    change: &Change<'_>,
    mut edit: impl FnMut(&Found, &mut Value) -> Result<()>,
) -> Result<()> {
    let (write, local) = (&change.args.write, change.args.local);
    if local && write.dry_run == DryRun::Server {
        return Err(Error::local(
            "cannot specify --local and --dry-run=server - did you mean --dry-run=client?",
        ));
    }
    let report = Report::typed(write)?;
    let selection = Selection {
        command: "set",
        words: change.words,
        files: Some(&change.args.files),
        labels: change.selector,
        all: change.args.all,
        local,
        ..Selection::default()
    };
    let mut errors = Vec::new();
    for mut one in select::read(session, &selection, &mut errors).await? {
        if local {
            complete(&mut one.object)?;
        }
        let mut after = one.object.clone();
        if let Err(error) = edit(&one, &mut after) {
            errors.push(error);
            continue;
        }
        let sent = async {
            let mut patch = match difference(&one.object, &mut after, write)? {
                Some(patch) => patch,
                None if change.always => Patch::Strategic(json!({})),
                None => return Ok(()),
            };
            if let (Some(version), Patch::Strategic(tree) | Patch::Merge(tree)) =
                (change.version, &mut patch)
            {
                tree["metadata"]["resourceVersion"] = json!(version);
            }
            if write.dry_run != DryRun::Client && !local {
                let place = at(&one.resource, &one.namespace).name(&one.name);
                let options = write::options(write, "kubectl-set")?;
                let answer = session.client.patch(&place, &patch, &options).await;
                let refused = |status| match change.failed {
                    "" => Error::from(status),
                    failed => Error::from(status).failed(failed),
                };
                after = answer.map_err(refused)?.parse()?;
            }
            report.print(&after, &one.resource, change.done)
        };
        if let Err(error) = sent.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// Fills in what Go writes of an object even when nobody set it: no server has done so.
pub fn complete(object: &mut Value) -> Result<()> {
    let field = |name: &str| object[name].as_str().unwrap_or_default();
    let id = Schema::builtin().object_type(field("apiVersion"), field("kind"));
    if let Some(id) = id {
        let read = Schema::builtin().normalize(object, id);
        read.map_err(|error| Error::local(error.to_string()))?;
    }
    Ok(())
}

/// The patch from one state to another, with the command's record when one is wanted.
fn difference(
    before: &Value,
    after: &mut Value,
    args: &crate::args::WriteArgs,
) -> Result<Option<Patch>> {
    let field = |name: &str| before[name].as_str().unwrap_or_default();
    let id = Schema::builtin().object_type(field("apiVersion"), field("kind"));
    let between = |after: &Value| match id {
        Some(id) => patch::three_way(Schema::builtin(), id, before, after, before)
            .map(Patch::Strategic)
            .map_err(|error| Error::local(error.to_string())),
        None => Ok(Patch::Merge(patch::json_merge_diff(before, after))),
    };
    if *after == *before {
        return Ok(None);
    }
    write::record(after, args);
    between(after).map(Some)
}

/// The pod spec of a pod or of a workload's template.
pub fn pod_spec<'a>(one: &Found, object: &'a mut Value) -> Result<&'a mut Value> {
    let spec = match one.resource.kind.as_str() {
        "Pod" => object.pointer_mut("/spec"),
        "CronJob" => object.pointer_mut("/spec/jobTemplate/spec/template/spec"),
        _ => object.pointer_mut("/spec/template/spec"),
    };
    spec.ok_or_else(|| {
        Error::local(format!(
            "{}/{} the object is not a pod or does not have a pod template: *{}.{}",
            one.resource.name, one.name, one.resource.version, one.resource.kind
        ))
    })
}

/// The containers of a pod spec whose names fit a pattern, the init containers last.
pub fn containers<'a>(spec: &'a mut Value, pattern: &str) -> Vec<&'a mut Value> {
    let Some(spec) = spec.as_object_mut() else {
        return Vec::new();
    };
    let mut found: Vec<(bool, &mut Value)> = spec
        .iter_mut()
        .filter(|(field, _)| matches!(field.as_str(), "containers" | "initContainers"))
        .flat_map(|(field, list)| {
            let is_init = field == "initContainers";
            let list = list.as_array_mut().into_iter().flatten();
            list.map(move |container| (is_init, container))
        })
        .filter(|(_, container)| fits(super::pods::name(container), pattern))
        .collect();
    found.sort_by_key(|(is_init, _)| *is_init);
    found.into_iter().map(|(_, container)| container).collect()
}

/// Whether a name fits a pattern in which `*` stands for anything.
pub fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_patterns_may_hold_stars() {
        for (name, pattern, expected) in [
            ("web", "*", true),
            ("web", "web", true),
            ("web", "we", false),
            ("web-1", "web-*", true),
            ("web-1", "*-1", true),
            ("web-10", "*-1", false),
            ("a-b-c", "a*b*c", true),
            ("a-c", "a*b*c", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
