//! The Service object.

use ferrule_apimachinery::Header;
use ferrule_client::Projection;
use serde::Deserialize;

use crate::objects::{Service, ServicePort};

/// The label of Services that another proxy serves.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// How long a client keeps its endpoint when nothing is said: 3 hours.
const AFFINITY_SECONDS: u32 = 10_800;

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs")]
    external_ips: Vec<String>,
    load_balancer_source_ranges: Vec<String>,
    ports: Vec<ServicePort>,
    internal_traffic_policy: String,
    external_traffic_policy: String,
    session_affinity: String,
    session_affinity_config: Option<Affinity>,
    health_check_node_port: u16,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Affinity {
    #[serde(rename = "clientIP")]
    client_ip: Option<ClientIp>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClientIp {
    timeout_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    load_balancer: LoadBalancer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoadBalancer {
    ingress: Vec<Ingress>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ingress {
    ip: String,
    ip_mode: String,
}

impl Projection for Service {
    fn project(header: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        let object: Object = serde_json::from_slice(json)?;
        Ok(Self::of(object, header.labels.get(PROXY_NAME).is_some()))
    }
}

impl Service {
    fn of(object: Object, of_another_proxy: bool) -> Self {
        let Object { spec, status } = object;
        if of_another_proxy || spec.kind == "ExternalName" {
            return Self::default();
        }
        let mut texts = spec.cluster_ips.iter().chain([&spec.cluster_ip]);
        // "None", and addresses of another family, are no addresses here.
        let Some(cluster_ip) = texts.find_map(|text| text.parse().ok()) else {
            return Self::default();
        };
        let balanced = status.load_balancer.ingress.iter();
        let balanced = balanced.filter(|ingress| ingress.ip_mode != "Proxy");
        let affinity = spec
            .session_affinity_config
            .and_then(|config| config.client_ip);
        let affinity = affinity.and_then(|client_ip| client_ip.timeout_seconds);
        // Load balancers ask every node for a Service of theirs that is served locally.
        let is_checked = spec.kind == "LoadBalancer" && spec.external_traffic_policy == "Local";
        Self {
            cluster_ip: Some(cluster_ip),
            external_ips: parsed(spec.external_ips.iter()),
            balancer_ips: parsed(balanced.map(|ingress| &ingress.ip)),
            source_ranges: parsed(spec.load_balancer_source_ranges.iter()),
            ports: spec.ports,
            internal_local: spec.internal_traffic_policy == "Local",
            external_local: spec.external_traffic_policy == "Local",
            affinity: (spec.session_affinity == "ClientIP")
                .then(|| affinity.unwrap_or(AFFINITY_SECONDS)),
            health_port: if is_checked {
                spec.health_check_node_port
            } else {
                0
            },
        }
    }
}

/// Those that can be read; the others are of another family.
fn parsed<'a, T: std::str::FromStr>(texts: impl Iterator<Item = &'a String>) -> Vec<T> {
    texts.filter_map(|text| text.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::objects::Protocol;
    use serde_json::json;

    fn service(spec: serde_json::Value) -> Service {
        let object = serde_json::from_value(json!({ "spec": spec })).unwrap();
        Service::of(object, false)
    }

    #[test]
    fn services_without_an_address_of_ours_are_not_proxied() {
        for spec in [
            json!({ "clusterIP": "None", "clusterIPs": ["None"] }),
            json!({ "type": "ExternalName", "externalName": "example.org" }),
            json!({ "clusterIP": "fd00::1", "clusterIPs": ["fd00::1"] }),
            json!({}),
        ] {
            assert_eq!(service(spec), Service::default());
        }
    }

    #[test]
    fn a_service_has_defaults_where_nothing_is_said() {
        let found = service(json!({ "clusterIP": "10.96.0.9", "ports": [{ "port": 80 }] }));
        assert_eq!(found.cluster_ip, Some(Ipv4Addr::new(10, 96, 0, 9)));
        assert_eq!(found.ports[0].protocol, Protocol::Tcp);
        assert_eq!(found.ports[0].node_port, 0);
        assert!(!found.internal_local && !found.external_local);
        assert_eq!((found.affinity, found.health_port), (None, 0));
    }

    #[test]
    fn affinity_lasts_as_long_as_is_said_or_three_hours() {
        for (config, seconds) in [
            (json!(null), 10_800),
            (json!({ "clientIP": { "timeoutSeconds": 3 } }), 3),
        ] {
            let found = service(json!({
                "clusterIP": "10.96.0.9", "sessionAffinity": "ClientIP", "sessionAffinityConfig": config,
            }));
            assert_eq!(found.affinity, Some(seconds));
        }
    }

    #[test]
    fn a_health_port_is_opened_for_load_balancers_with_the_local_policy() {
        for (kind, policy, port) in [
            ("LoadBalancer", "Local", 31000),
            ("LoadBalancer", "Cluster", 0),
            ("NodePort", "Local", 0),
        ] {
            let found = service(json!({
                "clusterIP": "10.96.0.9", "type": kind, "externalTrafficPolicy": policy,
                "healthCheckNodePort": 31000,
            }));
            assert_eq!(found.health_port, port);
        }
    }

    #[test]
    fn addresses_of_load_balancers_are_read_with_who_may_use_them() {
        let object = serde_json::from_value(json!({
            "spec": {
                "clusterIP": "10.96.0.9", "loadBalancerSourceRanges": ["192.0.2.0/24 ", "fd00::/64"],
            },
            "status": { "loadBalancer": { "ingress": [
                { "ip": "192.0.2.5" }, { "ip": "192.0.2.6", "ipMode": "Proxy" }, { "hostname": "lb" },
            ] } },
        }));
        let found = Service::of(object.unwrap(), false);
        assert_eq!(found.balancer_ips, [Ipv4Addr::new(192, 0, 2, 5)]);
        assert_eq!(found.source_ranges, ["192.0.2.0/24".parse().unwrap()]);
    }
}
