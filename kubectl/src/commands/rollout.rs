//! `kubectl rollout`, and its `status`

use std::time::Duration;

use ferrule_client::client::WatchOptions;
use ferrule_proto::v1::ApiResource;
use futures::StreamExt;
use serde_json::Value;

use super::select::{self, Selection};
use super::{change, print, revisions};
use crate::args::{RolloutCommand, RolloutStatusArgs, WorkloadArgs};
use crate::describe::{number, string};
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
    select::read_all(session, &selection(args)).await
}

/// Which workloads a command is about.
pub fn selection(args: &WorkloadArgs) -> Selection<'_> {
    Selection {
        command: "rollout",
        words: &args.words,
        files: Some(&args.files),
        labels: args.selector.as_deref(),
        all: true,
        ..Selection::default()
    }
}

async fn status(session: &Session, args: &RolloutStatusArgs) -> Result<()> {
    if args.revision < 0 {
        return Err(Error::local(format!(
            "revision must be a positive integer: {}",
            args.revision
        )));
    }
    let limit = args.timeout;
    for one in workloads(session, &args.workloads).await? {
        let (text, done) = progress(&one.resource, &one.object, args.revision)?;
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
                let (text, done) = progress(&one.resource, &object, args.revision)?;
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

/// The line about a workload, and whether its rollout is complete.
fn progress(resource: &ApiResource, object: &Value, revision: i64) -> Result<(String, bool)> {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("apps", "Deployment") => deployment(object, revision),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        _ => Err(Error::local(format!(
            "no status viewer has been implemented for {:?}",
            long_kind(resource).trim_start_matches('/')
        ))),
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
    let (spec, status) = (&object["spec"], &object["status"]);
    if number(&object["metadata"], "generation") > number(status, "observedGeneration") {
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
        number(status, "replicas"),
        number(status, "updatedReplicas"),
    );
    let available = number(status, "availableReplicas");
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

/// Only sets that replace their pods by themselves have a rollout.
fn rolls(object: &Value) -> Result<()> {
    if object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
        return Ok(());
    }
    Err(Error::local(
        "rollout status is only available for RollingUpdate strategy type",
    ))
}

/// The line about a DaemonSet, and whether its rollout is complete.
fn daemon_set(object: &Value) -> Result<(String, bool)> {
    rolls(object)?;
    let (name, status) = (string(&object["metadata"], "name"), &object["status"]);
    if number(&object["metadata"], "generation") > number(status, "observedGeneration") {
        let text = "Waiting for daemon set spec update to be observed...\n";
        return Ok((text.to_owned(), false));
    }
    let desired = number(status, "desiredNumberScheduled");
    let updated = number(status, "updatedNumberScheduled");
    let available = number(status, "numberAvailable");
    let waiting = format!("Waiting for daemon set {name:?} rollout to finish:");
    Ok(if updated < desired {
        let text = format!("{waiting} {updated} out of {desired} new pods have been updated...\n");
        (text, false)
    } else if available < desired {
        let text = format!("{waiting} {available} of {desired} updated pods are available...\n");
        (text, false)
    } else {
        let text = format!("daemon set {name:?} successfully rolled out\n");
        (text, true)
    })
}

/// The line about a StatefulSet, and whether its rollout is complete.
fn stateful_set(object: &Value) -> Result<(String, bool)> {
    rolls(object)?;
    let (spec, status) = (&object["spec"], &object["status"]);
    let observed = number(status, "observedGeneration");
    if observed == 0 || number(&object["metadata"], "generation") > observed {
        let text = "Waiting for statefulset spec update to be observed...\n";
        return Ok((text.to_owned(), false));
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let missing = wanted - number(status, "readyReplicas");
    let updated = number(status, "updatedReplicas");
    if missing > 0 {
        let text = format!("Waiting for {missing} pods to be ready...\n");
        return Ok((text, false));
    }
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if rolling.is_object() {
        let partition = rolling["partition"].as_i64();
        let share = partition.map_or(i64::MIN, |partition| wanted - partition);
        return Ok(if updated < share {
            let text = format!(
                "Waiting for partitioned roll out to finish: {updated} out of {share} new pods have been updated...\n"
            );
            (text, false)
        } else {
            let text =
                format!("partitioned roll out complete: {updated} new pods have been updated...\n");
            (text, true)
        });
    }
    let (new, old) = (
        string(status, "updateRevision"),
        string(status, "currentRevision"),
    );
    Ok(if new == old {
        let current = number(status, "currentReplicas");
        let text =
            format!("statefulset rolling update complete {current} pods at revision {old}...\n");
        (text, true)
    } else {
        let text = format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {new}...\n"
        );
        (text, false)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(mut status: Value) -> Value {
        status["observedGeneration"] = json!(2);
        json!({
            "metadata": {"name": "db", "generation": 2},
            "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate"}},
            "status": status,
        })
    }

    #[test]
    fn a_stateful_set_tells_what_it_waits_for() {
        let ready = json!({"readyReplicas": 3, "updatedReplicas": 1, "currentReplicas": 3,
            "updateRevision": "db-2", "currentRevision": "db-1"});
        let mut same = ready.clone();
        same["currentRevision"] = json!("db-2");
        let partitioned = |partition: i64, updated: i64| {
            let mut object = set(ready.clone());
            object["status"]["updatedReplicas"] = json!(updated);
            object["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": partition});
            object
        };
        let mut unseen = set(ready.clone());
        unseen["metadata"]["generation"] = json!(3);
        for (object, expected, done) in [
            (
                unseen,
                "Waiting for statefulset spec update to be observed...\n",
                false,
            ),
            (
                set(json!({"readyReplicas": 1})),
                "Waiting for 2 pods to be ready...\n",
                false,
            ),
            (
                set(ready.clone()),
                "waiting for statefulset rolling update to complete 1 pods at revision db-2...\n",
                false,
            ),
            (
                set(same),
                "statefulset rolling update complete 3 pods at revision db-2...\n",
                true,
            ),
            (
                partitioned(1, 1),
                "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated...\n",
                false,
            ),
            (
                partitioned(1, 2),
                "partitioned roll out complete: 2 new pods have been updated...\n",
                true,
            ),
        ] {
            assert_eq!(stateful_set(&object).unwrap(), (expected.to_owned(), done));
        }
    }

    #[test]
    fn a_daemon_set_tells_what_it_waits_for() {
        for (status, expected, done) in [
            (
                json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 1}),
                "Waiting for daemon set \"db\" rollout to finish: 1 out of 2 new pods have been updated...\n",
                false,
            ),
            (
                json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}),
                "Waiting for daemon set \"db\" rollout to finish: 1 of 2 updated pods are available...\n",
                false,
            ),
            (
                json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}),
                "daemon set \"db\" successfully rolled out\n",
                true,
            ),
        ] {
            assert_eq!(
                daemon_set(&set(status)).unwrap(),
                (expected.to_owned(), done)
            );
        }
        let mut by_hand = set(json!({}));
        by_hand["spec"]["updateStrategy"]["type"] = json!("OnDelete");
        assert_eq!(
            daemon_set(&by_hand).unwrap_err().to_string(),
            "error: rollout status is only available for RollingUpdate strategy type"
        );
    }
}
