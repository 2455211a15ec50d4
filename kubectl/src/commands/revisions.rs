//! `kubectl rollout history` and `undo`: the templates that a Deployment had.

use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use serde_json::{Value, json};

use super::print;
use super::rollout;
use super::select::Found;
use super::set::CHANGE_CAUSE;
use super::write::Report;
use crate::args::{DryRun, RolloutHistoryArgs, RolloutUndoArgs};
use crate::describe;
use crate::error::{Error, Result};
use crate::output::tabs;
use crate::resources::{at, group_kind, singular};
use crate::session::Session;

const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotations of a ReplicaSet that are not its Deployment's.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

/// Runs `rollout history`.
pub async fn history(session: &Session, args: &RolloutHistoryArgs) -> Result<()> {
    if args.revision < 0 {
        return Err(Error::local("revision must be a positive integer"));
    }
    let mut errors = Vec::new();
    for one in rollout::workloads(session, &args.workloads).await? {
        let sets = match sets(session, &one, "history viewer").await {
            Ok(sets) => sets,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let head = format!("{}/{}", singular(&one.resource), one.name);
        if sets.is_empty() {
            print(&format!(
                "{} \nNo rollout history found.\n",
                titled(&head, args.revision)
            ))?;
            continue;
        }
        if args.revision > 0 {
            let found = sets.iter().find(|(own, _)| *own == args.revision);
            let (_, set) =
                found.ok_or_else(|| Error::local("unable to find the specified revision"))?;
            let template = template_of(set);
            print(&format!("{}\n{template}\n", titled(&head, args.revision)))?;
            continue;
        }
        let mut text = "REVISION\tCHANGE-CAUSE\n".to_owned();
        for (revision, set) in &sets {
            let cause = set["metadata"]["annotations"][CHANGE_CAUSE].as_str();
            let cause = cause.filter(|cause| !cause.is_empty()).unwrap_or("<none>");
            text.push_str(&format!("{revision}\t{cause}\n"));
        }
        print(&format!("{head} \n{}\n", tabs::align(&text)))?;
    }
    Error::all(errors)
}

fn titled(head: &str, revision: i64) -> String {
    match revision {
        0 => head.to_owned(),
        revision => format!("{head} with revision #{revision}"),
    }
}

/// The pod template of a revision, with why it was made.
fn template_of(set: &Value) -> String {
    let mut template = set["spec"]["template"].clone();
    let cause = &set["metadata"]["annotations"][CHANGE_CAUSE];
    if cause.as_str().is_some_and(|cause| !cause.is_empty()) {
        template["metadata"]["annotations"][CHANGE_CAUSE] = cause.clone();
    }
    describe::template(&template)
}

/// The ReplicaSets of a Deployment by their revisions, in order.
async fn sets(session: &Session, one: &Found, what: &str) -> Result<Vec<(i64, Value)>> {
    if one.resource.kind != "Deployment" {
        return Err(Error::local(format!(
            "no {what} has been implemented for {:?}",
            group_kind(&one.resource)
        )));
    }
    let sets = describe::replica_sets(session, &one.object).await?;
    let revision = |set: &Value| {
        let text = set["metadata"]["annotations"][REVISION].as_str()?;
        text.parse::<i64>().ok()
    };
    let mut sets: Vec<(i64, Value)> = sets
        .into_iter()
        .filter_map(|set| Some((revision(&set)?, set)))
        .collect();
    sets.sort_by_key(|(revision, _)| *revision);
    Ok(sets)
}

/// What `undo` goes back to: a revision, or with 0 the last but one.
fn target<'a>(sets: &'a [(i64, Value)], revision: i64, name: &str) -> Result<&'a Value> {
    if revision == 0 {
        return match sets {
            [.., (_, previous), _] => Ok(previous),
            _ => Err(Error::local(format!(
                "no rollout history found for deployment {name:?}"
            ))),
        };
    }
    let found = sets.iter().find(|(own, _)| *own == revision);
    found.map(|(_, set)| set).ok_or_else(|| {
        Error::local(format!(
            "unable to find specified revision {revision} in history"
        ))
    })
}

/// Runs `rollout undo`.
pub async fn undo(session: &Session, args: &RolloutUndoArgs) -> Result<()> {
    let report = Report {
        typed: true,
        ..Report::of(&args.print, args.dry_run)?
    };
    for one in rollout::workloads(session, &args.workloads).await? {
        let sets = sets(session, &one, "rollbacker").await?;
        let set = target(&sets, args.to_revision, &one.name)?;
        if args.dry_run == DryRun::Client {
            // The line names what the template would be, as upstream's does.
            let template = describe::template(&set["spec"]["template"]);
            report.print(&one.object, &one.resource, &template)?;
            continue;
        }
        if one.object["spec"]["paused"] == true {
            return Err(Error::local(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
            ));
        }
        let template = describe::without_hash(&set["spec"]["template"]);
        if template == describe::without_hash(&one.object["spec"]["template"]) {
            let done = format!(
                "skipped rollback (current template already matches revision {})",
                args.to_revision
            );
            report.print(&one.object, &one.resource, &done)?;
            continue;
        }
        let patch = json!([
            {"op": "replace", "path": "/spec/template", "value": template},
            {"op": "replace", "path": "/metadata/annotations", "value": annotations(set, &one.object)},
        ]);
        let options = WriteOptions {
            dry_run: args.dry_run == DryRun::Server,
            field_manager: "kubectl-rollout".to_owned(),
            ..WriteOptions::default()
        };
        let place = at(&one.resource, &one.namespace).name(&one.name);
        let answer = session
            .client
            .patch(&place, &Patch::Json(patch), &options)
            .await;
        let refused = |status| {
            let failed = format!("failed restoring revision {}: ", args.to_revision);
            Error::from(status).failed(&failed)
        };
        let object: Value = answer.map_err(refused)?.parse()?;
        report.print(&object, &one.resource, "rolled back")?;
    }
    Ok(())
}

/// The annotations that come back: the Deployment's own bookkeeping stays, the rest is of old.
fn annotations(set: &Value, deployment: &Value) -> Value {
    let mut annotations = serde_json::Map::new();
    let of = |object: &Value| object["metadata"]["annotations"].as_object().cloned();
    for (key, value) in of(deployment).unwrap_or_default() {
        if OWN.contains(&key.as_str()) {
            annotations.insert(key, value);
        }
    }
    for (key, value) in of(set).unwrap_or_default() {
        if !OWN.contains(&key.as_str()) {
            annotations.insert(key, value);
        }
    }
    Value::Object(annotations)
}
