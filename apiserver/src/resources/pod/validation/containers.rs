//! Containers: regular, init and ephemeral.

use std::collections::HashSet;

use serde_json::Value;

use super::volumes::Volumes;
use super::{env, mounts, one_of, probes, quantities, security};
use crate::resources::format;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{self, Tree};

/// What a container's fields are checked against.
pub struct Scope<'a> {
    spec: &'a Value,
    volumes: &'a Volumes<'a>,
    claims: Vec<&'a str>,
    grace: Option<i64>,
    host_users: bool,
}

impl<'a> Scope<'a> {
    /// The surroundings of a specification's containers.
    pub fn new(spec: &'a Value, volumes: &'a Volumes<'a>) -> Scope<'a> {
        let claims = spec
            .items("resourceClaims")
            .iter()
            .map(|claim| claim.text("name"));
        Scope {
            spec,
            volumes,
            claims: claims.filter(|name| !name.is_empty()).collect(),
            grace: spec.opt_int("terminationGracePeriodSeconds"),
            host_users: spec.opt_flag("hostUsers").unwrap_or(true),
        }
    }
}

/// The list of regular containers.
pub fn validate_regular(out: &mut Problems, path: &Path, scope: &Scope<'_>) {
    let containers = scope.spec.items("containers");
    if containers.is_empty() {
        return out.required(path, "");
    }
    let mut names = HashSet::new();
    for (i, container) in containers.iter().enumerate() {
        let at = path.index(i);
        validate_common(out, &at, container, scope);
        let name = container.text("name");
        if !names.insert(name) {
            out.duplicate(&at.child("name"), name);
        }
        validate_running(out, &at, container, scope);
        validate_restart(out, &at, container);
    }
    validate_host_ports(out, path, containers.iter().enumerate());
}

/// The list of init containers, sidecars among them.
pub fn validate_init(out: &mut Problems, path: &Path, scope: &Scope<'_>) {
    let regular = scope.spec.items("containers").iter();
    let mut names: HashSet<&str> = regular.map(|container| container.text("name")).collect();
    for (i, container) in scope.spec.items("initContainers").iter().enumerate() {
        let at = path.index(i);
        validate_common(out, &at, container, scope);
        validate_restart(out, &at, container);
        let name = container.text("name");
        if names.contains(name) {
            out.duplicate(&at.child("name"), name);
        } else if !name.is_empty() {
            names.insert(name);
        }
        validate_host_ports(out, path, std::iter::once((0, container)));
        if container.text("restartPolicy") == "Always" {
            validate_running(out, &at, container, scope);
            continue;
        }
        for field in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if container.has(field) {
                out.forbidden(
                    &at.child(field),
                    "may not be set for init containers without restartPolicy=Always",
                );
            }
        }
    }
}

/// The list of ephemeral containers.
pub fn validate_ephemeral(out: &mut Problems, path: &Path, scope: &Scope<'_>) {
    let others = scope
        .spec
        .items("containers")
        .iter()
        .chain(scope.spec.items("initContainers"));
    let others: HashSet<&str> = others.map(|container| container.text("name")).collect();
    let mut names = others.clone();
    for (i, container) in scope.spec.items("ephemeralContainers").iter().enumerate() {
        let at = path.index(i);
        validate_common(out, &at, container, scope);
        validate_image_blanks(out, &at, container);
        let name = container.text("name");
        if !names.insert(name) {
            out.duplicate(&at.child("name"), name);
        }
        let target = container.text("targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            out.not_found(&at.child("targetContainerName"), target);
        }
        const REFUSED: [&str; 9] = [
            "ports",
            "resources",
            "resizePolicy",
            "restartPolicy",
            "restartPolicyRules",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ];
        for field in REFUSED {
            if !tree::is_unset(container.at(field)) {
                out.forbidden(&at.child(field), "cannot be set for an Ephemeral Container");
            }
        }
        for (j, mount) in container.items("volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.text(field).is_empty() {
                    let at = at.child("volumeMounts").index(j).child(field);
                    out.forbidden(&at, "cannot be set for an Ephemeral Container");
                }
            }
        }
    }
}

