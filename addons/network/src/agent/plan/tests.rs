use super::*;

const LOOPBACK: u32 = 1;
const UPLINK: u32 = 7;

fn settings() -> Settings {
    Settings {
        node: "node1".to_owned(),
        cluster: "10.244.0.0/16".parse().unwrap(),
        services: "10.96.0.0/16".parse().unwrap(),
        backend: Backend::HostGw,
        tunnel_id: 1,
        tunnel_port: 8472,
    }
}

fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        up: true,
        mac: None,
        mtu: 1500,
        master: None,
        kind: String::new(),
        vxlan: None,
    }
}

fn node(pod_cidr: &str, address: &str) -> NodeNetwork {
    NodeNetwork {
        pod_cidr: pod_cidr.parse().ok(),
        address: address.parse().ok(),
        tunnel: None,
    }
}

/// A node at 172.30.0.11/24 on `eth0`, with nothing programmed yet.
fn observed(nodes: &[(&str, NodeNetwork)]) -> Observed {
    let own = ("node1", node("10.244.1.0/24", "172.30.0.11"));
    let nodes = nodes.iter().copied().chain([own]);
    Observed {
        nodes: Some(nodes.map(|(name, node)| (name.to_owned(), node)).collect()),
        links: vec![link(LOOPBACK, "lo"), link(UPLINK, "eth0")],
        addresses: vec![Address {
            link: UPLINK,
            address: "172.30.0.11".parse().unwrap(),
            prefix: 24,
        }],
        routes: Vec::new(),
        neighbors: Vec::new(),
    }
}

fn shown(routes: &[Route]) -> Vec<String> {
    let show = |route: &Route| {
        let mut text = format!("{}/{}", route.destination, route.prefix);
        if route.kind == Kind::Blackhole {
            text = format!("blackhole {text}");
        }
        if let Some(gateway) = route.gateway {
            text += &format!(" via {gateway}");
        }
        if let Some(link) = route.link {
            text += &format!(" dev {link}");
        }
        if let Some(source) = route.source {
            text += &format!(" src {source}");
        }
        text
    };
    let mut shown: Vec<_> = routes.iter().map(show).collect();
    shown.sort();
    shown
}

const FIXED: [&str; 3] = [
    "10.96.0.0/16 dev 1 src 172.30.0.11",
    "blackhole 10.244.0.0/16",
    "blackhole 10.96.0.0/16",
];

#[test]
fn other_nodes_pods_are_reached_through_those_nodes_that_are_on_the_link() {
    for (nodes, routes, unreachable) in [
        (vec![], vec![], vec![]),
        (
            vec![
                ("node2", node("10.244.2.0/24", "172.30.0.12")),
                ("node3", node("10.244.3.0/24", "172.30.0.13")),
            ],
            vec![
                "10.244.2.0/24 via 172.30.0.12 dev 7",
                "10.244.3.0/24 via 172.30.0.13 dev 7",
            ],
            vec![],
        ),
        (
            vec![("far", node("10.244.2.0/24", "192.0.2.1"))],
            vec![],
            vec!["far"],
        ),
        (
            vec![("same address", node("10.244.2.0/24", "172.30.0.11"))],
            vec![],
            vec!["same address"],
        ),
        (vec![("no CIDR", node("", "172.30.0.12"))], vec![], vec![]),
        (
            vec![("no address", node("10.244.2.0/24", ""))],
            vec![],
            vec![],
        ),
        (
            vec![("our CIDR", node("10.244.1.0/24", "172.30.0.12"))],
            vec![],
            vec![],
        ),
    ] {
        let plan = plan(&settings(), &observed(&nodes));
        let mut expected: Vec<_> = routes.into_iter().chain(FIXED).collect();
        expected.sort_unstable();
        assert_eq!(shown(&plan.replace), expected);
        assert_eq!(plan.unreachable, unreachable);
        assert!(plan.delete.is_empty());
        assert_eq!(plan.pod_cidr, "10.244.1.0/24".parse().ok());
    }
}

#[test]
fn nothing_is_done_when_everything_is_there() {
    let mut observed = observed(&[("node2", node("10.244.2.0/24", "172.30.0.12"))]);
    observed.routes = plan(&settings(), &observed).replace;
    let plan = plan(&settings(), &observed);
    assert!(plan.replace.is_empty() && plan.delete.is_empty());
}

#[test]
fn routes_of_nodes_that_left_are_removed_but_never_those_of_others() {
    let mut observed = observed(&[("node2", node("10.244.2.0/24", "172.30.0.12"))]);
    observed.routes = plan(&settings(), &observed).replace;
    let foreign = Route {
        protocol: 4,
        destination: "10.244.9.0".parse().unwrap(),
        ..observed.routes[0]
    };
    observed.routes.push(foreign);
    observed.nodes.as_mut().unwrap().remove("node2");
    let plan = plan(&settings(), &observed);
    assert!(plan.replace.is_empty());
    assert_eq!(shown(&plan.delete), ["10.244.2.0/24 via 172.30.0.12 dev 7"]);
}

