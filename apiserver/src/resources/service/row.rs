//! A Service as a row.

use jiff::Timestamp;
use serde_json::Value;

use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::Tree;

/// The columns of services.
pub const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Type", "How the service is published."),
    Column::text("Cluster-IP", "Address inside the cluster."),
    Column::text("External-IP", "Addresses from outside."),
    Column::text("Port(s)", "Ports, with the node's port after a colon."),
    Column::AGE,
    Column::text("Selector", "Which pods serve it.").wide(),
];

/// The row of a service.
pub fn row(service: &Value, now: Timestamp) -> Row {
    let spec = service.at("spec");
    let address = spec
        .items("clusterIPs")
        .first()
        .and_then(Value::as_str)
        .unwrap_or(spec.text("clusterIP"));
    let ports: Vec<String> = spec.items("ports").iter().map(port).collect();
    vec![
        table::name(service),
        spec.text("type").into(),
        or_none(address).into(),
        external(service).into(),
        or_none(&ports.join(",")).into(),
        table::age(service, now),
        table::labels(spec.at("selector")).into(),
    ]
    .into()
}

fn port(port: &Value) -> String {
    let (number, protocol) = (port.int("port"), port.text("protocol"));
    match port.int("nodePort") {
        0 => format!("{number}/{protocol}"),
        node => format!("{number}:{node}/{protocol}"),
    }
}

fn external(service: &Value) -> String {
    let spec = service.at("spec");
    let given = || {
        spec.items("externalIPs")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
    };
    match spec.text("type") {
        "ClusterIP" | "NodePort" => or_none(&given().collect::<Vec<_>>().join(",")).to_owned(),
        "LoadBalancer" => {
            let ingress = service
                .at("status")
                .at("loadBalancer")
                .items("ingress")
                .iter();
            let mut all: Vec<String> = ingress
                .map(|entry| match entry.text("ip") {
                    "" => entry.text("hostname").to_owned(),
                    address => address.to_owned(),
                })
                .filter(|entry| !entry.is_empty())
                .collect();
            all.sort();
            all.dedup();
            all.extend(given());
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => spec.text("externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}
