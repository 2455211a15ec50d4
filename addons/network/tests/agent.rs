//! The agent's rounds on two nodes in network namespaces of their own.

mod nodes;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nodes::{connect, nodes, permitted, talk, two_nodes};

#[test]
fn pods_of_two_nodes_reach_each_other_as_themselves_and_leave_as_their_node() {
    if !permitted() {
        return;
    }
    let (one, two) = two_nodes();
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
    assert_eq!(
        talk(&first, &two.namespace, "172.31.9.12").unwrap(),
        "172.31.9.11"
    );
    assert_eq!(
        talk(&two.namespace, &first, &first_address).unwrap(),
        "172.31.9.12"
    );
    assert!(one.health.is_ready());
}

#[test]
fn nothing_leaves_for_cluster_addresses_that_are_not_programmed() {
    if !permitted() {
        return;
    }
    let (one, two) = two_nodes();
    let (pod, _) = one.add_pod("a");
    // Whatever came through would be counted here.
    one.namespace
        .run("ip", &["route", "add", "default", "via", "172.31.9.12"]);
    two.namespace.run(
        "nft",
        &["add table ip t; add chain ip t c { type filter hook prerouting priority -500; }"],
    );
    let rule = "add rule ip t c ip daddr { 10.96.0.0/16, 10.244.77.0/24 } counter comment \"leak\"";
    two.namespace.run("nft", &[rule]);
    for address in ["10.96.0.50", "10.244.77.7"] {
        for client in [&one.namespace, &pod] {
            assert!(talk(client, &two.namespace, address).is_err());
        }
    }
    assert!(
        two.namespace
            .run("nft", &["list", "table", "ip", "t"])
            .contains("packets 0 ")
    );
}

#[test]
fn a_restarted_agent_keeps_what_works_and_repairs_what_does_not() {
    if !permitted() {
        return;
    }
    let (one, two) = two_nodes();
    let (first, _) = one.add_pod("a");
    let (second, second_address) = two.add_pod("b");
    let before = one.routes();

    // Before it knows the nodes, it leaves their routes alone.
    one.round(None);
    assert_eq!(one.routes(), before);
    assert!(!one.health.is_ready());
    talk(&first, &second, &second_address).unwrap();

    one.namespace
        .run("nft", &["delete", "table", "ip", "ferrule-network"]);
    one.namespace
        .run("ip", &["route", "delete", "10.244.2.0/24"]);
    one.namespace.run("ip", &["link", "delete", "cni0"]);
    one.round(Some(nodes()));
    assert_eq!(one.routes(), before);
    assert!(
        one.namespace
            .run("nft", &["list", "table", "ip", "ferrule-network"])
            .contains("masquerade")
    );

    talk(&first, &second, &second_address).unwrap();

    let mut fewer = nodes();
    fewer.remove("node2");
    one.round(Some(fewer));
    assert!(!one.routes().contains("10.244.2.0/24"));
}

#[test]
fn an_interface_that_comes_back_under_another_name_is_used_again() {
    if !permitted() {
        return;
    }
    let (one, two) = two_nodes();
    let (first, _) = one.add_pod("a");
    let (second, second_address) = two.add_pod("b");
    one.namespace.run("ip", &["link", "delete", "t0"]);
    one.round(Some(nodes()));
    assert!(!one.health.is_ready());
    assert!(talk(&first, &second, &second_address).is_err());

    connect(
        "t1",
        (&one.namespace, "172.31.9.11/24"),
        (&two.namespace, "172.31.9.12/24"),
    );
    one.round(Some(nodes()));
    two.round(Some(nodes()));
    assert!(one.routes().contains("via 172.31.9.12 dev t1"));
    talk(&first, &second, &second_address).unwrap();
}

#[test]
fn connections_to_a_pod_that_is_gone_end_at_once() {
    if !permitted() {
        return;
    }
    let (one, two) = two_nodes();
    let (first, first_address) = one.add_pod("a");
    let (second, address) = two.add_pod("b");
    let (neighbor, _) = two.add_pod("c");
    let target: SocketAddr = format!("{address}:8080").parse().unwrap();
    let listener = second.inside(|| TcpListener::bind("0.0.0.0:8080").unwrap());
    let connect = |from: &nodes::Namespace| {
        from.inside(|| TcpStream::connect_timeout(&target, Duration::from_secs(4)).unwrap())
    };
    // From another node, from the pod's own one, and from a pod beside it.
    let sources = [&first, &two.namespace, &neighbor];
    let mut streams: Vec<TcpStream> = sources.iter().map(|from| connect(from)).collect();
    two.remove_pod("b", &second);
    for (stream, from) in streams.iter_mut().zip(sources) {
        let begin = Instant::now();
        stream
            .set_read_timeout(Some(Duration::from_secs(4)))
            .unwrap();
        stream.write_all(b"still there?").unwrap();
        let error = stream.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let refused = from.inside(|| TcpStream::connect_timeout(&target, Duration::from_secs(4)));
        assert_eq!(
            refused.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
    drop(listener);
    // What the agent makes anew knows the same pods.
    two.namespace
        .run("nft", &["delete", "table", "ip", "ferrule-network"]);
    two.round(Some(nodes()));
    let refused = first.inside(|| TcpStream::connect_timeout(&target, Duration::from_secs(4)));
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    talk(&neighbor, &first, &first_address).unwrap();
}
