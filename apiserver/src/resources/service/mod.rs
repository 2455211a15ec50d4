//! Rules of Services.

mod addresses;
mod defaults;
mod row;
#[cfg(test)]
mod tests;
mod validation;
mod warnings;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::meta::NameRule;
use super::table::{Column, Row};
use super::tree::Tree;
use super::{Context, Rules, Strategy};

/// Rules of Services. Addresses, families and node ports are none of them: allocation belongs to
/// the transaction that stores the object, and has happened when these rules look.
pub struct Service;

/// Whether the service has an address of its own, or may have one.
fn needs_cluster_ip(service: &Value) -> bool {
    matches!(
        service.at("spec").text("type"),
        "ClusterIP" | "NodePort" | "LoadBalancer"
    )
}

/// Whether the service's ports are open on every node.
fn needs_node_ports(service: &Value) -> bool {
    matches!(service.at("spec").text("type"), "NodePort" | "LoadBalancer")
}

/// Whether the service needs a node port of its own for health checks.
fn needs_health_check(service: &Value) -> bool {
    let spec = service.at("spec");
    spec.text("type") == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local"
}

/// Whether the service is headless: without an address on purpose.
fn is_headless(service: &Value) -> bool {
    matches!(service.at("spec").items("clusterIPs"), [only] if only == "None")
}

/// Whether the service can be reached from outside the cluster.
fn is_external(service: &Value) -> bool {
    let spec = service.at("spec");
    needs_node_ports(service)
        || (spec.text("type") == "ClusterIP" && !spec.items("externalIPs").is_empty())
}

impl Rules for Service {
    fn default(&self, object: &mut Value) {
        defaults::default_service(object);
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS.making()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_create(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_update(new, old).into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_status(new, old).into_errors()
    }

    fn warnings(&self, new: &Value, _old: Option<&Value>) -> Vec<String> {
        warnings::of_service(new)
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn columns(&self) -> &'static [Column] {
        row::COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        row::row(object, now)
    }
}
