//! `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` of a cluster with IPv4 alone.

use ferrule_apimachinery::field::{FieldError, Path};
use serde_json::{Value, json};

use super::{Spec, may_have_address, text};

/// Fills the fields in from `clusterIP` and the kind of Service.
pub(super) fn fill_in(spec: &mut Spec, old: Option<&Spec>) -> Vec<FieldError> {
    if !may_have_address(spec) {
        return Vec::new();
    }
    let address = text(spec, "clusterIP").to_owned();
    let listed = spec
        .get("clusterIPs")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    let changed = old.is_some_and(|old| {
        text(old, "clusterIP") != address && old.get("clusterIPs") == spec.get("clusterIPs")
    });
    if !address.is_empty() && (!listed || changed) {
        spec.insert("clusterIPs".into(), json!([address]));
    }
    let path = Path::new("spec");
    let families: Vec<String> = spec
        .get("ipFamilies")
        .and_then(Value::as_array)
        .map(|list| {
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    let selectorless = spec
        .get("selector")
        .and_then(Value::as_object)
        .is_none_or(|map| map.is_empty());
    if address == "None" && selectorless {
        // Who makes the endpoints decides about their families: any are possible.
        if text(spec, "ipFamilyPolicy").is_empty() {
            let policy = if families.len() == 1 {
                "SingleStack"
            } else {
                "RequireDualStack"
            };
            spec.insert("ipFamilyPolicy".into(), policy.into());
        }
        let single = text(spec, "ipFamilyPolicy") == "SingleStack";
        match (families.as_slice(), single) {
            ([], true) => spec.insert("ipFamilies".into(), json!(["IPv4"])),
            ([], false) => spec.insert("ipFamilies".into(), json!(["IPv4", "IPv6"])),
            ([one], false) => {
                let other = if one == "IPv4" { "IPv6" } else { "IPv4" };
                spec.insert("ipFamilies".into(), json!([one, other]))
            }
            _ => None,
        };
        return Vec::new();
    }
    let mut problems = Vec::new();
    if text(spec, "ipFamilyPolicy") == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        problems.push(FieldError::invalid(
            &path.child("ipFamilyPolicy"),
            "RequireDualStack",
            detail,
        ));
    }
    for (index, family) in families
        .iter()
        .enumerate()
        .filter(|(_, family)| *family == "IPv6")
    {
        let path = path.child("ipFamilies").index(index);
        problems.push(FieldError::invalid(
            &path,
            family,
            "not configured on this cluster",
        ));
    }
    if families.is_empty() {
        spec.insert("ipFamilies".into(), json!(["IPv4"]));
    }
    if text(spec, "ipFamilyPolicy").is_empty() {
        spec.insert("ipFamilyPolicy".into(), "SingleStack".into());
    }
    problems
}
