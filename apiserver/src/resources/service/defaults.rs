//! What is filled into Services, and what an update carries over from the old object.

use serde_json::{Value, json};

use super::is_external;
use crate::resources::tree::{Tree, child, fill, fill_unset, items_mut, remove, set};

const AFFINITY_SECONDS: i64 = 10800;

/// Defaults as upstream's.
pub fn default_service(service: &mut Value) {
    let Some(spec) = child(service, "spec") else {
        return;
    };
    fill_unset(spec, "sessionAffinity", "None");
    match spec.text("sessionAffinity") {
        "None" => {
            remove(spec, "sessionAffinityConfig");
        }
        "ClientIP"
            if !spec
                .at("sessionAffinityConfig")
                .at("clientIP")
                .has("timeoutSeconds") =>
        {
            set(
                spec,
                "sessionAffinityConfig",
                json!({ "clientIP": { "timeoutSeconds": AFFINITY_SECONDS } }),
            );
        }
        _ => {}
    }
    fill_unset(spec, "type", "ClusterIP");
    for port in items_mut(spec, "ports") {
        fill_unset(port, "protocol", "TCP");
        let number = port.int("port");
        fill_unset(port, "targetPort", number);
    }
    let kind = spec.text("type").to_owned();
    if is_external(service) {
        default_field(service, "externalTrafficPolicy", json!("Cluster"));
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default_field(service, "internalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        default_field(service, "allocateLoadBalancerNodePorts", json!(true));
        let ingress = service
            .get_mut("status")
            .and_then(|status| status.get_mut("loadBalancer"));
        for entry in ingress
            .into_iter()
            .flat_map(|balancer| items_mut(balancer, "ingress"))
        {
            if !entry.text("ip").is_empty() {
                fill(entry, "ipMode", "VIP");
            }
        }
    }
}

fn default_field(service: &mut Value, name: &str, value: Value) {
    if let Some(spec) = child(service, "spec") {
        match value {
            Value::Bool(_) => fill(spec, name, value),
            other => fill_unset(spec, name, other),
        }
    }
}
