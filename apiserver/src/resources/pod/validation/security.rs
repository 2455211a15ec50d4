//! Security contexts of pods and containers.

use std::collections::HashSet;

use serde_json::Value;

use super::volumes::validate_descending;
use super::windows;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;
use crate::resources::{format, go_form};

/// The security context of a pod.
pub fn validate_pod(out: &mut Problems, path: &Path, spec: &Value) {
    let context = spec.at("securityContext");
    for name in ["fsGroup", "runAsUser", "runAsGroup"] {
        if let Some(id) = context.opt_int(name) {
            out.invalid_each(&path.child(name), id, format::user_id(id));
        }
    }
    for (i, group) in context.items("supplementalGroups").iter().enumerate() {
        let id = group.as_i64().unwrap_or_default();
        out.invalid_each(
            &path.child("supplementalGroups").index(i),
            id,
            format::user_id(id),
        );
    }
    if spec.flag("shareProcessNamespace") && spec.flag("hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        out.invalid(&path.child("shareProcessNamespace"), true, detail);
    }
    validate_sysctls(out, &path.child("sysctls"), spec, context.items("sysctls"));
    if let Some(policy) = context.opt_text("fsGroupChangePolicy") {
        supported(
            out,
            &path.child("fsGroupChangePolicy"),
            policy,
            &["Always", "OnRootMismatch"],
        );
    }
    validate_seccomp(
        out,
        &path.child("seccompProfile"),
        context.at("seccompProfile"),
    );
    windows::validate_options(
        out,
        &path.child("windowsOptions"),
        context.at("windowsOptions"),
    );
    validate_app_armor(
        out,
        &path.child("appArmorProfile"),
        context.at("appArmorProfile"),
    );
    if let Some(policy) = context.opt_text("supplementalGroupsPolicy") {
        supported(
            out,
            &path.child("supplementalGroupsPolicy"),
            policy,
            &["Merge", "Strict"],
        );
    }
    if let Some(policy) = context.opt_text("seLinuxChangePolicy") {
        supported(
            out,
            &path.child("seLinuxChangePolicy"),
            policy,
            &["MountOption", "Recursive"],
        );
    }
}

fn supported(out: &mut Problems, path: &Path, value: &str, allowed: &[&str]) {
    if !allowed.contains(&value) {
        out.unsupported(path, value, allowed);
    }
}

/// What a pod in a user namespace of its own may not share with its node.
pub fn validate_host_users(out: &mut Problems, path: &Path, spec: &Value) {
    if spec.opt_flag("hostUsers") != Some(false) {
        return;
    }
    for (field, shown) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if spec.flag(field) {
            out.forbidden(&path.child(shown), "when `pod.Spec.HostUsers` is false");
        }
    }
}

/// The security context of a container.
pub fn validate_container(out: &mut Problems, path: &Path, container: &Value, host_users: bool) {
    let context = container.at("securityContext");
    if context.is_null() {
        return;
    }
    for name in ["runAsUser", "runAsGroup"] {
        if let Some(id) = context.opt_int(name) {
            out.invalid_each(&path.child(name), id, format::user_id(id));
        }
    }
    if let Some(mount) = context.opt_text("procMount") {
        supported(
            out,
            &path.child("procMount"),
            mount,
            &["Default", "Unmasked"],
        );
        if host_users && mount == "Unmasked" {
            out.invalid(
                &path.child("procMount"),
                mount,
                "`hostUsers` must be false to use `Unmasked`",
            );
        }
    }
    validate_seccomp(
        out,
        &path.child("seccompProfile"),
        context.at("seccompProfile"),
    );
    if context.opt_flag("allowPrivilegeEscalation") == Some(false) {
        let shown = || go_form::compact("SecurityContext", context);
        if context.flag("privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            out.invalid_raw(path, shown(), detail);
        }
        if context
            .at("capabilities")
            .items("add")
            .iter()
            .any(|added| added == "CAP_SYS_ADMIN")
        {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            out.invalid_raw(path, shown(), detail);
        }
    }
    windows::validate_options(
        out,
        &path.child("windowsOptions"),
        context.at("windowsOptions"),
    );
    validate_app_armor(
        out,
        &path.child("appArmorProfile"),
        context.at("appArmorProfile"),
    );
}

const MAX_SYSCTL: usize = 253;

fn is_sysctl(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_SYSCTL
        && name.split(['.', '/']).all(|segment| {
            let bytes = segment.as_bytes();
            bytes.first().copied().is_some_and(inner)
                && bytes.last().copied().is_some_and(inner)
                && bytes.iter().all(|b| inner(*b) || matches!(b, b'-' | b'_'))
        })
}

fn validate_sysctls(out: &mut Problems, path: &Path, spec: &Value, sysctls: &[Value]) {
    let mut seen = HashSet::new();
    for (i, sysctl) in sysctls.iter().enumerate() {
        let (at, name) = (path.index(i).child("name"), sysctl.text("name"));
        if name.is_empty() {
            out.required(&at, "");
        } else if !is_sysctl(name) {
            let detail = r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            out.invalid(&at, name, detail);
        } else if seen.contains(name) {
            out.duplicate(&at, name);
        }
        let dotted = name.replace('/', ".");
        let ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."]
            .iter()
            .any(|prefix| dotted.starts_with(prefix))
            || dotted == "kernel.sem";
        if spec.flag("hostNetwork") && dotted.starts_with("net.") {
            out.invalid(&at, name, "may not be specified when 'hostNetwork' is true");
        } else if spec.flag("hostIPC") && ipc {
            out.invalid(&at, name, "may not be specified when 'hostIPC' is true");
        }
        seen.insert(name);
    }
}

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

fn validate_seccomp(out: &mut Problems, path: &Path, profile: &Value) {
    if profile.is_null() {
        return;
    }
    let kind = profile.text("type");
    match kind {
        "" => out.required(
            &path.child("type"),
            "type is required when seccompProfile is set",
        ),
        known if PROFILES.contains(&known) => {}
        other => out.unsupported(&path.child("type"), other, &PROFILES),
    }
    let at = path.child("localhostProfile");
    match (kind, profile.opt_text("localhostProfile")) {
        ("Localhost", None) => out.required(&at, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => validate_descending(out, &at, file),
        (_, Some(_)) => {
            let shown = go_form::compact("SeccompProfile", profile);
            out.invalid_raw(&at, shown, "can only be set when seccomp type is Localhost");
        }
        (_, None) => {}
    }
}

fn validate_app_armor(out: &mut Problems, path: &Path, profile: &Value) {
    if profile.is_null() {
        return;
    }
    let (at, file) = (
        path.child("localhostProfile"),
        profile.opt_text("localhostProfile"),
    );
    match profile.text("type") {
        "Localhost" => match file {
            None | Some("") => out.required(&at, "must be set when AppArmor type is Localhost"),
            Some(file) if file.trim() != file => {
                out.invalid(&at, file, "must not be padded with whitespace")
            }
            Some(file) if file.len() > 4095 => out.too_long(&at, 4095),
            Some(_) => {}
        },
        "RuntimeDefault" | "Unconfined" => {
            if let Some(file) = file {
                out.invalid(&at, file, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => out.required(
            &path.child("type"),
            "type is required when appArmorProfile is set",
        ),
        other => out.unsupported(&path.child("type"), other, &PROFILES),
    }
}
