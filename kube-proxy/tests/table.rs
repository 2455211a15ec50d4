//! The programmed table at work: a node, two pods and a client in network namespaces of their own.

mod world;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use ferrule_kube_proxy::program::{Outcome, Programmer};
use world::namespaces::permitted;
use world::{BOTH, TIMEOUT, Wanted, World, ask, one_service, refused, service, settings};

#[test]
fn a_service_is_reached_by_its_address_and_by_its_node_port_from_everywhere() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    assert_eq!(
        world.apply(&mut proxy, &one_service(&BOTH)),
        Outcome::Rebuilt
    );
    assert_eq!(
        world.apply(&mut proxy, &one_service(&BOTH)),
        Outcome::Unchanged
    );

    let everywhere = [
        (
            &world.node,
            vec![
                "10.96.1.9:80",
                "172.31.9.11:30000",
                "127.0.0.1:30000",
                "10.244.1.1:30000",
            ],
        ),
        (&world.pods[0], vec!["10.96.1.9:80", "172.31.9.11:30000"]),
        (&world.client, vec!["172.31.9.11:30000"]),
    ];
    for (from, addresses) in everywhere {
        for address in addresses {
            let answers: BTreeSet<u8> = (0..30).map(|_| ask(from, address).unwrap().0).collect();
            assert_eq!(answers, BTreeSet::from([2, 3]), "{address}");
        }
    }
    // Pods are seen as themselves through a cluster IP, but for a pod that reaches itself.
    for _ in 0..10 {
        let (number, peer) = ask(&world.pods[0], "10.96.1.9:80").unwrap();
        let expected = if number == 2 {
            "10.244.1.1"
        } else {
            "10.244.1.2"
        };
        assert_eq!(peer.to_string(), expected);
    }
    // Answers to clients outside must pass here: they are seen as the node.
    assert_eq!(
        ask(&world.client, "172.31.9.11:30000")
            .unwrap()
            .1
            .to_string(),
        "10.244.1.1"
    );
}

#[test]
fn what_cannot_be_served_is_refused_at_once() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    world.apply(&mut proxy, &one_service(&[]));
    let (node, pod) = (&world.node, &world.pods[0]);
    for address in [
        "10.96.1.9:80",
        "10.96.1.9:81",
        "10.96.77.77:80",
        "172.31.9.11:30000",
    ] {
        refused(node, address);
        refused(pod, address);
    }
    refused(&world.client, "172.31.9.11:30000");
    for from in [node, pod] {
        let heard = from.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            socket.connect("10.96.1.9:80")?;
            socket.send(b"?")?;
            socket.recv(&mut [0; 64])
        });
        // The kernel tells a local sender so when a rule stops its packet.
        let told = heard.unwrap_err().kind();
        assert!(matches!(
            told,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied
        ));
    }
}

#[test]
fn an_address_that_the_node_has_itself_is_left_to_it() {
    if !permitted() {
        return;
    }
    let world = World::new();
    world
        .node
        .run("ip", &["address", "add", "10.96.1.9/32", "dev", "lo"]);
    world.apply(&mut world.proxy(), &one_service(&[]));
    let listener = world
        .node
        .inside(|| TcpListener::bind("10.96.1.9:80").unwrap());
    for from in [&world.node, &world.pods[0]] {
        let address: SocketAddr = "10.96.1.9:80".parse().unwrap();
        from.inside(|| TcpStream::connect_timeout(&address, TIMEOUT).unwrap());
    }
    drop(listener);
}

