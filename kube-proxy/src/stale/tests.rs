use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::objects::{Endpoint, EndpointSlice, Node, Service, ServiceName, ServicePort};
use crate::ruleset::{Fragment, Settings, fragment};

fn name() -> ServiceName {
    ServiceName {
        namespace: Arc::from("default"),
        name: Arc::from("dns"),
    }
}

/// The service `10.96.0.10`, also `192.0.2.5` and node port 30053, port 53 of both protocols.
fn service(endpoints: &[&str]) -> Option<Fragment> {
    let port = |protocol: Protocol| ServicePort {
        name: protocol.name().to_owned(),
        protocol,
        port: 53,
        node_port: 30053,
    };
    let service = Service {
        cluster_ip: "10.96.0.10".parse().ok(),
        external_ips: vec!["192.0.2.5".parse().unwrap()],
        ports: vec![port(Protocol::Udp), port(Protocol::Tcp)],
        ..Service::default()
    };
    let endpoint = |text: &&str| Endpoint {
        address: text.parse().unwrap(),
        ready: true,
        serving: true,
        terminating: false,
        node: None,
        zones: Vec::new(),
        nodes: Vec::new(),
    };
    let slice = EndpointSlice {
        service: "dns".into(),
        ports: vec![
            ("UDP".into(), Protocol::Udp, 53),
            ("TCP".into(), Protocol::Tcp, 53),
        ],
        endpoints: endpoints.iter().map(endpoint).collect(),
    };
    fragment(&Node::default(), &name(), &service, [&slice].into_iter())
}

#[test]
fn a_connection_is_stale_when_its_answerer_is_no_endpoint_of_its_frontend_any_more() {
    let (a, b) = ("10.244.1.2:53", "10.244.1.3:53");
    let one = || service(&["10.244.1.2"]);
    let other = || service(&["10.244.1.3"]);
    let both = || service(&["10.244.1.2", "10.244.1.3"]);
    let none = || service(&[]);
    type State = dyn Fn() -> Option<Fragment>;
    let cases: [(&str, &str, &State, &State, bool); 17] = [
        ("10.96.0.10:53", a, &one, &both, false),
        ("10.96.0.10:53", a, &one, &other, true),
        ("10.96.0.10:53", a, &one, &none, true),
        ("10.96.0.10:53", a, &one, &|| None, true),
        ("10.96.0.10:53", b, &both, &other, false),
        ("10.96.0.10:53", "10.96.0.10:53", &|| None, &one, true),
        ("10.96.0.11:53", a, &one, &other, false),
        ("192.0.2.5:53", a, &one, &both, false),
        ("192.0.2.5:53", a, &one, &other, true),
        ("192.0.2.5:53", a, &one, &|| None, true),
        ("172.30.0.11:30053", a, &one, &both, false),
        ("172.30.0.11:30053", a, &one, &other, true),
        ("172.30.0.11:30053", a, &one, &none, true),
        ("172.30.0.11:30053", a, &one, &|| None, true),
        (
            "172.30.0.11:30053",
            "172.30.0.11:30053",
            &|| None,
            &one,
            true,
        ),
        ("192.0.2.1:30053", "192.0.2.1:30053", &|| None, &one, false),
        ("192.0.2.1:53", "192.0.2.1:53", &one, &other, false),
    ];
    for (destination, answerer, old, new, stale) in cases {
        let mut ruleset = Ruleset::new(Settings {
            cluster_cidr: None,
            service_range: None,
            masquerade_bit: 14,
            masquerade_all: false,
        });
        ruleset.update(BTreeMap::from([(name(), old())]));
        let changes = ruleset.update(BTreeMap::from([(name(), new())]));
        let gone = Gone::by(&changes);
        let node = "172.30.0.11".parse().ok();
        for (protocol, replied, counts) in [
            (Protocol::Udp, true, true),
            (Protocol::Udp, false, true),
            (Protocol::Tcp, false, true),
            // It may be at its end, or its endpoint about to end.
            (Protocol::Tcp, true, false),
        ] {
            let seen = Seen {
                protocol,
                destination: destination.parse().unwrap(),
                answerer: answerer.parse().unwrap(),
                replied,
            };
            let found = is_stale(&seen, &ruleset, &gone, node);
            assert_eq!(found, stale && counts, "{seen:?}");
        }
        if stale {
            assert!(may_strand(&changes), "{destination} {answerer}");
        }
    }
}
