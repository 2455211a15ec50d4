use std::net::SocketAddrV4;

use super::*;
use crate::objects::{Endpoint, EndpointSlice, Node, Protocol, Service, ServicePort};
use crate::ruleset::{ServiceKey, Target, fragment};

fn name(name: &str) -> ServiceName {
    ServiceName {
        namespace: "default".into(),
        name: name.into(),
    }
}

fn empty() -> Ruleset {
    Ruleset::new(Settings {
        cluster_cidr: None,
        service_range: None,
        masquerade_bit: 14,
        masquerade_all: false,
    })
}

/// A service at this address and `192.0.2.5`, with these endpoints on this node.
fn service(of: &str, address: &str, endpoints: &[&str]) -> Option<Fragment> {
    let service = Service {
        cluster_ip: address.parse().ok(),
        external_ips: vec!["192.0.2.5".parse().unwrap()],
        ports: vec![ServicePort {
            port: 80,
            ..ServicePort::default()
        }],
        ..Service::default()
    };
    let endpoint = |text: &&str| Endpoint {
        address: text.parse().unwrap(),
        ready: true,
        serving: true,
        terminating: false,
        node: Some("node1".into()),
        zones: Vec::new(),
        nodes: Vec::new(),
    };
    let slice = EndpointSlice {
        service: of.into(),
        ports: vec![("".into(), Protocol::Tcp, 8080)],
        endpoints: endpoints.iter().map(endpoint).collect(),
    };
    let node = Node {
        name: "node1".to_owned(),
        ..Node::default()
    };
    fragment(&node, &name(of), &service, [&slice].into_iter())
}

fn set(ruleset: &mut Ruleset, of: &str, fragment: Option<Fragment>) -> Changes {
    ruleset.update(BTreeMap::from([(name(of), fragment)]))
}

fn chains(chains: &BTreeSet<Chain>) -> Vec<String> {
    chains.iter().map(Chain::name).collect()
}

const KEY: ServiceKey = (std::net::Ipv4Addr::new(10, 96, 0, 9), Protocol::Tcp, 80);
const EXTERNAL: ServiceKey = (std::net::Ipv4Addr::new(192, 0, 2, 5), Protocol::Tcp, 80);

fn endpoint(text: &str) -> Value {
    Value::Endpoint(text.parse::<SocketAddrV4>().unwrap())
}

#[test]
fn what_does_not_change_costs_nothing() {
    let mut ruleset = empty();
    let web = || service("web", "10.96.0.9", &["10.244.1.2"]);
    assert!(!set(&mut ruleset, "web", web()).is_empty());
    assert!(set(&mut ruleset, "web", web()).is_empty());
    assert!(set(&mut ruleset, "unknown", None).is_empty());
}

#[test]
fn another_endpoint_in_place_of_one_changes_its_elements_only() {
    let mut ruleset = empty();
    set(
        &mut ruleset,
        "web",
        service("web", "10.96.0.9", &["10.244.1.2", "10.244.1.3"]),
    );
    let changes = set(
        &mut ruleset,
        "web",
        service("web", "10.96.0.9", &["10.244.1.2", "10.244.1.9"]),
    );
    let (old, new) = (
        Key::Hairpin([10, 244, 1, 3].into()),
        Key::Hairpin([10, 244, 1, 9].into()),
    );
    let places = [KEY, EXTERNAL].map(|key| Key::Endpoint(key, 1));
    assert_eq!(changes.remove, [old, places[0], places[1]]);
    let added = places.map(|key| (key, endpoint("10.244.1.9:8080")));
    assert_eq!(changes.add[0], (new, Value::Member));
    assert_eq!(changes.add[1..], added);
    assert!(changes.new_chains.is_empty() && changes.old_chains.is_empty());
}

