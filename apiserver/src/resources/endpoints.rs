//! Rules of Endpoints, EndpointSlices and IPAddresses.

use std::collections::{BTreeMap, HashSet};

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::meta::{self, NameRule};
use super::pod::validation::PROTOCOLS;
use super::problems::{Path, Problems};
use super::table::{self, Column, Row, or_none};
use super::tree::{self, Tree, child, fill, fill_unset, items_mut, set};
use super::{Context, Rules, Strategy, format};

/// Rules of Endpoints.
pub struct Endpoints;

/// Rules of EndpointSlices.
pub struct EndpointSlice;

/// Rules of IPAddresses.
pub struct IpAddress;

impl Rules for Endpoints {
    fn default(&self, object: &mut Value) {
        for subset in items_mut(object, "subsets") {
            for port in items_mut(subset, "ports") {
                fill_unset(port, "protocol", "TCP");
            }
        }
        repack(object);
    }

    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.making()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_endpoints(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        out.extend(validate_endpoints(new));
        out.into_errors()
    }

    fn deprecation(&self) -> Option<&'static str> {
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            Column::text("Endpoints", "Addresses and ports, the first of them."),
            Column::AGE,
        ];
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let mut all = Vec::new();
        for subset in object.items("subsets") {
            let ports = subset.items("ports");
            let addresses = || {
                subset
                    .items("addresses")
                    .iter()
                    .map(|address| address.text("ip"))
            };
            if ports.is_empty() {
                all.extend(addresses().map(str::to_owned));
            }
            for port in ports {
                all.extend(addresses().map(|address| join(address, port.int("port"))));
            }
        }
        vec![
            table::name(object),
            table::first_three(all, "<none>").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn join(address: &str, port: i64) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// Subsets with the same ports become one, with addresses in order and each in one list only.
fn repack(object: &mut Value) {
    if object.items("subsets").is_empty() {
        return;
    }
    type Addresses = BTreeMap<(String, String), (Value, bool)>;
    let mut by_ports: BTreeMap<String, (Value, Addresses)> = BTreeMap::new();
    for subset in object.items("subsets") {
        let mut ports = subset.items("ports").to_vec();
        ports.sort_by_key(ToString::to_string);
        let key = Value::from(ports.clone()).to_string();
        let (_, addresses) = by_ports
            .entry(key)
            .or_insert_with(|| (Value::from(ports), Addresses::new()));
        for (list, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            for address in subset.items(list) {
                let key = (
                    address.text("ip").to_owned(),
                    address.at("targetRef").text("uid").to_owned(),
                );
                let entry = addresses
                    .entry(key)
                    .or_insert_with(|| (address.clone(), ready));
                entry.1 &= ready;
            }
        }
    }
    let subsets: Vec<Value> = by_ports
        .into_values()
        .map(|(ports, addresses)| {
            let pick = |wanted: bool| -> Vec<Value> {
                addresses.values().filter(|(_, ready)| *ready == wanted).map(|(address, _)| address.clone()).collect()
            };
            let mut subset = json!({ "addresses": pick(true), "notReadyAddresses": pick(false), "ports": ports });
            if let Some(fields) = subset.as_object_mut() {
                fields.retain(|_, value| !tree::is_unset(value));
            }
            subset
        })
        .collect();
    set(object, "subsets", subsets);
}

fn validate_endpoints(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, true, NameRule::Subdomain);
    for (i, subset) in object.items("subsets").iter().enumerate() {
        let at = Path::new("subsets").index(i);
        if subset.items("addresses").is_empty() && subset.items("notReadyAddresses").is_empty() {
            out.required(&at, "must specify `addresses` or `notReadyAddresses`");
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (j, address) in subset.items(list).iter().enumerate() {
                validate_address(&mut out, &at.child(list).index(j), address);
            }
        }
        let ports = subset.items("ports");
        for (j, port) in ports.iter().enumerate() {
            let at = at.child("ports").index(j);
            match port.text("name") {
                "" if ports.len() > 1 => out.required(&at.child("name"), ""),
                "" => {}
                name => out.dns_label(&at.child("name"), name),
            }
            let number = port.int("port");
            out.invalid_each(&at.child("port"), number, format::port_number(number));
            validate_protocol(&mut out, &at, port);
        }
    }
    out
}

