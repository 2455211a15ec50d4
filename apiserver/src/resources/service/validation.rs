//! Validation of Services.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::addresses::{validate_address_change, validate_cluster_ips, validate_family_change};
use super::{is_external, is_headless, needs_health_check};
use crate::resources::meta::{self, NameRule};
use crate::resources::pod::validation::{PROTOCOLS, validate_port};
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;
use crate::resources::{format, go_form, selector};

/// The older annotation for topology.
pub const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
/// The newer one.
pub const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";
const MAX_AFFINITY_SECONDS: i64 = 86400;

/// Problems of a new service. Nothing else is told when those with its addresses keep it from being given one.
pub fn validate_create(service: &Value) -> Problems {
    let mut out = validate_cluster_ips(service);
    if !out.is_empty() {
        return out;
    }
    out = validate(service);
    validate_class(&mut out, service, None);
    out
}

/// Problems of a changed service.
pub fn validate_update(new: &Value, old: &Value) -> Problems {
    let mut out = validate_cluster_ips(new);
    if !out.is_empty() {
        return out;
    }
    out = meta::validate_update(new, old);
    validate_address_change(&mut out, new, old);
    validate_family_change(&mut out, new, old);
    validate_class(&mut out, new, Some(old));
    let port = |service: &Value| service.at("spec").int("healthCheckNodePort");
    if needs_health_check(old) && needs_health_check(new) && port(old) != port(new) {
        out.forbidden(
            &Path::new("spec").child("healthCheckNodePort"),
            "field is immutable",
        );
    }
    out.extend(validate(new));
    out
}

fn validate(service: &Value) -> Problems {
    let (spec, path) = (service.at("spec"), Path::new("spec"));
    let mut out = meta::validate_create(service, true, NameRule::Label);
    validate_annotations(&mut out, service);
    let kind = spec.text("type");
    if spec.items("ports").is_empty() && !is_headless(service) && kind != "ExternalName" {
        out.required(&path.child("ports"), "");
    }
    validate_kind(&mut out, &path, service);
    let mut names = HashSet::new();
    for (i, port) in spec.items("ports").iter().enumerate() {
        let named = spec.items("ports").len() > 1;
        validate_service_port(
            &mut out,
            &path.child("ports").index(i),
            port,
            named,
            &mut names,
        );
    }
    selector::validate_labels(&mut out, &path.child("selector"), spec.at("selector"));
    validate_affinity(&mut out, &path, spec);
    out.extend(validate_cluster_ips(service));
    for (i, address) in spec.items("externalIPs").iter().enumerate() {
        let (at, address) = (
            path.child("externalIPs").index(i),
            address.as_str().unwrap_or_default(),
        );
        match format::ip(address) {
            Some(wrong) => out.invalid(&at, address, &wrong),
            None => out.invalid_each(&at, address, format::non_special_ip(address)),
        }
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    required_of(&mut out, &path.child("type"), kind, &kinds);
    validate_port_numbers(&mut out, &path.child("ports"), spec);
    validate_balancer(&mut out, &path, service);
    validate_traffic(&mut out, &path, service);
    out
}

fn required_of(out: &mut Problems, path: &Path, value: &str, allowed: &[&str]) {
    if value.is_empty() {
        out.required(path, "");
    } else if !allowed.contains(&value) {
        out.unsupported(path, value, allowed);
    }
}

fn validate_annotations(out: &mut Problems, service: &Value) {
    let annotations = service.at("metadata").at("annotations");
    if let (Some(hints), Some(mode)) = (
        annotations.opt_text(TOPOLOGY_HINTS),
        annotations.opt_text(TOPOLOGY_MODE),
    ) && hints != mode
    {
        let at = Path::new("metadata")
            .child("annotations")
            .key(TOPOLOGY_MODE);
        out.invalid(
            &at,
            mode,
            &format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified"),
        );
    }
}

fn validate_kind(out: &mut Problems, path: &Path, service: &Value) {
    let spec = service.at("spec");
    let kind = spec.text("type");
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(service) => {
            let at = path.child("clusterIPs").index(0);
            out.invalid(
                &at,
                "None",
                &format!("may not be set to 'None' for {kind} services"),
            );
        }
        "ExternalName" => {
            for name in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !crate::resources::tree::is_unset(spec.at(name)) {
                    out.forbidden(
                        &path.child(name),
                        "may not be set for ExternalName services",
                    );
                }
            }
            let name = spec.text("externalName");
            match name.strip_suffix('.').unwrap_or(name) {
                "" => out.required(&path.child("externalName"), ""),
                name => out.dns_subdomain(&path.child("externalName"), name),
            }
        }
        _ => {}
    }
}

