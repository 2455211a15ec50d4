//! What keeps pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers.

use ferrule_client::client::ListOptions;
use serde_json::{Value, json};

use super::{Text, list, meta, number, plain, pod_template, storage, string};
use crate::error::Result;
use crate::output::table;
use crate::resources::at;
use crate::session::Session;

/// The objects of a resource that an object controls, among those that a selector chooses.
pub async fn controlled(
    session: &Session,
    owner: &Value,
    selector: &Value,
    resource: &str,
) -> Result<Vec<Value>> {
    let resource = session.resources().await?.find(resource)?;
    let options = ListOptions {
        label_selector: meta::plain_selector(selector),
        ..ListOptions::default()
    };
    let metadata = &owner["metadata"];
    let place = at(resource, string(metadata, "namespace"));
    let found = session.client.list_all(&place, &options).await?;
    let mut own = Vec::new();
    for item in &found.items {
        let object: Value = ferrule_client::client::parse(item)?;
        let is_own = list(&object["metadata"], "ownerReferences")
            .any(|owner| owner["controller"] == true && owner["uid"] == metadata["uid"]);
        if is_own {
            own.push(object);
        }
    }
    Ok(own)
}

/// The ReplicaSets of a Deployment.
pub async fn replica_sets(session: &Session, deployment: &Value) -> Result<Vec<Value>> {
    let selector = &deployment["spec"]["selector"];
    controlled(session, deployment, selector, "replicasets").await
}

/// The pods of a set.
pub async fn pods(session: &Session, set: &Value) -> Result<Vec<Value>> {
    controlled(session, set, &set["spec"]["selector"], "pods").await
}

/// The pods of a ReplicationController, whose selector is a plain map.
pub async fn controlled_pods(session: &Session, controller: &Value) -> Result<Vec<Value>> {
    let selector = json!({"matchLabels": controller["spec"]["selector"]});
    controlled(session, controller, &selector, "pods").await
}

/// A template without the label that makes its pods those of one ReplicaSet.
pub fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.remove("creationTimestamp");
    }
    template
}

/// The ReplicaSet with the template of the Deployment; of several the oldest.
pub fn new_replica_set<'a>(deployment: &Value, sets: &'a [Value]) -> Option<&'a Value> {
    let wanted = without_hash(&deployment["spec"]["template"]);
    let mut same: Vec<&Value> = sets
        .iter()
        .filter(|set| without_hash(&set["spec"]["template"]) == wanted)
        .collect();
    same.sort_by_key(|set| {
        let metadata = &set["metadata"];
        (
            string(metadata, "creationTimestamp"),
            string(metadata, "name"),
        )
    });
    same.first().copied()
}

/// How many of the pods are in which phase.
fn pods_status(text: &mut Text, pods: &[Value]) {
    let count = |phase: &str| {
        let of_phase = |pod: &&Value| string(&pod["status"], "phase") == phase;
        pods.iter().filter(of_phase).count()
    };
    text.line(
        0,
        format!(
            "Pods Status:\t{} Running / {} Waiting / {} Succeeded / {} Failed",
            count("Running"),
            count("Pending"),
            count("Succeeded"),
            count("Failed")
        ),
    );
}

fn conditions(text: &mut Text, status: &Value) {
    let mut conditions = list(status, "conditions").peekable();
    if conditions.peek().is_none() {
        return;
    }
    text.line(0, "Conditions:\n  Type\tStatus\tReason");
    text.line(1, "----\t------\t------");
    for condition in conditions {
        text.line(
            1,
            format!(
                "{} \t{}\t{}",
                string(condition, "type"),
                string(condition, "status"),
                string(condition, "reason")
            ),
        );
    }
}

