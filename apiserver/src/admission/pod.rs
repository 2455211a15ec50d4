//! What a new pod gets: its service account's name, and tolerations of failing nodes.

use serde_json::{Map, Value, json};

use super::TolerationSeconds;

fn spec(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let object = object.as_object_mut()?;
    object
        .entry("spec")
        .or_insert_with(|| json!({}))
        .as_object_mut()
}

fn text<'a>(map: &'a Map<String, Value>, field: &str) -> &'a str {
    map.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The account `default`, under both of its field names.
pub(super) fn service_account(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    if text(spec, "serviceAccountName").is_empty() {
        spec.insert("serviceAccountName".into(), "default".into());
    }
    let name = spec["serviceAccountName"].clone();
    spec.insert("serviceAccount".into(), name);
}

/// Tolerates a node that is not ready or unreachable for a while, unless the pod says otherwise.
pub(super) fn tolerations(object: &mut Value, seconds: TolerationSeconds) {
    let Some(spec) = spec(object) else { return };
    let has = |spec: &Map<String, Value>, key: &str| {
        let list = spec.get("tolerations").and_then(Value::as_array);
        list.is_some_and(|list| {
            list.iter().filter_map(Value::as_object).any(|toleration| {
                matches!(text(toleration, "key"), own if own == key || own.is_empty())
                    && matches!(text(toleration, "effect"), "NoExecute" | "")
            })
        })
    };
    let defaults = [
        ("node.kubernetes.io/not-ready", seconds.not_ready),
        ("node.kubernetes.io/unreachable", seconds.unreachable),
    ];
    let missing: Vec<_> = defaults
        .into_iter()
        .filter(|(key, _)| !has(spec, key))
        .collect();
    if missing.is_empty() {
        return;
    }
    let list = spec.entry("tolerations").or_insert_with(|| json!([]));
    if list.is_null() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.extend(missing.into_iter().map(|(key, seconds)| {
            json!({
                "effect": "NoExecute",
                "key": key,
                "operator": "Exists",
                "tolerationSeconds": seconds,
            })
        }));
    }
}
