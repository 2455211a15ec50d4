//! Rules of ResourceQuotas, which say how much a namespace may hold.

use std::collections::HashSet;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::pod::validation::{validate_quantity, validate_resource_name};
use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::{Tree, display};
use super::{Context, Rules, Strategy, meta};

/// Rules of ResourceQuotas.
pub struct ResourceQuota;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Request", "What is used, of what may be."),
    Column::text("Limit", "The same for limits."),
    Column::AGE,
];

impl Rules for ResourceQuota {
    fn strategy(&self) -> Strategy {
        Strategy::STATUS
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"));
        fn scopes(object: &Value) -> HashSet<&str> {
            let scopes = object.at("spec").items("scopes").iter();
            scopes.filter_map(Value::as_str).collect()
        }
        if scopes(new) != scopes(old) {
            let path = Path::new("spec").child("scopes");
            out.invalid(&path, new.at("spec").at("scopes"), "field is immutable");
        }
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("status");
        for name in ["hard", "used"] {
            validate_amounts(&mut out, &path.child(name), new.at("status").at(name));
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let status = object.at("status");
        let (limits, requests): (Vec<_>, Vec<_>) = status
            .entries("hard")
            .partition(|(resource, _)| resource.starts_with("limits."));
        let cell = |amounts: Vec<(&str, &Value)>| {
            let one = |(resource, hard): (&str, &Value)| {
                let used = match status.at("used").at(resource) {
                    Value::Null => "0".into(),
                    used => display(used),
                };
                format!("{resource}: {used}/{}", display(hard))
            };
            let texts: Vec<String> = amounts.into_iter().map(one).collect();
            Value::from(texts.join(", "))
        };
        vec![
            table::name(object),
            cell(requests),
            cell(limits),
            table::age(object, now),
        ]
        .into()
    }
}

/// Resources of pods that a quota counts with some scopes only.
const COMPUTE: [&str; 6] = [
    "cpu",
    "memory",
    "limits.cpu",
    "limits.memory",
    "requests.cpu",
    "requests.memory",
];

/// The other resources that quotas know by a plain name.
const COUNTED: [&str; 13] = [
    "ephemeral-storage",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

fn is_standard(resource: &str) -> bool {
    COMPUTE.contains(&resource)
        || COUNTED.contains(&resource)
        || resource.starts_with("hugepages-")
        || resource.starts_with("requests.hugepages-")
}

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

/// Whether what has the scope uses the resource at all.
fn is_scoped(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => {
            matches!(resource, "persistentvolumeclaims" | "requests.storage")
        }
        _ if SCOPES.contains(&scope) => resource == "pods" || COMPUTE.contains(&resource),
        _ => true,
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    validate_amounts(out, &path.child("hard"), spec.at("hard"));
    validate_scopes(out, &path.child("scopes"), spec);
    if spec.has("scopeSelector") {
        validate_selector(out, &path.child("scopeSelector"), spec);
    }
}

fn validate_amounts(out: &mut Problems, path: &Path, amounts: &Value) {
    for (resource, amount) in amounts.as_object().into_iter().flatten() {
        let at = path.key(resource);
        validate_resource_name(out, &at, resource);
        if !resource.contains('/') && !is_standard(resource) {
            let detail = "must be a standard resource for quota";
            out.invalid(&at, resource.as_str(), detail);
        }
        validate_quantity(out, &at, resource, amount);
    }
}

/// How many resources the scope is applied to that it says nothing of; each is told.
fn misapplied(scope: &str, spec: &Value) -> usize {
    spec.entries("hard")
        .filter(|(resource, _)| is_standard(resource) && !is_scoped(scope, resource))
        .count()
}

fn is_conflicting(scopes: &HashSet<&str>) -> bool {
    [
        ("BestEffort", "NotBestEffort"),
        ("Terminating", "NotTerminating"),
    ]
    .iter()
    .any(|(one, other)| scopes.contains(one) && scopes.contains(other))
}

fn validate_scopes(out: &mut Problems, path: &Path, spec: &Value) {
    let scopes: Vec<&str> = spec
        .items("scopes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            out.invalid(path, spec.at("scopes"), "unsupported scope");
        }
        for _ in 0..misapplied(scope, spec) {
            let detail = "unsupported scope applied to resource";
            out.invalid(path, spec.at("scopes"), detail);
        }
    }
    if is_conflicting(&scopes.into_iter().collect()) {
        out.invalid(path, spec.at("scopes"), "conflicting scopes");
    }
}

fn validate_selector(out: &mut Problems, path: &Path, spec: &Value) {
    let at = path.child("matchExpressions");
    let requirements = spec.at("scopeSelector").items("matchExpressions");
    let mut scopes = HashSet::new();
    for requirement in requirements {
        let scope = requirement.text("scopeName");
        if !SCOPES.contains(&scope) {
            out.invalid(&at.child("scopeName"), scope, "unsupported scope");
        }
        for _ in 0..misapplied(scope, spec) {
            let detail = "unsupported scope applied to resource";
            out.invalid(&at, spec.at("scopeSelector"), detail);
        }
        validate_requirement(out, &at, requirement);
        scopes.insert(scope);
    }
    if is_conflicting(&scopes) {
        out.invalid(&at, spec.at("scopes"), "conflicting scopes");
    }
}

fn validate_requirement(out: &mut Problems, path: &Path, requirement: &Value) {
    let (scope, operator) = (requirement.text("scopeName"), requirement.text("operator"));
    let has_values = matches!(scope, "PriorityClass" | "VolumeAttributesClass");
    if SCOPES.contains(&scope) && !has_values && operator != "Exists" {
        let detail = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
             ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        out.invalid(&path.child("operator"), operator, detail);
    }
    let none = requirement.items("values").is_empty();
    match operator {
        "In" | "NotIn" if none => {
            let detail =
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            out.required(&path.child("values"), detail);
        }
        "Exists" | "DoesNotExist" if !none => {
            let detail =
                "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector";
            out.invalid(&path.child("values"), requirement.at("values"), detail);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => out.invalid(
            &path.child("operator"),
            other,
            "not a valid selector operator",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::tests::{context, lines};

    #[test]
    fn names_amounts_and_scopes_are_checked() {
        for (spec, expected) in [
            (
                json!({"hard": {"bananas": "1"}}),
                vec![
                    "spec.hard[bananas]: Invalid value: \"bananas\": must be a standard resource type or fully qualified",
                    "spec.hard[bananas]: Invalid value: \"bananas\": must be a standard resource for quota",
                ],
            ),
            (
                json!({"hard": {"pods": "1.5", "count/deployments.apps": "2"}}),
                vec!["spec.hard[pods]: Invalid value: \"1500m\": must be an integer"],
            ),
            (
                json!({"scopes": ["Sometimes"]}),
                vec!["spec.scopes: Invalid value: [\"Sometimes\"]: unsupported scope"],
            ),
            (
                json!({"hard": {"requests.cpu": "1"}, "scopes": ["BestEffort"]}),
                vec![
                    "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource",
                ],
            ),
            (
                json!({"scopes": ["Terminating", "NotTerminating"]}),
                vec![
                    "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
                ],
            ),
            (
                json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}),
                vec![
                    "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                ],
            ),
        ] {
            let object = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": spec});
            let found = ResourceQuota.validate_create(&object, &context());
            assert_eq!(lines(found), expected);
        }
    }

    #[test]
    fn scopes_never_change_and_rows_show_what_is_used() {
        let old = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"scopes": ["NotTerminating"]},
            "status": {"hard": {"limits.cpu": "2", "pods": "10"}, "used": {"pods": "3"}}});
        let mut new = old.clone();
        new["spec"] = json!({});
        let found = ResourceQuota.validate_update(&new, &old, &context());
        assert_eq!(
            lines(found),
            ["spec.scopes: Invalid value: null: field is immutable"]
        );
        let row = ResourceQuota.row(&old, context().now);
        assert_eq!(
            row.cells[1..3],
            [json!("pods: 3/10"), json!("limits.cpu: 0/2")]
        );
    }
}
