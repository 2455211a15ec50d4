//! Conditions of the form that all kinds share, meta/v1 Condition.

use std::collections::HashSet;

use serde_json::Value;

use super::problems::{Path, Problems};
use super::selector::validate_label_name;
use super::tree::Tree;

const MAX_REASON: usize = 1024;
const MAX_MESSAGE: usize = 32 * 1024;

/// A list of meta/v1 Conditions, one of each type.
pub fn validate(out: &mut Problems, path: &Path, conditions: &[Value]) {
    let mut types = HashSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let at = path.index(i);
        if !types.insert(condition.text("type")) {
            out.duplicate(&at.child("type"), condition.text("type"));
        }
        validate_one(out, &at, condition);
    }
}

fn validate_one(out: &mut Problems, path: &Path, condition: &Value) {
    validate_label_name(out, &path.child("type"), condition.text("type"));
    let (status, known) = (condition.text("status"), ["False", "True", "Unknown"]);
    if !known.contains(&status) {
        out.unsupported(&path.child("status"), status, &known);
    }
    let observed = condition.int("observedGeneration");
    if observed < 0 {
        let detail = "must be greater than or equal to zero";
        out.invalid(&path.child("observedGeneration"), observed, detail);
    }
    if condition.text("lastTransitionTime").is_empty() {
        out.required(&path.child("lastTransitionTime"), "must be set");
    }
    let (at, reason) = (path.child("reason"), condition.text("reason"));
    if reason.is_empty() {
        out.required(&at, "must be set");
    } else {
        out.invalid_each(&at, reason, malformed_reason(reason));
        if reason.len() > MAX_REASON {
            out.too_long(&at, MAX_REASON);
        }
    }
    if condition.text("message").len() > MAX_MESSAGE {
        out.too_long(&path.child("message"), MAX_MESSAGE);
    }
}

fn malformed_reason(reason: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    let valid = reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.chars().all(inner)
        && reason.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    (!valid).then(|| {
        "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
         characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or \
         'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
         '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
            .to_owned()
    })
}
