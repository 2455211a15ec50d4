//! The difference of two statuses as a strategic merge patch that touches only what is ours.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Map, Value, json};

use super::OWNED_CONDITIONS;

/// The fields of a status that the kubelet writes, conditions aside.
const FIELDS: [&str; 12] = [
    "phase",
    "reason",
    "message",
    "hostIP",
    "hostIPs",
    "podIP",
    "podIPs",
    "startTime",
    "containerStatuses",
    "initContainerStatuses",
    "qosClass",
    "observedGeneration",
];
/// Lists that a patch would merge entry by entry, and must replace.
const MERGED: [&str; 1] = ["podIPs"];

/// The patch from `old` to `new`; `None` when they agree. The uid makes it fail on another pod of
/// the same name.
pub fn patch(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let old = serde_json::to_value(old).unwrap_or_default();
    let new = serde_json::to_value(new).unwrap_or_default();
    let mut status = Map::new();
    for field in FIELDS {
        if pruned(&old[field]) == pruned(&new[field]) {
            continue;
        }
        let value = match &new[field] {
            Value::Array(entries) if MERGED.contains(&field) && !old[field].is_null() => {
                let mut list = vec![json!({"$patch": "replace"})];
                list.extend(entries.iter().cloned());
                Value::Array(list)
            }
            value => value.clone(),
        };
        status.insert(field.to_owned(), value);
    }
    let own = |status: &Value| -> Vec<Value> {
        let all = status["conditions"].as_array().cloned().unwrap_or_default();
        let ours = |condition: &Value| {
            condition["type"]
                .as_str()
                .is_some_and(|own| OWNED_CONDITIONS.contains(&own))
        };
        all.into_iter().filter(ours).collect()
    };
    let before: Vec<Value> = own(&old).iter().map(pruned).collect();
    let changed: Vec<Value> = own(&new)
        .into_iter()
        .filter(|condition| !before.contains(&pruned(condition)))
        .collect();
    if !changed.is_empty() {
        // Words of the condition's last state must not stay behind.
        let complete = changed.into_iter().map(|mut condition| {
            for field in ["reason", "message"] {
                if condition[field].is_null() {
                    condition[field] = Value::Null;
                }
            }
            condition
        });
        status.insert("conditions".to_owned(), complete.collect());
    }
    (!status.is_empty()).then(|| json!({"metadata": {"uid": uid}, "status": status}))
}

/// Without empty values: whether they are written out is the server's choice.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key.clone(), pruned(value)));
            Value::Object(kept.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(pruned).collect()),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
