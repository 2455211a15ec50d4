//! Deployments and ReplicaSets.

use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, list, meta, number, pod_template, string};
use crate::error::Result;
use crate::resources::at;
use crate::session::Session;

async fn owned(session: &Session, owner: &Value, resource: &str) -> Result<Vec<Value>> {
    let resource = session.resources().await?.find(resource)?;
    let selector = match meta::selector(&owner["spec"]["selector"]) {
        none if none == "<none>" => String::new(),
        selector => selector,
    };
    let options = ListOptions {
        label_selector: selector,
        ..ListOptions::default()
    };
    let list_of = session
        .client
        .list_all(
            &at(resource, string(&owner["metadata"], "namespace")),
            &options,
        )
        .await?;
    let mut found = Vec::new();
    for item in &list_of.items {
        let object: Value = ferrule_client::client::parse(item)?;
        let uid = &owner["metadata"]["uid"];
        if list(&object["metadata"], "ownerReferences")
            .any(|own| own["controller"] == true && own["uid"] == *uid)
        {
            found.push(object);
        }
    }
    Ok(found)
}

/// The ReplicaSets of a Deployment.
pub async fn replica_sets(session: &Session, deployment: &Value) -> Result<Vec<Value>> {
    owned(session, deployment, "replicasets").await
}

/// The pods of a ReplicaSet.
pub async fn pods(session: &Session, replica_set: &Value) -> Result<Vec<Value>> {
    owned(session, replica_set, "pods").await
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
    if list(status, "conditions").next().is_some() {
        text.line(0, "Conditions:\n  Type\tStatus\tReason");
        text.line(1, "----\t------\t------");
        for condition in list(status, "conditions") {
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
    let count = |phase: &str| {
        pods.iter()
            .filter(|pod| string(&pod["status"], "phase") == phase)
            .count()
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
    pod_template::describe(text, &spec["template"]);
    if list(status, "conditions").next().is_some() {
        text.line(0, "Conditions:\n  Type\tStatus\tReason");
        text.line(1, "----\t------\t------");
        for condition in list(status, "conditions") {
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
    true
}
