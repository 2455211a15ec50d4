//! Rules of Deployments and ReplicaSets, which keep a number of pods made from a template.

mod deployment;
mod replica_set;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::pod::validation;
use super::problems::{Path, Problems};
use super::selector;
use super::tree::Tree;

pub use deployment::Deployment;
pub use replica_set::ReplicaSet;

/// The selector of a workload, and the template that it must select.
fn validate_selector_and_template(out: &mut Problems, path: &Path, spec: &Value) {
    let (at, labels) = (path.child("selector"), spec.at("selector"));
    if labels.is_null() {
        out.required(&at, "");
    } else {
        selector::validate_label_selector(out, &at, labels);
        if selector::is_empty(labels) {
            out.invalid_raw(
                &at,
                "{}".to_owned(),
                "empty selector is invalid for deployment",
            );
        }
    }
    if !selector::is_usable(labels) {
        let shown = super::go_form::label_selector(labels);
        return out.invalid_raw(&at, shown, "invalid label selector");
    }
    let (at, template) = (path.child("template"), spec.at("template"));
    let own = template.at("metadata").at("labels");
    let selects_all = !labels.is_null() && selector::is_empty(labels);
    if !selects_all && !selector::matches(labels, own) {
        let at = at.child("metadata").child("labels");
        out.invalid(&at, own, "`selector` does not match template `labels`");
    }
    validation::validate_template(out, &at, template);
    let (at, pod) = (at.child("spec"), template.at("spec"));
    if pod.text("restartPolicy") != "Always" {
        out.unsupported(
            &at.child("restartPolicy"),
            pod.text("restartPolicy"),
            &["Always"],
        );
    }
    if pod.has("activeDeadlineSeconds") {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        out.forbidden(&at.child("activeDeadlineSeconds"), detail);
    }
}

/// Names and images of a template's containers, as cells.
fn containers_and_images(template: &Value) -> [Value; 2] {
    ["name", "image"].map(|field| {
        let containers = template.at("spec").items("containers").iter();
        containers
            .map(|container| container.text(field))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    })
}

/// The counts of a status: none negative, `part` and the ready and available replicas within all
/// replicas, the available within the ready.
fn validate_counts(out: &mut Problems, path: &Path, status: &Value, counts: &[&str], part: &str) {
    for name in counts {
        out.non_negative(&path.child(name), status.int(name));
    }
    for name in [part, "readyReplicas", "availableReplicas"] {
        if status.int(name) > status.int("replicas") {
            out.invalid(
                &path.child(name),
                status.int(name),
                "cannot be greater than status.replicas",
            );
        }
    }
    let available = status.int("availableReplicas");
    if available > status.int("readyReplicas") {
        out.invalid(
            &path.child("availableReplicas"),
            available,
            "cannot be greater than readyReplicas",
        );
    }
}
