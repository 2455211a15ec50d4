//! Validation of label selectors, labels and names of labels.

use ferrule_apimachinery::names;
use serde_json::Value;

use super::problems::{Path, Problems};
use super::tree::Tree;

/// A meta/v1 LabelSelector; nothing is wrong with an absent one.
pub fn validate_label_selector(out: &mut Problems, path: &Path, selector: &Value) {
    validate_labels(out, &path.child("matchLabels"), selector.at("matchLabels"));
    for (i, expression) in selector.items("matchExpressions").iter().enumerate() {
        validate_requirement(out, &path.child("matchExpressions").index(i), expression);
    }
}

fn validate_requirement(out: &mut Problems, path: &Path, requirement: &Value) {
    let values = requirement.items("values");
    match requirement.text("operator") {
        "In" | "NotIn" if values.is_empty() => {
            out.required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            );
        }
        "In" | "NotIn" => {}
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            out.forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            );
        }
        "Exists" | "DoesNotExist" => {}
        other => out.invalid(
            &path.child("operator"),
            other,
            "not a valid selector operator",
        ),
    }
    validate_label_name(out, &path.child("key"), requirement.text("key"));
    for (i, value) in values.iter().enumerate() {
        let value = value.as_str().unwrap_or_default();
        out.invalid_each(
            &path.child("values").index(i),
            value,
            names::label_value(value),
        );
    }
}

/// Whether a selector is well formed enough to select by.
pub fn is_usable(selector: &Value) -> bool {
    selector
        .items("matchExpressions")
        .iter()
        .all(|requirement| {
            let none = requirement.items("values").is_empty();
            names::qualified_name(requirement.text("key")).is_empty()
                && match requirement.text("operator") {
                    "In" | "NotIn" => !none,
                    "Exists" | "DoesNotExist" => none,
                    _ => false,
                }
        })
        && {
            let mut out = Problems::default();
            validate_labels(
                &mut out,
                &Path::new("matchLabels"),
                selector.at("matchLabels"),
            );
            out.is_empty()
        }
}

/// Whether a selector selects everything.
pub fn is_empty(selector: &Value) -> bool {
    selector.entries("matchLabels").next().is_none()
        && selector.items("matchExpressions").is_empty()
}

/// Whether a usable selector matches labels; an absent selector matches nothing.
pub fn matches(selector: &Value, labels: &Value) -> bool {
    !selector.is_null()
        && selector
            .entries("matchLabels")
            .all(|(key, value)| labels.get(key) == Some(value))
        && selector
            .items("matchExpressions")
            .iter()
            .all(|requirement| {
                let held = labels.get(requirement.text("key"));
                let listed = held.is_some_and(|value| requirement.items("values").contains(value));
                match requirement.text("operator") {
                    "In" => listed,
                    "NotIn" => !listed,
                    "Exists" => held.is_some(),
                    "DoesNotExist" => held.is_none(),
                    _ => false,
                }
            })
}

/// A map of labels.
pub fn validate_labels(out: &mut Problems, path: &Path, labels: &Value) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        validate_label_name(out, path, key);
        let value = value.as_str().unwrap_or_default();
        out.invalid_each(path, value, names::label_value(value));
    }
}

/// The key of a label.
pub fn validate_label_name(out: &mut Problems, path: &Path, name: &str) {
    out.invalid_each(path, name, names::qualified_name(name));
}

/// A selector in its text form: `app=a,extra,tier in (x,y)`; empty for one that selects everything.
pub fn to_text(selector: &Value) -> String {
    let mut parts: Vec<(String, String)> = selector
        .entries("matchLabels")
        .map(|(key, value)| {
            (
                key.to_owned(),
                format!("{key}={}", value.as_str().unwrap_or_default()),
            )
        })
        .collect();
    for requirement in selector.items("matchExpressions") {
        let key = requirement.text("key");
        let mut values: Vec<&str> = requirement
            .items("values")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match requirement.text("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort_by(|left, right| left.0.cmp(&right.0));
    parts
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(",")
}