/// Describes a Deployment.
pub fn deployment(text: &mut Text, object: &Value, sets: &[Value]) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    text.field(
        0,
        "CreationTimestamp",
        meta::time(&object["metadata"]["creationTimestamp"]),
    );
    meta::labels_and_annotations(text, object);
    text.field(0, "Selector", meta::selector(&spec["selector"]));
    text.line(
        0,
        format!(
            "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable",
            spec["replicas"].as_i64().unwrap_or(1),
            number(status, "updatedReplicas"),
            number(status, "replicas"),
            number(status, "availableReplicas"),
            number(status, "unavailableReplicas"),
        ),
    );
    text.field(0, "StrategyType", string(&spec["strategy"], "type"));
    text.line(
        0,
        format!("MinReadySeconds:\t{}", number(spec, "minReadySeconds")),
    );
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let share = |field: &str| {
            rolling[field]
                .as_str()
                .map_or_else(|| rolling[field].to_string(), str::to_owned)
        };
        text.line(
            0,
            format!(
                "RollingUpdateStrategy:\t{} max unavailable, {} max surge",
                share("maxUnavailable"),
                share("maxSurge")
            ),
        );
    }
    pod_template::describe(text, &spec["template"]);
    conditions(text, status);
    if sets.is_empty() {
        return true;
    }
    let new = new_replica_set(object, sets);
    let is_new = |set: &&Value| new.is_some_and(|new| std::ptr::eq(new, *set));
    let (new, old): (Vec<&Value>, Vec<&Value>) = sets.iter().partition(is_new);
    let lines = |sets: &[&Value]| {
        let texts: Vec<String> = sets
            .iter()
            .map(|set| {
                format!(
                    "{} ({}/{} replicas created)",
                    string(&set["metadata"], "name"),
                    number(&set["status"], "replicas"),
                    number(&set["spec"], "replicas")
                )
            })
            .collect();
        if texts.is_empty() {
            "<none>".to_owned()
        } else {
            texts.join(", ")
        }
    };
    text.field(0, "OldReplicaSets", lines(&old));
    text.field(0, "NewReplicaSet", lines(&new));
    true
}

/// Describes a ReplicaSet.
pub fn replica_set(text: &mut Text, object: &Value, pods: &[Value]) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    text.field(0, "Selector", meta::selector(&spec["selector"]));
    meta::labels_and_annotations(text, object);
    meta::controller(text, object);
    text.line(
        0,
        format!(
            "Replicas:\t{} current / {} desired",
            number(status, "replicas"),
            spec["replicas"].as_i64().unwrap_or(1)
        ),
    );
    pods_status(text, pods);
    pod_template::describe(text, &spec["template"]);
    conditions(text, status);
    true
}

/// Describes a ReplicationController.
pub fn replication_controller(text: &mut Text, object: &Value, pods: &[Value]) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    text.field(0, "Selector", table::labels(&spec["selector"]));
    meta::labels_and_annotations(text, object);
    let current = number(status, "replicas");
    let desired = spec["replicas"].as_i64().unwrap_or(1);
    text.line(
        0,
        format!("Replicas:\t{current} current / {desired} desired"),
    );
    pods_status(text, pods);
    pod_template::describe(text, &spec["template"]);
    conditions(text, status);
    true
}

/// Describes a StatefulSet.
pub fn stateful_set(text: &mut Text, object: &Value, pods: &[Value]) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    meta::created(text, object);
    text.field(0, "Selector", meta::plain_selector(&spec["selector"]));
    meta::labels_and_annotations(text, object);
    let desired = spec["replicas"].as_i64().unwrap_or(1);
    let total = number(status, "replicas");
    text.line(0, format!("Replicas:\t{desired} desired | {total} total"));
    let strategy = &spec["updateStrategy"];
    text.field(0, "Update Strategy", string(strategy, "type"));
    let rolling = &strategy["rollingUpdate"];
    if !rolling["partition"].is_null() {
        text.field(1, "Partition", plain(&rolling["partition"]));
        if !rolling["maxUnavailable"].is_null() {
            text.field(1, "MaxUnavailable", plain(&rolling["maxUnavailable"]));
        }
    }
    pods_status(text, pods);
    pod_template::describe(text, &spec["template"]);
    storage::claim_templates(text, spec);
    true
}

/// Describes a DaemonSet.
pub fn daemon_set(text: &mut Text, object: &Value, pods: &[Value]) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    text.field(0, "Selector", meta::plain_selector(&spec["selector"]));
    let nodes = table::labels(&spec["template"]["spec"]["nodeSelector"]);
    text.field(0, "Node-Selector", nodes);
    meta::labels_and_annotations(text, object);
    for (title, field) in [
        (
            "Desired Number of Nodes Scheduled",
            "desiredNumberScheduled",
        ),
        (
            "Current Number of Nodes Scheduled",
            "currentNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Up-to-date Pods",
            "updatedNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Available Pods",
            "numberAvailable",
        ),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        text.line(0, format!("{title}: {}", number(status, field)));
    }
    pods_status(text, pods);
    pod_template::describe(text, &spec["template"]);
    true
}