#[test]
fn a_node_that_moved_gets_its_route_replaced_in_one_step() {
    let mut observed = observed(&[("node2", node("10.244.2.0/24", "172.30.0.12"))]);
    observed.routes = plan(&settings(), &observed).replace;
    let moved = node("10.244.2.0/24", "172.30.0.22");
    observed
        .nodes
        .as_mut()
        .unwrap()
        .insert("node2".to_owned(), moved);
    let plan = plan(&settings(), &observed);
    assert_eq!(
        shown(&plan.replace),
        ["10.244.2.0/24 via 172.30.0.22 dev 7"]
    );
    assert!(plan.delete.is_empty());
}

#[test]
fn before_the_first_list_only_the_guards_are_made_and_nothing_is_removed() {
    let mut observed = observed(&[("node2", node("10.244.2.0/24", "172.30.0.12"))]);
    observed.routes = plan(&settings(), &observed).replace;
    observed
        .routes
        .retain(|route| route.kind != Kind::Blackhole);
    observed.nodes = None;
    let plan = plan(&settings(), &observed);
    assert_eq!(
        shown(&plan.replace),
        ["blackhole 10.244.0.0/16", "blackhole 10.96.0.0/16"]
    );
    assert!(plan.delete.is_empty());
}

#[test]
fn an_interface_that_returns_under_another_name_is_found_by_the_address() {
    let nodes = [("node2", node("10.244.2.0/24", "172.30.0.12"))];
    let mut gone = observed(&nodes);
    gone.addresses.clear();
    let away = plan(&settings(), &gone);
    assert_eq!(away.uplink, None);
    assert_eq!(
        shown(&away.replace),
        ["blackhole 10.244.0.0/16", "blackhole 10.96.0.0/16"]
    );

    let mut back = observed(&nodes);
    back.links[1] = link(9, "eth1");
    back.addresses[0].link = 9;
    let again = plan(&settings(), &back);
    assert_eq!(again.uplink.as_ref().unwrap().name, "eth1");
    assert!(shown(&again.replace).contains(&"10.244.2.0/24 via 172.30.0.12 dev 9".to_owned()));

    back.links[1].up = false;
    assert_eq!(plan(&settings(), &back).uplink, None);
}

fn tunnelling() -> Settings {
    Settings {
        backend: Backend::Vxlan,
        ..settings()
    }
}

fn end(pod_network: &str, address: &str) -> TunnelEnd {
    TunnelEnd {
        id: 1,
        mac: ferrule_netlink::route::Mac::of(pod_network.parse().unwrap()),
        address: address.parse().unwrap(),
    }
}

fn with_tunnel(pod_cidr: &str, address: &str) -> NodeNetwork {
    let network = pod_cidr.split('/').next().unwrap();
    NodeNetwork {
        tunnel: Some(end(network, address)),
        ..node(pod_cidr, address)
    }
}

const TUNNEL: u32 = 20;

/// The same with the tunnel's interface as it should be, and announced.
fn tunnelled(nodes: &[(&str, NodeNetwork)]) -> Observed {
    let mut observed = observed(nodes);
    let DeviceStep::Make(device) = plan(&tunnelling(), &observed).device else {
        panic!("it should be made")
    };
    observed.links.push(Link {
        mac: Some(device.mac),
        mtu: device.mtu,
        vxlan: Some(device.vxlan),
        kind: "vxlan".to_owned(),
        ..link(TUNNEL, tunnel::INTERFACE)
    });
    observed.addresses.push(device.own_address(TUNNEL));
    let own = with_tunnel("10.244.1.0/24", "172.30.0.11");
    let nodes = observed.nodes.as_mut().unwrap();
    nodes.insert("node1".to_owned(), own);
    observed
}

#[test]
fn the_tunnel_is_made_before_it_is_announced_and_used() {
    let far = ("far", with_tunnel("10.244.2.0/24", "192.0.2.1"));
    let mut observed = observed(&[far]);
    let first = plan(&tunnelling(), &observed);
    let DeviceStep::Make(device) = first.device else {
        panic!("{:?}", first.device)
    };
    assert_eq!((device.mtu, device.address), (1450, [10, 244, 1, 0].into()));
    assert_eq!(
        (first.announce, first.unreachable),
        (None, vec!["far".to_owned()])
    );

    observed = tunnelled(&[far]);
    let nodes = observed.nodes.as_mut().unwrap();
    nodes.get_mut("node1").unwrap().tunnel = None;
    let second = plan(&tunnelling(), &observed);
    assert_eq!(second.device, DeviceStep::Keep);
    assert_eq!(
        second.announce,
        Some(Some(end("10.244.1.0", "172.30.0.11")))
    );
    assert!(shown(&second.replace).contains(&"10.244.2.0/24 via 10.244.2.0 dev 20".to_owned()));
    assert!(second.replace.iter().any(|route| route.on_link));
    let known: Vec<_> = second
        .new_neighbors
        .iter()
        .map(|n| n.address.to_string())
        .collect();
    assert_eq!(known, ["192.0.2.1", "10.244.2.0"]);
    assert!(second.unreachable.is_empty());
}

