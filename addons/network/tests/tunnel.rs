//! The tunnel between nodes in network namespaces of their own, with a router between them.

mod nodes;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ferrule_network::agent::Backend;
use ferrule_network::agent::nodes::NodeNetwork;
use nodes::{Namespace, Node, connect, permitted, talk, two_nodes};

type Nodes = BTreeMap<String, NodeNetwork>;

/// Rounds of all nodes until nobody has anything to say any more.
fn settle(nodes: &mut Nodes, all: &[&Node]) {
    for _ in 0..5 {
        let mut said = false;
        for node in all {
            if let Some(end) = node.round(Some(nodes.clone())) {
                nodes.get_mut(node.name()).unwrap().tunnel = end;
                said = true;
            }
        }
        if !said {
            return;
        }
    }
    panic!("it does not settle: {nodes:?}");
}

/// `node1` and `node2` on different links, with a router between them that knows nothing of pods.
fn routed() -> (Node, Node, Namespace, Nodes) {
    let (one, two, router) = (Node::new("node1"), Node::new("node2"), Namespace::node());
    connect(
        "t1",
        (&one.namespace, "172.31.9.11/24"),
        (&router, "172.31.9.1/24"),
    );
    connect(
        "t2",
        (&two.namespace, "172.31.8.12/24"),
        (&router, "172.31.8.1/24"),
    );
    one.namespace.run(
        "ip",
        &["route", "add", "172.31.8.0/24", "via", "172.31.9.1"],
    );
    two.namespace.run(
        "ip",
        &["route", "add", "172.31.9.0/24", "via", "172.31.8.1"],
    );
    one.backend.set(Backend::Vxlan);
    two.backend.set(Backend::Vxlan);
    let mut nodes = nodes::nodes();
    nodes.get_mut("node2").unwrap().address = "172.31.8.12".parse().ok();
    settle(&mut nodes, &[&one, &two]);
    (one, two, router, nodes)
}

#[test]
fn pods_of_nodes_on_different_links_reach_each_other_through_the_tunnel() {
    if !permitted() {
        return;
    }
    let (one, two, _router, _) = routed();
    let (first, first_address) = one.add_pod("a");
    let (second, second_address) = two.add_pod("b");
    assert_eq!(
        talk(&first, &second, &second_address).unwrap(),
        first_address
    );
    assert_eq!(
        talk(&second, &first, &first_address).unwrap(),
        second_address
    );
    // A node itself comes from its end of the tunnel.
    assert_eq!(
        talk(&one.namespace, &second, &second_address).unwrap(),
        "10.244.1.0"
    );
    let link = first.run("ip", &["link", "show", "eth0"]);
    assert!(link.contains("mtu 1450"), "{link}");
    let routes = one.routes();
    assert!(
        routes.contains("10.244.2.0/24 via 10.244.2.0 dev ferrule.1 onlink"),
        "{routes}"
    );
    assert!(routes.contains("blackhole 10.244.0.0/16"), "{routes}");
    assert!(one.health.is_ready() && two.health.is_ready());
}

/// A connection that is used again and again.
struct Kept(TcpStream);

impl Kept {
    fn open(from: &Namespace, to: &Namespace, address: &str) -> Self {
        let listener = to.inside(|| TcpListener::bind("0.0.0.0:8080").unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 64];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                let _ = stream.write_all(&bytes[..length]);
            }
        });
        let target: SocketAddr = format!("{address}:8080").parse().unwrap();
        let stream = from.inside(|| TcpStream::connect_timeout(&target, Duration::from_secs(4)));
        let stream = stream.unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(4)))
            .unwrap();
        Self(stream)
    }

    fn is_answered(&mut self) {
        self.0.write_all(b"still there?").unwrap();
        let mut bytes = [0; 12];
        self.0.read_exact(&mut bytes).unwrap();
    }
}

