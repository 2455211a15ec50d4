//! Rules of NetworkPolicies.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resources::meta::NameRule;
use crate::resources::pod::validation::PROTOCOLS;
use crate::resources::problems::{Path, Problems};
use crate::resources::selector::{self, validate_label_selector};
use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::{Tree, child, fill, items_mut, set};
use crate::resources::{Context, Rules, Strategy, format, meta};

/// Rules of NetworkPolicies.
pub struct NetworkPolicy;

/// The rules of one direction, and what they call the other side.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];
const TYPES: [&str; 2] = ["Ingress", "Egress"];

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Pod-Selector", "Pods that the policy is for."),
    Column::AGE,
];

impl Rules for NetworkPolicy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        for (direction, _) in DIRECTIONS {
            for rule in items_mut(spec, direction) {
                for port in items_mut(rule, "ports") {
                    fill(port, "protocol", "TCP");
                }
            }
        }
        if spec.items("policyTypes").is_empty() {
            let types = match spec.items("egress") {
                [] => json!(["Ingress"]),
                _ => json!(TYPES),
            };
            set(spec, "policyTypes", types);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::GENERATION
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, NameRule::Subdomain);
        validate_spec(&mut out, new.at("spec"), &[]);
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"), &networks(old.at("spec")));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let pods = selector::to_text(object.at("spec").at("podSelector"));
        vec![
            table::name(object),
            or_none(&pods).into(),
            table::age(object, now),
        ]
        .into()
    }
}

/// Every network that a policy names.
fn networks(spec: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (direction, peers) in DIRECTIONS {
        let rules = spec.items(direction).iter();
        for block in rules
            .flat_map(|rule| rule.items(peers))
            .map(|peer| peer.at("ipBlock"))
        {
            all.push(block.text("cidr").to_owned());
            let except = block.items("except").iter();
            all.extend(except.filter_map(|cidr| cidr.as_str().map(str::to_owned)));
        }
    }
    all
}

/// `known` are networks that the policy had before: they stay, whatever they look like.
fn validate_spec(out: &mut Problems, spec: &Value, known: &[String]) {
    let path = Path::new("spec");
    validate_label_selector(out, &path.child("podSelector"), spec.at("podSelector"));
    for (direction, peers) in DIRECTIONS {
        for (i, rule) in spec.items(direction).iter().enumerate() {
            let at = path.child(direction).index(i);
            for (j, port) in rule.items("ports").iter().enumerate() {
                validate_port(out, &at.child("ports").index(j), port);
            }
            for (j, peer) in rule.items(peers).iter().enumerate() {
                validate_peer(out, &at.child(peers).index(j), peer, known);
            }
        }
    }
    let (at, types) = (path.child("policyTypes"), spec.items("policyTypes"));
    if types.len() > TYPES.len() {
        let detail = "may not specify more than two policyTypes";
        return out.invalid(&at, spec.at("policyTypes"), detail);
    }
    for (i, kind) in types.iter().enumerate() {
        let kind = kind.as_str().unwrap_or_default();
        if !TYPES.contains(&kind) {
            out.unsupported(&at.index(i), kind, &TYPES);
        }
    }
}

fn validate_port(out: &mut Problems, path: &Path, port: &Value) {
    if let Some(protocol) = port.opt_text("protocol")
        && !PROTOCOLS.contains(&protocol)
    {
        out.unsupported(&path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]);
    }
    let (at, end_at, end) = (
        path.child("port"),
        path.child("endPort"),
        port.opt_int("endPort"),
    );
    match (port.at("port"), end) {
        (Value::Null, Some(end)) => {
            let detail = "may not be specified when `port` is not specified";
            out.invalid(&end_at, end, detail);
        }
        (Value::Null, None) => {}
        (Value::String(name), end) => {
            if let Some(end) = end {
                let detail = "may not be specified when `port` is non-numeric";
                out.invalid(&end_at, end, detail);
            }
            out.invalid_each(&at, name, format::port_name(name));
        }
        (number, end) => {
            let number = number.as_i64().unwrap_or_default();
            out.invalid_each(&at, number, format::port_number(number));
            if let Some(end) = end {
                if end < number {
                    // Upstream shows the port.
                    let detail = "must be greater than or equal to `port`";
                    out.invalid(&end_at, number, detail);
                }
                out.invalid_each(&end_at, end, format::port_number(end));
            }
        }
    }
}

fn validate_peer(out: &mut Problems, path: &Path, peer: &Value, known: &[String]) {
    let mut kinds = 0;
    for name in ["podSelector", "namespaceSelector"] {
        if peer.has(name) {
            kinds += 1;
            validate_label_selector(out, &path.child(name), peer.at(name));
        }
    }
    if peer.has("ipBlock") {
        kinds += 1;
        validate_block(out, &path.child("ipBlock"), peer.at("ipBlock"), known);
    }
    if kinds == 0 {
        out.required(path, "must specify a peer");
    } else if kinds > 1 && peer.has("ipBlock") {
        out.forbidden(path, "may not specify both ipBlock and another peer");
    }
}

fn validate_block(out: &mut Problems, path: &Path, block: &Value, known: &[String]) {
    let (at, cidr) = (path.child("cidr"), block.text("cidr"));
    if cidr.is_empty() {
        return out.required(&at, "");
    }
    let check = |out: &mut Problems, at: &Path, cidr: &str| {
        if !known.iter().any(|known| known == cidr) {
            out.invalid_each(at, cidr, format::cidr(cidr));
        }
    };
    check(out, &at, cidr);
    let Some(whole) = format::parse_cidr(cidr) else {
        return;
    };
    for (i, part) in block.items("except").iter().enumerate() {
        let (at, part) = (
            path.child("except").index(i),
            part.as_str().unwrap_or_default(),
        );
        check(out, &at, part);
        if format::parse_cidr(part).is_some_and(|part| !format::is_strictly_inside(part, whole)) {
            out.invalid(&at, part, "must be a strict subset of `cidr`");
        }
    }
}
