//! Requests, limits, and claims of resources.

use std::collections::HashSet;

use ferrule_apimachinery::names;
use ferrule_apimachinery::quantity::Quantity;
use serde_json::Value;

use crate::resources::pod::requests;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{Tree, display};

/// A quantity of the tree; the schema has checked that it parses.
pub fn parse_or_zero(value: &Value) -> Quantity {
    display(value).parse().unwrap_or_default()
}

/// What a quantity of a named resource must be.
pub fn validate_quantity(out: &mut Problems, path: &Path, resource: &str, value: &Value) {
    let quantity = parse_or_zero(value);
    if quantity.signum() < 0 {
        out.invalid(
            path,
            quantity.to_string(),
            "must be greater than or equal to 0",
        );
    }
    if is_integer_resource(resource) && !quantity.is_whole() {
        out.invalid(path, quantity.to_string(), "must be an integer");
    }
}

fn is_integer_resource(name: &str) -> bool {
    const COUNTED: [&str; 8] = [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
    ];
    COUNTED.contains(&name) || name == "services.loadbalancers" || is_extended(name)
}

/// Resources that are not Kubernetes' own, such as those of device plugins.
fn is_extended(name: &str) -> bool {
    name.contains('/')
        && !name.contains("kubernetes.io/")
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether more of a resource may be promised than there is.
pub fn may_overcommit(name: &str) -> bool {
    (!name.contains('/') || name.contains("kubernetes.io/")) && !is_huge_page(name)
}

fn is_standard(name: &str) -> bool {
    const NAMES: [&str; 26] = [
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
        "storage",
        "requests.storage",
        "count/pods",
        "count/services",
        "count/secrets",
        "count/configmaps",
        "count/replicationcontrollers",
        "count/resourcequotas",
    ];
    NAMES.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// The name of any resource; whether it is one.
pub fn validate_resource_name(out: &mut Problems, path: &Path, name: &str) -> bool {
    let wrong = names::qualified_name(name);
    if !wrong.is_empty() {
        out.invalid_each(path, name, wrong);
        return false;
    }
    if !name.contains('/') && !is_standard(name) {
        out.invalid(
            path,
            name,
            "must be a standard resource type or fully qualified",
        );
        return false;
    }
    true
}

/// The name of a resource that containers ask for.
pub fn validate_container_resource(out: &mut Problems, path: &Path, name: &str) {
    validate_resource_name(out, path, name);
    if !name.contains('/') {
        if !["cpu", "memory", "ephemeral-storage"].contains(&name) && !is_huge_page(name) {
            out.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !name.contains("kubernetes.io/") && !is_extended(name) {
        out.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

const POD_LEVEL: [&str; 2] = ["cpu", "memory"];

fn validate_pod_resource(out: &mut Problems, path: &Path, name: &str) {
    if validate_resource_name(out, path, name) && !POD_LEVEL.contains(&name) && !is_huge_page(name)
    {
        out.unsupported(path, name, &POD_LEVEL);
    }
}

/// Requests and limits of a container.
pub fn validate_requirements(
    out: &mut Problems,
    path: &Path,
    requirements: &Value,
    claims: &[&str],
) {
    validate_all(out, path, requirements, claims, validate_container_resource);
}

type NameCheck = fn(&mut Problems, &Path, &str);

fn validate_all(
    out: &mut Problems,
    path: &Path,
    requirements: &Value,
    claims: &[&str],
    check: NameCheck,
) {
    let (limits, requests) = (path.child("limits"), path.child("requests"));
    for (name, quantity) in requirements.entries("limits") {
        let at = limits.key(name);
        check(out, &at, name);
        validate_quantity(out, &at, name, quantity);
        validate_huge_page(out, &at, name, quantity);
    }
    for (name, value) in requirements.entries("requests") {
        let at = requests.key(name);
        check(out, &at, name);
        validate_quantity(out, &at, name, value);
        let quantity = parse_or_zero(value);
        match requirements.at("limits").get(name).map(parse_or_zero) {
            Some(limit) if quantity != limit && !may_overcommit(name) => {
                out.invalid(
                    &requests,
                    quantity.to_string(),
                    &format!("must be equal to {name} limit of {limit}"),
                );
            }
            Some(limit) if quantity > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                out.invalid(&requests, quantity.to_string(), &detail);
            }
            None if !may_overcommit(name) => {
                out.required(
                    &limits,
                    "Limit must be set for non overcommitable resources",
                );
            }
            _ => {}
        }
        validate_huge_page(out, &at, name, value);
    }
    let both = || {
        requirements
            .entries("limits")
            .chain(requirements.entries("requests"))
    };
    if both().any(|(name, _)| is_huge_page(name))
        && !both().any(|(name, _)| POD_LEVEL.contains(&name))
    {
        out.forbidden(path, "HugePages require cpu or memory");
    }
    validate_claims(
        out,
        &path.child("claims"),
        requirements.items("claims"),
        claims,
    );
}

fn validate_huge_page(out: &mut Problems, path: &Path, name: &str, value: &Value) {
    let Some(size) = name
        .strip_prefix("hugepages-")
        .and_then(|size| size.parse::<Quantity>().ok())
    else {
        return;
    };
    let (quantity, size) = (parse_or_zero(value), size.value());
    if size > 0 && quantity.value() % size != 0 {
        let detail = format!("{quantity} is not positive integer multiple of {name}");
        out.invalid(path, quantity.to_string(), &detail);
    }
}

fn validate_claims(out: &mut Problems, path: &Path, claims: &[Value], known: &[&str]) {
    let mut seen = HashSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let (at, name, request) = (path.index(i), claim.text("name"), claim.text("request"));
        if name.is_empty() {
            out.required(&at, "");
            continue;
        }
        let key = if request.is_empty() {
            name.to_owned()
        } else {
            format!("{name}/{request}")
        };
        if !request.is_empty() {
            out.dns_label(&at.child("request"), request);
        }
        if seen.contains(name) || !seen.insert(key.clone()) {
            out.duplicate(
                &at,
                if seen.contains(name) {
                    name
                } else {
                    key.as_str()
                },
            );
        }
        if !known.contains(&name) {
            out.not_found(&at, name);
        }
    }
}

/// The claims that a pod declares.
pub fn validate_pod_claims(out: &mut Problems, path: &Path, claims: &[Value]) {
    let mut seen = HashSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let (at, name) = (path.index(i), claim.text("name"));
        if name.is_empty() {
            out.required(&at.child("name"), "");
        } else if !seen.insert(name) {
            out.duplicate(&at.child("name"), name);
        } else {
            out.dns_label(&at.child("name"), name);
        }
        let (claimed, template) = (
            claim.has("resourceClaimName"),
            claim.has("resourceClaimTemplateName"),
        );
        let shown = || crate::resources::go_form::compact("PodResourceClaim", claim);
        if claimed && template {
            let detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
            out.invalid_raw(&at, shown(), detail);
        }
        if !claimed && !template {
            let detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
            out.invalid_raw(&at, shown(), detail);
        }
        for field in ["resourceClaimName", "resourceClaimTemplateName"] {
            if let Some(name) = claim.opt_text(field) {
                out.dns_subdomain(&at.child(field), name);
            }
        }
    }
}

/// Requests and limits of the pod as a whole.
pub fn validate_pod_level(out: &mut Problems, path: &Path, spec: &Value) {
    let resources = spec.at("resources");
    if resources.is_null() {
        return;
    }
    if resources.has("claims") {
        out.forbidden(
            &path.child("claims"),
            "claims cannot be set for Resources at pod-level",
        );
    }
    validate_all(out, path, resources, &[], validate_pod_resource);
    for (name, total) in requests::of_containers(spec) {
        let asked = resources
            .at("requests")
            .get(&name)
            .map(parse_or_zero)
            .unwrap_or_default();
        if total > asked {
            let detail =
                format!("must be greater than or equal to aggregate container requests of {total}");
            out.invalid(
                &path.child("requests").key(&name),
                asked.to_string(),
                &detail,
            );
        }
    }
    for (i, container) in spec.items("containers").iter().enumerate() {
        for (name, limit) in container.at("resources").entries("limits") {
            let Some(most) = resources.at("limits").get(name).map(parse_or_zero) else {
                continue;
            };
            let limit = parse_or_zero(limit);
            if limit > most {
                let at = path.child("containers").index(i).key(name).child("limits");
                out.invalid(
                    &at,
                    limit.to_string(),
                    &format!("must be less than or equal to pod limits of {most}"),
                );
            }
        }
    }
}
