//! Where a container sees its volumes.

use std::collections::HashSet;

use serde_json::Value;

use super::volumes::{Volumes, has_backsteps, validate_descending};
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;

/// A container's mounts and devices.
pub fn validate(out: &mut Problems, path: &Path, container: &Value, volumes: &Volumes<'_>) {
    validate_mounts(out, &path.child("volumeMounts"), container, volumes);
    validate_devices(out, &path.child("volumeDevices"), container, volumes);
}

fn validate_mounts(out: &mut Problems, path: &Path, container: &Value, volumes: &Volumes<'_>) {
    let devices = container.items("volumeDevices");
    let texts = |name| devices.iter().map(|device| device.text(name)).collect();
    let (device_names, device_places): (HashSet<&str>, HashSet<&str>) =
        (texts("name"), texts("devicePath"));
    let mut places = HashSet::new();
    for (i, mount) in container.items("volumeMounts").iter().enumerate() {
        let at = path.index(i);
        let (name, place) = (mount.text("name"), mount.text("mountPath"));
        let (sub_path, sub_expression) = (mount.text("subPath"), mount.text("subPathExpr"));
        if name.is_empty() {
            out.required(&at.child("name"), "");
        }
        let volume = volumes.get(name);
        if volume.is_none() {
            out.not_found(&at.child("name"), name);
        }
        if place.is_empty() {
            out.required(&at.child("mountPath"), "");
        }
        if !places.insert(place) {
            out.invalid(&at.child("mountPath"), place, "must be unique");
        }
        if device_names.contains(name) {
            out.invalid(
                &at.child("name"),
                name,
                "must not already exist in volumeDevices",
            );
        }
        if device_places.contains(place) {
            out.invalid(
                &at.child("mountPath"),
                place,
                "must not already exist as a path in volumeDevices",
            );
        }
        if !sub_path.is_empty() {
            validate_descending(out, &path.child("subPath"), sub_path);
        }
        if !sub_expression.is_empty() {
            if !sub_path.is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                out.invalid(&at.child("subPathExpr"), sub_expression, detail);
            }
            validate_descending(out, &path.child("subPathExpr"), sub_expression);
        }
        validate_propagation(out, &path.child("mountPropagation"), mount, container);
        validate_recursive(out, &path.child("recursiveReadOnly"), mount);
    }
}

fn validate_propagation(out: &mut Problems, path: &Path, mount: &Value, container: &Value) {
    let Some(mode) = mount.opt_text("mountPropagation") else {
        return;
    };
    let modes = ["Bidirectional", "HostToContainer", "None"];
    if !modes.contains(&mode) {
        out.unsupported(path, mode, &modes);
    }
    if mode == "Bidirectional" && !container.at("securityContext").flag("privileged") {
        out.forbidden(
            path,
            "Bidirectional mount propagation is available only to privileged containers",
        );
    }
}

fn validate_recursive(out: &mut Problems, path: &Path, mount: &Value) {
    match mount.opt_text("recursiveReadOnly") {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !mount.flag("readOnly") {
                out.forbidden(path, "may only be specified when readOnly is true");
            }
            if mount
                .opt_text("mountPropagation")
                .is_some_and(|mode| mode != "None")
            {
                out.forbidden(
                    path,
                    "may only be specified when mountPropagation is None or not specified",
                );
            }
        }
        Some(other) => out.unsupported(path, other, &["Disabled", "IfPossible", "Enabled"]),
    }
}

fn validate_devices(out: &mut Problems, path: &Path, container: &Value, volumes: &Volumes<'_>) {
    let mounts = container.items("volumeMounts");
    let texts = |name| mounts.iter().map(|mount| mount.text(name)).collect();
    let (mount_names, mount_places): (HashSet<&str>, HashSet<&str>) =
        (texts("name"), texts("mountPath"));
    let (mut names, mut places) = (HashSet::new(), HashSet::new());
    for (i, device) in container.items("volumeDevices").iter().enumerate() {
        let at = path.index(i);
        let (name, place) = (device.text("name"), device.text("devicePath"));
        if name.is_empty() {
            out.required(&at.child("name"), "");
        }
        if names.contains(name) {
            out.invalid(&at.child("name"), name, "must be unique");
        }
        match volumes.get(name) {
            None => out.not_found(&at.child("name"), name),
            Some(volume) if !volume.has("persistentVolumeClaim") && !volume.has("ephemeral") => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                out.invalid(&at.child("name"), name, detail);
            }
            Some(_) => {}
        }
        if place.is_empty() {
            out.required(&at.child("devicePath"), "");
        }
        if places.contains(place) {
            out.invalid(&at.child("devicePath"), place, "must be unique");
        }
        if has_backsteps(place) {
            out.invalid(
                &at.child("devicePath"),
                place,
                "can not contain backsteps ('..')",
            );
        } else {
            places.insert(place);
        }
        if mount_names.contains(name) {
            out.invalid(
                &at.child("name"),
                name,
                "must not already exist in volumeMounts",
            );
        }
        if mount_places.contains(place) {
            out.invalid(
                &at.child("devicePath"),
                place,
                "must not already exist as a path in volumeMounts",
            );
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}