fn validate_common(out: &mut Problems, path: &Path, container: &Value, scope: &Scope<'_>) {
    match container.text("name") {
        "" => out.required(&path.child("name"), ""),
        name => out.dns_label(&path.child("name"), name),
    }
    if container.text("image").is_empty() {
        out.required(&path.child("image"), "");
    }
    let policies = ["File", "FallbackToLogsOnError"];
    one_of(
        out,
        &path.child("terminationMessagePolicy"),
        container.at("terminationMessagePolicy"),
        &policies,
    );
    validate_ports(out, &path.child("ports"), container.items("ports"));
    env::validate(out, path, container, scope.volumes);
    mounts::validate(out, path, container, scope.volumes);
    one_of(
        out,
        &path.child("imagePullPolicy"),
        container.at("imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
    );
    quantities::validate_requirements(
        out,
        &path.child("resources"),
        container.at("resources"),
        &scope.claims,
    );
    validate_resize(
        out,
        &path.child("resizePolicy"),
        container,
        scope.spec.text("restartPolicy"),
    );
    security::validate_container(
        out,
        &path.child("securityContext"),
        container,
        scope.host_users,
    );
}

/// What only containers that keep running may have.
fn validate_running(out: &mut Problems, path: &Path, container: &Value, scope: &Scope<'_>) {
    probes::validate_lifecycle(
        out,
        &path.child("lifecycle"),
        container.at("lifecycle"),
        scope.grace,
    );
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        probes::validate(out, &path.child(kind), kind, container.at(kind));
    }
}

fn validate_restart(out: &mut Problems, path: &Path, container: &Value) {
    let rules = container.items("restartPolicyRules");
    match container.opt_text("restartPolicy") {
        Some("Always" | "OnFailure" | "Never") => {}
        Some(other) => out.unsupported(
            &path.child("restartPolicy"),
            other,
            &["Always", "Never", "OnFailure"],
        ),
        None if !rules.is_empty() => {
            out.required(
                &path.child("restartPolicy"),
                "must specify restartPolicy when restart rules are used",
            );
        }
        None => {}
    }
    for (i, rule) in rules.iter().enumerate() {
        let at = path.child("restartPolicyRules").index(i);
        one_of(
            out,
            &at.child("action"),
            rule.at("action"),
            &["Restart", "RestartAllContainers"],
        );
        if !rule.has("exitCodes") {
            out.required(&at.child("exitCodes"), "must be specified");
            continue;
        }
        let codes = rule.at("exitCodes");
        one_of(
            out,
            &at.child("exitCodes").child("operator"),
            codes.at("operator"),
            &["In", "NotIn"],
        );
    }
}

/// Blanks around an image's name, which are refused in pods but not in templates.
pub fn validate_image_blanks(out: &mut Problems, path: &Path, container: &Value) {
    let image = container.text("image");
    if image.trim() != image {
        out.invalid(
            &path.child("image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
}

/// The protocols of ports.
pub const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

fn validate_ports(out: &mut Problems, path: &Path, ports: &[Value]) {
    let mut names = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        let at = path.index(i);
        let name = port.text("name");
        if !name.is_empty() {
            let wrong = format::port_name(name);
            if wrong.is_empty() && !names.insert(name) {
                out.duplicate(&at.child("name"), name);
            }
            out.invalid_each(&at.child("name"), name, wrong);
        }
        match port.int("containerPort") {
            0 => out.required(&at.child("containerPort"), ""),
            number => out.invalid_each(
                &at.child("containerPort"),
                number,
                format::port_number(number),
            ),
        }
        let host = port.int("hostPort");
        if host != 0 {
            out.invalid_each(&at.child("hostPort"), host, format::port_number(host));
        }
        one_of(out, &at.child("protocol"), port.at("protocol"), &PROTOCOLS);
    }
}

fn validate_host_ports<'a>(
    out: &mut Problems,
    path: &Path,
    containers: impl Iterator<Item = (usize, &'a Value)>,
) {
    let mut taken = HashSet::new();
    for (i, container) in containers {
        for (j, port) in container.items("ports").iter().enumerate() {
            let host = port.int("hostPort");
            let claim = format!("{}/{}/{host}", port.text("protocol"), port.text("hostIP"));
            if host != 0 && !taken.insert(claim.clone()) {
                out.duplicate(
                    &path.index(i).child("ports").index(j).child("hostPort"),
                    claim,
                );
            }
        }
    }
}

fn validate_resize(out: &mut Problems, path: &Path, container: &Value, restart: &str) {
    let mut seen = HashSet::new();
    for (i, policy) in container.items("resizePolicy").iter().enumerate() {
        let (resource, restarts) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if !seen.insert(resource) {
            out.duplicate(&path.index(i), resource);
        }
        one_of(out, path, policy.at("resourceName"), &["cpu", "memory"]);
        one_of(
            out,
            path,
            policy.at("restartPolicy"),
            &["NotRequired", "RestartContainer"],
        );
        if restart == "Never" && restarts != "NotRequired" {
            out.invalid(
                path,
                restarts,
                "must be 'NotRequired' when `restartPolicy` is 'Never'",
            );
        }
    }
}
