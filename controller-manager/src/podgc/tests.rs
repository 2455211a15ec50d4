use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::plan::{Observed, QUARANTINE, Why, plan};
use crate::objects::node::Node;
use crate::objects::pod::Pod;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn pod(node: &str, phase: &str, deleting: bool, age: i64) -> Pod {
    let deletion = if deleting {
        json!(now().to_string())
    } else {
        Value::Null
    };
    serde_json::from_value(json!({
        "metadata": {"name": format!("p{age}"), "deletionTimestamp": deletion,
            "creationTimestamp": (now() - SignedDuration::from_secs(age)).to_string()},
        "spec": {"nodeName": node},
        "status": {"phase": phase},
    }))
    .unwrap()
}

fn node(ready: bool, taint: &str) -> Node {
    serde_json::from_value(json!({
        "spec": {"taints": [{"key": taint, "effect": "NoExecute"}]},
        "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "Unknown" }}]},
    }))
    .unwrap()
}

#[test]
fn pods_of_a_missing_node_go_after_the_quarantine() {
    let orphan = pod("gone", "Running", false, 100);
    let mut missing_since = BTreeMap::new();
    for (later, removed) in [(0, false), (39, false), (40, true)] {
        let now = now() + SignedDuration::from_secs(later);
        let observed = Observed {
            pods: vec![&orphan],
            nodes: HashMap::new(),
            missing_since,
            threshold: 0,
        };
        let plan = plan(&observed, now);
        assert_eq!(
            plan.remove.get(&0) == Some(&Why::Orphaned),
            removed,
            "{later}"
        );
        assert_eq!(plan.verify.contains("gone"), removed);
        missing_since = plan.missing_since;
    }
    assert_eq!(QUARANTINE, SignedDuration::from_secs(40));
}

#[test]
fn a_node_that_comes_back_ends_its_quarantine() {
    let bound = pod("node1", "Running", false, 100);
    let present = node(true, "x");
    let missing_since = BTreeMap::from([("node1".to_owned(), Timestamp::UNIX_EPOCH)]);
    let observed = Observed {
        pods: vec![&bound],
        nodes: HashMap::from([("node1", &present)]),
        missing_since,
        threshold: 0,
    };
    let plan = plan(&observed, now());
    assert!(plan.remove.is_empty() && plan.missing_since.is_empty());
}

#[test]
fn only_pods_that_nobody_else_removes_are_removed() {
    let out = node(false, "node.kubernetes.io/out-of-service");
    let silent = node(false, "node.kubernetes.io/unreachable");
    let nodes = HashMap::from([("out", &out), ("silent", &silent)]);
    for (pod, expected) in [
        (pod("", "Pending", true, 1), Some(Why::Unscheduled)),
        (pod("", "Pending", false, 1), None),
        (pod("out", "Running", true, 1), Some(Why::OutOfService)),
        (pod("out", "Running", false, 1), None),
        (pod("silent", "Running", true, 1), None),
    ] {
        let observed = Observed {
            pods: vec![&pod],
            nodes: nodes.clone(),
            missing_since: BTreeMap::new(),
            threshold: 0,
        };
        assert_eq!(plan(&observed, now()).remove.get(&0).copied(), expected);
    }
}

#[test]
fn ended_pods_beyond_the_threshold_go_evicted_ones_and_then_the_oldest_first() {
    let present = node(true, "x");
    let mut pods: Vec<Pod> = [
        ("Failed", 5),
        ("Succeeded", 50),
        ("Running", 99),
        ("Failed", 20),
    ]
    .map(|(phase, age)| pod("n", phase, false, age))
    .into();
    let removed = |pods: &[Pod], threshold| -> Vec<usize> {
        let observed = Observed {
            pods: pods.iter().collect(),
            nodes: HashMap::from([("n", &present)]),
            missing_since: BTreeMap::new(),
            threshold,
        };
        plan(&observed, now()).remove.into_keys().collect()
    };
    assert_eq!(removed(&pods, 1), [1, 3]);
    pods[0].status.reason = "Evicted".to_owned();
    assert_eq!(removed(&pods, 2), [0]);
}
