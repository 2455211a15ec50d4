//! Validation of the addresses of Services and of their families.

use std::collections::HashSet;

use serde_json::Value;

use super::is_headless;
use crate::resources::format;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{Tree, same};

/// Addresses, families and policy, each for itself and against each other.
pub fn validate_cluster_ips(service: &Value) -> Problems {
    let mut out = Problems::default();
    let (spec, path) = (service.at("spec"), Path::new("spec"));
    if spec.text("type") == "ExternalName" {
        return out;
    }
    let (single, list, at) = (
        spec.text("clusterIP"),
        spec.items("clusterIPs"),
        path.child("clusterIPs"),
    );
    let shown = spec.at("clusterIPs");
    match (single, list.first()) {
        ("", Some(_)) => out.invalid(
            &at,
            shown,
            "must be empty when `clusterIP` is not specified",
        ),
        ("", None) => {}
        (_, None) => out.required(&at, ""),
        (single, Some(first)) if first != single => {
            out.invalid(&at, shown, "first value must match `clusterIP`");
        }
        _ => {}
    }
    let mut seen = HashSet::new();
    for (i, family) in spec.items("ipFamilies").iter().enumerate() {
        let (at, family) = (
            path.child("ipFamilies").index(i),
            family.as_str().unwrap_or_default(),
        );
        if !["IPv4", "IPv6"].contains(&family) {
            out.unsupported(&at, family, &["IPv4", "IPv6"]);
        }
        if !seen.insert(family) {
            out.duplicate(&at, family);
        }
    }
    if let Some(policy) = spec.opt_text("ipFamilyPolicy") {
        let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        if !policies.contains(&policy) {
            out.unsupported(&path.child("ipFamilyPolicy"), policy, &policies);
        }
    }
    let addresses: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    let mut malformed = false;
    for (i, address) in addresses.iter().enumerate() {
        if i == 0 && *address == "None" {
            if addresses.len() > 1 {
                malformed = true;
                out.invalid(&at, shown, "'None' must be the first and only value");
            }
            continue;
        }
        let wrong = format::ip(address);
        malformed |= wrong.is_some();
        out.invalid_each(&at.index(i), *address, wrong);
    }
    if addresses.len() > 2 {
        out.invalid(&at, shown, "may only hold up to 2 values");
    }
    if malformed {
        return out;
    }
    if addresses.len() > 1 && !format::is_dual_stack(addresses.iter().copied()) {
        out.invalid(
            &at,
            shown,
            "may specify no more than one IP for each IP family",
        );
    }
    if !is_headless(service) {
        for (i, (address, family)) in addresses.iter().zip(spec.items("ipFamilies")).enumerate() {
            let v6 = format::parse_ip(address).is_some_and(|address| address.is_ipv6());
            let expected = family.as_str().unwrap_or_default();
            if (expected == "IPv4" && v6) || (expected == "IPv6" && !v6) {
                let detail =
                    format!("expected an {expected} value as indicated by `ipFamilies[{i}]`");
                out.invalid(&at.index(i), *address, &detail);
            }
        }
    }
    out
}

/// Addresses that were given out do not change.
pub fn validate_address_change(out: &mut Problems, new: &Value, old: &Value) {
    if [new, old]
        .iter()
        .any(|service| service.at("spec").text("type") == "ExternalName")
        || (is_headless(new) && is_headless(old))
    {
        return;
    }
    let path = Path::new("spec");
    let at = path.child("clusterIPs");
    let shown = new.at("spec").at("clusterIPs");
    let (after, before) = (
        new.at("spec").items("clusterIPs"),
        old.at("spec").items("clusterIPs"),
    );
    const CHANGED: &str = "may not change once set";
    if after.len() == before.len() {
        for (i, _) in before
            .iter()
            .zip(after)
            .enumerate()
            .filter(|(_, (before, after))| before != after)
        {
            out.invalid(&at.index(i), shown, CHANGED);
        }
    } else {
        if after.is_empty() {
            out.invalid(&at.index(0), shown, "primary clusterIP can not be unset");
        }
        if let (Some(first), Some(former)) = (after.first(), before.first())
            && first != former
        {
            out.invalid(&at.index(0), shown, CHANGED);
        }
        let policy = new.at("spec").at("ipFamilyPolicy");
        if before.len() > after.len() && after.len() == 1 && policy != "SingleStack" {
            let detail = "must be set to 'SingleStack' when releasing the secondary clusterIP";
            out.invalid(&path.child("ipFamilyPolicy"), policy, detail);
        }
    }
}

/// Nor does the first family.
pub fn validate_family_change(out: &mut Problems, new: &Value, old: &Value) {
    let external_name = |service: &Value| service.at("spec").text("type") == "ExternalName";
    if external_name(new) || external_name(old) || is_headless(new) || is_headless(old) {
        return;
    }
    let at = Path::new("spec").child("ipFamilies").index(0);
    let (after, before) = (
        new.at("spec").at("ipFamilies"),
        old.at("spec").at("ipFamilies"),
    );
    let first = |families: &Value| families.get(0).cloned();
    if !same(after, before) && first(before).is_some() && first(after) != first(before) {
        out.invalid(&at, after, "may not change once set");
    }
}
