//! Rules of the workloads that keep pods made from a template, and of what they record.

mod daemon_set;
mod deployment;
mod records;
mod replica_set;
mod replication_controller;
mod stateful_set;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_sets;

use serde_json::Value;

use super::meta;
use super::pod::validation;
use super::problems::{Path, Problems};
use super::selector;
use super::tree::Tree;

pub use daemon_set::DaemonSet;
pub use deployment::Deployment;
pub use records::{ControllerRevision, PodTemplate};
pub use replica_set::ReplicaSet;
pub use replication_controller::ReplicationController;
pub use stateful_set::StatefulSet;

/// How a workload is called in refusals.
#[derive(Clone, Copy)]
struct Owner {
    /// Where its selector is empty.
    selector: &'static str,
    /// Where its pods would end by themselves.
    deadline: &'static str,
}

/// Deployments and ReplicaSets, which upstream calls by each other's names.
const REPLICATED: Owner = Owner {
    selector: "deployment",
    deadline: "ReplicaSet",
};

/// The selector of a workload, and the template that it must select.
fn validate_selector_and_template(out: &mut Problems, path: &Path, spec: &Value) {
    let (at, labels) = (path.child("selector"), spec.at("selector"));
    if labels.is_null() {
        out.required(&at, "");
    } else {
        selector::validate_label_selector(out, &at, labels);
        refuse_empty(out, &at, labels, REPLICATED);
    }
    if !selector::is_usable(labels) {
        let shown = super::go_form::label_selector(labels);
        return out.invalid_raw(&at, shown, "invalid label selector");
    }
    validate_match(out, path, spec);
    let (at, template) = (path.child("template"), spec.at("template"));
    validation::validate_template(out, &at, template);
    validate_restarts(out, &at, template, REPLICATED);
}

/// The selector of a workload stays what it was.
fn validate_same_selector(out: &mut Problems, new: &Value, old: &Value) {
    let path = Path::new("spec").child("selector");
    let (after, before) = (new.at("spec").at("selector"), old.at("spec").at("selector"));
    meta::validate_immutable_selector(out, &path, after, before);
}

/// An empty selector would select all.
fn refuse_empty(out: &mut Problems, path: &Path, labels: &Value, owner: Owner) {
    if !labels.is_null() && selector::is_empty(labels) {
        let detail = format!("empty selector is invalid for {}", owner.selector);
        out.invalid_raw(path, "{}".to_owned(), &detail);
    }
}

/// The selector must select the pods of the template.
fn validate_match(out: &mut Problems, path: &Path, spec: &Value) {
    let labels = spec.at("selector");
    let own = spec.at("template").at("metadata").at("labels");
    let selects_all = !labels.is_null() && selector::is_empty(labels);
    if !selects_all && !selector::matches(labels, own) {
        refuse_labels(out, path, spec);
    }
}

fn refuse_labels(out: &mut Problems, path: &Path, spec: &Value) {
    let at = path.child("template").child("metadata").child("labels");
    let own = spec.at("template").at("metadata").at("labels");
    out.invalid(&at, own, "`selector` does not match template `labels`");
}

/// Pods of a workload run until it says otherwise.
fn validate_restarts(out: &mut Problems, path: &Path, template: &Value, owner: Owner) {
    let (at, pod) = (path.child("spec"), template.at("spec"));
    if pod.text("restartPolicy") != "Always" {
        out.unsupported(
            &at.child("restartPolicy"),
            pod.text("restartPolicy"),
            &["Always"],
        );
    }
    if pod.has("activeDeadlineSeconds") {
        let detail = format!(
            "activeDeadlineSeconds in {} is not Supported",
            owner.deadline
        );
        out.forbidden(&at.child("activeDeadlineSeconds"), &detail);
    }
}

/// The count of collisions of names only rises.
fn validate_collisions(out: &mut Problems, path: &Path, status: &Value, old: &Value) {
    let name = "collisionCount";
    if let Some(before) = old.opt_int(name)
        && status.opt_int(name).is_none_or(|after| after < before)
    {
        out.invalid(&path.child(name), status.int(name), "cannot be decremented");
    }
}

/// Names and images of a template's containers, as cells.
pub(super) fn containers_and_images(template: &Value) -> [Value; 2] {
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
