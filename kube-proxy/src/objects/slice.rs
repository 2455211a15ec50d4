//! The EndpointSlice object.

use ferrule_apimachinery::Header;
use ferrule_client::Projection;
use serde::Deserialize;

use crate::objects::{Endpoint, EndpointSlice, Protocol};

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label of EndpointSlices of headless Services.
const HEADLESS: &str = "service.kubernetes.io/headless";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    #[serde(default)]
    address_type: String,
    #[serde(default)]
    ports: Option<Vec<Port>>,
    #[serde(default)]
    endpoints: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Port {
    name: Option<Box<str>>,
    protocol: Option<Protocol>,
    port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Item {
    addresses: Vec<String>,
    conditions: Conditions,
    node_name: Option<Box<str>>,
    hints: Option<Hints>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hints {
    for_zones: Option<Vec<Hint>>,
    for_nodes: Option<Vec<Hint>>,
}

#[derive(Deserialize)]
struct Hint {
    name: Box<str>,
}

fn named(hints: Option<Vec<Hint>>) -> Vec<Box<str>> {
    let hints = hints.into_iter().flatten();
    hints.map(|hint| hint.name).collect()
}

impl Projection for EndpointSlice {
    fn project(header: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        let object: Object = serde_json::from_slice(json)?;
        let service = header.labels.get(SERVICE_NAME);
        let service = service.filter(|_| header.labels.get(HEADLESS).is_none());
        Ok(Self::of(object, service.unwrap_or_default()))
    }
}

impl EndpointSlice {
    fn of(object: Object, service: &str) -> Self {
        if service.is_empty() || object.address_type != "IPv4" {
            return Self::default();
        }
        let ports = object.ports.unwrap_or_default().into_iter();
        let endpoints = object.endpoints.unwrap_or_default().into_iter();
        Self {
            service: service.into(),
            ports: ports
                .filter_map(|port| {
                    let name = port.name.unwrap_or_default();
                    let number = port.port.filter(|number| *number != 0)?;
                    Some((name, port.protocol.unwrap_or_default(), number))
                })
                .collect(),
            endpoints: endpoints.filter_map(endpoint).collect(),
        }
    }
}

fn endpoint(item: Item) -> Option<Endpoint> {
    let hints = item.hints.unwrap_or_default();
    Some(Endpoint {
        // All addresses of an endpoint are the same endpoint: upstream takes the first.
        address: item.addresses.first()?.parse().ok()?,
        ready: item.conditions.ready.unwrap_or(true),
        serving: item.conditions.serving.unwrap_or(true),
        terminating: item.conditions.terminating.unwrap_or(false),
        node: item.node_name,
        zones: named(hints.for_zones),
        nodes: named(hints.for_nodes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_whose_conditions_are_not_told_is_ready_and_serving() {
        let object = serde_json::from_value(json!({
            "addressType": "IPv4",
            "ports": [{ "name": null, "port": 8080, "protocol": "TCP" }, { "port": null }],
            "endpoints": [
                { "addresses": ["10.244.1.2"] },
                {
                    "addresses": ["10.244.1.3"], "nodeName": "node1",
                    "conditions": { "ready": false, "serving": true, "terminating": true },
                    "hints": { "forZones": [{ "name": "a" }], "forNodes": [{ "name": "node1" }] },
                },
                { "addresses": ["nonsense"] },
            ],
        }));
        let slice = EndpointSlice::of(object.unwrap(), "web");
        assert_eq!(slice.ports, [("".into(), Protocol::Tcp, 8080)]);
        let [first, second] = &slice.endpoints[..] else {
            panic!("two")
        };
        assert!(first.ready && first.serving && !first.terminating && first.zones.is_empty());
        assert!(!second.ready && second.serving && second.terminating);
        assert_eq!((&*second.zones[0], &*second.nodes[0]), ("a", "node1"));
    }
}
