//! Affinity, traffic policies, source ranges and stale connections at work, in network namespaces of their own.

mod world;

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ferrule_kube_proxy::objects::{EndpointSlice, Service, ServiceName};
use ferrule_netlink::conntrack::Connection;
use world::namespaces::permitted;
use world::{BOTH, TIMEOUT, Wanted, World, ask, endpoint, service};

/// A service that is changed before it is wanted.
fn changed(
    endpoints: &[&str],
    change: impl Fn(&mut Service),
) -> (ServiceName, Service, EndpointSlice) {
    let (name, mut service, slice) = service(0, endpoints);
    change(&mut service);
    (name, service, slice)
}

fn sticky(seconds: u32, endpoints: &[&str]) -> Wanted {
    let one = changed(endpoints, |service| service.affinity = Some(seconds));
    Wanted::of(&[one])
}

fn number(from: &world::Namespace, address: &str) -> u8 {
    ask(from, address).unwrap().0
}

/// The answers of some requests.
fn answers(from: &world::Namespace, address: &str) -> BTreeSet<u8> {
    (0..20).map(|_| number(from, address)).collect()
}

#[test]
fn a_client_keeps_its_endpoint_while_others_come_and_gets_another_when_it_goes() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    let (port, address) = ("172.31.9.11:30000", "10.96.1.9:80");
    for (from, address) in [
        (&world.client, port),
        (&world.pods[0], port),
        (&world.pods[1], address),
    ] {
        world.apply(&mut proxy, &sticky(60, &BOTH[1..]));
        assert_eq!(answers(from, address), BTreeSet::from([3]));
        // A new endpoint takes nobody away.
        world.apply(&mut proxy, &sticky(60, &BOTH));
        assert_eq!(answers(from, address), BTreeSet::from([3]));
        // Neither does a proxy that makes the table anew.
        let mut again = world.proxy();
        world.apply(&mut again, &sticky(60, &BOTH));
        assert_eq!(answers(from, address), BTreeSet::from([3]));
        proxy = again;
        // When it goes, the client gets another one, and keeps that when the first comes back.
        world.apply(&mut proxy, &sticky(60, &BOTH[..1]));
        assert_eq!(answers(from, address), BTreeSet::from([2]));
        world.apply(&mut proxy, &sticky(60, &BOTH));
        assert_eq!(answers(from, address), BTreeSet::from([2]));
    }
}

#[test]
fn a_client_that_stays_away_longer_than_the_timeout_is_forgotten() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    world.apply(&mut proxy, &sticky(2, &BOTH[..1]));
    assert_eq!(number(&world.client, "172.31.9.11:30000"), 2);
    world.apply(&mut proxy, &sticky(2, &BOTH));
    // Every connection begins the time anew.
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(number(&world.client, "172.31.9.11:30000"), 2);
    }
    let mut found = BTreeSet::new();
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(2300));
        found.insert(number(&world.client, "172.31.9.11:30000"));
        if found.len() == 2 {
            return;
        }
    }
    panic!("always {found:?}");
}

#[test]
fn each_client_and_each_service_has_its_own_affinity() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    let two = |first: &[&str], second: &[&str]| {
        let mut services = [service(0, first), service(1, second)];
        for (_, service, _) in &mut services {
            service.affinity = Some(60);
        }
        Wanted::of(&services)
    };
    world.apply(&mut proxy, &two(&BOTH[..1], &BOTH[1..]));
    let pod = &world.pods[0];
    assert_eq!(
        (number(pod, "10.96.1.9:80"), number(pod, "10.96.1.10:80")),
        (2, 3)
    );
    world.apply(&mut proxy, &two(&BOTH, &BOTH));
    assert_eq!(answers(pod, "10.96.1.9:80"), BTreeSet::from([2]));
    assert_eq!(answers(pod, "10.96.1.10:80"), BTreeSet::from([3]));
    // Without affinity again, everybody gets everything.
    world.apply(&mut proxy, &Wanted::of(&[service(0, &BOTH)]));
    assert_eq!(answers(pod, "10.96.1.9:80"), BTreeSet::from([2, 3]));
}

