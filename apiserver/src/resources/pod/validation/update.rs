//! What of a pod may change.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::annotations;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{self, Tree};
use crate::resources::{diff, format, go_form, meta};

const CHANGEABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Problems of a changed pod.
pub fn validate_update(new: &Value, old: &Value) -> Problems {
    let path = Path::new("spec");
    let mut out = meta::validate_update(new, old);
    out.extend(super::validate_pod(new));
    annotations::validate_update(
        &mut out,
        &Path::new("metadata").child("annotations"),
        new,
        old,
    );
    let (after, before) = (new.at("spec"), old.at("spec"));
    for list in ["containers", "initContainers"] {
        if !validate_images(
            &mut out,
            &path.child(list),
            after.items(list),
            before.items(list),
        ) {
            return out;
        }
    }
    if !validate_deadline(
        &mut out,
        &path.child("activeDeadlineSeconds"),
        after,
        before,
    ) {
        return out;
    }
    validate_tolerations(&mut out, &path.child("tolerations"), after, before);
    validate_gates(&mut out, &path.child("schedulingGates"), after, before);
    validate_rest(&mut out, &path, after, before);
    out
}

/// Answers whether the containers can be compared one by one.
fn validate_images(out: &mut Problems, path: &Path, new: &[Value], old: &[Value]) -> bool {
    if new.len() != old.len() {
        out.forbidden(path, "pod updates may not add or remove containers");
        return false;
    }
    for (i, container) in new.iter().enumerate() {
        let (at, image) = (path.index(i).child("image"), container.text("image"));
        if image.is_empty() {
            out.required(&at, "");
        }
        if image.trim() != image {
            out.invalid(&at, image, "must not have leading or trailing whitespace");
        }
    }
    true
}

/// Answers whether it makes sense to go on.
fn validate_deadline(out: &mut Problems, path: &Path, new: &Value, old: &Value) -> bool {
    let name = "activeDeadlineSeconds";
    match (new.opt_int(name), old.opt_int(name)) {
        (Some(after), before) => {
            if let Some(wrong) = format::out_of(after, 0, i64::from(i32::MAX)) {
                out.invalid(path, after, &wrong);
                return false;
            }
            if before.is_some_and(|before| before < after) {
                out.invalid(path, after, "must be less than or equal to previous value");
                return false;
            }
        }
        (None, Some(_)) => {
            out.invalid(
                path,
                None,
                "must not update from a positive integer to nil value",
            );
        }
        (None, None) => {}
    }
    true
}

fn validate_tolerations(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let without_time = |toleration: &Value| {
        let mut toleration = toleration.clone();
        tree::remove(&mut toleration, "tolerationSeconds");
        toleration.to_string()
    };
    let kept: HashSet<String> = new.items("tolerations").iter().map(without_time).collect();
    if old
        .items("tolerations")
        .iter()
        .map(without_time)
        .any(|toleration| !kept.contains(&toleration))
    {
        return out.forbidden(
            path,
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
    super::scheduling::validate_tolerations(out, path, new.items("tolerations"));
}

fn validate_gates(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let known = old.items("schedulingGates").iter();
    let known: HashSet<&str> = known.map(|gate| gate.text("name")).collect();
    for (i, gate) in new.items("schedulingGates").iter().enumerate() {
        let name = gate.text("name");
        if !known.contains(name) {
            let detail =
                format!("only deletion is allowed, but found new scheduling gate '{name}'");
            out.forbidden(&path.index(i).child("name"), &detail);
        }
    }
}

/// Everything but the fields that may change must be what it was.
fn validate_rest(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        for (container, before) in tree::items_mut(&mut munged, list).zip(old.items(list)) {
            tree::copy(container, before, "image");
        }
    }
    for name in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        tree::copy(&mut munged, old, name);
    }
    let grace = "terminationGracePeriodSeconds";
    if old.opt_int(grace).is_some_and(|seconds| seconds < 0) && munged.opt_int(grace) == Some(1) {
        tree::copy(&mut munged, old, grace);
    }
    if !old.items("schedulingGates").is_empty() {
        allow_for_gated(out, path, &mut munged, old);
    }
    let (after, before) = (
        go_form::internal_pod_spec(&munged),
        go_form::internal_pod_spec(old),
    );
    if tree::same(&after, &before) {
        return;
    }
    let (after, before) = (
        go_form::indented("PodSpec", &after),
        go_form::indented("PodSpec", &before),
    );
    if after != before {
        let diff = diff::unified(&before, &after);
        out.forbidden(
            path,
            &format!("pod updates may not change fields other than {CHANGEABLE}\n{diff}"),
        );
    }
}

/// A pod that is held back from scheduling may be narrowed to fewer nodes.
fn allow_for_gated(out: &mut Problems, path: &Path, munged: &mut Value, old: &Value) {
    let selector = munged.at("nodeSelector").clone();
    if !tree::same(&selector, old.at("nodeSelector")) {
        if old
            .entries("nodeSelector")
            .any(|(key, value)| selector.get(key) != Some(value))
        {
            let detail =
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
            out.invalid(&path.child("nodeSelector"), &selector, detail);
        }
        tree::copy(munged, old, "nodeSelector");
    }
    let after = munged.at("affinity").at("nodeAffinity").clone();
    let before = old.at("affinity").at("nodeAffinity");
    if tree::same(&after, before) {
        return;
    }
    validate_node_affinity(
        out,
        &path.child("affinity").child("nodeAffinity"),
        &after,
        before,
    );
    let affinity = match (munged.at("affinity").as_object(), before.is_null()) {
        (None, true) => return,
        (None, false) => json!({ "nodeAffinity": before }),
        (Some(fields), _)
            if !old.has("affinity") && fields.keys().all(|key| key == "nodeAffinity") =>
        {
            Value::Null
        }
        (Some(fields), _) => {
            let mut fields = fields.clone();
            fields.insert("nodeAffinity".to_owned(), before.clone());
            Value::Object(fields)
        }
    };
    tree::set(munged, "affinity", affinity);
}

fn validate_node_affinity(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let at = path.child(required).child("nodeSelectorTerms");
    let before = old.at(required).items("nodeSelectorTerms");
    let after = new.at(required).items("nodeSelectorTerms");
    if !before.is_empty() && before.len() != after.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return out.invalid(&at, new.at(required).at("nodeSelectorTerms"), detail);
    }
    for (i, (new, old)) in after.iter().zip(before).enumerate() {
        let only_added = ["matchExpressions", "matchFields"]
            .iter()
            .all(|name| new.items(name).starts_with(old.items(name)));
        let was_empty =
            old.items("matchExpressions").is_empty() && old.items("matchFields").is_empty();
        let still_empty =
            new.items("matchExpressions").is_empty() && new.items("matchFields").is_empty();
        if !only_added || (was_empty && !still_empty) {
            out.invalid(
                &at.index(i),
                new,
                "only additions are allowed (no mutations or deletions)",
            );
        }
    }
}