fn validate_service_port<'a>(
    out: &mut Problems,
    path: &Path,
    port: &'a Value,
    named: bool,
    names: &mut HashSet<&'a str>,
) {
    let name = port.text("name");
    if !name.is_empty() {
        out.dns_label(&path.child("name"), name);
        if !names.insert(name) {
            out.duplicate(&path.child("name"), name);
        }
    } else if named {
        out.required(&path.child("name"), "");
    }
    let number = port.int("port");
    out.invalid_each(&path.child("port"), number, format::port_number(number));
    required_of(
        out,
        &path.child("protocol"),
        port.text("protocol"),
        &PROTOCOLS,
    );
    validate_port(out, &path.child("targetPort"), port.at("targetPort"));
    if let Some(protocol) = port.opt_text("appProtocol") {
        out.qualified_name(&path.child("appProtocol"), protocol);
    }
}

fn validate_affinity(out: &mut Problems, path: &Path, spec: &Value) {
    let affinity = spec.text("sessionAffinity");
    required_of(
        out,
        &path.child("sessionAffinity"),
        affinity,
        &["ClientIP", "None"],
    );
    let (at, config) = (
        path.child("sessionAffinityConfig"),
        spec.at("sessionAffinityConfig"),
    );
    match affinity {
        "ClientIP" => {
            let detail = "when session affinity type is ClientIP";
            let client = config.at("clientIP");
            let timeout = at.child("clientIP").child("timeoutSeconds");
            if config.is_null() {
                out.required(&at, detail);
            } else if client.is_null() {
                out.required(&at.child("clientIP"), detail);
            } else if let Some(seconds) = client.opt_int("timeoutSeconds") {
                if !(1..=MAX_AFFINITY_SECONDS).contains(&seconds) {
                    let detail =
                        format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}");
                    out.invalid(&timeout, seconds, &detail);
                }
            } else {
                out.required(&timeout, detail);
            }
        }
        "None" if !config.is_null() => {
            out.forbidden(&at, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

fn validate_port_numbers(out: &mut Problems, path: &Path, spec: &Value) {
    let ports = spec.items("ports");
    if spec.text("type") == "ClusterIP" {
        for (i, _) in ports
            .iter()
            .enumerate()
            .filter(|(_, port)| port.int("nodePort") != 0)
        {
            out.forbidden(
                &path.index(i).child("nodePort"),
                "may not be used when `type` is 'ClusterIP'",
            );
        }
    }
    let mut taken = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        let number = port.int("nodePort");
        if number != 0 && !taken.insert((port.text("protocol"), number)) {
            out.duplicate(&path.index(i).child("nodePort"), number);
        }
    }
    let mut taken = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        let (protocol, number) = (port.text("protocol"), port.int("port"));
        if !taken.insert((protocol, number)) {
            let shown = go_form::compact(
                "ServicePort",
                &json!({ "protocol": protocol, "port": number }),
            );
            out.duplicate_raw(&path.index(i), shown, "");
        }
    }
}

fn validate_balancer(out: &mut Problems, path: &Path, service: &Value) {
    let spec = service.at("spec");
    let balancer = spec.text("type") == "LoadBalancer";
    let ranges = spec.items("loadBalancerSourceRanges");
    if !ranges.is_empty() {
        let at = path.child("LoadBalancerSourceRanges");
        if !balancer {
            out.forbidden(&at, ONLY_BALANCERS);
        }
        for (i, range) in ranges.iter().enumerate() {
            let range = range.as_str().unwrap_or_default().trim();
            out.invalid_each(&at.index(i), range, format::cidr(range));
        }
    } else if let Some(ranges) = service
        .at("metadata")
        .at("annotations")
        .opt_text(SOURCE_RANGES)
    {
        let at = Path::new("metadata")
            .child("annotations")
            .key(SOURCE_RANGES);
        if !balancer {
            out.forbidden(&at, ONLY_BALANCERS);
        }
        for range in ranges
            .split(',')
            .map(str::trim)
            .filter(|_| !ranges.trim().is_empty())
        {
            out.invalid_each(&at, range, format::cidr(range));
        }
    }
    if spec.has("allocateLoadBalancerNodePorts") && !balancer {
        out.forbidden(&path.child("allocateLoadBalancerNodePorts"), ONLY_BALANCERS);
    }
    if balancer && !spec.has("allocateLoadBalancerNodePorts") {
        out.required(&Path::new("allocateLoadBalancerNodePorts"), "");
    }
}

/// The class of a load balancer; on an update it may not change.
fn validate_class(out: &mut Problems, new: &Value, old: Option<&Value>) {
    let (spec, path) = (new.at("spec"), Path::new("spec").child("loadBalancerClass"));
    let class = spec.at("loadBalancerClass");
    let balancer = spec.text("type") == "LoadBalancer";
    if let Some(before) = old.map(|old| old.at("spec"))
        && balancer
        && before.text("type") == "LoadBalancer"
        && class != before.at("loadBalancerClass")
    {
        out.invalid(&path, class, "may not change once set");
    }
    match class.as_str() {
        Some(class) if balancer => out.qualified_name(&path, class),
        Some(_) => out.forbidden(&path, ONLY_BALANCERS),
        None => {}
    }
}

fn validate_traffic(out: &mut Problems, path: &Path, service: &Value) {
    let spec = service.at("spec");
    let (at, policy) = (
        path.child("externalTrafficPolicy"),
        spec.text("externalTrafficPolicy"),
    );
    if is_external(service) {
        required_of(out, &at, policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        out.invalid(
            &at,
            policy,
            "may only be set for externally-accessible services",
        );
    }
    let (at, port) = (
        path.child("healthCheckNodePort"),
        spec.int("healthCheckNodePort"),
    );
    if port != 0 && needs_health_check(service) {
        out.invalid_each(&at, port, format::port_number(port));
    } else if port != 0 {
        let detail =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        out.invalid(&at, port, detail);
    }
    let (at, internal) = (
        path.child("internalTrafficPolicy"),
        spec.opt_text("internalTrafficPolicy"),
    );
    match internal {
        None if spec.text("type") != "ExternalName" && super::needs_cluster_ip(service) => {
            out.required(&at, "")
        }
        Some(policy) if !["Cluster", "Local"].contains(&policy) => {
            out.unsupported(&at, policy, &["Cluster", "Local"]);
        }
        _ => {}
    }
    let distributions = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    if let Some(distribution) = spec.opt_text("trafficDistribution")
        && !distributions.contains(&distribution)
    {
        out.unsupported(
            &path.child("trafficDistribution"),
            distribution,
            &distributions,
        );
    }
}

/// Problems of a service whose status was written.
pub fn validate_status(new: &Value, old: &Value) -> Problems {
    let mut out = meta::validate_update(new, old);
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let ingress = new.at("status").at("loadBalancer").items("ingress");
    if new.at("spec").text("type") != "LoadBalancer" && !ingress.is_empty() {
        out.forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'");
        return out;
    }
    for (i, entry) in ingress.iter().enumerate() {
        let (at, address, host) = (path.index(i), entry.text("ip"), entry.text("hostname"));
        if !address.is_empty() {
            out.invalid_each(&at.child("ip"), address, format::ip(address));
        }
        match entry.opt_text("ipMode") {
            None if !address.is_empty() => {
                out.required(&at.child("ipMode"), "must be specified when `ip` is set");
            }
            Some(_) if address.is_empty() => {
                out.forbidden(
                    &at.child("ipMode"),
                    "may not be specified when `ip` is not set",
                );
            }
            Some(mode) if !["Proxy", "VIP"].contains(&mode) => {
                out.unsupported(&at.child("ipMode"), mode, &["Proxy", "VIP"]);
            }
            _ => {}
        }
        if !host.is_empty() {
            out.dns_subdomain(&at.child("hostname"), host);
            if format::parse_ip(host).is_some() {
                out.invalid(
                    &at.child("hostname"),
                    host,
                    "must be a DNS name, not an IP address",
                );
            }
        }
    }
    out
}
