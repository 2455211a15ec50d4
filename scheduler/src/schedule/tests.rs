use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::testing::{Paper, asks, key, labelled, pod};

fn three() -> Paper {
    Paper::of(&[("node1", &[]), ("node2", &[]), ("node3", &[])])
}

#[test]
fn a_refusal_counts_the_reasons_in_upstreams_words() {
    let mut paper = three();
    let none = "0/3 nodes are available:";
    let big = pod("big", json!({"spec": asks(json!({"cpu": "9"}))}));
    assert_eq!(paper.place(&big), format!("{none} 3 Insufficient cpu."));
    let cordoned = json!({"unschedulable": true});
    paper.node("node2", json!({}), cordoned);
    let taints = json!({"taints": [{"key": "dedicated", "effect": "NoSchedule"}]});
    paper.node("node3", json!({}), taints);
    assert_eq!(
        paper.place(&big),
        format!(
            "{none} 1 Insufficient cpu, 1 node(s) had untolerated taint(s), \
             1 node(s) were unschedulable."
        )
    );
    assert_eq!(
        Paper::default().place(&big),
        "no nodes available to schedule pods"
    );
}

#[test]
fn the_pods_of_one_controller_spread_over_equal_nodes() {
    let mut paper = three();
    paper.service("web", json!({"app": "web"}));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for turn in 0..9 {
        let new = labelled(&format!("p{turn}"), json!({"app": "web"}), json!({}));
        let place = paper.place(&new);
        paper.put(&new, &place);
        *counts.entry(place).or_default() += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [3, 3, 3]);
}

#[test]
fn chance_decides_between_equally_good_nodes_and_only_there() {
    let mut paper = three();
    let mut placed = |random: u64| {
        let turn = Turn { start: 0, random };
        match paper.decide(&pod("p", json!({})), turn) {
            Decision::Place { node, .. } => node,
            Decision::Refuse(_) => panic!("it fits nowhere"),
        }
    };
    let mut seen: Vec<NodeId> = (0..3).map(&mut placed).collect();
    assert_eq!(seen, (3..6).map(&mut placed).collect::<Vec<_>>());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn of_many_nodes_only_a_part_is_looked_at_and_the_next_decision_begins_behind_it() {
    let cases = [
        (0, 99, 99),
        (0, 100, 100),
        (0, 1000, 420),
        (0, 5000, 500),
        (0, 10_000, 500),
        (70, 1000, 700),
        (1, 1000, 100),
        (100, 1000, 1000),
    ];
    for (percentage, nodes, expected) in cases {
        assert_eq!(
            enough(percentage, nodes),
            expected,
            "{percentage} % of {nodes}"
        );
    }
    let mut paper = Paper::default();
    for number in 0..150 {
        paper.node(&format!("node{number:03}"), json!({}), json!({}));
    }
    let turn = Turn {
        start: 149,
        random: 0,
    };
    match paper.decide(&pod("p", json!({})), turn) {
        Decision::Place { node, judged } => {
            assert_eq!(judged, 100);
            assert_eq!(&*paper.cache.snapshot().node(node).name, "node149");
        }
        Decision::Refuse(_) => panic!("it fits nowhere"),
    }
}

#[test]
fn zones_take_turns_in_the_list_of_nodes() {
    let zone = |zone: &str| json!({"topology.kubernetes.io/zone": zone});
    let mut paper = Paper::default();
    for (name, of) in [
        ("a1", "a"),
        ("a2", "a"),
        ("a3", "a"),
        ("b1", "b"),
        ("c1", "c"),
    ] {
        paper.node(name, zone(of), json!({}));
    }
    let profile = Profile::default();
    let snapshot = paper.cache.prepare(&profile, &Pod::default());
    let order: Vec<&str> = snapshot.known().map(|node| &*node.name).collect();
    assert_eq!(order, ["a1", "b1", "c1", "a2", "a3"]);
}

#[test]
fn room_that_is_made_for_a_pod_is_not_given_to_one_of_lower_priority() {
    let nominated = |name: &str, priority: i32| {
        let spec =
            json!({"priority": priority, "containers": asks(json!({"cpu": "3"}))["containers"]});
        pod(
            name,
            json!({"spec": spec, "status": {"nominatedNodeName": "node1"}}),
        )
    };
    let asking = |priority: i32, cpu: &str| {
        let spec =
            json!({"priority": priority, "containers": asks(json!({"cpu": cpu}))["containers"]});
        pod("p", json!({"spec": spec}))
    };
    let cases = [
        (0, "2", "0/1 nodes are available: 1 Insufficient cpu."),
        (0, "1", "node1"),
        (5, "2", "0/1 nodes are available: 1 Insufficient cpu."),
        (9, "2", "node1"),
    ];
    for (priority, cpu, expected) in cases {
        let mut paper = Paper::of(&[("node1", &[])]);
        let high = nominated("high", 5);
        paper.cache.nominate(key(&high), high.clone());
        assert_eq!(
            paper.place(&asking(priority, cpu)),
            expected,
            "{priority} {cpu}"
        );
        // For whom it was made it is there.
        assert_eq!(paper.place(&high), "node1");
        paper.cache.renounce(&key(&high));
        assert_eq!(paper.place(&asking(priority, cpu)), "node1");
    }
}

#[test]
fn a_pod_goes_to_its_nominated_node_first() {
    let mut paper = three();
    let busy = pod("busy", json!({"spec": asks(json!({"cpu": "3"}))}));
    paper.put(&busy, "node2");
    let status = json!({"nominatedNodeName": "node2"});
    let new = |cpu: &str| {
        pod(
            "p",
            json!({"spec": asks(json!({"cpu": cpu})), "status": status}),
        )
    };
    assert_eq!(paper.place(&new("1")), "node2");
    assert_ne!(paper.place(&new("2")), "node2");
}

#[test]
fn a_pod_that_is_nominated_counts_for_affinity_too() {
    let term = json!([{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]);
    let far = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}});
    let mut paper = Paper::of(&[("node1", &[])]);
    let mut high = Pod::clone(&labelled("high", json!({"app": "web"}), far.clone()));
    high.nominated = "node1".into();
    let high = Arc::new(high);
    paper.cache.nominate(key(&high), high.clone());
    let cases = [
        (
            labelled("p", json!({"app": "web"}), json!({})),
            "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
        ),
        (
            labelled("p", json!({"app": "other"}), far),
            "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
        ),
        (labelled("p", json!({"app": "other"}), json!({})), "node1"),
    ];
    for (pod, expected) in cases {
        assert_eq!(paper.place(&pod), expected);
    }
}
