//! What of a pod's status may change.

use std::collections::HashSet;

use serde_json::Value;

use super::annotations;
use crate::resources::meta::{self, NameRule};
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;
use crate::resources::{format, go_form};

/// Problems of a pod whose status was written.
pub fn validate_status(new: &Value, old: &Value) -> Problems {
    let mut out = meta::validate_update(new, old);
    let meta_path = Path::new("metadata");
    annotations::validate_update(&mut out, &meta_path.child("annotations"), new, old);
    let (status, before, path) = (new.at("status"), old.at("status"), Path::new("status"));
    for (i, condition) in status.items("conditions").iter().enumerate() {
        let kind = condition.text("type");
        if !["PodScheduled", "Ready", "Initialized"].contains(&kind) {
            out.qualified_name(&path.child("conditions").index(i).child("Type"), kind);
        }
    }
    if new.at("spec").text("nodeName") != old.at("spec").text("nodeName") {
        out.forbidden(&path.child("nodeName"), "may not be changed directly");
    }
    let nominated = status.text("nominatedNodeName");
    if nominated != before.text("nominatedNodeName") && !nominated.is_empty() {
        let wrong = NameRule::Subdomain.check(nominated, false);
        out.invalid_each(&path.child("nominatedNodeName"), nominated, wrong);
    }
    meta::validate_immutable(
        &mut out,
        &path.child("qosClass"),
        status.at("qosClass"),
        before.at("qosClass"),
    );
    let spec = old.at("spec");
    for list in [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ] {
        validate_transitions(&mut out, &path.child(list), list, status, before, spec);
    }
    validate_pod_ips(&mut out, &path.child("podIPs"), status);
    validate_host_ips(&mut out, &path.child("hostIPs"), status);
    out
}

fn validate_transitions(
    out: &mut Problems,
    path: &Path,
    list: &str,
    new: &Value,
    old: &Value,
    spec: &Value,
) {
    let policy = if list.starts_with("ephemeral") {
        "Never"
    } else {
        spec.text("restartPolicy")
    };
    if policy == "Always" {
        return;
    }
    for (i, before) in old.items(list).iter().enumerate() {
        let terminated = before.at("state").at("terminated");
        if terminated.is_null() || (terminated.int("exitCode") != 0 && policy == "OnFailure") {
            continue;
        }
        let name = before.text("name");
        let restarts = ["initContainers", "containers"].iter().any(|containers| {
            spec.items(containers).iter().any(|container| {
                container.text("name") == name
                    && (matches!(container.text("restartPolicy"), "Always" | "OnFailure")
                        || !container.items("restartPolicyRules").is_empty())
            })
        });
        let back = new
            .items(list)
            .iter()
            .any(|after| after.text("name") == name && !after.at("state").has("terminated"));
        if back && !restarts {
            let detail = "may not be transitioned to non-terminated state";
            out.forbidden(&path.index(i).child("state"), detail);
        }
    }
}

fn validate_pod_ips(out: &mut Problems, path: &Path, status: &Value) {
    let addresses = status.items("podIPs");
    for (i, address) in addresses.iter().enumerate() {
        out.invalid_each(
            &path.index(i),
            address.text("ip"),
            format::ip(address.text("ip")),
        );
    }
    if addresses.len() > 1 {
        validate_families(out, path, "PodIP", addresses);
        validate_unique(out, path, "PodIP", addresses);
    }
}

fn validate_host_ips(out: &mut Problems, path: &Path, status: &Value) {
    let addresses = status.items("hostIPs");
    let Some(first) = addresses.first() else {
        return;
    };
    if status.text("hostIP") != first.text("ip") {
        out.invalid(
            &path.index(0).child("ip"),
            first.text("ip"),
            "must be equal to `hostIP`",
        );
    }
    for (i, address) in addresses.iter().enumerate() {
        out.invalid_each(
            &path.index(i),
            address.text("ip"),
            format::ip(address.text("ip")),
        );
    }
    if addresses.len() > 1 {
        validate_unique(out, path, "HostIP", addresses);
        validate_families(out, path, "HostIP", addresses);
    }
}

fn validate_families(out: &mut Problems, path: &Path, kind: &str, addresses: &[Value]) {
    let dual = format::is_dual_stack(addresses.iter().map(|address| address.text("ip")));
    if !dual || addresses.len() > 2 {
        let shown: Vec<String> = addresses
            .iter()
            .map(|address| go_form::compact(kind, address))
            .collect();
        let detail = "may specify no more than one IP for each IP family";
        out.invalid_raw(path, format!("[{}]", shown.join(",")), detail);
    }
}

fn validate_unique(out: &mut Problems, path: &Path, kind: &str, addresses: &[Value]) {
    let mut seen = HashSet::new();
    for (i, address) in addresses.iter().enumerate() {
        if !seen.insert(address.text("ip")) {
            out.duplicate_raw(&path.index(i), go_form::compact(kind, address), "");
        }
    }
}
