use super::*;
use crate::objects::Endpoint;

const TCP: Protocol = Protocol::Tcp;
const UDP: Protocol = Protocol::Udp;

fn name() -> ServiceName {
    ServiceName {
        namespace: "default".into(),
        name: "web".into(),
    }
}

fn port(name: &str, protocol: Protocol, port: u16, node_port: u16) -> ServicePort {
    ServicePort {
        name: name.to_owned(),
        protocol,
        port,
        node_port,
    }
}

fn service(ports: Vec<ServicePort>) -> Service {
    Service {
        cluster_ip: "10.96.0.9".parse().ok(),
        ports,
        ..Service::default()
    }
}

/// Endpoints in the form `address@node`, with `!` before those that are not ready and `-` before those that serve while
/// they terminate.
fn slice(ports: &[(&str, Protocol, u16)], endpoints: &[&str]) -> EndpointSlice {
    let endpoint = |text: &&str| {
        let (address, node) = text.trim_start_matches(['!', '-']).split_once('@').unwrap();
        let terminating = text.starts_with('-');
        let ready = !text.starts_with('!') && !terminating;
        Endpoint {
            address: address.parse().unwrap(),
            ready,
            serving: ready || terminating,
            terminating,
            node: (!node.is_empty()).then(|| node.into()),
            zones: Vec::new(),
            nodes: Vec::new(),
        }
    };
    let port = |(name, protocol, port): &(&str, Protocol, u16)| ((*name).into(), *protocol, *port);
    EndpointSlice {
        service: "web".into(),
        ports: ports.iter().map(port).collect(),
        endpoints: endpoints.iter().map(endpoint).collect(),
    }
}

fn compute(service: &Service, slices: &[EndpointSlice]) -> Option<Fragment> {
    let node = Node {
        name: "node1".to_owned(),
        address: "172.30.0.11".parse().ok(),
        zone: String::new(),
    };
    fragment(&node, &name(), service, slices.iter())
}

/// All that varies, as sorted lines: frontends with the endpoints of all nodes, and after `|` those of this one.
fn shown(fragment: &Fragment) -> Vec<String> {
    let endpoints = |place: &dyn Fn(u32) -> Key| {
        let numbered = |first: u32| {
            let found = fragment.elements.range(place(first)..place(first + 1000));
            let texts = found.zip(first..).map(|((key, value), number)| {
                assert_eq!(*key, place(number));
                let Value::Endpoint(endpoint) = value else {
                    panic!("{value:?}")
                };
                let [_, _, network, host] = endpoint.ip().octets();
                format!(" {network}.{host}")
            });
            texts.collect::<String>()
        };
        match (numbered(0), numbered(LOCAL)) {
            (all, local) if local.is_empty() => all,
            (all, local) => format!("{all} |{local}"),
        }
    };
    let shown_target = |value: &Value| match value {
        Value::Frontend(Target::Spread(spread), _) => {
            let chains = spread.leads_to().into_iter().chain([*spread]);
            let chains = chains.map(Chain::Spread).collect();
            assert!(fragment.chains.is_superset(&chains));
            spread.chain()
        }
        Value::Frontend(Target::Reject, _) => "reject".to_owned(),
        Value::Frontend(Target::Drop, _) => "drop".to_owned(),
        other => panic!("{other:?}"),
    };
    let memory = |value: &Value| match value {
        Value::Memory(memory) if fragment.chains.contains(&Chain::Remember(*memory)) => {
            memory.chain()
        }
        other => panic!("{other:?}"),
    };
    let line = |(key, value): (&Key, &Value)| match key {
        Key::ServiceIp(own) => {
            let (address, protocol, port) = own;
            let target = shown_target(value);
            let ends = endpoints(&|number| Key::Endpoint(*own, number));
            Some(format!(
                "{address} {} {port} -> {target}{ends}",
                protocol.name()
            ))
        }
        Key::NodePort(own) => {
            let (protocol, port) = own;
            let target = shown_target(value);
            let ends = endpoints(&|number| Key::NodePortEndpoint(*own, number));
            Some(format!("node {} {port} -> {target}{ends}", protocol.name()))
        }
        Key::StickyIp((address, ..)) => Some(format!("{address} {}", memory(value))),
        Key::StickyNodePort(_) => Some(format!("node {}", memory(value))),
        Key::Hairpin(address) => Some(format!("hairpin {address}")),
        Key::AllowedSource((address, ..), range) => Some(format!("{address} allows {range}")),
        _ => None,
    };
    fragment.elements.iter().filter_map(line).collect()
}

