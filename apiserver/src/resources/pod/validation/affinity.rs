//! Affinity to nodes and to other pods.

use ferrule_apimachinery::names;
use serde_json::Value;

use super::scheduling::validate_merged_keys;
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::selector;
use crate::resources::tree::Tree;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// All kinds of affinity.
pub fn validate(out: &mut Problems, path: &Path, affinity: &Value) {
    if affinity.has("nodeAffinity") {
        validate_node(
            out,
            &path.child("nodeAffinity"),
            affinity.at("nodeAffinity"),
        );
    }
    for name in ["podAffinity", "podAntiAffinity"] {
        let (at, terms) = (path.child(name), affinity.at(name));
        for (i, term) in terms.items(REQUIRED).iter().enumerate() {
            validate_pod_term(out, &at.child(REQUIRED).index(i), term);
        }
        for (i, weighted) in terms.items(PREFERRED).iter().enumerate() {
            let at = at.child(PREFERRED).index(i);
            validate_weight(out, &at, weighted);
            validate_pod_term(
                out,
                &at.child("podAffinityTerm"),
                weighted.at("podAffinityTerm"),
            );
        }
    }
}

fn validate_weight(out: &mut Problems, path: &Path, term: &Value) {
    let weight = term.int("weight");
    if !(1..=100).contains(&weight) {
        out.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

fn validate_node(out: &mut Problems, path: &Path, affinity: &Value) {
    if affinity.has(REQUIRED) {
        validate_node_selector(out, &path.child(REQUIRED), affinity.at(REQUIRED));
    }
    for (i, term) in affinity.items(PREFERRED).iter().enumerate() {
        let at = path.child(PREFERRED).index(i);
        validate_weight(out, &at, term);
        validate_node_term(out, &at.child("preference"), term.at("preference"), false);
    }
}

/// The terms that a node has to satisfy one of.
pub fn validate_node_selector(out: &mut Problems, path: &Path, selector: &Value) {
    let (at, terms) = (
        path.child("nodeSelectorTerms"),
        selector.items("nodeSelectorTerms"),
    );
    if terms.is_empty() {
        out.required(&at, "must have at least one node selector term");
    }
    for (i, term) in terms.iter().enumerate() {
        validate_node_term(out, &at.index(i), term, true);
    }
}

fn validate_node_term(out: &mut Problems, path: &Path, term: &Value, check_values: bool) {
    for (i, requirement) in term.items("matchExpressions").iter().enumerate() {
        validate_expression(
            out,
            &path.child("matchExpressions").index(i),
            requirement,
            check_values,
        );
    }
    for (i, requirement) in term.items("matchFields").iter().enumerate() {
        validate_field(out, &path.child("matchFields").index(i), requirement);
    }
}

fn validate_expression(out: &mut Problems, path: &Path, requirement: &Value, check_values: bool) {
    let values = requirement.items("values");
    let at = path.child("values");
    match requirement.text("operator") {
        "In" | "NotIn" if values.is_empty() => {
            out.required(&at, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            out.forbidden(
                &at,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            );
        }
        "Gt" | "Lt" if values.len() != 1 => {
            out.required(
                &at,
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            );
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => out.invalid(
            &path.child("operator"),
            other,
            "not a valid selector operator",
        ),
    }
    selector::validate_label_name(out, &path.child("key"), requirement.text("key"));
    for (i, value) in values.iter().enumerate().filter(|_| check_values) {
        let value = value.as_str().unwrap_or_default();
        out.invalid_each(&at.index(i), value, names::label_value(value));
    }
}

fn validate_field(out: &mut Problems, path: &Path, requirement: &Value) {
    let values = requirement.items("values");
    match requirement.text("operator") {
        "In" | "NotIn" if values.len() != 1 => {
            let detail =
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            out.required(&path.child("values"), detail);
        }
        "In" | "NotIn" => {}
        other => out.invalid(
            &path.child("operator"),
            other,
            "not a valid selector operator",
        ),
    }
    match requirement.text("key") {
        "metadata.name" => {
            for (i, value) in values.iter().enumerate() {
                let value = value.as_str().unwrap_or_default();
                let wrong = NameRule::Subdomain.check(value, false);
                out.invalid_each(&path.child("values").index(i), value, wrong);
            }
        }
        other => out.invalid(&path.child("key"), other, "not a valid field selector key"),
    }
}

fn validate_pod_term(out: &mut Problems, path: &Path, term: &Value) {
    for name in ["labelSelector", "namespaceSelector"] {
        selector::validate_label_selector(out, &path.child(name), term.at(name));
    }
    for namespace in term.items("namespaces") {
        let namespace = namespace.as_str().unwrap_or_default();
        out.invalid_each(
            &path.child("namespace"),
            namespace,
            NameRule::Label.check(namespace, false),
        );
    }
    validate_keys(out, path, term);
    let topology = term.text("topologyKey");
    if topology.is_empty() {
        out.required(&path.child("topologyKey"), "can not be empty");
    }
    selector::validate_label_name(out, &path.child("topologyKey"), topology);
}

fn validate_keys(out: &mut Problems, path: &Path, term: &Value) {
    let labels = term.at("labelSelector");
    for name in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = term.items(name);
        if !keys.is_empty() && labels.is_null() {
            out.forbidden(
                &path.child(name),
                "must not be specified when labelSelector is not set",
            );
            continue;
        }
        for (i, key) in keys.iter().enumerate() {
            let key = key.as_str().unwrap_or_default();
            selector::validate_label_name(out, &path.child(name).index(i), key);
        }
    }
    validate_merged_keys(out, path, term.items("matchLabelKeys"), labels);
    for (i, key) in term.items("matchLabelKeys").iter().enumerate() {
        if term.items("mismatchLabelKeys").contains(key) {
            let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
            out.invalid(&path.child("matchLabelKeys").index(i), key, detail);
        }
    }
}