fn validate_address(out: &mut Problems, path: &Path, address: &Value) {
    let ip = address.text("ip");
    out.invalid_each(&path.child("ip"), ip, format::ip(ip));
    if !address.text("hostname").is_empty() {
        out.dns_label(&path.child("hostname"), address.text("hostname"));
    }
    if let Some(node) = address.opt_text("nodeName") {
        out.dns_subdomain(&path.child("nodeName"), node);
    }
    out.invalid_each(&path.child("ip"), ip, format::non_special_ip(ip));
}

fn validate_protocol(out: &mut Problems, path: &Path, port: &Value) {
    match port.text("protocol") {
        "" => out.required(&path.child("protocol"), ""),
        known if PROTOCOLS.contains(&known) => {}
        other => out.unsupported(&path.child("protocol"), other, &PROTOCOLS),
    }
    if let Some(protocol) = port.opt_text("appProtocol") {
        out.qualified_name(&path.child("appProtocol"), protocol);
    }
}

const MAX_ENDPOINTS: usize = 1000;
const MAX_PORTS: usize = 20000;
const MAX_ADDRESSES: usize = 100;

impl Rules for EndpointSlice {
    fn default(&self, object: &mut Value) {
        for port in items_mut(object, "ports") {
            fill(port, "name", "");
            fill_unset(port, "protocol", "TCP");
        }
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        meta::first_generation(new);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_slice(new).into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        let contents = |object: &Value| {
            let mut object = object.clone();
            for name in ["metadata", "kind", "apiVersion"] {
                tree::remove(&mut object, name);
            }
            object
        };
        let labels = |object: &Value| object.at("metadata").at("labels").clone();
        let changed =
            !tree::same(&contents(new), &contents(old)) || !tree::same(&labels(new), &labels(old));
        meta::next_generation(new, old, changed);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        out.extend(validate_slice(new));
        let path = Path::new("addressType");
        meta::validate_immutable(
            &mut out,
            &path,
            new.at("addressType"),
            old.at("addressType"),
        );
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            Column::text("AddressType", "Family of the addresses."),
            Column::text("Ports", "Ports, the first of them."),
            Column::text("Endpoints", "Addresses, the first of them."),
            Column::AGE,
        ];
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let ports = object.items("ports").iter().map(|port| {
            match (port.opt_int("port"), port.text("name")) {
                (Some(number), _) => number.to_string(),
                (None, "") => "*".to_owned(),
                (None, name) => name.to_owned(),
            }
        });
        let addresses = object
            .items("endpoints")
            .iter()
            .flat_map(|endpoint| endpoint.items("addresses"));
        let addresses = addresses.filter_map(|address| address.as_str().map(str::to_owned));
        vec![
            table::name(object),
            object.text("addressType").into(),
            table::first_three(ports.collect(), "<unset>").into(),
            table::first_three(addresses.collect(), "<unset>").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_slice(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, true, NameRule::Subdomain);
    let kind = object.text("addressType");
    let kinds = ["FQDN", "IPv4", "IPv6"];
    if kind.is_empty() {
        out.required(&Path::new("addressType"), "");
    } else if !kinds.contains(&kind) {
        out.unsupported(&Path::new("addressType"), kind, &kinds);
    }
    let endpoints = object.items("endpoints");
    if endpoints.len() > MAX_ENDPOINTS {
        out.too_many(&Path::new("endpoints"), endpoints.len(), MAX_ENDPOINTS);
    } else {
        for (i, endpoint) in endpoints.iter().enumerate() {
            validate_endpoint(&mut out, &Path::new("endpoints").index(i), endpoint, kind);
        }
    }
    let ports = object.items("ports");
    if ports.len() > MAX_PORTS {
        out.too_many(&Path::new("ports"), ports.len(), MAX_PORTS);
        return out;
    }
    let mut names = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        let (at, name) = (Path::new("ports").index(i), port.text("name"));
        if !name.is_empty() {
            out.dns_label(&at.child("name"), name);
        }
        if !names.insert(name) {
            out.duplicate(&at.child("name"), name);
        }
        validate_protocol(&mut out, &at, port);
    }
    out
}

