//! The specification of a PersistentVolume, which can also stand inside a VolumeAttachment.

use serde_json::Value;

use super::{VOLUME_MODES, source, validate_access_modes, validate_positive, validate_size};
use crate::resources::pod::validation::validate_node_selector;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{Tree, is_unset};

const RECLAIM: [&str; 3] = ["Delete", "Recycle", "Retain"];
const NOT_INLINE: &str = "may not be specified in the context of inline volumes";

/// The specification of an object. `name` is the name of the volume.
pub fn validate(out: &mut Problems, path: &Path, spec: &Value, name: &str) {
    validate_modes(out, path, spec);
    let at = path.child("capacity");
    let capacity = spec.at("capacity");
    if is_unset(capacity) {
        out.required(&at, "");
    }
    if !capacity.has("storage") || spec.entries("capacity").count() > 1 {
        out.unsupported(&at, capacity, &["storage"]);
    }
    for (resource, value) in spec.entries("capacity") {
        validate_size(out, &at.key(resource), value);
        validate_positive(out, &at.key(resource), value);
    }
    let (at, policy) = (
        path.child("persistentVolumeReclaimPolicy"),
        spec.text("persistentVolumeReclaimPolicy"),
    );
    if !policy.is_empty() && !RECLAIM.contains(&policy) {
        out.unsupported(&at, policy, &RECLAIM);
    }
    if spec.has("nodeAffinity") {
        let affinity = path.child("nodeAffinity").child("required");
        match spec.at("nodeAffinity").at("required") {
            Value::Null => out.required(&affinity, "must specify required node constraints"),
            required => validate_node_selector(out, &affinity, required),
        }
    }
    source::validate(out, path, spec, name);
    if policy == "Recycle" && is_root(spec.at("hostPath").text("path")) {
        out.forbidden(&at, "may not be 'recycle' for a hostPath mount of '/'");
    }
    if !spec.text("storageClassName").is_empty() {
        out.dns_subdomain(
            &path.child("storageClassName"),
            spec.text("storageClassName"),
        );
    }
    if let Some(mode) = spec.opt_text("volumeMode")
        && !VOLUME_MODES.contains(&mode)
    {
        out.unsupported(&path.child("volumeMode"), mode, &VOLUME_MODES);
    }
    validate_attributes_class(out, path, spec);
}

/// The specification of a volume that has no object: CSI, and nothing that only an object has.
pub fn validate_inline(out: &mut Problems, path: &Path, spec: &Value) {
    for name in ["claimRef", "capacity"] {
        if !is_unset(spec.at(name)) {
            out.forbidden(&path.child(name), NOT_INLINE);
        }
    }
    if !spec.has("csi") {
        let detail = "has to be specified in the context of inline volumes";
        out.required(&path.child("csi"), detail);
    }
    validate_modes(out, path, spec);
    let name = "persistentVolumeReclaimPolicy";
    if !matches!(spec.text(name), "" | "Retain") {
        let detail = "may only be Retain in the context of inline volumes";
        out.forbidden(&path.child(name), detail);
    }
    if spec.has("nodeAffinity") {
        out.forbidden(&path.child("nodeAffinity"), NOT_INLINE);
    }
    source::validate(out, path, spec, "");
    if !spec.text("storageClassName").is_empty() {
        out.forbidden(&path.child("storageClassName"), NOT_INLINE);
    }
    if !matches!(spec.opt_text("volumeMode"), None | Some("Filesystem")) {
        let detail =
            "may not specify volumeMode other than Filesystem in the context of inline volumes";
        out.forbidden(&path.child("volumeMode"), detail);
    }
    validate_attributes_class(out, path, spec);
}

fn validate_modes(out: &mut Problems, path: &Path, spec: &Value) {
    let (at, modes) = (path.child("accessModes"), spec.items("accessModes"));
    if modes.is_empty() {
        out.required(&at, "");
    }
    validate_access_modes(out, &at, modes);
}

fn validate_attributes_class(out: &mut Problems, path: &Path, spec: &Value) {
    let at = path.child("volumeAttributesClassName");
    match spec.opt_text("volumeAttributesClassName") {
        None => return,
        Some("") => out.required(&at, "an empty string is disallowed"),
        Some(class) => out.dns_subdomain(&at, class),
    }
    if !spec.has("csi") {
        let detail = "has to be specified when using volumeAttributesClassName";
        out.required(&path.child("csi"), detail);
    }
}

/// Whether a path leads to the root of the file system.
fn is_root(path: &str) -> bool {
    let mut depth = 0_i32;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = (depth - 1).max(0),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}
