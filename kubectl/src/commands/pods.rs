//! From a word to a pod: `web`, `pod/web`, `deployment/web`; and to its containers.

use std::cmp::Reverse;
use std::time::Duration;

use ferrule_client::client::WatchOptions;
use futures::StreamExt;
use serde_json::Value;

use super::select::{self, Found, Selection};
use crate::args::{FileArgs, RunningArgs};
use crate::describe::selector_text;
use crate::error::{Error, Result};
use crate::output::table::labels;
use crate::resources::at;
use crate::session::Session;

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The time to wait for a pod, from the flags of a command.
pub fn limit(args: &RunningArgs, command: &str) -> Result<Duration> {
    if args.pod_running_timeout.is_zero() {
        let text = "--pod-running-timeout must be higher than zero";
        return Err(Error::usage(command, text));
    }
    Ok(args.pod_running_timeout)
}

/// The object that words or files name; a word alone is a pod's name.
pub async fn named(session: &Session, words: &[String], files: Option<&FileArgs>) -> Result<Found> {
    let words: Vec<String> = match words {
        [word] if !word.contains('/') => vec![format!("pods/{word}")],
        words => words.to_vec(),
    };
    let selection = Selection {
        words: &words,
        files,
        ..Selection::default()
    };
    let found = select::read_all(session, &selection).await?;
    let first = found.into_iter().next();
    first.ok_or_else(|| Error::local("expected a resource"))
}

/// The pod of an object that can be attached to best: one that runs, and has been ready the longest.
pub async fn attachable(session: &Session, one: &Found, limit: Duration) -> Result<Value> {
    if one.resource.kind == "Pod" {
        return Ok(one.object.clone());
    }
    let selector = selector(one, "attach to")?;
    let mut pods = some(session, &one.namespace, &selector, limit).await?;
    pods.sort_by_key(|pod| rank(pod, Purpose::Attach));
    pods.into_iter().next().ok_or_else(timed_out)
}

/// The pods of an object, the one with the most interesting log first.
pub async fn logged(session: &Session, one: &Found, limit: Duration) -> Result<Vec<Value>> {
    if one.resource.kind == "Pod" {
        return Ok(vec![one.object.clone()]);
    }
    let selector = selector(one, "get the logs from")?;
    let mut pods = some(session, &one.namespace, &selector, limit).await?;
    pods.sort_by_key(|pod| rank(pod, Purpose::Logs));
    Ok(pods)
}

fn timed_out() -> Error {
    Error::local("timed out waiting for the condition")
}

/// The pods of a selector, once there is one.
async fn some(
    session: &Session,
    namespace: &str,
    selector: &str,
    limit: Duration,
) -> Result<Vec<Value>> {
    let resource = session.resources().await?.find("pods")?;
    let place = at(resource, namespace);
    let options = WatchOptions {
        label_selector: selector.to_owned(),
        send_initial_events: true,
        ..WatchOptions::default()
    };
    let waiting = async {
        loop {
            let listing = select::options(Some(selector), None);
            let pods = select::list(session, resource, namespace, &listing).await?;
            if !pods.is_empty() {
                return Ok(pods);
            }
            let mut batches = session.client.watch(&place, &options).await?;
            while let Some(Ok(batch)) = batches.next().await {
                if !batch.changes.is_empty() {
                    break;
                }
            }
        }
    };
    let result = tokio::time::timeout(limit, waiting).await;
    result.map_err(|_| timed_out())?
}

/// The selector of a workload's or a Service's pods.
fn selector(one: &Found, doing: &str) -> Result<String> {
    let spec = &one.object["spec"]["selector"];
    let kind = format!("*{}.{}", one.resource.version, one.resource.kind);
    match one.resource.kind.as_str() {
        "Service" if spec.as_object().is_none_or(serde_json::Map::is_empty) => {
            Err(Error::local(format!(
                "cannot {doing} {kind}: invalid service '{}': Service is defined without a selector",
                one.name
            )))
        }
        "Service" | "ReplicationController" => Ok(labels(spec)),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            Ok(selector_text(spec))
        }
        _ => Err(Error::local(format!(
            "cannot {doing} {kind}: selector for {kind} not implemented"
        ))),
    }
}

/// What a pod is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be attached to: an undisturbed one.
    Attach,
    /// For its log: one that was restarted has more to tell.
    Logs,
}

/// Smaller is better: assigned, running, ready, ready for longest, restarts by purpose, oldest.
pub fn rank(pod: &Value, purpose: Purpose) -> impl Ord + use<> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Times compare as text; a time that is absent counts as the latest.
    let time = |value: &Value| (value.is_null(), text(value));
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let phase = match (purpose, phase) {
        (_, "Running") | (Purpose::Logs, "Succeeded" | "Failed") => 0,
        (_, "Unknown") => 1,
        _ => 2,
    };
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.find(|own| own["type"] == "Ready" && own["status"] == "True");
    let statuses = pod["status"]["containerStatuses"].as_array();
    let restarts = statuses.into_iter().flatten();
    let restarts = restarts
        .filter_map(|own| own["restartCount"].as_i64())
        .max();
    let restarts = restarts.unwrap_or(0);
    (
        pod["spec"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .is_empty(),
        phase,
        ready.is_none(),
        ready.map(|own| time(&own["lastTransitionTime"])),
        match purpose {
            Purpose::Attach => (restarts, Reverse(0)),
            Purpose::Logs => (0, Reverse(restarts)),
        },
        time(&pod["metadata"]["creationTimestamp"]),
    )
}

/// The name of a container, or of an object's metadata.
pub fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

/// Containers by the fields of a pod's spec that hold them, with the mark that messages give them.
const LISTS: [(&str, &str); 3] = [
    ("containers", ""),
    ("ephemeralContainers", " (ephem)"),
    ("initContainers", " (init)"),
];

/// All containers of a pod, in the order in which their logs are shown.
pub fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|field| pod["spec"][field].as_array().into_iter().flatten())
}

/// All containers of a pod, as messages list them.
pub fn all_names(pod: &Value) -> String {
    let names = LISTS.iter().flat_map(|(field, mark)| {
        let containers = pod["spec"][field].as_array().into_iter().flatten();
        containers.map(move |container| format!("{}{mark}", name(container)))
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The container that is meant: the one given, the annotated default, or the first; and what is to
/// be said when it was chosen from several.
pub fn container<'a>(pod: &'a Value, given: Option<&str>) -> Result<(&'a Value, Option<String>)> {
    let find = |wanted: &str| containers(pod).find(|own| name(own) == wanted);
    if let Some(given) = given {
        let pod = name(&pod["metadata"]);
        let missing = || Error::local(format!("container {given} not found in pod {pod}"));
        return Ok((find(given).ok_or_else(missing)?, None));
    }
    let annotated = pod["metadata"]["annotations"][DEFAULT_CONTAINER].as_str();
    if let Some(container) = annotated.and_then(find) {
        return Ok((container, None));
    }
    let first = &pod["spec"]["containers"][0];
    if !first.is_object() {
        let metadata = &pod["metadata"];
        return Err(Error::local(format!(
            "pod {}/{} does not have any containers",
            metadata["namespace"].as_str().unwrap_or_default(),
            name(metadata)
        )));
    }
    let several = containers(pod).nth(1).is_some();
    let said = several.then(|| {
        format!(
            "Defaulted container {:?} out of: {}",
            name(first),
            all_names(pod)
        )
    });
    Ok((first, said))
}
