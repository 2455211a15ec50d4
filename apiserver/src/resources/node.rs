//! Rules of Nodes.

use std::collections::{BTreeSet, HashSet};

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pod::validation::{validate_quantity, validate_taint_effect};
use super::problems::{Path, Problems};
use super::table::{self, Column, Row, or_none};
use super::tree::{Tree, child, copy, set};
use super::{Context, Rules, Strategy, format, go_form, meta, selector};

/// Rules of Nodes.
pub struct Node;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text(
        "Status",
        "Whether the node is ready, and whether new pods may go there.",
    ),
    Column::text("Roles", "Roles, from the node's labels."),
    Column::AGE,
    Column::text("Version", "Version of the node's kubelet."),
    Column::text("Internal-IP", "Address inside the cluster.").wide(),
    Column::text("External-IP", "Address from outside.").wide(),
    Column::text("OS-Image", "Operating system.").wide(),
    Column::text("Kernel-Version", "Kernel of the operating system.").wide(),
    Column::text("Container-Runtime", "What runs the node's containers.").wide(),
];

impl Rules for Node {
    fn default(&self, object: &mut Value) {
        sync_pod_cidrs(object);
        let Some(status) = object.get_mut("status") else {
            return;
        };
        if !status.has("allocatable") && status.has("capacity") {
            let capacity = status.at("capacity").clone();
            set(status, "allocatable", capacity);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, self.name_rule());
        validate_taints(&mut out, new);
        validate_quantities(&mut out, new);
        validate_pod_cidrs(&mut out, new);
        out.into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        copy(new, old, "status");
        meta::next_generation(new, old, false);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = self.validate_change(new, old);
        validate_pod_cidrs(&mut out, new);
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        self.validate_change(new, old).into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let info = object.at("status").at("nodeInfo");
        let known = |name: &str| match info.text(name) {
            "" => "<unknown>".to_owned(),
            text => text.to_owned(),
        };
        let kernel = match info.text("architecture") {
            "" => known("kernelVersion"),
            architecture => format!("{} ({architecture})", known("kernelVersion")),
        };
        vec![
            table::name(object),
            status(object).into(),
            or_none(&roles(object)).into(),
            table::age(object, now),
            info.text("kubeletVersion").into(),
            or_none(address(object, "InternalIP")).into(),
            or_none(address(object, "ExternalIP")).into(),
            known("osImage").into(),
            kernel.into(),
            known("containerRuntimeVersion").into(),
        ]
        .into()
    }
}

impl Node {
    fn validate_change(&self, new: &Value, old: &Value) -> Problems {
        let mut out = meta::validate_update(new, old);
        validate_quantities(&mut out, new);
        let path = Path::new("status").child("addresses");
        let mut seen = HashSet::new();
        for (i, address) in new.at("status").items("addresses").iter().enumerate() {
            if !seen.insert((address.text("type"), address.text("address"))) {
                out.duplicate_raw(&path.index(i), go_form::compact("NodeAddress", address), "");
            }
        }
        let (path, after, before) = (Path::new("spec"), new.at("spec"), old.at("spec"));
        let cidrs = before.items("podCIDRs");
        if !cidrs.is_empty() && cidrs != after.items("podCIDRs") {
            let detail = "node updates may not change podCIDR except from \"\" to valid";
            out.forbidden(&path.child("podCIDRs"), detail);
        }
        let provider = before.text("providerID");
        if !provider.is_empty() && provider != after.text("providerID") {
            let detail = "node updates may not change providerID except from \"\" to valid";
            out.forbidden(&path.child("providerID"), detail);
        }
        validate_taints(&mut out, new);
        if after.text("externalID") != before.text("externalID") {
            out.forbidden(&path.child("externalID"), "may not be updated");
        }
        out
    }
}

/// The singular field wins over the first of the plural one.
fn sync_pod_cidrs(node: &mut Value) {
    let Some(spec) = child(node, "spec") else {
        return;
    };
    let single = spec.text("podCIDR").to_owned();
    let first = spec
        .items("podCIDRs")
        .first()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if !single.is_empty() && single != first {
        set(spec, "podCIDRs", json!([single]));
    } else if single.is_empty() && !first.is_empty() {
        set(spec, "podCIDR", first);
    }
}

fn validate_taints(out: &mut Problems, node: &Value) {
    let path = Path::new("metadata").child("taints");
    let mut seen = HashSet::new();
    for (i, taint) in node.at("spec").items("taints").iter().enumerate() {
        let at = path.index(i);
        let (key, value, effect) = (taint.text("key"), taint.text("value"), taint.text("effect"));
        selector::validate_label_name(out, &at.child("key"), key);
        let wrong = names::label_value(value);
        if !wrong.is_empty() {
            out.invalid(&at.child("value"), value, &wrong.join(";"));
        }
        validate_taint_effect(out, &at.child("effect"), effect);
        if !seen.insert((key, effect)) {
            let shown = go_form::compact("Taint", taint);
            out.duplicate_raw(&at, shown, "taints must be unique by key and effect pair");
        }
    }
}

fn validate_quantities(out: &mut Problems, node: &Value) {
    for list in ["capacity", "allocatable"] {
        for (name, quantity) in node.at("status").entries(list) {
            let path = Path::new("status").child(list).child(name);
            validate_quantity(out, &path, name, quantity);
        }
    }
}

fn validate_pod_cidrs(out: &mut Problems, node: &Value) {
    let (path, list) = (
        Path::new("spec").child("podCIDRs"),
        node.at("spec").at("podCIDRs"),
    );
    let cidrs: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (i, cidr) in cidrs.iter().enumerate() {
        out.invalid_each(&path.index(i), *cidr, format::cidr(cidr));
    }
    if cidrs.len() < 2 {
        return;
    }
    let addresses = cidrs.iter().filter_map(|cidr| cidr.split('/').next());
    if !format::is_dual_stack(addresses) || cidrs.len() > 2 {
        out.invalid(
            &path,
            list,
            "may specify no more than one CIDR for each IP family",
        );
    }
    let mut seen = HashSet::new();
    for (i, cidr) in cidrs.iter().enumerate() {
        if !seen.insert(cidr) {
            out.duplicate(&path.index(i), *cidr);
        }
    }
}

fn status(node: &Value) -> String {
    let ready = node
        .at("status")
        .items("conditions")
        .iter()
        .find(|condition| condition.text("type") == "Ready");
    let mut parts = vec![match ready {
        Some(condition) if condition.text("status") == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if node.at("spec").flag("unschedulable") {
        parts.push("SchedulingDisabled");
    }
    parts.join(",")
}

fn roles(node: &Value) -> String {
    let roles: BTreeSet<&str> = node
        .at("metadata")
        .entries("labels")
        .filter_map(|(label, value)| match label {
            "kubernetes.io/role" => value.as_str().filter(|role| !role.is_empty()),
            _ => label
                .strip_prefix("node-role.kubernetes.io/")
                .filter(|role| !role.is_empty()),
        })
        .collect();
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let mut addresses = node.at("status").items("addresses").iter();
    addresses
        .find(|address| address.text("type") == kind)
        .map_or("", |address| address.text("address"))
}
