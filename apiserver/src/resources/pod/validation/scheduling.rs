//! Tolerations, scheduling gates and spreading.

use std::collections::{HashMap, HashSet};

use ferrule_apimachinery::names;
use serde_json::Value;

use crate::resources::problems::{Path, Problems};
use crate::resources::selector;
use crate::resources::tree::Tree;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The effect of a taint or toleration.
pub fn validate_taint_effect(out: &mut Problems, path: &Path, effect: &str) {
    match effect {
        "" => out.required(path, ""),
        known if EFFECTS.contains(&known) => {}
        other => out.unsupported(path, other, &EFFECTS),
    }
}

/// The list of tolerations.
pub fn validate_tolerations(out: &mut Problems, path: &Path, tolerations: &[Value]) {
    for (i, toleration) in tolerations.iter().enumerate() {
        let at = path.index(i);
        let (key, operator) = (toleration.text("key"), toleration.text("operator"));
        let (value, effect) = (toleration.text("value"), toleration.text("effect"));
        if !key.is_empty() {
            selector::validate_label_name(out, &at.child("key"), key);
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            out.invalid(&at.child("operator"), operator, detail);
        }
        if toleration.has("tolerationSeconds") && effect != "NoExecute" {
            out.invalid(
                &at.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "" | "Equal" => {
                let wrong = names::label_value(value);
                if !wrong.is_empty() {
                    out.invalid(&at.child("operator"), value, &wrong.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                out.invalid(
                    &at.child("operator"),
                    value,
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            "Exists" => {}
            other => out.unsupported(&at.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            validate_taint_effect(out, &at.child("effect"), effect);
        }
    }
}

/// The list of scheduling gates.
pub fn validate_gates(out: &mut Problems, path: &Path, gates: &[Value]) {
    let mut seen = HashSet::new();
    for (i, gate) in gates.iter().enumerate() {
        let name = gate.text("name");
        out.qualified_name(&path.index(i), name);
        if !seen.insert(name) {
            out.duplicate(&path.index(i), name);
        }
    }
}

/// The list of topology spread constraints.
pub fn validate_spread(out: &mut Problems, path: &Path, spec: &Value) {
    let constraints = spec.items("topologySpreadConstraints");
    let place = |constraint: &Value| {
        let action = constraint.text("whenUnsatisfiable").to_owned();
        (constraint.text("topologyKey").to_owned(), action)
    };
    // Where each pair stands last.
    let last: HashMap<_, _> = constraints.iter().map(place).zip(0..).collect();
    for (i, constraint) in constraints.iter().enumerate() {
        let at = path.index(i);
        let (skew, key) = (constraint.int("maxSkew"), constraint.text("topologyKey"));
        let action = constraint.text("whenUnsatisfiable");
        if skew <= 0 {
            out.invalid(&at.child("maxSkew"), skew, "must be greater than zero");
        }
        if key.is_empty() {
            out.required(&at.child("topologyKey"), "can not be empty");
        }
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&action) {
            out.unsupported(
                &at.child("whenUnsatisfiable"),
                action,
                &["DoNotSchedule", "ScheduleAnyway"],
            );
        }
        if last.get(&place(constraint)).is_some_and(|last| *last > i) {
            let at = at.child("{topologyKey, whenUnsatisfiable}");
            out.duplicate(&at, format!("{{{key}, {action}}}"));
        }
        if let Some(domains) = constraint.opt_int("minDomains") {
            let at = at.child("minDomains");
            if domains <= 0 {
                out.invalid(&at, domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let detail = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                out.invalid(&at, domains, &detail);
            }
        }
        for name in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(policy) = constraint.opt_text(name)
                && !["Honor", "Ignore"].contains(&policy)
            {
                out.unsupported(&at.child(name), policy, &["Honor", "Ignore"]);
            }
        }
        validate_keys(out, &at.child("matchLabelKeys"), constraint);
        selector::validate_label_selector(
            out,
            &at.child("labelSelector"),
            constraint.at("labelSelector"),
        );
    }
}

fn validate_keys(out: &mut Problems, path: &Path, constraint: &Value) {
    let keys = constraint.items("matchLabelKeys");
    if keys.is_empty() {
        return;
    }
    let labels = constraint.at("labelSelector");
    if labels.is_null() {
        out.forbidden(path, "must not be specified when labelSelector is not set");
    }
    for (i, key) in keys.iter().enumerate() {
        let key = key.as_str().unwrap_or_default();
        selector::validate_label_name(out, &path.index(i), key);
    }
    validate_merged_keys(out, path, keys, labels);
}

/// A key that the selector has besides the requirement that was merged into it.
pub fn validate_merged_keys(out: &mut Problems, path: &Path, keys: &[Value], selector: &Value) {
    let mut known: HashSet<&str> = selector
        .entries("matchLabels")
        .map(|(key, _)| key)
        .collect();
    for expression in selector.items("matchExpressions") {
        let key = expression.text("key");
        let again = !known.insert(key);
        if let Some(i) = keys.iter().position(|listed| listed == key)
            && again
        {
            let detail = "exists in both matchLabelKeys and labelSelector";
            out.invalid(&path.index(i), key, detail);
        }
    }
}
