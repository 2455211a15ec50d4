//! Fields by paths: `spec/template/spec/containers/image`. Lists on the way are gone through.

use serde_json::{Map, Value};

/// Kinds whose pods are made from a template, and where it is.
pub const TEMPLATES: [(&str, &str); 8] = [
    ("ReplicationController", "spec/template"),
    ("Deployment", "spec/template"),
    ("ReplicaSet", "spec/template"),
    ("DaemonSet", "spec/template"),
    ("StatefulSet", "spec/template"),
    ("Job", "spec/template"),
    ("CronJob", "spec/jobTemplate/spec/template"),
    ("PodTemplate", "template"),
];

/// Where the pod spec of a kind is.
pub fn pod_spec(kind: &str) -> Option<String> {
    if kind == "Pod" {
        return Some("spec".to_owned());
    }
    let template = TEMPLATES.iter().find(|(own, _)| *own == kind);
    template.map(|(_, path)| format!("{path}/spec"))
}

/// Calls `change` with each value at a path. Absent maps on the way are made when `create` says so.
pub fn visit(value: &mut Value, path: &str, create: bool, change: &mut dyn FnMut(&mut Value)) {
    if let Value::Array(items) = value {
        items
            .iter_mut()
            .for_each(|item| visit(item, path, create, change));
        return;
    }
    let (field, rest) = match path.split_once('/') {
        Some((field, rest)) => (field, Some(rest)),
        None => (path, None),
    };
    if value.is_null() && create {
        *value = Value::Object(Map::new());
    }
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let known = match create {
        true => Some(map.entry(field).or_insert(Value::Null)),
        false => map.get_mut(field),
    };
    match (known, rest) {
        (Some(known), Some(rest)) => visit(known, rest, create, change),
        (Some(known), None) => change(known),
        (None, _) => {}
    }
}
