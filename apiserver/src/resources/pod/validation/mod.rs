//! Validation of pods and of the pod specifications inside templates.

mod affinity;
mod annotations;
mod containers;
mod env;
mod mounts;
mod parts;
mod probes;
mod quantities;
mod scheduling;
mod security;
mod status;
mod update;
mod volumes;
mod windows;

use serde_json::Value;

use crate::resources::meta::{self, NameRule};
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;
use crate::resources::{format, selector};

pub use affinity::validate_node_selector;
pub use containers::PROTOCOLS;
pub use parts::{validate_ephemeral_update, validate_resize};
pub use probes::validate_port;
pub use quantities::{
    may_overcommit, parse_or_zero, validate_container_resource, validate_quantity,
    validate_requirements, validate_resource_name,
};
pub use scheduling::{validate_taint_effect, validate_tolerations};
pub use status::validate_status;
pub use update::validate_update;
pub use volumes::{has_backsteps, validate_host_path};

/// What differs between a pod and a template of pods.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    /// The metadata of the pod; absent for templates.
    meta: Option<&'a Value>,
}

impl Options<'_> {
    fn is_pod(&self) -> bool {
        self.meta.is_some()
    }
}

/// Problems of a new pod.
pub fn validate_create(pod: &Value) -> Problems {
    let mut out = validate_pod(pod);
    let (spec, path) = (pod.at("spec"), Path::new("spec"));
    if !spec.items("ephemeralContainers").is_empty() {
        out.forbidden(
            &path.child("ephemeralContainers"),
            "cannot be set on create",
        );
    }
    if !spec.text("nodeName").is_empty() && !spec.items("schedulingGates").is_empty() {
        out.forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        );
    }
    annotations::validate_profiles_match(&mut out, &path, pod.at("metadata"), spec);
    out
}