#[test]
fn with_the_local_policy_clients_are_seen_as_themselves_and_only_endpoints_here_answer() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    let local = |here: &[&str], elsewhere: &[&str]| {
        let (name, service, mut slice) = changed(here, |service| service.external_local = true);
        slice
            .endpoints
            .extend(elsewhere.iter().map(|address| endpoint(address, "node2")));
        Wanted::of(&[(name, service, slice)])
    };
    let port = "172.31.9.11:30000";
    // Both pods are on this node, but one is said to be elsewhere.
    world.apply(&mut proxy, &local(&BOTH[..1], &BOTH[1..]));
    for _ in 0..20 {
        let (number, peer) = ask(&world.client, port).unwrap();
        assert_eq!((number, &*peer.to_string()), (2, "172.31.9.99"));
    }
    // The node itself and pods use all of them.
    for from in [&world.node, &world.pods[0]] {
        assert_eq!(answers(from, port), BTreeSet::from([2, 3]));
    }
    assert_eq!(
        answers(&world.node, "127.0.0.1:30000"),
        BTreeSet::from([2, 3])
    );
    // None here: from outside nobody answers, in silence, so that load balancers go elsewhere.
    world.apply(&mut proxy, &local(&[], &BOTH));
    let error = ask(&world.client, port).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(answers(&world.node, port), BTreeSet::from([2, 3]));
    // None anywhere: the client is told.
    world.apply(&mut proxy, &local(&[], &[]));
    world::refused(&world.client, port);
}

#[test]
fn endpoints_that_terminate_serve_when_they_are_the_last() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    let (name, service, mut slice) = service(0, &BOTH);
    slice.endpoints[0].ready = false;
    slice.endpoints[0].terminating = true;
    let wanted =
        |slice: &EndpointSlice| Wanted::of(&[(name.clone(), service.clone(), slice.clone())]);
    world.apply(&mut proxy, &wanted(&slice));
    assert_eq!(
        answers(&world.client, "172.31.9.11:30000"),
        BTreeSet::from([3])
    );
    slice.endpoints.pop();
    world.apply(&mut proxy, &wanted(&slice));
    assert_eq!(
        answers(&world.client, "172.31.9.11:30000"),
        BTreeSet::from([2])
    );
    slice.endpoints[0].serving = false;
    world.apply(&mut proxy, &wanted(&slice));
    world::refused(&world.client, "172.31.9.11:30000");
}

#[test]
fn a_load_balancers_address_lets_in_only_whom_it_should() {
    if !permitted() {
        return;
    }
    let world = World::new();
    world
        .client
        .run("ip", &["route", "add", "192.0.2.5", "via", "172.31.9.11"]);
    let mut proxy = world.proxy();
    for (ranges, client, pod) in [
        (&[] as &[&str], true, true),
        (&["172.31.9.99/32"], true, false),
        (&["172.31.9.0/25", "10.244.1.2/31"], true, true),
        (&["10.244.0.0/16", "198.51.100.0/24"], false, true),
    ] {
        let wanted = changed(&BOTH, |service| {
            service.balancer_ips = vec!["192.0.2.5".parse().unwrap()];
            service.source_ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        });
        world.apply(&mut proxy, &Wanted::of(&[wanted]));
        for (from, expected) in [(&world.client, client), (&world.pods[0], pod)] {
            let answer = ask(from, "192.0.2.5:80");
            assert_eq!(answer.is_ok(), expected, "{ranges:?}: {answer:?}");
        }
    }
    world.apply(&mut proxy, &Wanted::default());
}

/// A connection to an endpoint that does not answer goes to another one as soon as that endpoint is gone.
#[test]
fn a_connection_that_nobody_has_answered_finds_another_endpoint_when_its_own_goes() {
    if !permitted() {
        return;
    }
    let world = World::new();
    let mut proxy = world.proxy();
    // A pod of a node that is gone: packets to it end in silence.
    let neighbor = ["neighbor", "add", "10.244.1.9", "dev", "cni0"];
    let nobody = ["lladdr", "02:00:00:00:00:09", "nud", "permanent"];
    world.node.run("ip", &[&neighbor[..], &nobody].concat());
    world.apply(&mut proxy, &Wanted::of(&[service(0, &["10.244.1.9"])]));
    let is_tracked = || {
        let flows = world
            .node
            .inside(|| Connection::open().unwrap().flows().unwrap());
        flows
            .iter()
            .any(|flow| flow.answerer.0.to_string() == "10.244.1.9")
    };
    let address: SocketAddr = "172.31.9.11:30000".parse().unwrap();
    let (connected, started) = std::thread::scope(|scope| {
        let begin = Instant::now();
        let connecting = scope.spawn(|| {
            world
                .client
                .inside(|| TcpStream::connect_timeout(&address, Duration::from_secs(6)))
        });
        while !is_tracked() {
            assert!(begin.elapsed() < TIMEOUT, "no connection is tracked");
            std::thread::sleep(Duration::from_millis(20));
        }
        world.apply(&mut proxy, &Wanted::of(&[service(0, &BOTH[..1])]));
        (connecting.join().unwrap(), begin)
    });
    drop(connected.unwrap());
    // With the client's next attempt, after one second or three.
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}
