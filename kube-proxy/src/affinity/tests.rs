use std::collections::BTreeMap;

use super::*;
use crate::objects::{Endpoint, EndpointSlice, Node, Protocol, Service, ServiceName, ServicePort};
use crate::ruleset::{Settings, fragment};

/// The service `10.96.0.9:80`, node port 30000, with `10.244.1.2` on this node and `10.244.2.7` elsewhere.
fn ruleset(change: impl Fn(&mut Service)) -> Ruleset {
    let name = ServiceName {
        namespace: "default".into(),
        name: "web".into(),
    };
    let mut service = Service {
        cluster_ip: "10.96.0.9".parse().ok(),
        ports: vec![ServicePort {
            port: 80,
            node_port: 30000,
            ..ServicePort::default()
        }],
        affinity: Some(60),
        ..Service::default()
    };
    change(&mut service);
    let endpoint = |(address, node): (&str, &str)| Endpoint {
        address: address.parse().unwrap(),
        ready: true,
        serving: true,
        terminating: false,
        node: Some(node.into()),
        zones: Vec::new(),
        nodes: Vec::new(),
    };
    let slice = EndpointSlice {
        service: "web".into(),
        ports: vec![("".into(), Protocol::Tcp, 8080)],
        endpoints: [("10.244.1.2", "node1"), ("10.244.2.7", "node2")]
            .map(endpoint)
            .to_vec(),
    };
    let node = Node {
        name: "node1".to_owned(),
        ..Node::default()
    };
    let mut ruleset = Ruleset::new(Settings {
        cluster_cidr: "10.244.0.0/16".parse().ok(),
        service_range: None,
        masquerade_bit: 14,
        masquerade_all: false,
    });
    let fragment = fragment(&node, &name, &service, [&slice].into_iter());
    ruleset.update(BTreeMap::from([(name, fragment)]));
    ruleset
}

#[test]
fn a_client_goes_on_with_its_endpoint_as_long_as_it_may_answer_there() {
    let by_address = Key::ServiceIp(([10, 96, 0, 9].into(), Protocol::Tcp, 80));
    let by_port = Key::NodePort((Protocol::Tcp, 30000));
    let (here, elsewhere, gone) = ("10.244.1.2:8080", "10.244.2.7:8080", "10.244.2.8:8080");
    let (pod, outside) = ("10.244.1.9", "172.30.0.1");
    let plain = ruleset(|_| {});
    let external = ruleset(|service| service.external_local = true);
    let internal = ruleset(|service| service.internal_local = true);
    let without = ruleset(|service| service.affinity = None);
    for (ruleset, frontend, client, endpoint, valid) in [
        (&plain, by_address, pod, here, true),
        (&plain, by_address, pod, elsewhere, true),
        (&plain, by_address, pod, gone, false),
        (&plain, by_port, outside, elsewhere, true),
        (&plain, by_port, outside, gone, false),
        (
            &plain,
            Key::NodePort((Protocol::Udp, 30000)),
            outside,
            here,
            false,
        ),
        (
            &plain,
            Key::ClusterIp([10, 96, 0, 9].into()),
            outside,
            here,
            false,
        ),
        // From outside only endpoints here may answer; pods use all.
        (&external, by_port, outside, here, true),
        (&external, by_port, outside, elsewhere, false),
        (&external, by_port, pod, elsewhere, true),
        (&external, by_address, pod, elsewhere, true),
        (&internal, by_address, pod, here, true),
        (&internal, by_address, pod, elsewhere, false),
        (&internal, by_port, outside, elsewhere, true),
        (&without, by_address, pod, here, false),
    ] {
        let remembered = Remembered {
            client: client.parse().unwrap(),
            frontend,
            endpoint: endpoint.parse().unwrap(),
        };
        assert_eq!(is_valid(ruleset, &remembered), valid, "{remembered:?}");
    }
}
