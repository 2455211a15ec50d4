//! Environment variables and where their values come from.

use serde_json::Value;

use super::quantities::parse_or_zero;
use super::volumes::Volumes;
use crate::resources::format;
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;

/// The paths that variables may show.
const ENV_PATHS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// The variables of a container, single ones and whole sources.
pub fn validate(out: &mut Problems, path: &Path, container: &Value, volumes: &Volumes<'_>) {
    for (i, variable) in container.items("env").iter().enumerate() {
        let at = path.child("env").index(i);
        match variable.text("name") {
            "" => out.required(&at.child("name"), ""),
            name => out.invalid_each(&at.child("name"), name, format::env_name(name)),
        }
        if variable.has("valueFrom") {
            validate_source(out, &at.child("valueFrom"), variable, volumes);
        }
    }
    let from = path.child("envFrom");
    for (i, source) in container.items("envFrom").iter().enumerate() {
        let at = from.index(i);
        let prefix = source.text("prefix");
        if !prefix.is_empty() {
            out.invalid_each(&at.child("prefix"), prefix, format::env_name(prefix));
        }
        let mut sources = 0;
        for kind in ["configMapRef", "secretRef"] {
            if source.has(kind) {
                sources += 1;
                let at = at.child(kind).child("name");
                match source.at(kind).text("name") {
                    "" => out.required(&at, ""),
                    name => out.invalid_each(&at, name, NameRule::Subdomain.check(name, true)),
                }
            }
        }
        match sources {
            0 => out.invalid(
                &from,
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            ),
            1 => {}
            _ => out.invalid(
                &from,
                "",
                "may not have more than one field specified at a time",
            ),
        }
    }
}

fn validate_source(out: &mut Problems, path: &Path, variable: &Value, volumes: &Volumes<'_>) {
    let source = variable.at("valueFrom");
    let mut sources = 0;
    if source.has("fieldRef") {
        sources += 1;
        validate_field_ref(
            out,
            &path.child("fieldRef"),
            source.at("fieldRef"),
            &ENV_PATHS,
        );
    }
    if source.has("resourceFieldRef") {
        sources += 1;
        validate_resource_ref(
            out,
            &path.child("resourceFieldRef"),
            source.at("resourceFieldRef"),
            false,
        );
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if source.has(kind) {
            sources += 1;
            let (at, selector) = (path.child(kind), source.at(kind));
            let name = selector.text("name");
            out.invalid_each(
                &at.child("name"),
                name,
                NameRule::Subdomain.check(name, false),
            );
            match selector.text("key") {
                "" => out.required(&at.child("key"), ""),
                key => out.invalid_each(&at.child("key"), key, format::config_key(key)),
            }
        }
    }
    if source.has("fileKeyRef") {
        sources += 1;
        validate_file_ref(
            out,
            &path.child("fileKeyRef"),
            source.at("fileKeyRef"),
            volumes,
        );
    }
    if sources == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        out.invalid(path, "", detail);
    } else if !variable.text("value").is_empty() {
        out.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        out.invalid(
            path,
            "",
            "may not have more than one field specified at a time",
        );
    }
}

fn validate_file_ref(out: &mut Problems, path: &Path, selector: &Value, volumes: &Volumes<'_>) {
    match selector.text("key") {
        "" => out.required(&path.child("key"), ""),
        key => out.invalid_each(&path.child("key"), key, format::env_name(key)),
    }
    match selector.text("volumeName") {
        "" => out.required(&path.child("volumeName"), ""),
        name if !volumes.contains_key(name) => out.not_found(&path.child("volumeName"), name),
        _ => {}
    }
    match selector.text("path") {
        "" => out.required(&path.child("path"), ""),
        file => super::volumes::validate_local_path(out, &path.child("path"), file),
    }
}

/// A reference to a field of the pod.
pub fn validate_field_ref(out: &mut Problems, path: &Path, field: &Value, allowed: &[&str]) {
    let (version, name) = (field.text("apiVersion"), field.text("fieldPath"));
    if version.is_empty() {
        return out.required(&path.child("apiVersion"), "");
    }
    if name.is_empty() {
        return out.required(&path.child("fieldPath"), "");
    }
    if let Err(problem) = known_field(version, name) {
        let detail = format!("error converting fieldPath: {problem}");
        return out.invalid(&path.child("fieldPath"), name, &detail);
    }
    match subscripted(name) {
        Some(("metadata.annotations", key)) => out.qualified_name(path, &key.to_lowercase()),
        Some(("metadata.labels", key)) => out.qualified_name(path, key),
        Some((name, _)) => out.invalid(path, name, "does not support subscript"),
        None if !allowed.contains(&name) => {
            let mut sorted = allowed.to_vec();
            sorted.sort_unstable();
            out.unsupported(&path.child("fieldPath"), name, &sorted);
        }
        None => {}
    }
}

fn known_field(version: &str, name: &str) -> Result<(), String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    if let Some((path, _)) = subscripted(name) {
        return match path {
            "metadata.annotations" | "metadata.labels" => Ok(()),
            other => Err(format!("field label does not support subscript: {other}")),
        };
    }
    match name {
        "metadata.annotations"
        | "metadata.labels"
        | "metadata.name"
        | "metadata.namespace"
        | "metadata.uid"
        | "spec.nodeName"
        | "spec.restartPolicy"
        | "spec.serviceAccountName"
        | "spec.schedulerName"
        | "status.phase"
        | "status.hostIP"
        | "status.hostIPs"
        | "status.podIP"
        | "status.podIPs"
        | "spec.host" => Ok(()),
        other => Err(format!("field label not supported: {other}")),
    }
}

fn subscripted(name: &str) -> Option<(&str, &str)> {
    let (path, key) = name.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, key))
}

/// A reference to a container's request or limit; inside volumes it must name the container.
pub fn validate_resource_ref(out: &mut Problems, path: &Path, field: &Value, in_volume: bool) {
    let resource = field.text("resource");
    let huge =
        resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if in_volume && field.text("containerName").is_empty() {
        out.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        out.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        out.unsupported(&path.child("resource"), resource, &RESOURCES);
    }
    let divisor = field.at("divisor");
    let shown = crate::resources::tree::display(divisor);
    if divisor.is_null() || parse_or_zero(divisor).is_zero() {
        return;
    }
    const SIZES: [&str; 13] = [
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ];
    let kind = match resource {
        "limits.cpu" | "requests.cpu" => {
            if !["1m", "1"].contains(&shown.as_ref()) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                out.invalid(&path.child("divisor"), resource, detail);
            }
            return;
        }
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if huge => "hugepages",
        _ => return,
    };
    if !SIZES.contains(&shown.as_ref()) {
        let detail = format!(
            "only divisor's values {} are supported with the {kind} resource",
            SIZES.join(", ")
        );
        out.invalid(&path.child("divisor"), resource, &detail);
    }
}