#[test]
fn what_a_service_becomes() {
    type Case<'a> = (&'a str, Service, &'a [&'a str], Vec<&'a str>);
    let target: &[(&str, Protocol, u16)] = &[
        ("http", TCP, 8080),
        ("dns", UDP, 53),
        ("dns-tcp", TCP, 5353),
    ];
    let both: &[&str] = &["10.244.1.2@node1", "10.244.2.7@node2"];
    let draining: &[&str] = &[
        "-10.244.1.2@node1",
        "-10.244.2.7@node2",
        "!10.244.2.8@node2",
    ];
    let web = || service(vec![port("http", TCP, 80, 0)]);
    let node_port = || service(vec![port("http", TCP, 80, 30000)]);
    let external_local = || Service {
        external_local: true,
        ..node_port()
    };
    let internal_local = || Service {
        internal_local: true,
        ..web()
    };
    let balanced = || Service {
        balancer_ips: vec!["192.0.2.5".parse().unwrap()],
        source_ranges: vec!["198.51.100.0/24".parse().unwrap()],
        ..web()
    };
    let cases: Vec<Case<'_>> = vec![
        (
            "a cluster IP leads to all ready endpoints; those of this node may be reached by themselves",
            web(),
            both,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-2 1.2 2.7",
            ],
        ),
        (
            "endpoints that are not ready get nothing, and without any the client is told",
            web(),
            &["!10.244.1.2@node1"],
            vec!["10.96.0.9 TCP 80 -> reject"],
        ),
        (
            "so it is without an endpoint",
            node_port(),
            &[],
            vec!["10.96.0.9 TCP 80 -> reject", "node TCP 30000 -> reject"],
        ),
        (
            "without a ready endpoint, those that terminate and still serve are used",
            node_port(),
            draining,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-2 1.2 2.7",
                "node TCP 30000 -> node-port-2 1.2 2.7",
            ],
        ),
        (
            "a port counts only with the same name and protocol",
            service(vec![port("other", TCP, 80, 0), port("http", UDP, 80, 0)]),
            both,
            vec!["10.96.0.9 TCP 80 -> reject", "10.96.0.9 UDP 80 -> reject"],
        ),
        (
            "a node port leads to all endpoints, with the node's address as source",
            node_port(),
            &both[1..],
            vec![
                "10.96.0.9 TCP 80 -> internal-1 2.7",
                "node TCP 30000 -> node-port-1 2.7",
            ],
        ),
        (
            "with externalTrafficPolicy Local, from outside it leads to this node's",
            external_local(),
            both,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-2 1.2 2.7 | 1.2",
                "node TCP 30000 -> node-port-local-1-of-2 1.2 2.7 | 1.2",
            ],
        ),
        (
            "and nowhere if they are all elsewhere, but for pods and the node itself",
            external_local(),
            &both[1..],
            vec![
                "10.96.0.9 TCP 80 -> internal-1 2.7",
                "node TCP 30000 -> node-port-local-0-of-1 2.7",
            ],
        ),
        (
            "the policy Local falls back on its own",
            external_local(),
            &["-10.244.1.2@node1", "10.244.2.7@node2"],
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-1 2.7 | 1.2",
                "node TCP 30000 -> node-port-local-1-of-1 2.7 | 1.2",
            ],
        ),
        (
            "without any endpoint, the policy Local rejects",
            external_local(),
            &[],
            vec!["10.96.0.9 TCP 80 -> reject", "node TCP 30000 -> reject"],
        ),
        (
            "externalTrafficPolicy Local means nothing where nothing comes from outside",
            Service {
                external_local: true,
                ..web()
            },
            both,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-2 1.2 2.7",
            ],
        ),
        (
            "internalTrafficPolicy Local keeps cluster traffic on the node",
            internal_local(),
            both,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-local-1 | 1.2",
            ],
        ),
        (
            "it drops when there is no endpoint here but elsewhere",
            internal_local(),
            &both[1..],
            vec!["10.96.0.9 TCP 80 -> drop"],
        ),
        (
            "and rejects when there is none at all",
            internal_local(),
            &["!10.244.2.7@node2"],
            vec!["10.96.0.9 TCP 80 -> reject"],
        ),
        (
            "a process on the node's own network needs no hairpin",
            web(),
            &["172.30.0.11@node1"],
            vec!["10.96.0.9 TCP 80 -> internal-1 0.11"],
        ),
        (
            "several ports, also the same number of two protocols",
            service(vec![
                port("dns", UDP, 53, 30053),
                port("dns-tcp", TCP, 53, 30053),
            ]),
            &both[1..],
            vec![
                "10.96.0.9 TCP 53 -> internal-1 2.7",
                "10.96.0.9 UDP 53 -> internal-1 2.7",
                "node TCP 30053 -> node-port-1 2.7",
                "node UDP 30053 -> node-port-1 2.7",
            ],
        ),
        (
            "external addresses are served as node ports are",
            Service {
                external_ips: vec!["192.0.2.5".parse().unwrap()],
                external_local: true,
                ..web()
            },
            both,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-2 1.2 2.7 | 1.2",
                "192.0.2.5 TCP 80 -> external-local-1-of-2 1.2 2.7 | 1.2",
            ],
        ),
        (
            "a load balancer's address lets in only some",
            balanced(),
            &both[1..],
            vec![
                "10.96.0.9 TCP 80 -> internal-1 2.7",
                "192.0.2.5 TCP 80 -> external-restricted-1 2.7",
                "192.0.2.5 allows 198.51.100.0/24",
            ],
        ),
        (
            "if it lets in the node, then also from that address, which the node may have itself",
            Service {
                source_ranges: vec!["172.30.0.0/16".parse().unwrap()],
                ..balanced()
            },
            &both[1..],
            vec![
                "10.96.0.9 TCP 80 -> internal-1 2.7",
                "192.0.2.5 TCP 80 -> external-restricted-1 2.7",
                "192.0.2.5 allows 172.30.0.0/16",
                "192.0.2.5 allows 192.0.2.5/32",
            ],
        ),
        (
            "a client may keep its endpoint for a time",
            Service {
                affinity: Some(10_800),
                external_local: true,
                ..node_port()
            },
            both,
            vec![
                "hairpin 10.244.1.2",
                "10.96.0.9 TCP 80 -> internal-sticky-2 1.2 2.7 | 1.2",
                "node TCP 30000 -> node-port-local-sticky-1-of-2 1.2 2.7 | 1.2",
                "10.96.0.9 remember-10800s",
                "node remember-node-port-10800s",
            ],
        ),
    ];
    for (case, service, endpoints, expected) in cases {
        let fragment = compute(&service, &[slice(target, endpoints)]).unwrap();
        assert_eq!(shown(&fragment), expected, "{case}");
    }
    assert_eq!(compute(&Service::default(), &[slice(target, both)]), None);
}

