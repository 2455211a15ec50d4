use serde_json::{Value, json};

use super::*;
use crate::schedule::{Decision, schedule};
use crate::testing::{Paper, asks, labelled, pod};

/// A pod of a priority that asks for CPU and started at a second.
fn running(name: &str, priority: i32, cpu: &str, started: i64) -> Arc<Pod> {
    with(name, priority, cpu, started, json!({}))
}

fn with(name: &str, priority: i32, cpu: &str, started: i64, more: Value) -> Arc<Pod> {
    let mut spec = asks(json!({"cpu": cpu}));
    spec["priority"] = json!(priority);
    if let Some(more) = more.as_object() {
        spec.as_object_mut().unwrap().extend(more.clone());
    }
    let time = jiff::Timestamp::from_second(started).unwrap().to_string();
    pod(
        name,
        json!({"metadata": {"labels": {"app": name}}, "spec": spec, "status": {"startTime": time}}),
    )
}

fn preempts(paper: &mut Paper, pod: &Pod) -> Preemption {
    let turn = Turn::default();
    let snapshot = paper.cache.prepare(&paper.profile, pod);
    match schedule(&paper.profile, snapshot, pod, turn) {
        Decision::Place { .. } => panic!("it fits as it is"),
        Decision::Refuse(diagnosis) => {
            let args = PreemptionArgs::default();
            preempt(&paper.profile, args, snapshot, pod, &diagnosis, turn)
        }
    }
}

/// `node: victims`, or why not.
fn said(paper: &mut Paper, pod: &Pod) -> String {
    match preempts(paper, pod) {
        Preemption::Nominate { node, victims } => {
            let names: Vec<&str> = victims.iter().map(|victim| &*victim.name).collect();
            let node = &paper.cache.snapshot().node(node).name;
            format!("{node}: {}", names.join(" "))
        }
        Preemption::Futile(message) => message,
        Preemption::NotEligible(message) => format!("not tried: {message}"),
    }
}

/// Nodes of 4 cores with the pods on them.
fn lab(nodes: &[(&str, &[Arc<Pod>])]) -> Paper {
    let mut paper = Paper::default();
    for (name, pods) in nodes {
        paper.node(name, json!({}), json!({}));
        for pod in *pods {
            paper.put(pod, name);
        }
    }
    paper
}

#[test]
fn only_pods_of_lower_priority_leave_and_no_more_than_must() {
    let cases = [
        ("1", "node1: c"),
        ("2", "node1: b"),
        ("3", "node1: b c"),
        ("4", "0/1 nodes are available: 1 Insufficient cpu."),
    ];
    for (cpu, expected) in cases {
        let mut paper = lab(&[(
            "node1",
            &[
                running("a", 10, "1", 1),
                running("b", 1, "2", 1),
                running("c", 1, "1", 2),
            ],
        )]);
        let pod = running("p", 10, cpu, 9);
        assert_eq!(said(&mut paper, &pod), expected, "{cpu}");
    }
}

#[test]
fn the_node_where_least_is_lost_is_taken() {
    let one = |name: &str, priority, started| vec![running(name, priority, "4", started)];
    let two = |name: &str, priority: i32| {
        vec![
            running(&format!("{name}1"), priority, "2", 1),
            running(&format!("{name}2"), priority, "2", 1),
        ]
    };
    let cases: Vec<([Vec<Arc<Pod>>; 2], &str)> = vec![
        // The lowest highest priority.
        ([one("a", 5, 1), two("b", 3)], "node2: b1 b2"),
        // Then the lowest sum, which also means fewer.
        ([one("a", 5, 1), two("b", 5)], "node1: a"),
        ([two("a", -1), one("b", -1, 1)], "node2: b"),
        // Then who started last.
        ([one("a", 5, 1), one("b", 5, 2)], "node2: b"),
        ([one("a", 5, 3), one("b", 5, 2)], "node1: a"),
    ];
    for ([first, second], expected) in cases {
        let mut paper = lab(&[("node1", &first), ("node2", &second)]);
        assert_eq!(said(&mut paper, &running("p", 10, "4", 9)), expected);
    }
}

#[test]
fn budgets_are_kept_where_another_node_costs_none() {
    let paper = || {
        lab(&[
            ("node1", &[running("guarded", 1, "4", 1)]),
            ("node2", &[running("free", 9, "4", 1)]),
        ])
    };
    let new = running("p", 10, "4", 9);
    let mut without = paper();
    assert_eq!(said(&mut without, &new), "node1: guarded");
    let mut guarded = paper();
    guarded.budget("b", json!({"app": "guarded"}), 0);
    assert_eq!(said(&mut guarded, &new), "node2: free");
    let mut allowed = paper();
    allowed.budget("b", json!({"app": "guarded"}), 1);
    assert_eq!(said(&mut allowed, &new), "node1: guarded");
    // Where there is no other way a budget keeps nobody.
    let mut both = paper();
    both.budget("b", json!({"app": "guarded"}), 0);
    both.budget("f", json!({"app": "free"}), 0);
    assert_eq!(said(&mut both, &new), "node1: guarded");
}

