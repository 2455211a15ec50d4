//! Rules of Ingresses.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use jiff::Timestamp;
use serde_json::Value;

use super::validate_reference;
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::{Tree, is_unset};
use crate::resources::{Context, Rules, Strategy, format, meta};

/// Rules of Ingresses.
pub struct Ingress;

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const NOT_A_NAME: &str = "must be a DNS name, not an IP address";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Class", "Class whose controller serves it."),
    Column::text("Hosts", "Hosts that its rules are for."),
    Column::text("Address", "Where its load balancer answers."),
    Column::text("Ports", "Ports that it opens."),
    Column::AGE,
];

impl Rules for Ingress {
    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, NameRule::Subdomain);
        validate_spec(&mut out, new.at("spec"), Leniency::default());
        let annotation = new
            .at("metadata")
            .at("annotations")
            .opt_text(CLASS_ANNOTATION);
        let class = new.at("spec").opt_text("ingressClassName");
        if let (Some(annotation), Some(class)) = (annotation, class)
            && annotation != class
        {
            let at = Path::new("annotations").child(CLASS_ANNOTATION);
            let detail = "must match `ingressClassName` when both are specified";
            out.invalid(&at, annotation, detail);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        out.extend(meta::validate_create(new, true, NameRule::Subdomain));
        validate_spec(&mut out, new.at("spec"), Leniency::towards(old.at("spec")));
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("status").child("loadBalancer").child("ingress");
        let entries = |object: &Value| {
            object
                .at("status")
                .at("loadBalancer")
                .items("ingress")
                .to_vec()
        };
        let before: Vec<String> = entries(old)
            .iter()
            .map(|entry| entry.text("ip").to_owned())
            .collect();
        for (i, entry) in entries(new).iter().enumerate() {
            let (at, ip, host) = (path.index(i), entry.text("ip"), entry.text("hostname"));
            if !ip.is_empty() && !before.iter().any(|old| old == ip) {
                out.invalid_each(&at.child("ip"), ip, format::ip(ip));
            }
            if !host.is_empty() {
                let at = at.child("hostname");
                out.dns_subdomain(&at, host);
                if format::parse_ip(host).is_some() {
                    out.invalid(&at, host, NOT_A_NAME);
                }
            }
        }
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        let annotated = new.at("metadata").at("annotations").has(CLASS_ANNOTATION);
        if old.is_none() && annotated && !new.at("spec").has("ingressClassName") {
            return vec![format!(
                "annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead"
            )];
        }
        Vec::new()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        let class = or_none(spec.text("ingressClassName"));
        let ports = if spec.items("tls").is_empty() {
            "80"
        } else {
            "80, 443"
        };
        vec![
            table::name(object),
            class.into(),
            hosts(spec.items("rules")).into(),
            addresses(object.at("status")).into(),
            ports.into(),
            table::age(object, now),
        ]
        .into()
    }
}

/// The first three hosts; rules without a host count among those that are left out.
fn hosts(rules: &[Value]) -> String {
    let mut shown: Vec<&str> = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= shown.len() == 3;
        if !more && !rule.text("host").is_empty() {
            shown.push(rule.text("host"));
        }
    }
    match (shown.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, false) => shown.join(","),
        (false, true) => format!("{} + {} more...", shown.join(","), rules.len() - 3),
    }
}

