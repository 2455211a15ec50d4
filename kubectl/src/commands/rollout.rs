//! `kubectl rollout`

use std::time::Duration;

use ferrule_client::client::WatchOptions;
use futures::StreamExt;
use serde_json::Value;

use super::select::{self, Selection};
use super::{change, print, revisions};
use crate::args::{RolloutCommand, RolloutStatusArgs, WorkloadArgs};
use crate::error::{Error, Result};
use crate::resources::{at, long_kind};
use crate::session::Session;

/// Runs a command below `rollout`.
pub async fn run(session: &Session, command: &RolloutCommand) -> Result<()> {
    match command {
        RolloutCommand::Status(args) => status(session, args).await,
        RolloutCommand::History(args) => revisions::history(session, args).await,
        RolloutCommand::Undo(args) => revisions::undo(session, args).await,
        RolloutCommand::Pause(args) => change::run(session, args, change::Change::Pause).await,
        RolloutCommand::Resume(args) => change::run(session, args, change::Change::Resume).await,
        RolloutCommand::Restart(args) => change::run(session, args, change::Change::Restart).await,
    }
}

/// The workloads that the command line names.
pub async fn workloads(session: &Session, args: &WorkloadArgs) -> Result<Vec<select::Found>> {
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Error::local("required resource not specified"));
    }
    let selection = Selection {
        command: "rollout",
        words: &args.words,
        files: Some(&args.files),
        labels: args.selector.as_deref(),
        all: true,
        ..Selection::default()
    };
    select::read_all(session, &selection).await
}

async fn status(session: &Session, args: &RolloutStatusArgs) -> Result<()> {
    let limit = args.timeout;
    for one in workloads(session, &args.workloads).await? {
        if one.resource.kind != "Deployment" {
            return Err(Error::local(format!(
                "no status viewer has been implemented for {:?}",
                long_kind(&one.resource).trim_start_matches('/')
            )));
        }
        let (text, done) = deployment(&one.object, args.revision)?;
        print(&text)?;
        if done || !args.watch {
            continue;
        }
        let following = follow(session, args, &one, text);
        if limit.is_zero() {
            following.await?;
        } else {
            let late = || Error::local("timed out waiting for the condition");
            tokio::time::timeout(limit, following)
                .await
                .map_err(|_| late())??;
        }
    }
    Ok(())
}

async fn follow(
    session: &Session,
    args: &RolloutStatusArgs,
    one: &select::Found,
    first: String,
) -> Result<()> {
    let mut last = first;
    loop {
        let options = WatchOptions {
            field_selector: format!("metadata.name={}", one.name),
            send_initial_events: true,
            ..WatchOptions::default()
        };
        let mut batches = session
            .client
            .watch(&at(&one.resource, &one.namespace), &options)
            .await?;
        while let Some(Ok(batch)) = batches.next().await {
            for change in batch.changes {
                if change.kind == ferrule_proto::v1::EventType::EventDeleted {
                    return Err(Error::local("object has been deleted"));
                }
                let object: Value = ferrule_client::client::parse(&change.object)?;
                let (text, done) = deployment(&object, args.revision)?;
                if text != last {
                    print(&text)?;
                    last = text;
                }
                if done {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The line about a Deployment, and whether its rollout is complete.
pub fn deployment(object: &Value, revision: i64) -> Result<(String, bool)> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if revision > 0 {
        let annotation = &object["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        let current: i64 = annotation
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        if current != revision {
            return Err(Error::local(format!(
                "desired revision ({revision}) is different from the running revision ({current})"
            )));
        }
    }
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let (spec, status) = (&object["spec"], &object["status"]);
    if number(&object["metadata"]["generation"]) > number(&status["observedGeneration"]) {
        return Ok((
            "Waiting for deployment spec update to be observed...\n".to_owned(),
            false,
        ));
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let late = |condition: &&Value| {
        condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
    };
    if conditions.into_iter().any(|condition| late(&condition)) {
        return Err(Error::local(format!(
            "deployment {name:?} exceeded its progress deadline"
        )));
    }
    let (replicas, updated) = (
        number(&status["replicas"]),
        number(&status["updatedReplicas"]),
    );
    let available = number(&status["availableReplicas"]);
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    if updated < wanted {
        let text = format!(
            "Waiting for deployment {name:?} rollout to finish: {updated} out of {wanted} new replicas have been updated...\n"
        );
        return Ok((text, false));
    }
    if replicas > updated {
        let old = replicas - updated;
        let text = format!(
            "Waiting for deployment {name:?} rollout to finish: {old} old replicas are pending termination...\n"
        );
        return Ok((text, false));
    }
    if available < updated {
        let text = format!(
            "Waiting for deployment {name:?} rollout to finish: {available} of {updated} updated replicas are available...\n"
        );
        return Ok((text, false));
    }
    Ok((
        format!("deployment {name:?} successfully rolled out\n"),
        true,
    ))
}
