//! Events of the group `events.k8s.io`: the core group's events under other names, and stricter.

use ferrule_apimachinery::field::FieldError;
use serde_json::Value;

use super::conversion::Conversion;
use super::problems::{Path, Problems};
use super::tree::{Tree, is_unset, remove, same, set};
use super::{go_form, meta};

/// The version in which a request is made to be strict.
pub const API_VERSION: &str = "events.k8s.io/v1";

/// `events.k8s.io/v1` of what is stored as the core group's.
pub struct V1;

/// Fields that have another name in the core group.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

impl Conversion for V1 {
    fn to_stored(&self, mut object: Value) -> Value {
        for (new, core) in NAMES {
            if let Some(value) = remove(&mut object, new) {
                set(&mut object, core, value);
            }
        }
        object
    }

    fn from_stored(&self, mut object: Value) -> Value {
        for (new, core) in NAMES {
            if let Some(value) = remove(&mut object, core) {
                set(&mut object, new, value);
            }
        }
        object
    }
}

/// What is wrong with a new event besides what is wrong with those of old.
pub fn validate(out: &mut Problems, event: &Value) {
    validate_series(out, event);
    if event.text("eventTime").is_empty() {
        out.required(&Path::new("eventTime"), "");
    }
    let kind = event.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        let detail = format!("has invalid value: {kind}");
        out.invalid(&Path::new("type"), "", &detail);
    }
    let source = event.at("source");
    let named = ["component", "host"]
        .iter()
        .any(|name| !is_unset(source.at(name)));
    for (name, given) in [
        ("firstTimestamp", !is_unset(event.at("firstTimestamp"))),
        ("lastTimestamp", !is_unset(event.at("lastTimestamp"))),
        ("count", !is_unset(event.at("count"))),
        ("source", named),
    ] {
        if given {
            out.invalid(&Path::new(name), "", "needs to be unset");
        }
    }
}

fn validate_series(out: &mut Problems, event: &Value) {
    let (path, series) = (Path::new("series"), event.at("series"));
    if series.is_null() {
        return;
    }
    if series.int("count") < 2 {
        let detail = "should be at least 2";
        out.invalid(&path.child("count"), "", detail);
    }
    if series.text("lastObservedTime").is_empty() {
        out.required(&path.child("lastObservedTime"), "");
    }
}

/// An event only grows: nothing but its series changes.
pub fn validate_changes(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut out = meta::validate_update_once(new, old);
    if !same(new.at("series"), old.at("series")) {
        validate_series(&mut out, new);
    }
    // Upstream looks at the reason twice.
    for name in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "reason",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ] {
        if same(new.at(name), old.at(name)) {
            continue;
        }
        let shown = match name {
            "reportingComponent" => "reportingController",
            name => name,
        };
        let (path, detail) = (Path::new(shown), "field is immutable");
        match (name, new.at(name)) {
            ("involvedObject" | "related", reference) if reference.is_object() => {
                let shown = go_form::compact("ObjectReference", reference);
                out.invalid_raw(&path, shown, detail);
            }
            ("reason" | "message" | "action", Value::Null) => out.invalid(&path, "", detail),
            (_, value) => out.invalid(&path, value, detail),
        }
    }
    out.into_errors()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::tests::lines;

    fn event() -> Value {
        json!({
            "eventTime": "2024-01-01T00:00:00.000000Z", "reportingController": "example.com/c", "reportingInstance": "i",
            "action": "A", "reason": "R", "type": "Normal", "note": "n", "regarding": { "kind": "Pod" },
        })
    }

    #[test]
    fn an_event_has_other_names_in_the_core_group() {
        let stored = V1.to_stored(event());
        assert_eq!(stored["involvedObject"]["kind"], "Pod");
        assert_eq!(stored["message"], "n");
        assert_eq!(stored["reportingComponent"], "example.com/c");
        assert_eq!(V1.from_stored(stored), event());
    }

    #[test]
    fn only_the_series_of_an_event_changes() {
        let old = V1.to_stored(event());
        let mut new = old.clone();
        new["series"] = json!({ "count": 2, "lastObservedTime": "2024-01-01T00:00:00.000000Z" });
        assert!(validate_changes(&new, &old).is_empty());
        new["series"]["count"] = json!(1);
        new["reason"] = json!("S");
        let reason = "reason: Invalid value: \"S\": field is immutable";
        let expected = [
            "series.count: Invalid value: \"\": should be at least 2",
            reason,
            reason,
        ];
        assert_eq!(lines(validate_changes(&new, &old)), expected);
    }

    #[test]
    fn a_new_event_says_when_and_does_not_count() {
        let mut out = Problems::default();
        let mut object = V1.to_stored(event());
        object["count"] = json!(3);
        object["type"] = json!("Odd");
        validate(&mut out, &object);
        let expected = [
            "type: Invalid value: \"\": has invalid value: Odd",
            "count: Invalid value: \"\": needs to be unset",
        ];
        assert_eq!(lines(out.into_errors()), expected);
    }
}