#[test]
fn on_a_node_those_whose_leaving_breaks_a_budget_stay_first() {
    let mut paper = lab(&[(
        "node1",
        &[running("guarded", 1, "2", 1), running("free", 5, "2", 1)],
    )]);
    let new = running("p", 10, "2", 9);
    assert_eq!(said(&mut paper, &new), "node1: guarded");
    paper.budget("b", json!({"app": "guarded"}), 0);
    assert_eq!(said(&mut paper, &new), "node1: free");
}

#[test]
fn a_message_says_what_making_room_came_to() {
    let none = "0/3 nodes are available:";
    let mut paper = lab(&[
        ("node1", &[running("a", 10, "4", 1)]),
        (
            "node2",
            &[running("b", 1, "1", 1), running("c", 10, "3", 1)],
        ),
        ("node3", &[]),
    ]);
    let cordoned = json!({"unschedulable": true});
    paper.node("node3", json!({}), cordoned);
    assert_eq!(
        said(&mut paper, &running("p", 10, "4", 9)),
        format!(
            "{none} 1 Insufficient cpu, 1 No preemption victims found for incoming pod, \
             1 Preemption is not helpful for scheduling."
        )
    );
    assert_eq!(
        said(&mut paper, &running("p", 10, "9", 9)),
        format!("{none} 3 Preemption is not helpful for scheduling.")
    );
}

#[test]
fn who_may_make_no_others_leave_does_not_try() {
    let mut paper = lab(&[("node1", &[running("a", 1, "4", 1)])]);
    let never = with("p", 10, "4", 9, json!({"preemptionPolicy": "Never"}));
    assert_eq!(
        said(&mut paper, &never),
        "not tried: not eligible due to preemptionPolicy=Never."
    );
}

#[test]
fn who_waits_for_victims_to_leave_does_not_look_for_more() {
    let leaving = |by: &str| {
        let mut spec = asks(json!({"cpu": "4"}));
        spec["priority"] = json!(1);
        let condition = json!([{"type": "DisruptionTarget", "status": "True", "reason": by}]);
        pod(
            "leaving",
            json!({
                "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
                "spec": spec,
                "status": {"conditions": condition, "startTime": "1970-01-01T00:00:00Z"},
            }),
        )
    };
    let nominated = |node: &str| {
        let mut pod = Pod::clone(&running("p", 10, "4", 9));
        pod.nominated = node.into();
        pod
    };
    let waits = "not tried: not eligible due to a terminating pod on the nominated node.";
    let other = || ("node2", [running("b", 1, "4", 1)]);
    for (by, node, expected) in [
        ("PreemptionByScheduler", "node1", waits),
        ("EvictionByEvictionAPI", "node1", "node2: b"),
        ("PreemptionByScheduler", "node2", "node2: b"),
        ("PreemptionByScheduler", "gone", "node2: b"),
    ] {
        let (name, pods) = other();
        let mut paper = lab(&[("node1", &[leaving(by)]), (name, &pods)]);
        assert_eq!(said(&mut paper, &nominated(node)), expected, "{by} {node}");
    }
}

#[test]
fn room_is_made_against_affinity_and_spread_too() {
    let rules = |kind: &str| {
        let term = json!([{"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "kubernetes.io/hostname"}]);
        let mut affinity = json!({});
        affinity[kind] = json!({"requiredDuringSchedulingIgnoredDuringExecution": term});
        json!({"affinity": affinity})
    };
    // The new pod's own anti-affinity.
    let mut paper = lab(&[("node1", &[running("a", 1, "1", 1), running("b", 1, "1", 1)])]);
    let new = with("p", 10, "1", 9, rules("podAntiAffinity"));
    assert_eq!(said(&mut paper, &new), "node1: a");
    // That of a pod on the node.
    let far = with("b", 1, "1", 1, rules("podAntiAffinity"));
    let mut paper = lab(&[("node1", &[far, running("c", 1, "1", 1)])]);
    assert_eq!(
        said(&mut paper, &with("a", 10, "1", 9, json!({}))),
        "node1: b"
    );
    // A spread: node1 is one ahead.
    let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]});
    let mut paper = lab(&[
        ("node1", &[running("a", 1, "1", 1)]),
        ("node2", &[running("b", 20, "4", 1)]),
        ("node3", &[]),
    ]);
    let taint = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
    paper.node("node3", json!({}), taint);
    assert_eq!(said(&mut paper, &with("p", 10, "1", 9, spread)), "node1: a");
}

#[test]
fn required_affinity_to_a_pod_keeps_it_from_being_the_victim() {
    let term = json!([{"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "kubernetes.io/hostname"}]);
    let near = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}});
    let mut paper = lab(&[("node1", &[running("a", 1, "2", 1), running("b", 1, "2", 1)])]);
    // As upstream: without any of lower priority it would not fit, so nobody has to leave.
    let expected = "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.";
    assert_eq!(said(&mut paper, &with("p", 10, "1", 9, near)), expected);
}

#[test]
fn pods_without_labels_are_in_no_budget() {
    let bare = pod(
        "bare",
        json!({"spec": {"priority": 1, "containers": asks(json!({"cpu": "4"}))["containers"]}}),
    );
    let mut paper = lab(&[("node1", &[bare])]);
    paper.budget("all", json!({}), 0);
    let new = labelled(
        "p",
        json!({}),
        json!({"priority": 5, "containers": asks(json!({"cpu": "4"}))["containers"]}),
    );
    assert_eq!(said(&mut paper, &new), "node1: bare");
}
