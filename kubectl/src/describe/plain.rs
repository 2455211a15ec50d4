//! Kinds that hold little, and kinds that have no description of their own.

use base64::Engine;
use serde_json::Value;

use super::{Text, list, meta, number, string};
use crate::output::table;

/// Describes a Namespace.
pub fn namespace(text: &mut Text, object: &Value, limits: bool) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    text.field(0, "Status", string(&object["status"], "phase"));
    let mut conditions = list(&object["status"], "conditions").peekable();
    if conditions.peek().is_some() {
        text.line(0, "Conditions:");
        text.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
        text.line(1, "----\t------\t------------------\t------\t-------");
        for condition in conditions {
            text.line(
                1,
                format!(
                    "{}\t{}\t{}\t{}\t{}",
                    string(condition, "type"),
                    string(condition, "status"),
                    meta::time(&condition["lastTransitionTime"]),
                    string(condition, "reason"),
                    string(condition, "message")
                ),
            );
        }
    }
    if limits {
        text.line(0, "\nNo resource quota.");
        text.line(0, "\nNo LimitRange resource.");
    }
    false
}

/// Describes a PodDisruptionBudget.
pub fn pod_disruption_budget(text: &mut Text, object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    let amounts = [
        ("Min available", &spec["minAvailable"]),
        ("Max unavailable", &spec["maxUnavailable"]),
    ];
    if let Some((title, amount)) = amounts.iter().find(|(_, amount)| !amount.is_null()) {
        text.field(0, title, plain(amount));
    }
    let selector = match spec["selector"].is_object() {
        true => meta::selector(&spec["selector"]),
        false => "<unset>".to_owned(),
    };
    text.field(0, "Selector", selector);
    text.line(0, "Status:");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        text.field(2, title, number(status, field).to_string());
    }
    true
}

/// Describes a PriorityClass.
pub fn priority_class(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    text.field(0, "Value", number(object, "value").to_string());
    let default = object["globalDefault"] == true;
    text.field(0, "GlobalDefault", default.to_string());
    text.field(0, "PreemptionPolicy", string(object, "preemptionPolicy"));
    text.field(0, "Description", string(object, "description"));
    text.field(
        0,
        "Annotations",
        table::labels(&object["metadata"]["annotations"]),
    );
    true
}

/// Describes an IPAddress.
pub fn ip_address(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    let parent = &object["spec"]["parentRef"];
    if parent.is_object() {
        text.line(0, "Parent Reference:");
        for (title, field) in [
            ("Group", "group"),
            ("Resource", "resource"),
            ("Namespace", "namespace"),
            ("Name", "name"),
        ] {
            text.field(1, title, string(parent, field));
        }
    }
    true
}

fn sorted(map: &Value) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.as_object().into_iter().flatten().collect();
    entries.sort_by_key(|(key, _)| key.as_str());
    entries
}

fn decoded_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_or(0, |bytes| bytes.len())
}

/// Describes a ConfigMap.
pub fn config_map(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.line(0, "\nData\n====");
    for (key, value) in sorted(&object["data"]) {
        text.line(
            0,
            format!("{key}:\n----\n{}\n", value.as_str().unwrap_or_default()),
        );
    }
    text.line(0, "\nBinaryData\n====");
    for (key, value) in sorted(&object["binaryData"]) {
        text.line(0, format!("{key}: {} bytes", decoded_length(value)));
    }
    text.line(0, "");
    true
}

/// Describes a Secret: never its values.
pub fn secret(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.line(0, format!("\nType:\t{}", string(object, "type")));
    text.line(0, "\nData\n====");
    for (key, value) in sorted(&object["data"]) {
        text.line(0, format!("{key}:\t{} bytes", decoded_length(value)));
    }
    false
}

/// Describes a ServiceAccount.
pub fn service_account(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    let secrets: Vec<&str> = list(object, "imagePullSecrets")
        .map(|own| string(own, "name"))
        .collect();
    text.field(0, "Image pull secrets", super::or_none(&secrets.join(",")));
    true
}

/// Describes anything: its fields, a line each.
pub fn generic(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    let Some(map) = object.as_object() else {
        return true;
    };
    let field = |key: &str| title(key);
    text.field(0, "API Version", string(object, "apiVersion"));
    text.field(0, "Kind", string(object, "kind"));
    text.line(0, "Metadata:");
    for (key, value) in sorted(&object["metadata"]) {
        if !matches!(
            key.as_str(),
            "name" | "namespace" | "labels" | "annotations" | "managedFields"
        ) {
            tree(text, 1, &field(key), value);
        }
    }
    let mut rest: Vec<_> = map
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"))
        .collect();
    rest.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in rest {
        tree(text, 0, &field(key), value);
    }
    true
}

fn tree(text: &mut Text, level: usize, name: &str, value: &Value) {
    match value {
        Value::Object(_) => {
            text.line(level, format!("{name}:"));
            for (key, value) in sorted(value) {
                tree(text, level + 1, &title(key), value);
            }
        }
        Value::Array(items) => {
            text.line(level, format!("{name}:"));
            for item in items {
                match item {
                    Value::Object(_) => {
                        for (key, value) in sorted(item) {
                            tree(text, level + 1, &title(key), value);
                        }
                    }
                    other => text.line(level + 1, plain(other)),
                }
            }
        }
        other => text.line(level, format!("{name}:\t{}", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Words that stay in capitals.
const ACRONYMS: [&str; 5] = ["API", "UID", "OSB", "URL", "TTL"];

/// `creationTimestamp` becomes `Creation Timestamp`, `apiVersion` becomes `API Version`.
fn title(key: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for character in key.chars() {
        match words.last_mut() {
            Some(word) if !character.is_uppercase() => word.push(character),
            _ => words.push(character.to_uppercase().collect()),
        }
    }
    for word in &mut words {
        let upper = word.to_uppercase();
        if ACRONYMS.contains(&upper.as_str()) {
            *word = upper;
        }
    }
    words.join(" ")
}