fn validate_endpoint(out: &mut Problems, path: &Path, endpoint: &Value, kind: &str) {
    let (at, addresses) = (path.child("addresses"), endpoint.items("addresses"));
    if addresses.is_empty() {
        out.required(&at, "must contain at least 1 address");
    } else if addresses.len() > MAX_ADDRESSES {
        out.too_many(&at, addresses.len(), MAX_ADDRESSES);
    }
    for (i, address) in addresses.iter().enumerate() {
        let (place, address) = (at.index(i), address.as_str().unwrap_or_default());
        if kind == "FQDN" {
            out.invalid_each(&place, address, format::domain_name(address));
            continue;
        }
        if !matches!(kind, "IPv4" | "IPv6") {
            continue;
        }
        match format::parse_ip(address) {
            None => out.invalid(&place, address, format::NOT_AN_IP),
            Some(parsed) => {
                if parsed.is_ipv4() != (kind == "IPv4") {
                    out.invalid(&at, address, &format!("must be an {kind} address"));
                }
                out.invalid_each(&place, address, format::non_special_ip(address));
            }
        }
    }
    if let Some(node) = endpoint.opt_text("nodeName") {
        out.dns_subdomain(&path.child("nodeName"), node);
    }
    let topology = path.child("deprecatedTopology");
    super::selector::validate_labels(out, &topology, endpoint.at("deprecatedTopology"));
    if endpoint
        .at("deprecatedTopology")
        .has("kubernetes.io/hostname")
    {
        let at = topology.key("kubernetes.io/hostname");
        out.invalid(
            &at,
            endpoint
                .at("deprecatedTopology")
                .text("kubernetes.io/hostname"),
            "may not be set unless nodeName is set to the same value",
        );
    }
    if let Some(host) = endpoint.opt_text("hostname") {
        out.dns_label(&path.child("hostname"), host);
    }
    validate_hints(out, &path.child("hints"), endpoint.at("hints"));
}

fn validate_hints(out: &mut Problems, path: &Path, hints: &Value) {
    for list in ["forZones", "forNodes"] {
        let mut seen = HashSet::new();
        for (i, hint) in hints.items(list).iter().enumerate() {
            let (at, name) = (path.child(list).index(i).child("name"), hint.text("name"));
            if !seen.insert(name) {
                out.duplicate(&at, name);
            }
            match list {
                "forZones" => super::selector::validate_labels(out, &at, &json!({ "zone": name })),
                _ => out.dns_subdomain(&at, name),
            }
        }
    }
}

impl Rules for IpAddress {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, NameRule::IpAddress);
        validate_parent(&mut out, new);
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_parent(&mut out, new);
        let path = Path::new("spec").child("parentRef");
        let (after, before) = (
            new.at("spec").at("parentRef"),
            old.at("spec").at("parentRef"),
        );
        meta::validate_immutable(&mut out, &path, after, before);
        out.into_errors()
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        child(new, "spec");
    }

    fn name_rule(&self) -> NameRule {
        NameRule::IpAddress
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            Column::text("ParentRef", "What the address belongs to."),
            Column::text("Age", "Time since the server created the object."),
        ];
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let parent = object.at("spec").at("parentRef");
        let (group, resource) = (parent.text("group"), parent.text("resource"));
        let resource = if group.is_empty() {
            resource.to_owned()
        } else {
            format!("{resource}.{group}")
        };
        let parts = [
            resource.as_str(),
            parent.text("namespace"),
            parent.text("name"),
        ];
        let shown = parts
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/");
        vec![
            table::name(object),
            or_none(&shown).into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_parent(out: &mut Problems, object: &Value) {
    let (path, parent) = (
        Path::new("spec").child("parentRef"),
        object.at("spec").at("parentRef"),
    );
    if parent.is_null() {
        return out.required(&path, "");
    }
    if !parent.text("group").is_empty() {
        out.dns_subdomain(&path.child("group"), parent.text("group"));
    }
    for name in ["resource", "name"] {
        match parent.text(name) {
            "" => out.required(&path.child(name), ""),
            text => out.invalid_each(&path.child(name), text, format::path_segment(text)),
        }
    }
    if !parent.text("namespace").is_empty() {
        let namespace = parent.text("namespace");
        out.invalid_each(
            &path.child("namespace"),
            namespace,
            format::path_segment(namespace),
        );
    }
}