#[test]
fn a_restarted_agent_does_not_touch_the_tunnel_and_repairs_what_is_broken() {
    if !permitted() {
        return;
    }
    let (one, two, _router, mut nodes) = routed();
    let (first, _) = one.add_pod("a");
    let (second, address) = two.add_pod("b");
    let mut kept = Kept::open(&first, &second, &address);
    let show = || {
        one.namespace
            .run("ip", &["-d", "link", "show", "ferrule.1"])
    };
    let before = show();
    one.round(None);
    kept.is_answered();
    settle(&mut nodes, &[&one, &two]);
    assert_eq!(show(), before);
    kept.is_answered();
    one.namespace.run("ip", &["link", "delete", "ferrule.1"]);
    settle(&mut nodes, &[&one, &two]);
    kept.is_answered();
    one.namespace.run(
        "ip",
        &["neighbor", "flush", "dev", "ferrule.1", "nud", "permanent"],
    );
    one.namespace
        .run("ip", &["address", "flush", "dev", "ferrule.1"]);
    settle(&mut nodes, &[&one, &two]);
    kept.is_answered();
}

#[test]
fn a_node_whose_interface_comes_back_under_another_name_goes_on() {
    if !permitted() {
        return;
    }
    let (one, two, router, mut nodes) = routed();
    let (first, _) = one.add_pod("a");
    let (second, address) = two.add_pod("b");
    let mut kept = Kept::open(&first, &second, &address);
    kept.is_answered();
    one.namespace.run("ip", &["link", "delete", "t1"]);
    settle(&mut nodes, &[&one, &two]);
    assert!(!one.health.is_ready());
    // Nothing goes out by another way meanwhile.
    assert!(!one.routes().contains("ferrule.1"));
    connect(
        "t9",
        (&one.namespace, "172.31.9.11/24"),
        (&router, "172.31.9.1/24"),
    );
    one.namespace.run(
        "ip",
        &["route", "add", "172.31.8.0/24", "via", "172.31.9.1"],
    );
    settle(&mut nodes, &[&one, &two]);
    assert!(one.health.is_ready());
    kept.is_answered();
}

#[test]
fn a_node_with_another_address_is_found_again_and_one_that_leaves_is_forgotten() {
    if !permitted() {
        return;
    }
    let (one, two, _router, mut nodes) = routed();
    let (first, _) = one.add_pod("a");
    let (second, address) = two.add_pod("b");
    two.namespace
        .run("ip", &["address", "delete", "172.31.8.12/24", "dev", "t2"]);
    two.namespace
        .run("ip", &["address", "add", "172.31.8.77/24", "dev", "t2"]);
    two.namespace.run(
        "ip",
        &["route", "replace", "172.31.9.0/24", "via", "172.31.8.1"],
    );
    nodes.get_mut("node2").unwrap().address = "172.31.8.77".parse().ok();
    settle(&mut nodes, &[&one, &two]);
    talk(&first, &second, &address).unwrap();
    let known = || {
        one.namespace
            .run("bridge", &["fdb", "show", "dev", "ferrule.1"])
    };
    assert!(
        known().contains("172.31.8.77") && !known().contains("172.31.8.12"),
        "{}",
        known()
    );
    nodes.remove("node2");
    settle(&mut nodes, &[&one]);
    assert!(!known().contains("172.31.8.77") && !one.routes().contains("10.244.2.0/24"));
    let neighbors = one
        .namespace
        .run("ip", &["neighbor", "show", "dev", "ferrule.1"]);
    assert!(!neighbors.contains("10.244.2.0"), "{neighbors}");
}

#[test]
fn nodes_change_from_routes_to_the_tunnel_and_back_one_by_one_without_a_break() {
    if !permitted() {
        return;
    }
    let (one, two) = two_nodes();
    let mut nodes = nodes::nodes();
    let (first, _) = one.add_pod("a");
    let (second, address) = two.add_pod("b");
    let mut kept = Kept::open(&first, &second, &address);
    for backend in [Backend::Vxlan, Backend::HostGw] {
        for changed in [&one, &two] {
            changed.backend.set(backend);
            // Each round, of whichever node, leaves a working way.
            for _ in 0..3 {
                for node in [&one, &two] {
                    if let Some(end) = node.round(Some(nodes.clone())) {
                        nodes.get_mut(node.name()).unwrap().tunnel = end;
                    }
                    kept.is_answered();
                }
            }
        }
        let through = one.routes().contains("dev ferrule.1");
        assert_eq!(through, backend == Backend::Vxlan);
    }
    let links = one.namespace.run("ip", &["link", "show"]);
    assert!(!links.contains("ferrule.1"), "{links}");
}
