//! `kubectl rollout pause`, `resume` and `restart`

use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::write::Report;
use super::{rollout, select, warn};
use crate::args::{DryRun, RolloutArgs};
use crate::error::{Error, Result};
use crate::resources::{at, plural};
use crate::session::Session;

/// What becomes of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its template may change without a rollout.
    Pause,
    /// It rolls out again.
    Resume,
    /// All its pods are replaced.
    Restart,
}

/// Runs the command.
pub async fn run(session: &Session, args: &RolloutArgs, change: Change) -> Result<()> {
    let report = Report {
        typed: true,
        ..Report::of(&args.print, DryRun::None)?
    };
    if args.workloads.words.is_empty() && args.workloads.files.is_empty() {
        return Err(Error::local("required resource not specified"));
    }
    let mut errors = Vec::new();
    let found = select::read(session, &rollout::selection(&args.workloads), &mut errors).await?;
    if found.is_empty() && errors.is_empty() {
        warn(&format!(
            "No resources found in {} namespace.",
            session.namespace
        ));
    }
    for one in found {
        let changed = async {
            let patch = patch(change, &one.object, &plural(&one.resource), &one.name)?;
            let options = WriteOptions {
                field_manager: args
                    .field_manager
                    .clone()
                    .unwrap_or_else(|| "kubectl-rollout".to_owned()),
                ..WriteOptions::default()
            };
            let place = at(&one.resource, &one.namespace).name(&one.name);
            let answer = session
                .client
                .patch(&place, &Patch::Strategic(patch), &options)
                .await;
            let failed = |status| Error::from(status).failed("failed to patch: ");
            let object = answer.map_err(failed)?.parse()?;
            let done = match change {
                Change::Pause => "paused",
                Change::Resume => "resumed",
                Change::Restart => "restarted",
            };
            report.print(&object, &one.resource, done)
        };
        if let Err(error) = changed.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

fn patch(change: Change, object: &Value, plural: &str, name: &str) -> Result<Value> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let paused = object["spec"]["paused"] == true;
    match change {
        Change::Pause | Change::Resume if kind != "Deployment" => Err(Error::local(format!(
            "{plural} {name:?} {} is not supported",
            if change == Change::Pause {
                "pausing"
            } else {
                "resuming"
            }
        ))),
        Change::Pause if paused => {
            Err(Error::local(format!("{plural} {name:?} is already paused")))
        }
        Change::Pause => Ok(json!({"spec": {"paused": true}})),
        Change::Resume if !paused => Err(Error::local(format!("{plural} {name:?} is not paused"))),
        Change::Resume => Ok(json!({"spec": {"paused": null}})),
        Change::Restart if !matches!(kind, "Deployment" | "DaemonSet" | "StatefulSet") => Err(
            Error::local(format!("{plural} {name:?} restarting is not supported")),
        ),
        Change::Restart if paused => Err(Error::local(format!(
            "{plural} {name:?} can't restart paused deployment (run rollout resume first)"
        ))),
        Change::Restart => {
            let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let set = &object["spec"]["template"]["metadata"]["annotations"];
            if set["kubectl.kubernetes.io/restartedAt"] == now.as_str() {
                return Err(Error::local(format!(
                    "failed to create patch for {name}: if restart has already been triggered within the past second, \
                     please wait before attempting to trigger another"
                )));
            }
            let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
            Ok(json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}))
        }
    }
}