#[test]
fn endpoints_of_several_slices_count_together_and_once_each() {
    let target: &[(&str, Protocol, u16)] = &[("http", TCP, 8080)];
    let slices = [
        slice(target, &["10.244.2.7@node2"]),
        slice(target, &["10.244.2.7@node2", "10.244.2.8@node2"]),
        slice(&[("http", TCP, 9090)], &["10.244.2.9@node2"]),
    ];
    let fragment = compute(&service(vec![port("http", TCP, 80, 0)]), &slices).unwrap();
    assert_eq!(
        shown(&fragment),
        ["10.96.0.9 TCP 80 -> internal-3 2.7 2.8 2.9"]
    );
    let endpoints: Vec<_> = fragment.programmed[0]
        .endpoints
        .iter()
        .map(|e| e.port())
        .collect();
    assert_eq!(endpoints, [8080, 8080, 9090]);
}

#[test]
fn load_balancers_hear_how_many_endpoints_here_are_ready() {
    let service = Service {
        health_port: 31000,
        external_local: true,
        ..service(vec![port("http", TCP, 80, 30000)])
    };
    for (endpoints, count) in [
        (
            vec!["10.244.1.2@node1", "10.244.2.7@node2", "10.244.1.2@node1"],
            1,
        ),
        (
            vec!["10.244.1.2@node1", "10.244.1.3@node1", "!10.244.1.4@node1"],
            2,
        ),
        // While they are used as the last ones, load balancers should go elsewhere.
        (vec!["-10.244.1.2@node1"], 0),
        (vec![], 0),
    ] {
        let fragment = compute(&service, &[slice(&[("http", TCP, 8080)], &endpoints)]).unwrap();
        let expected = Checked {
            port: 31000,
            local_endpoints: count,
        };
        assert_eq!(fragment.checked, Some(expected), "{endpoints:?}");
    }
}

#[test]
fn the_listing_says_what_is_programmed() {
    let service = service(vec![port("http", TCP, 80, 30000)]);
    let fragment = compute(
        &service,
        &[slice(&[("http", TCP, 8080)], &["10.244.1.2@node1"])],
    );
    let [programmed] = &fragment.unwrap().programmed[..] else {
        panic!("one port")
    };
    assert_eq!(programmed.frontends, ["10.96.0.9:80", "node-port:30000"]);
    assert_eq!(programmed.endpoints, ["10.244.1.2:8080".parse().unwrap()]);
}
