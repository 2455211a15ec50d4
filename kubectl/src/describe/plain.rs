//! Kinds that hold little.

use base64::Engine;
use serde_json::Value;

use super::{Text, list, meta, number, plain, quota, string};
use crate::output::table;

/// Describes a Namespace.
///
/// Without quotas and limits on the server there is nothing to say about them.
pub fn namespace(
    text: &mut Text,
    object: &Value,
    quotas: Option<&[Value]>,
    ranges: Option<&[Value]>,
) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    text.field(0, "Status", string(&object["status"], "phase"));
    conditions(text, object);
    if let Some(quotas) = quotas {
        text.line(0, "");
        quota::resource_quotas(text, quotas);
    }
    if let Some(ranges) = ranges {
        text.line(0, "");
        quota::limit_ranges(text, ranges);
    }
    false
}

fn conditions(text: &mut Text, object: &Value) {
    let mut conditions = list(&object["status"], "conditions").peekable();
    if conditions.peek().is_none() {
        return;
    }
    text.line(0, "Conditions:");
    text.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
    text.line(1, "----\t------\t------------------\t------\t-------");
    for condition in conditions {
        text.line(
            1,
            format!(
                "{}\t{}\t{}\t{}\t{}",
                string(condition, "type"),
                string(condition, "status"),
                meta::time(&condition["lastTransitionTime"]),
                string(condition, "reason"),
                string(condition, "message")
            ),
        );
    }
}

/// Describes a ServiceCIDR.
pub fn service_cidr(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    let ranges: Vec<String> = list(&object["spec"], "cidrs").map(plain).collect();
    text.field(0, "CIDRs", ranges.join(", "));
    if list(&object["status"], "conditions").next().is_some() {
        text.line(0, "Status:");
    }
    conditions(text, object);
    true
}

/// Describes a PodDisruptionBudget.
pub fn pod_disruption_budget(text: &mut Text, object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    let amounts = [
        ("Min available", &spec["minAvailable"]),
        ("Max unavailable", &spec["maxUnavailable"]),
    ];
    if let Some((title, amount)) = amounts.iter().find(|(_, amount)| !amount.is_null()) {
        text.field(0, title, plain(amount));
    }
    let selector = match spec["selector"].is_object() {
        true => meta::selector(&spec["selector"]),
        false => "<unset>".to_owned(),
    };
    text.field(0, "Selector", selector);
    text.line(0, "Status:");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        text.field(2, title, number(status, field).to_string());
    }
    true
}

/// Describes a PriorityClass.
pub fn priority_class(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    text.field(0, "Value", number(object, "value").to_string());
    let default = object["globalDefault"] == true;
    text.field(0, "GlobalDefault", default.to_string());
    text.field(0, "PreemptionPolicy", string(object, "preemptionPolicy"));
    text.field(0, "Description", string(object, "description"));
    text.field(
        0,
        "Annotations",
        table::labels(&object["metadata"]["annotations"]),
    );
    true
}

/// Describes an IPAddress.
pub fn ip_address(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    let parent = &object["spec"]["parentRef"];
    if parent.is_object() {
        text.line(0, "Parent Reference:");
        for (title, field) in [
            ("Group", "group"),
            ("Resource", "resource"),
            ("Namespace", "namespace"),
            ("Name", "name"),
        ] {
            text.field(1, title, string(parent, field));
        }
    }
    true
}

/// The entries of a map by their keys.
pub fn sorted(map: &Value) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.as_object().into_iter().flatten().collect();
    entries.sort_by_key(|(key, _)| key.as_str());
    entries
}

fn decoded(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap_or_default()
}

/// Describes a ConfigMap.
pub fn config_map(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.line(0, "\nData\n====");
    for (key, value) in sorted(&object["data"]) {
        text.line(
            0,
            format!("{key}:\n----\n{}\n", value.as_str().unwrap_or_default()),
        );
    }
    text.line(0, "\nBinaryData\n====");
    for (key, value) in sorted(&object["binaryData"]) {
        text.line(0, format!("{key}: {} bytes", decoded(value).len()));
    }
    text.line(0, "");
    true
}

/// Describes a Secret: never its values.
pub fn secret(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.line(0, format!("\nType:\t{}", string(object, "type")));
    text.line(0, "\nData\n====");
    for (key, value) in sorted(&object["data"]) {
        // A token of the old kind is meant to be read.
        let shown = match (key.as_str(), string(object, "type")) {
            ("token", "kubernetes.io/service-account-token") => {
                String::from_utf8_lossy(&decoded(value)).into_owned()
            }
            _ => format!("{} bytes", decoded(value).len()),
        };
        text.line(0, format!("{key}:\t{shown}"));
    }
    false
}

/// Describes a ServiceAccount.
pub fn service_account(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    let secrets: Vec<&str> = list(object, "imagePullSecrets")
        .map(|own| string(own, "name"))
        .collect();
    let secrets = secrets.join("\n                   \t");
    text.field(0, "Image pull secrets", super::or_none(&secrets));
    true
}