#[test]
fn changes_are_made_in_place_and_a_deleted_service_leaves_nothing() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    let address = "10.96.1.9:80";
    world.apply(&mut proxy, &one_service(&[]));
    let empty = world.table();
    for (endpoints, expected) in [
        (&BOTH[..1], Some(2)),
        (&BOTH[1..], Some(3)),
        (&[], None),
        (&BOTH[..1], Some(2)),
        (&[], None),
    ] {
        assert_eq!(
            world.apply(&mut proxy, &one_service(endpoints)),
            Outcome::Changed
        );
        for from in [&world.node, &world.pods[0]] {
            let answer = ask(from, address).ok().map(|(number, _)| number);
            assert_eq!(answer, expected);
        }
    }
    assert_eq!(world.table(), empty);
    assert_eq!(
        world.apply(&mut proxy, &Wanted::default()),
        Outcome::Changed
    );
    let table = world.table();
    assert!(
        !table.contains("10.96.1.9") && !table.contains("30000") && !table.contains("web"),
        "{table}"
    );
    refused(&world.node, address);
}

#[test]
fn nft_shows_the_table_as_it_is_drawn() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    let (name, mut sticky, slice) = service(2, &BOTH);
    sticky.affinity = Some(10_800);
    let (other, mut local, remote) = service(3, &BOTH[..1]);
    local.external_local = true;
    local.ports[0].node_port = 30003;
    local.balancer_ips = vec!["192.0.2.5".parse().unwrap()];
    local.source_ranges = vec!["198.51.100.0/24".parse().unwrap()];
    let services = [
        service(0, &BOTH),
        service(1, &[]),
        (name, sticky, slice),
        (other, local, remote),
    ];
    world.apply(&mut proxy, &Wanted::of(&services));
    let table = world.table();
    for line in [
        "type ipv4_addr . inet_proto . inet_service : verdict",
        "10.96.1.9 . tcp . 80 comment \"default/web-0:http\" : goto internal-2",
        "10.96.1.10 . udp . 80 comment \"default/web-1:udp\" : goto unserved",
        "tcp . 30000 comment \"default/web-0:http\" : goto node-port-2",
        "10.96.1.9 . tcp . 80 . 0x00000001 : 10.244.1.3 . 8080",
        "10.96.1.12 . tcp . 80 . 0x80000000 : 10.244.1.2 . 8080",
        "tcp . 30000 . 0x00000000 : 10.244.1.2 . 8080",
        "192.0.2.5 . tcp . 80 . 198.51.100.0/24",
        "chain node-port-local-1-of-1",
        "ip saddr 10.244.0.0/16 goto node-port-plain-1",
        "fib saddr type local goto node-port-plain-1",
        "chain external-local-restricted-1-of-1",
        "ip daddr . meta l4proto . th dport . ip saddr != @allowed-sources drop",
        "chain internal-sticky-2",
        "dnat ip to ip saddr . ip daddr . meta l4proto . th dport map @affinity",
        "update @affinity { ct original ip saddr . ct original ip daddr . meta l4proto . ct original proto-dst timeout 3h : ip daddr . th dport }",
        "10.96.1.11 . tcp . 80 : goto remember-10800s",
        "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 offset 2147483648 map @endpoints",
        "dnat ip to meta l4proto . th dport . numgen random mod 2 map @node-port-endpoints",
        "type nat hook prerouting priority dstnat; policy accept;",
        "ip daddr . meta l4proto . th dport vmap @service-ips",
        "fib daddr type local meta l4proto . th dport vmap @service-node-ports",
        "ip daddr 10.96.0.0/16 goto unserved",
        "ip daddr @cluster-ips goto unserved",
        "fib daddr type local return",
        "reject with tcp reset",
        "ip saddr != 10.244.0.0/16 meta mark set meta mark | 0x00004000",
        "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints",
        "meta mark & 0x00004000 != 0x00000000 meta mark set meta mark & 0xffffbfff masquerade fully-random",
        "ip saddr . ip daddr @hairpins masquerade fully-random",
        "iifname != \"lo\" ip daddr 127.0.0.0/8 drop",
    ] {
        assert!(table.contains(line), "{line}\n{table}");
    }
}