fn addresses(status: &Value) -> String {
    let entries = status.at("loadBalancer").items("ingress");
    let mut all: Vec<&str> = entries
        .iter()
        .map(|entry| match entry.text("ip") {
            "" => entry.text("hostname"),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    all.sort_unstable();
    all.dedup();
    all.join(",")
}

/// What is let pass because the object had it before.
#[derive(Clone, Copy, Default)]
struct Leniency {
    secret_names: bool,
    wildcard_rules: bool,
}

impl Leniency {
    fn towards(old: &Value) -> Leniency {
        let bad_secret = |tls: &Value| {
            let name = tls.text("secretName");
            !name.is_empty() && !names::dns1123_subdomain(name).is_empty()
        };
        let bad_wildcard = |rule: &Value| {
            let mut out = Problems::default();
            validate_paths(&mut out, &Path::root(), rule);
            rule.text("host").contains('*') && !out.is_empty()
        };
        Leniency {
            secret_names: old.items("tls").iter().any(bad_secret),
            wildcard_rules: old.items("rules").iter().any(bad_wildcard),
        }
    }
}

fn validate_spec(out: &mut Problems, spec: &Value, leniency: Leniency) {
    let path = Path::new("spec");
    let rules = spec.items("rules");
    if rules.is_empty() && !spec.has("defaultBackend") {
        let detail = "either `defaultBackend` or `rules` must be specified";
        out.invalid(&path, &Value::Null, detail);
    }
    if spec.has("defaultBackend") {
        validate_backend(
            out,
            &path.child("defaultBackend"),
            spec.at("defaultBackend"),
        );
    }
    for (i, rule) in rules.iter().enumerate() {
        let (at, host) = (path.child("rules").index(i), rule.text("host"));
        if format::parse_ip(host).is_some() {
            out.invalid(&at.child("host"), host, NOT_A_NAME);
        }
        if !host.is_empty() {
            validate_host(out, &at.child("host"), host);
        }
        if !(host.contains('*') && leniency.wildcard_rules) {
            validate_paths(out, &at, rule);
        }
    }
    for (i, tls) in spec.items("tls").iter().enumerate() {
        let (at, secret) = (path.child("tls").index(i), tls.text("secretName"));
        for (j, host) in tls.items("hosts").iter().enumerate() {
            let host = host.as_str().unwrap_or_default();
            validate_host(out, &at.child("hosts").index(j), host);
        }
        if !secret.is_empty() && !leniency.secret_names {
            out.dns_subdomain(&at.child("secretName"), secret);
        }
    }
    if let Some(class) = spec.opt_text("ingressClassName") {
        out.dns_subdomain(&path.child("ingressClassName"), class);
    }
}

fn validate_host(out: &mut Problems, path: &Path, host: &str) {
    if host.contains('*') {
        out.invalid_each(path, host, names::wildcard_dns1123_subdomain(host));
    } else {
        out.dns_subdomain(path, host);
    }
}

fn validate_paths(out: &mut Problems, path: &Path, rule: &Value) {
    if !rule.has("http") {
        return;
    }
    let at = path.child("http").child("paths");
    let paths = rule.at("http").items("paths");
    if paths.is_empty() {
        out.required(&at, "");
    }
    for (i, path) in paths.iter().enumerate() {
        validate_path(out, &at.index(i), path);
    }
}

fn validate_path(out: &mut Problems, path: &Path, entry: &Value) {
    let (at, text) = (path.child("path"), entry.text("path"));
    let absolute = text.starts_with('/');
    match entry.opt_text("pathType") {
        None => return out.required(&path.child("pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !absolute {
                out.invalid(&at, text, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.contains(part) {
                    out.invalid(&at, text, &format!("must not contain '{part}'"));
                }
            }
            for end in ["/..", "/."] {
                if text.ends_with(end) {
                    out.invalid(&at, text, &format!("cannot end with '{end}'"));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !text.is_empty() && !absolute {
                out.invalid(&at, text, "must be an absolute path");
            }
        }
        Some(other) => out.unsupported(&path.child("pathType"), other, &PATH_TYPES),
    }
    validate_backend(out, &path.child("backend"), entry.at("backend"));
}

fn validate_backend(out: &mut Problems, path: &Path, backend: &Value) {
    let service = backend.at("service");
    match (backend.has("resource"), backend.has("service")) {
        (true, true) => out.invalid(path, "", "cannot set both resource and service backends"),
        (true, false) => {
            validate_reference(out, &path.child("resource"), backend.at("resource"));
        }
        (false, true) => validate_service(out, path, service),
        (false, false) => out.invalid(path, "", "resource or service backend is required"),
    }
}

fn validate_service(out: &mut Problems, path: &Path, service: &Value) {
    let at = path.child("service");
    match service.text("name") {
        "" => out.required(&at.child("name"), ""),
        name => out.invalid_each(&at.child("name"), name, names::dns1123_label(name)),
    }
    let (at, port) = (at.child("port"), service.at("port"));
    let (name, number) = (port.text("name"), port.int("number"));
    match (!name.is_empty(), !is_unset(port.at("number"))) {
        (true, true) => out.invalid(path, "", "cannot set both port name & port number"),
        (true, false) => out.invalid_each(&at.child("name"), name, format::port_name(name)),
        (false, true) => {
            out.invalid_each(&at.child("number"), number, format::port_number(number));
        }
        (false, false) => out.required(path, "port name or number is required"),
    }
}
