//! `kubectl rollout history` and `undo`: the templates that a workload had.
//!
//! A Deployment keeps them in its ReplicaSets, a StatefulSet and a DaemonSet in ControllerRevisions.

use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use serde_json::{Value, json};

use super::rollout;
use super::select::Found;
use super::set::CHANGE_CAUSE;
use super::write::Report;
use super::{print, warn};
use crate::args::{DryRun, RolloutHistoryArgs, RolloutUndoArgs};
use crate::describe;
use crate::error::{Error, Result};
use crate::output::tabs;
use crate::resources::{at, group_kind, singular};
use crate::session::Session;

const REVISION: &str = "deployment.kubernetes.io/revision";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations of a ReplicaSet that are not its Deployment's.
const OWN: [&str; 6] = [
    LAST_APPLIED,
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

/// A state that a workload was in.
struct Revision {
    number: i64,
    /// The ReplicaSet or the ControllerRevision.
    object: Value,
}

impl Revision {
    /// Why it was made, when that was written down.
    fn cause(&self) -> Option<&str> {
        let cause = self.object["metadata"]["annotations"][CHANGE_CAUSE].as_str();
        cause.filter(|cause| !cause.is_empty())
    }

    /// Whether a ReplicaSet keeps it.
    fn is_replica_set(&self) -> bool {
        self.object["spec"].is_object()
    }

    /// The pod template.
    fn template(&self) -> Value {
        if self.is_replica_set() {
            let mut template = self.object["spec"]["template"].clone();
            if let Some(cause) = self.cause() {
                template["metadata"]["annotations"][CHANGE_CAUSE] = Value::from(cause);
            }
            return template;
        }
        let mut template = self.object["data"]["spec"]["template"].clone();
        if let Some(fields) = template.as_object_mut() {
            fields.remove("$patch");
        }
        template
    }

    /// Whether a workload is in this state.
    fn is_of(&self, workload: &Value) -> bool {
        let current = describe::without_hash(&workload["spec"]["template"]);
        if self.is_replica_set() {
            return current == describe::without_hash(&self.object["spec"]["template"]);
        }
        current == describe::without_hash(&self.template())
    }

    /// What brings a workload back to this state.
    fn patch(&self, workload: &Value) -> Patch {
        if !self.is_replica_set() {
            return Patch::Strategic(self.object["data"].clone());
        }
        let template = describe::without_hash(&self.object["spec"]["template"]);
        let annotations = annotations(&self.object, workload);
        Patch::Json(json!([
            {"op": "replace", "path": "/spec/template", "value": template},
            {"op": "replace", "path": "/metadata/annotations", "value": annotations},
        ]))
    }
}

/// Runs `rollout history`.
pub async fn history(session: &Session, args: &RolloutHistoryArgs) -> Result<()> {
    if args.revision < 0 {
        return Err(Error::local(format!(
            "revision must be a positive integer: {}",
            args.revision
        )));
    }
    let mut errors = Vec::new();
    for one in rollout::workloads(session, &args.workloads).await? {
        let revisions = match revisions(session, &one, "history viewer").await {
            Ok(revisions) => revisions,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let head = format!("{}/{}", singular(&one.resource), one.name);
        if revisions.is_empty() {
            print(&format!(
                "{} \nNo rollout history found.\n",
                titled(&head, args.revision)
            ))?;
            continue;
        }
        if args.revision > 0 {
            let found = revisions.iter().find(|own| own.number == args.revision);
            let found =
                found.ok_or_else(|| Error::local("unable to find the specified revision"))?;
            let template = describe::template(&found.template());
            print(&format!("{}\n{template}\n", titled(&head, args.revision)))?;
            continue;
        }
        let mut text = "REVISION\tCHANGE-CAUSE\n".to_owned();
        for revision in &revisions {
            let cause = revision.cause().unwrap_or("<none>");
            text.push_str(&format!("{}\t{cause}\n", revision.number));
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

/// The revisions of a workload, in order.
async fn revisions(session: &Session, one: &Found, what: &str) -> Result<Vec<Revision>> {
    let (group, kind) = (one.resource.group.as_str(), one.resource.kind.as_str());
    let kept_in = match (group, kind) {
        ("apps", "Deployment") => "replicasets",
        ("apps", "StatefulSet" | "DaemonSet") => "controllerrevisions",
        _ => {
            return Err(Error::local(format!(
                "no {what} has been implemented for {:?}",
                group_kind(&one.resource)
            )));
        }
    };
    let selector = &one.object["spec"]["selector"];
    let objects = describe::controlled_by(session, &one.object, selector, kept_in).await?;
    let number = |object: &Value| {
        let annotation = object["metadata"]["annotations"][REVISION].as_str();
        match object["revision"].as_i64() {
            Some(number) => Some(number),
            None => annotation?.parse().ok(),
        }
    };
    let mut revisions: Vec<Revision> = objects
        .into_iter()
        .filter_map(|object| {
            let number = number(&object)?;
            Some(Revision { number, object })
        })
        .collect();
    revisions.sort_by_key(|own| own.number);
    Ok(revisions)
}

/// What `undo` goes back to: a revision, or with 0 the last but one.
fn target<'a>(revisions: &'a [Revision], revision: i64, one: &Found) -> Result<&'a Revision> {
    if revision == 0 {
        return match revisions {
            [.., previous, _] => Ok(previous),
            _ if one.resource.kind != "Deployment" => {
                Err(Error::local("no last revision to roll back to"))
            }
            _ => Err(Error::local(format!(
                "no rollout history found for deployment {:?}",
                one.name
            ))),
        };
    }
    let found = revisions.iter().find(|own| own.number == revision);
    found.ok_or_else(|| {
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
        let revisions = revisions(session, &one, "rollbacker").await?;
        let wanted = target(&revisions, args.to_revision, &one)?;
        let is_deployment = one.resource.kind == "Deployment";
        if args.dry_run == DryRun::Client {
            // The line names what the template would be, as upstream's does.
            let template = describe::template(&wanted.template());
            let done = match is_deployment {
                true => template,
                false => format!("will roll back to {template}"),
            };
            report.print(&one.object, &one.resource, &done)?;
            continue;
        }
        if one.object["spec"]["paused"] == true {
            return Err(Error::local(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
            ));
        }
        if wanted.is_of(&one.object) {
            let done = format!(
                "skipped rollback (current template already matches revision {})",
                args.to_revision
            );
            report.print(&one.object, &one.resource, &done)?;
            continue;
        }
        warn_of_apply(&one);
        let options = WriteOptions {
            dry_run: args.dry_run == DryRun::Server,
            field_manager: "kubectl-rollout".to_owned(),
            ..WriteOptions::default()
        };
        let place = at(&one.resource, &one.namespace).name(&one.name);
        let answer = session
            .client
            .patch(&place, &wanted.patch(&one.object), &options)
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

/// What `apply` remembers of a workload is not brought back with it.
fn warn_of_apply(one: &Found) {
    if one.object["metadata"]["annotations"][LAST_APPLIED].is_string() {
        warn(&format!(
            "Warning: resource {}/{} was previously managed with 'kubectl apply'. Rolling back will not update the \
             {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. \
             Consider using 'kubectl apply' with your previous configuration file instead.",
            one.resource.name, one.name
        ));
    }
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