#[test]
fn a_changed_table_is_noticed_and_made_anew() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut programmer = Programmer::new(settings());
    let sync = |programmer: &mut Programmer| world.sync(programmer, &one_service(&BOTH));
    let audit = |programmer: &mut Programmer| world.node.inside(|| programmer.audit().unwrap());
    assert_eq!(sync(&mut programmer), Outcome::Rebuilt);
    assert!(audit(&mut programmer));
    // What happens to other tables is none of ours.
    world
        .node
        .run("nft", &["add table ip other; add chain ip other c"]);
    assert!(audit(&mut programmer));

    for damage in [
        "delete table ip ferrule-proxy",
        "flush chain ip ferrule-proxy internal-2",
        "flush map ip ferrule-proxy service-ips",
        "add element ip ferrule-proxy cluster-ips { 10.96.3.3 }",
        "add chain ip ferrule-proxy stranger",
    ] {
        world.node.run("nft", &[damage]);
        assert!(!audit(&mut programmer), "{damage}");
        assert_eq!(sync(&mut programmer), Outcome::Rebuilt);
        assert!(audit(&mut programmer));
        ask(&world.node, "10.96.1.9:80").unwrap();
    }
    // A change that the kernel refuses is no dead end either.
    world.node.run("nft", &["delete table ip ferrule-proxy"]);
    let wanted = one_service(&BOTH[..1]);
    assert_eq!(world.sync(&mut programmer, &wanted), Outcome::Rebuilt);
    assert_eq!(ask(&world.node, "10.96.1.9:80").unwrap().0, 2);
}

#[test]
fn connections_live_on_when_a_new_proxy_makes_the_table_anew() {
    if !permitted() {
        return;
    }
    let world = World::new();
    world.apply(&mut world.proxy(), &one_service(&BOTH));
    let mut stream = world
        .client
        .inside(|| TcpStream::connect("172.31.9.11:30000").unwrap());
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut bytes = [0; 64];
    assert_ne!(stream.read(&mut bytes).unwrap(), 0);
    for _ in 0..3 {
        assert_eq!(
            world.apply(&mut world.proxy(), &one_service(&BOTH)),
            Outcome::Rebuilt
        );
        stream.write_all(b"still there?").unwrap();
        let length = stream.read(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"still there?");
    }
}

#[test]
fn udp_clients_move_to_another_endpoint_when_theirs_goes() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    for (from, address) in [
        (&world.pods[1], "10.96.1.9:80"),
        (&world.client, "172.31.9.11:30000"),
    ] {
        world.apply(&mut proxy, &one_service(&BOTH[..1]));
        let socket = from.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket.connect(address).unwrap();
        let ask = || {
            let mut bytes = [0; 64];
            socket.send(b"?").unwrap();
            let length = socket.recv(&mut bytes)?;
            io::Result::Ok(bytes[..length][0])
        };
        assert_eq!(ask().unwrap(), b'2');
        world.apply(&mut proxy, &one_service(&BOTH[1..]));
        assert_eq!(ask().unwrap(), b'3');
        world.apply(&mut proxy, &one_service(&[]));
        assert!(ask().is_err());
    }
}

#[test]
fn a_thousand_services_are_programmed_at_once_and_one_change_is_small() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut services: Vec<_> = (0..1000).map(|number| service(number, &BOTH)).collect();
    let mut programmer = Programmer::new(settings());
    let begin = std::time::Instant::now();
    world.sync(&mut programmer, &Wanted::of(&services));
    let all = begin.elapsed();
    services[500] = service(500, &BOTH[..1]);
    let wanted = Wanted::of(&services);
    let begin = std::time::Instant::now();
    assert_eq!(world.sync(&mut programmer, &wanted), Outcome::Changed);
    let one = begin.elapsed();
    assert!(world.node.inside(|| programmer.audit().unwrap()));
    assert_eq!(ask(&world.node, "10.96.2.253:80").unwrap().0, 2);
    eprintln!("1,000 services: {all:?}; one endpoint: {one:?}");
    assert!(all < Duration::from_secs(10) && one < Duration::from_secs(2));
}
