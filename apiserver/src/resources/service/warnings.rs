//! What is accepted in a Service although it does nothing, or soon will not.

use ferrule_apimachinery::field::quote;
use serde_json::Value;

use super::validation::{TOPOLOGY_HINTS, TOPOLOGY_MODE};
use crate::resources::tree::{Tree, display};

/// Warnings of a service.
pub fn of_service(service: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let spec = service.at("spec");
    let (kind, external_name) = (spec.text("type"), spec.text("externalName"));
    let external_ips = !spec.items("externalIPs").is_empty();
    if service.at("metadata").at("annotations").has(TOPOLOGY_HINTS) {
        out.push(format!(
            "annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
        ));
    }
    let headless = kind == "ClusterIP" && spec.text("clusterIP") == "None";
    if headless {
        if !spec.text("loadBalancerIP").is_empty() {
            out.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if external_ips {
            out.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if spec.text("sessionAffinity") != "None" {
            out.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    if external_ips && !headless && kind != "ExternalName" {
        let text =
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        out.push(text.to_owned());
    }
    if kind == "ExternalName" && external_ips {
        out.push(format!(
            "spec.externalIPs is ignored when spec.type is {}",
            quote("ExternalName")
        ));
    }
    if kind != "ExternalName" && !external_name.is_empty() {
        out.push(format!(
            "spec.externalName is ignored when spec.type is not {}",
            quote("ExternalName")
        ));
    }
    let distribution = spec.at("trafficDistribution");
    if distribution == "PreferClose" {
        let shown = quote(&display(distribution));
        out.push(format!(
            "spec.trafficDistribution: {shown} is deprecated; use {}",
            quote("PreferSameZone")
        ));
    }
    out
}