#[test]
fn the_last_endpoint_that_goes_takes_its_elements_and_unused_chains_with_it() {
    let mut ruleset = empty();
    set(
        &mut ruleset,
        "web",
        service("web", "10.96.0.9", &["10.244.1.2"]),
    );
    let changes = set(&mut ruleset, "web", service("web", "10.96.0.9", &[]));
    let targets: Vec<_> = changes
        .add
        .iter()
        .map(|(key, value)| match value {
            Value::Frontend(target, _) => (*key, *target),
            other => panic!("{other:?}"),
        })
        .collect();
    let frontends = [KEY, EXTERNAL].map(|key| (Key::ServiceIp(key), Target::Reject));
    assert_eq!(targets, frontends);
    assert_eq!(chains(&changes.old_chains), ["internal-1", "external-1"]);
    assert_eq!(changes.remove.len(), 5);
}

#[test]
fn a_deleted_service_leaves_nothing_and_takes_nothing_that_others_use() {
    let mut ruleset = empty();
    set(
        &mut ruleset,
        "web",
        service("web", "10.96.0.9", &["10.244.1.2"]),
    );
    set(
        &mut ruleset,
        "other",
        service("other", "10.96.0.8", &["10.244.1.2"]),
    );
    let hairpin = Key::Hairpin([10, 244, 1, 2].into());
    let changes = set(&mut ruleset, "web", None);
    assert!(!changes.remove.contains(&hairpin) && changes.old_chains.is_empty());
    let changes = set(&mut ruleset, "other", None);
    assert!(changes.remove.contains(&hairpin) && changes.add.is_empty());
    assert_eq!(ruleset.elements().count() + ruleset.chains().count(), 0);
    assert!(ruleset.fragments().is_empty());
}

#[test]
fn what_two_services_claim_is_the_firsts_until_it_goes() {
    let mut ruleset = empty();
    let owner = |ruleset: &Ruleset| match ruleset.value(&Key::Endpoint(EXTERNAL, 0)) {
        Some(Value::Endpoint(endpoint)) => endpoint.ip().octets()[3],
        other => panic!("{other:?}"),
    };
    set(
        &mut ruleset,
        "b",
        service("b", "10.96.0.2", &["10.244.1.2"]),
    );
    assert_eq!(owner(&ruleset), 2);
    set(
        &mut ruleset,
        "a",
        service("a", "10.96.0.1", &["10.244.1.1"]),
    );
    set(
        &mut ruleset,
        "c",
        service("c", "10.96.0.3", &["10.244.1.3"]),
    );
    assert_eq!(owner(&ruleset), 1);
    let changes = set(&mut ruleset, "a", None);
    assert_eq!(owner(&ruleset), 2);
    assert!(changes.remove.contains(&Key::Endpoint(EXTERNAL, 0)));
    assert!(
        changes
            .add
            .iter()
            .any(|(key, _)| *key == Key::Endpoint(EXTERNAL, 0))
    );
    set(&mut ruleset, "b", None);
    assert_eq!(owner(&ruleset), 3);
    set(&mut ruleset, "c", None);
    assert_eq!(ruleset.elements().count(), 0);
}

#[test]
fn an_address_that_moves_between_services_in_one_step_is_never_twice() {
    let mut ruleset = empty();
    set(
        &mut ruleset,
        "old",
        service("old", "10.96.0.9", &["10.244.1.2"]),
    );
    let changes = ruleset.update(BTreeMap::from([
        (name("new"), service("new", "10.96.0.9", &["10.244.1.3"])),
        (name("old"), None),
    ]));
    let count = |key| {
        changes
            .add
            .iter()
            .filter(|(added, _)| *added == key)
            .count()
    };
    assert!(changes.remove.contains(&Key::ServiceIp(KEY)));
    assert_eq!(count(Key::ServiceIp(KEY)), 1);
    assert_eq!(count(Key::ClusterIp(KEY.0)), 0);
    assert_eq!(
        ruleset.value(&Key::Endpoint(KEY, 0)),
        Some(&endpoint("10.244.1.3:8080"))
    );
}
