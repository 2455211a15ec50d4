//! What only pods for Windows, or only pods for Linux, may have.

use serde_json::Value;

use super::every_container;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{self, Tree};

const FOR_WINDOWS: &str = "cannot be set for a windows pod";
const FOR_LINUX: &str = "windows options cannot be set for a linux pod";

/// The operating system of a pod, and the fields that go with it.
pub fn validate_os(out: &mut Problems, path: &Path, spec: &Value) {
    let os = spec.at("os");
    if os.is_null() {
        return;
    }
    match os.text("name") {
        "" => out.required(&path.child("os").child("name"), "cannot be empty"),
        "linux" => validate_linux(out, path, spec),
        "windows" => validate_windows(out, path, spec),
        other => out.unsupported(&path.child("os"), other, &["linux", "windows"]),
    }
}

fn validate_linux(out: &mut Problems, path: &Path, spec: &Value) {
    let own = std::iter::once((path.clone(), spec));
    for (at, holder) in own.chain(every_container(path, spec)) {
        if holder.at("securityContext").has("windowsOptions") {
            out.forbidden(
                &at.child("securityContext").child("windowsOptions"),
                FOR_LINUX,
            );
        }
    }
}

fn validate_windows(out: &mut Problems, path: &Path, spec: &Value) {
    let refuse = |out: &mut Problems, path: &Path, holder: &Value, names: &[&str]| {
        for name in names.iter().filter(|name| {
            !tree::is_unset(holder.at(name))
                || holder.opt_flag(name) == Some(false)
                    && matches!(**name, "hostUsers" | "shareProcessNamespace")
        }) {
            out.forbidden(&path.child(name), FOR_WINDOWS);
        }
    };
    let context = path.child("securityContext");
    refuse(
        out,
        &context,
        spec.at("securityContext"),
        &["appArmorProfile", "seLinuxOptions"],
    );
    refuse(out, path, spec, &["hostUsers", "hostPID", "hostIPC"]);
    let names = [
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
    ];
    refuse(out, &context, spec.at("securityContext"), &names);
    refuse(out, path, spec, &["shareProcessNamespace"]);
    let names = [
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    refuse(out, &context, spec.at("securityContext"), &names);
    for (at, container) in every_container(path, spec) {
        let names = [
            "appArmorProfile",
            "seLinuxOptions",
            "seccompProfile",
            "capabilities",
            "readOnlyRootFilesystem",
            "privileged",
            "allowPrivilegeEscalation",
            "procMount",
            "runAsUser",
            "runAsGroup",
        ];
        for name in names
            .iter()
            .filter(|name| container.at("securityContext").has(name))
        {
            out.forbidden(&at.child("securityContext").child(name), FOR_WINDOWS);
        }
    }
}

/// Options of a security context that only Windows knows.
pub fn validate_options(out: &mut Problems, path: &Path, options: &Value) {
    if let Some(name) = options.opt_text("gmsaCredentialSpecName") {
        out.dns_subdomain(&path.child("gmsaCredentialSpecName"), name);
    }
    if let Some(spec) = options.opt_text("gmsaCredentialSpec") {
        let at = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            out.invalid(&at, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > 64 * 1024 {
            out.invalid(&at, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if let Some(name) = options.opt_text("runAsUserName") {
        validate_user(out, &path.child("runAsUserName"), name);
    }
}

fn validate_user(out: &mut Problems, path: &Path, name: &str) {
    if name.is_empty() {
        return out.invalid(path, name, "runAsUserName cannot be an empty string");
    }
    if name.chars().any(char::is_control) {
        return out.invalid(
            path,
            name,
            "runAsUserName cannot contain control characters",
        );
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts[..] {
        [user] => ("", user),
        [domain, user] => (domain, user),
        _ => {
            return out.invalid(
                path,
                name,
                "runAsUserName cannot contain more than one backslash",
            );
        }
    };
    if domain.len() >= 256 {
        out.invalid(
            path,
            name,
            "runAsUserName's Domain length must be under 256 characters",
        );
    }
    if user.is_empty() {
        out.invalid(path, name, "runAsUserName's User cannot be empty");
    } else if user.len() > 104 {
        out.invalid(
            path,
            name,
            "runAsUserName's User length must not be longer than 104 characters",
        );
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        out.invalid(
            path,
            name,
            "runAsUserName's User cannot contain only periods or spaces",
        );
    }
    if user.contains([
        '"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']',
    ]) {
        let detail =
            r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#;
        out.invalid(path, name, detail);
    }
}

/// Containers that run as processes of a Windows node: all of a pod, or none.
pub fn validate_host_process(out: &mut Problems, path: &Path, spec: &Value) {
    let asked = |holder: &Value| {
        holder
            .at("securityContext")
            .at("windowsOptions")
            .opt_flag("hostProcess")
    };
    let of_pod = asked(spec);
    let containers = every_container(path, spec);
    let mut host = 0;
    for (at, container) in &containers {
        let own = asked(container);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let at = at
                .child("securityContext")
                .child("windowsOptions")
                .child("hostProcess");
            let detail =
                format!("pod hostProcess value must be identical if both are specified, was {pod}");
            out.invalid(&at, own, &detail);
        }
        host += usize::from(own.or(of_pod) == Some(true));
    }
    if host == 0 {
        return;
    }
    if host != containers.len() {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        out.invalid(path, "", detail);
    }
    if !spec.flag("hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        out.invalid(&path.child("hostNetwork"), false, detail);
    }
}