/// What is checked of a pod at every write of its specification.
fn validate_pod(pod: &Value) -> Problems {
    let (meta, spec) = (pod.at("metadata"), pod.at("spec"));
    let (meta_path, path) = (Path::new("metadata"), Path::new("spec"));
    let mut out = meta::validate_create(pod, true, NameRule::Subdomain);
    annotations::validate(
        &mut out,
        &meta_path.child("annotations"),
        meta.at("annotations"),
        spec,
    );
    validate_spec(&mut out, &path, spec, Options { meta: Some(meta) });
    if spec.text("serviceAccountName").is_empty() {
        for (v, volume) in spec.items("volumes").iter().enumerate() {
            for (s, source) in volume.at("projected").items("sources").iter().enumerate() {
                if source.has("serviceAccountToken") {
                    let at = path
                        .child("volumes")
                        .index(v)
                        .child("projected")
                        .child("sources")
                        .index(s);
                    let detail = "must not be specified when serviceAccountName is not set";
                    out.forbidden(&at.child("serviceAccountToken"), detail);
                }
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for (i, container) in spec.items(list).iter().enumerate() {
            containers::validate_image_blanks(&mut out, &path.child(list).index(i), container);
        }
    }
    out
}

/// Problems of a template of pods.
pub fn validate_template(out: &mut Problems, path: &Path, template: &Value) {
    let (meta, spec) = (template.at("metadata"), template.at("spec"));
    selector::validate_labels(out, &path.child("labels"), meta.at("labels"));
    meta::validate_annotations(out, &path.child("annotations"), meta.at("annotations"));
    annotations::validate(
        out,
        &path.child("annotations"),
        meta.at("annotations"),
        spec,
    );
    validate_spec(out, &path.child("spec"), spec, Options::default());
    annotations::validate_profiles_match(out, &path.child("spec"), meta, spec);
    if !spec.items("ephemeralContainers").is_empty() {
        let at = path.child("spec").child("ephemeralContainers");
        out.forbidden(&at, "ephemeral containers not allowed in pod template");
    }
}

fn validate_spec(out: &mut Problems, path: &Path, spec: &Value, options: Options<'_>) {
    if !spec.has("terminationGracePeriodSeconds") {
        out.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes::validate(out, &path.child("volumes"), spec, options);
    quantities::validate_pod_claims(
        out,
        &path.child("resourceClaims"),
        spec.items("resourceClaims"),
    );
    let scope = containers::Scope::new(spec, &volumes);
    containers::validate_regular(out, &path.child("containers"), &scope);
    containers::validate_init(out, &path.child("initContainers"), &scope);
    containers::validate_ephemeral(out, &path.child("ephemeralContainers"), &scope);
    quantities::validate_pod_level(out, &path.child("resources"), spec);
    validate_host_network(out, path, spec, options);
    one_of(
        out,
        &path.child("restartPolicy"),
        spec.at("restartPolicy"),
        &["Always", "OnFailure", "Never"],
    );
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(
        out,
        &path.child("dnsPolicy"),
        spec.at("dnsPolicy"),
        &policies,
    );
    selector::validate_labels(out, &path.child("nodeSelector"), spec.at("nodeSelector"));
    security::validate_pod(out, &path.child("securityContext"), spec);
    affinity::validate(out, &path.child("affinity"), spec.at("affinity"));
    validate_dns(out, &path.child("dnsConfig"), spec);
    for (i, gate) in spec.items("readinessGates").iter().enumerate() {
        let name = gate.text("conditionType");
        out.qualified_name(
            &path.child("readinessGates").index(i).child("conditionType"),
            name,
        );
    }
    scheduling::validate_gates(
        out,
        &path.child("schedulingGates"),
        spec.items("schedulingGates"),
    );
    scheduling::validate_spread(out, &path.child("topologySpreadConstraints"), spec);
    windows::validate_host_process(out, path, spec);
    security::validate_host_users(out, path, spec);
    validate_names(out, path, spec);
}

/// The plain fields of a specification, and those that follow them.
fn validate_names(out: &mut Problems, path: &Path, spec: &Value) {
    for name in ["serviceAccountName", "nodeName"] {
        let value = spec.text(name);
        if !value.is_empty() {
            out.invalid_each(
                &path.child(name),
                value,
                NameRule::Subdomain.check(value, false),
            );
        }
    }
    if let Some(seconds) = spec.opt_int("activeDeadlineSeconds") {
        let wrong = format::out_of(seconds, 1, i64::from(i32::MAX));
        out.invalid_each(&path.child("activeDeadlineSeconds"), seconds, wrong);
    }
    for name in ["hostname", "subdomain"] {
        let value = spec.text(name);
        if !value.is_empty() {
            out.dns_label(&path.child(name), value);
        }
    }
    scheduling::validate_tolerations(out, &path.child("tolerations"), spec.items("tolerations"));
    for (i, alias) in spec.items("hostAliases").iter().enumerate() {
        let at = path.child("hostAliases").index(i);
        out.invalid_each(
            &at.child("ip"),
            alias.text("ip"),
            format::ip(alias.text("ip")),
        );
        for (j, name) in alias.items("hostnames").iter().enumerate() {
            out.dns_subdomain(
                &at.child("hostnames").index(j),
                name.as_str().unwrap_or_default(),
            );
        }
    }
    for name in ["priorityClassName", "runtimeClassName"] {
        let value = spec.text(name);
        if !value.is_empty() || (name == "runtimeClassName" && spec.has(name)) {
            out.invalid_each(
                &path.child(name),
                value,
                NameRule::Subdomain.check(value, false),
            );
        }
    }
    if spec.has("preemptionPolicy") {
        let policies = ["PreemptLowerPriority", "Never"];
        one_of(
            out,
            &path.child("preemptionPolicy"),
            spec.at("preemptionPolicy"),
            &policies,
        );
    }
    if spec.has("overhead") {
        let requirements = serde_json::json!({ "limits": spec.at("overhead") });
        quantities::validate_requirements(out, &path.child("overhead"), &requirements, &[]);
    }
    windows::validate_os(out, path, spec);
}

/// A text that must be one of a few: required, or unsupported.
fn one_of(out: &mut Problems, path: &Path, value: &Value, allowed: &[&str]) {
    match value.as_str().unwrap_or_default() {
        "" => out.required(path, ""),
        text if allowed.contains(&text) => {}
        text => out.unsupported(path, text, allowed),
    }
}

fn validate_host_network(out: &mut Problems, path: &Path, spec: &Value, options: Options<'_>) {
    if !spec.flag("hostNetwork") {
        return;
    }
    for (i, container) in spec.items("containers").iter().enumerate() {
        for (j, port) in container.items("ports").iter().enumerate() {
            let host = port.int("hostPort");
            if (options.is_pod() || host != 0) && host != port.int("containerPort") {
                let at = path
                    .child("containers")
                    .index(i)
                    .child("ports")
                    .index(j)
                    .child("hostPort");
                out.invalid(
                    &at,
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARACTERS: usize = 2048;

fn validate_dns(out: &mut Problems, path: &Path, spec: &Value) {
    let config = spec.at("dnsConfig");
    let (servers, searches) = (config.items("nameservers"), config.items("searches"));
    if spec.text("dnsPolicy") == "None" {
        if config.is_null() {
            return out.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return out.required(&path.child("nameservers"), detail);
        }
    }
    if servers.len() > MAX_NAMESERVERS {
        let detail = format!("must not have more than {MAX_NAMESERVERS} nameservers");
        out.invalid(
            &path.child("nameservers"),
            config.at("nameservers"),
            &detail,
        );
    }
    for (i, server) in servers.iter().enumerate() {
        let server = server.as_str().unwrap_or_default();
        out.invalid_each(
            &path.child("nameservers").index(i),
            server,
            format::ip(server),
        );
    }
    if searches.len() > MAX_SEARCHES {
        let detail = format!("must not have more than {MAX_SEARCHES} search paths");
        out.invalid(&path.child("searches"), config.at("searches"), &detail);
    }
    let length: usize = searches
        .iter()
        .map(|search| search.as_str().map_or(0, str::len) + 1)
        .sum();
    if length.saturating_sub(1) > MAX_SEARCH_CHARACTERS {
        let detail = format!(
            "must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        );
        out.invalid(&path.child("searches"), config.at("searches"), &detail);
    }
    for (i, search) in searches.iter().enumerate() {
        let search = search.as_str().unwrap_or_default();
        if search != "." {
            let search = search.strip_suffix('.').unwrap_or(search);
            let wrong = format::dns_subdomain_with_underscores(search);
            out.invalid_each(&path.child("searches").index(i), search, wrong);
        }
    }
    for (i, option) in config.items("options").iter().enumerate() {
        if option.text("name").is_empty() {
            out.required(&path.child("options").index(i), "must not be empty");
        }
    }
}

/// The containers of all kinds, with where each stands.
fn every_container<'a>(path: &Path, spec: &'a Value) -> Vec<(Path, &'a Value)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| {
            let path = path.child(list);
            spec.items(list)
                .iter()
                .enumerate()
                .map(move |(i, container)| (path.index(i), container))
        })
        .collect()
}
