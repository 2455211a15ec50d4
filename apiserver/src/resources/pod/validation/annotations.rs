//! Annotations that mean something to pods.

use std::collections::HashSet;

use serde_json::Value;

use super::every_container;
use super::volumes::validate_descending;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;

/// Marks a pod that mirrors a static pod of its node.
pub const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// What the annotations for AppArmor begin with.
pub const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Annotations of a pod or template.
pub fn validate(out: &mut Problems, path: &Path, annotations: &Value, spec: &Value) {
    if let Some(value) = annotations.opt_text(MIRROR)
        && spec.text("nodeName").is_empty()
    {
        out.invalid(
            &path.key(MIRROR),
            value,
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    if let Some(cost) = annotations.opt_text(DELETION_COST)
        && !is_cost(cost)
    {
        out.invalid(&path.key(DELETION_COST), cost, "must be a 32bit integer");
    }
    for (key, profile) in annotations.as_object().into_iter().flatten() {
        let profile = profile.as_str().unwrap_or_default();
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            validate_seccomp(out, &path.child(key), profile);
        }
    }
    let containers = every_container(path, spec);
    let containers: HashSet<&str> = containers.iter().map(|(_, c)| c.text("name")).collect();
    for (key, profile) in annotations.as_object().into_iter().flatten() {
        let Some(container) = key.strip_prefix(APP_ARMOR) else {
            continue;
        };
        let profile = profile.as_str().unwrap_or_default();
        if !containers.contains(container) {
            out.invalid(&path.key(key), container, "container not found");
        }
        let valid = ["", "runtime/default", "unconfined"].contains(&profile)
            || profile.starts_with("localhost/");
        if !valid {
            out.invalid(
                &path.key(key),
                profile,
                &format!("invalid AppArmor profile name: {profile:?}"),
            );
        }
    }
}

fn is_cost(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = text == "0" || (!digits.starts_with('0') && !digits.starts_with('+'));
    plain && text.parse::<i32>().is_ok()
}

fn validate_seccomp(out: &mut Problems, path: &Path, profile: &str) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        other => match other.strip_prefix("localhost/") {
            Some(file) => validate_descending(out, path, file),
            None => out.invalid(path, other, "must be a valid seccomp profile"),
        },
    }
}

/// Profiles that are given by a field and by an annotation must be the same.
pub fn validate_profiles_match(out: &mut Problems, path: &Path, meta: &Value, spec: &Value) {
    let annotations = meta.at("annotations");
    let of_pod = spec.at("securityContext");
    if let Some(annotation) = annotations.opt_text(SECCOMP_POD) {
        let at = path.child("securityContext").child("seccompProfile");
        let allowed = ["runtime/default", "docker/default"];
        validate_match(
            out,
            &at,
            "seccomp",
            annotation,
            of_pod.at("seccompProfile"),
            &allowed,
        );
    }
    for (at, container) in every_container(path, spec) {
        let key = format!("{SECCOMP_CONTAINER}{}", container.text("name"));
        if let Some(annotation) = annotations.opt_text(&key) {
            let at = at.child("securityContext").child("seccompProfile");
            let profile = container.at("securityContext").at("seccompProfile");
            validate_match(
                out,
                &at,
                "seccomp",
                annotation,
                profile,
                &["runtime/default", "docker/default"],
            );
        }
    }
    if spec.at("os").text("name") == "windows" {
        return;
    }
    for (at, container) in every_container(path, spec) {
        let key = format!("{APP_ARMOR}{}", container.text("name"));
        let Some(annotation) = annotations.opt_text(&key) else {
            continue;
        };
        let own = container.at("securityContext").at("appArmorProfile");
        let profile = if own.is_null() {
            of_pod.at("appArmorProfile")
        } else {
            own
        };
        let at = at.child("securityContext").child("appArmorProfile");
        validate_match(
            out,
            &at,
            "apparmor",
            annotation,
            profile,
            &["runtime/default"],
        );
    }
}

fn validate_match(
    out: &mut Problems,
    path: &Path,
    what: &str,
    annotation: &str,
    profile: &Value,
    runtime_default: &[&str],
) {
    let (kind, file) = (format!("{what} type"), format!("{what} profile"));
    let differs = |thing: &str| format!("{thing} in annotation and field must match");
    let same_kind = match profile.text("type") {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => runtime_default.contains(&annotation),
        "Localhost" => annotation.starts_with("localhost/"),
        _ => return,
    };
    if !same_kind {
        out.forbidden(&path.child("type"), &differs(&kind));
    } else if profile.text("type") == "Localhost"
        && annotation.strip_prefix("localhost/") != profile.opt_text("localhostProfile")
    {
        out.forbidden(&path.child("localhostProfile"), &differs(&file));
    }
}

/// Annotations that may not change.
pub fn validate_update(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let (after, before) = (
        new.at("metadata").at("annotations"),
        old.at("metadata").at("annotations"),
    );
    for (key, value) in before.as_object().into_iter().flatten() {
        if after.get(key) == Some(value) {
            continue;
        }
        if key.starts_with(APP_ARMOR) {
            out.forbidden(
                &path.key(key),
                "may not remove or update AppArmor annotations",
            );
        }
        if key == MIRROR {
            out.forbidden(
                &path.key(key),
                "may not remove or update mirror pod annotation",
            );
        }
    }
    for (key, _) in after
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !before.has(key))
    {
        if key.starts_with(APP_ARMOR) {
            out.forbidden(&path.key(key), "may not add AppArmor annotations");
        }
        if key == MIRROR {
            out.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
    validate(out, path, after, new.at("spec"));
}