#[test]
fn nothing_is_done_when_the_tunnel_is_as_it_should_be() {
    let mut observed = tunnelled(&[("node2", with_tunnel("10.244.2.0/24", "172.30.0.12"))]);
    let first = plan(&tunnelling(), &observed);
    observed.routes = first.replace;
    observed.neighbors = first.new_neighbors;
    let again = plan(&tunnelling(), &observed);
    assert!(again.replace.is_empty() && again.delete.is_empty());
    assert!(again.new_neighbors.is_empty() && again.old_neighbors.is_empty());
    assert_eq!((again.device, again.announce), (DeviceStep::Keep, None));
}

#[test]
fn another_address_or_hardware_address_of_a_node_replaces_what_is_known() {
    let mut observed = tunnelled(&[("node2", with_tunnel("10.244.2.0/24", "172.30.0.12"))]);
    let first = plan(&tunnelling(), &observed);
    observed.routes = first.replace;
    observed.neighbors = first.new_neighbors;
    let moved = with_tunnel("10.244.2.0/24", "172.30.0.22");
    let mut remade = moved;
    remade.tunnel.as_mut().unwrap().mac.0[5] = 9;
    for (now, entries) in [(moved, 1), (remade, 2)] {
        let nodes = observed.nodes.as_mut().unwrap();
        nodes.insert("node2".to_owned(), now);
        let plan = plan(&tunnelling(), &observed);
        assert!(plan.replace.is_empty() && plan.delete.is_empty());
        assert_eq!(
            (plan.new_neighbors.len(), plan.old_neighbors.len()),
            (entries, entries)
        );
    }
}

#[test]
fn a_node_that_leaves_takes_its_route_and_neighbors() {
    let mut observed = tunnelled(&[("node2", with_tunnel("10.244.2.0/24", "172.30.0.12"))]);
    let first = plan(&tunnelling(), &observed);
    observed.routes = first.replace;
    observed.neighbors = first.new_neighbors;
    observed.nodes.as_mut().unwrap().remove("node2");
    let plan = plan(&tunnelling(), &observed);
    assert_eq!(shown(&plan.delete), ["10.244.2.0/24 via 10.244.2.0 dev 20"]);
    assert_eq!(plan.old_neighbors, observed.neighbors);
}

#[test]
fn nodes_without_a_tunnel_are_reached_by_routes_meanwhile() {
    let plain = node("10.244.2.0/24", "172.30.0.12");
    let other = NodeNetwork {
        tunnel: Some(TunnelEnd {
            id: 2,
            ..end("10.244.2.0", "172.30.0.12")
        }),
        ..plain
    };
    let tunnel = with_tunnel("10.244.2.0/24", "172.30.0.12");
    let direct = "10.244.2.0/24 via 172.30.0.12 dev 7".to_owned();
    for (settings, node) in [
        (tunnelling(), plain),
        (tunnelling(), other),
        (settings(), tunnel),
    ] {
        let observed = tunnelled(&[("node2", node)]);
        assert!(shown(&plan(&settings, &observed).replace).contains(&direct));
    }
}

#[test]
fn a_node_without_the_flag_says_so_and_keeps_its_tunnel_while_others_use_it() {
    let tunnel = with_tunnel("10.244.2.0/24", "172.30.0.12");
    let plain = node("10.244.2.0/24", "172.30.0.12");
    for (node, step) in [(tunnel, DeviceStep::Keep), (plain, DeviceStep::Remove)] {
        let plan = plan(&settings(), &tunnelled(&[("node2", node)]));
        assert_eq!((plan.device, plan.announce), (step, Some(None)));
    }
}

#[test]
fn a_tunnel_that_is_different_is_set_right_or_made_again() {
    let good = tunnelled(&[]);
    let change = |change: &dyn Fn(&mut Observed)| {
        let mut observed = good.clone();
        change(&mut observed);
        plan(&tunnelling(), &observed).device
    };
    type Change = dyn Fn(&mut Observed);
    let set: [&Change; 5] = [
        &|o| o.links[2].up = false,
        &|o| o.links[2].mtu = 1500,
        &|o| o.links[2].mac = None,
        &|o| o.addresses.truncate(1),
        &|o| o.addresses[1].address = [10, 244, 7, 0].into(),
    ];
    for each in set {
        assert!(matches!(change(each), DeviceStep::Set(TUNNEL, _)));
    }
    let make: [&Change; 3] = [
        &|o| o.links[2].vxlan = None,
        &|o| o.links[2].vxlan.as_mut().unwrap().port = 4789,
        &|o| drop(o.links.pop()),
    ];
    for each in make {
        assert!(matches!(change(each), DeviceStep::Make(_)));
    }
    // Without the node's address nothing is known of the tunnel: it stays, and no route leads into it.
    let mut away = good.clone();
    away.addresses.remove(0);
    let plan = plan(&tunnelling(), &away);
    assert_eq!((plan.device, plan.announce), (DeviceStep::Keep, None));
}
