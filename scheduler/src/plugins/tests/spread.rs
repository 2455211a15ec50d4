//! Spreading over domains.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::affinity::Unsatisfiable;
use crate::config::points_by_default;
use crate::plugins::spread::PodTopologySpread;
use crate::pod::Pod;
use crate::profile::{PluginArgs, Profile};
use crate::testing::{Paper, labelled, pod};

const HOST: &str = "kubernetes.io/hostname";
const SKEW: &str = "node(s) didn't match pod topology spread constraints";
const LABEL: &str =
    "!node(s) didn't match pod topology spread constraints (missing required label)";

/// Two zones of two nodes each.
fn zones() -> Paper {
    Paper::of(&[
        ("node-a", &[("zone", "1")]),
        ("node-b", &[("zone", "1")]),
        ("node-x", &[("zone", "2")]),
        ("node-y", &[("zone", "2")]),
    ])
}

fn constraint(max_skew: i64, key: &str, action: &str) -> Value {
    json!({
        "maxSkew": max_skew, "topologyKey": key, "whenUnsatisfiable": action,
        "labelSelector": {"matchLabels": {"app": "web"}},
    })
}

fn hard(max_skew: i64, key: &str) -> Value {
    constraint(max_skew, key, "DoNotSchedule")
}

fn web(name: &str, constraints: &[Value]) -> Arc<Pod> {
    let spec = json!({"topologySpreadConstraints": constraints});
    labelled(name, json!({"app": "web"}), spec)
}

/// So many pods on each node.
type Counts = &'static [(&'static str, usize)];

fn fill(paper: &mut Paper, counts: Counts) {
    for (node, count) in counts {
        for number in 0..*count {
            paper.put(&web(&format!("{node}-{number}"), &[]), node);
        }
    }
}

fn said(paper: &mut Paper, pod: &Pod) -> Vec<String> {
    paper
        .verdicts(pod)
        .into_iter()
        .map(|(_, said)| said)
        .collect()
}

#[test]
fn no_domain_gets_further_ahead_than_the_skew_allows() {
    let cases: Vec<(Counts, Vec<Value>, [&str; 4])> = vec![
        (&[], vec![hard(1, "zone")], ["", "", "", ""]),
        (
            &[("node-a", 1)],
            vec![hard(1, "zone")],
            [SKEW, SKEW, "", ""],
        ),
        (&[("node-a", 1)], vec![hard(2, "zone")], ["", "", "", ""]),
        (
            &[("node-a", 2), ("node-b", 1), ("node-x", 2)],
            vec![hard(1, "zone")],
            [SKEW, SKEW, "", ""],
        ),
        (
            &[("node-a", 1), ("node-x", 1)],
            vec![hard(1, HOST)],
            [SKEW, "", SKEW, ""],
        ),
        // Both constraints have to be kept.
        (
            &[("node-a", 1), ("node-x", 1)],
            vec![hard(1, "zone"), hard(1, HOST)],
            [SKEW, "", SKEW, ""],
        ),
        (
            &[("node-a", 1)],
            vec![hard(1, "zone"), hard(1, HOST)],
            [SKEW, SKEW, "", ""],
        ),
        (&[], vec![hard(1, "rack")], [LABEL, LABEL, LABEL, LABEL]),
    ];
    for (counts, constraints, expected) in cases {
        let mut paper = zones();
        fill(&mut paper, counts);
        let pod = web("p", &constraints);
        assert_eq!(
            said(&mut paper, &pod),
            expected,
            "{counts:?} {constraints:?}"
        );
    }
}

#[test]
fn a_pod_that_does_not_count_itself_only_looks_at_the_others() {
    let mut paper = zones();
    fill(&mut paper, &[("node-a", 1)]);
    let spec = json!({"topologySpreadConstraints": [hard(1, "zone")]});
    let other = labelled("p", json!({"app": "other"}), spec);
    assert_eq!(said(&mut paper, &other), ["", "", "", ""]);
}

#[test]
fn pods_that_are_leaving_or_of_other_namespaces_are_not_counted() {
    let mut paper = zones();
    let leaving = pod(
        "leaving",
        json!({"metadata": {
        "labels": {"app": "web"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
    );
    let elsewhere = pod(
        "e",
        json!({"metadata": {"labels": {"app": "web"}, "namespace": "other"}}),
    );
    paper.put(&leaving, "node-a");
    paper.put(&elsewhere, "node-b");
    assert_eq!(
        said(&mut paper, &web("p", &[hard(1, "zone")])),
        ["", "", "", ""]
    );
}

#[test]
fn fewer_domains_than_wanted_count_as_if_one_were_empty() {
    let with = |min: usize| {
        let mut own = hard(1, "zone");
        own["minDomains"] = json!(min);
        own
    };
    for (min, expected) in [(2, ["", "", "", ""]), (3, [SKEW, SKEW, SKEW, SKEW])] {
        let mut paper = zones();
        fill(&mut paper, &[("node-a", 1), ("node-x", 1)]);
        assert_eq!(said(&mut paper, &web("p", &[with(min)])), expected, "{min}");
    }
}

#[test]
fn nodes_that_the_pod_cannot_use_count_only_when_the_policies_say_so() {
    let policies = |affinity: &str, taints: &str| {
        let mut own = hard(1, "zone");
        own["nodeAffinityPolicy"] = json!(affinity);
        own["nodeTaintsPolicy"] = json!(taints);
        own
    };
    let selected = |constraint: Value| {
        let spec = json!({
            "topologySpreadConstraints": [constraint], "nodeSelector": {"kind": "good"},
        });
        labelled("p", json!({"app": "web"}), spec)
    };
    let paper = || {
        let mut paper = Paper::of(&[
            ("node-a", &[("zone", "1"), ("kind", "good")]),
            ("node-b", &[("zone", "2"), ("kind", "good")]),
            ("node-x", &[("zone", "3")]),
        ]);
        let taint = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
        paper.node("node-y", json!({"zone": "4", "kind": "good"}), taint);
        fill(&mut paper, &[("node-a", 2), ("node-b", 1)]);
        paper
    };
    // The emptiest domain is the one of node-x, of node-y, or that of node-b.
    let cases = [
        (policies("Honor", "Honor"), vec!["node-b"]),
        (policies("Honor", "Ignore"), vec![]),
        (policies("Ignore", "Honor"), vec![]),
        (policies("Ignore", "Ignore"), vec![]),
        (hard(1, "zone"), vec![]),
    ];
    for (constraint, expected) in cases {
        let shown = constraint.to_string();
        assert_eq!(paper().fitting(&selected(constraint)), expected, "{shown}");
    }
}

#[test]
fn label_keys_count_only_pods_of_the_same_revision() {
    let mut keyed = hard(1, "zone");
    keyed["matchLabelKeys"] = json!(["hash"]);
    let revision = |name: &str, hash: &str, constraints: &[Value]| {
        let spec = json!({"topologySpreadConstraints": constraints});
        labelled(name, json!({"app": "web", "hash": hash}), spec)
    };
    let mut paper = zones();
    paper.put(&revision("old", "1", &[]), "node-a");
    let same = revision("p", "1", std::slice::from_ref(&keyed));
    assert_eq!(said(&mut paper, &same), [SKEW, SKEW, "", ""]);
    let other = revision("p", "2", &[keyed]);
    assert_eq!(said(&mut paper, &other), ["", "", "", ""]);
}

#[test]
fn soft_constraints_prefer_emptier_domains_and_refuse_none() {
    let soft = |key: &str| constraint(1, key, "ScheduleAnyway");
    let cases: Vec<(Counts, Vec<Value>, [i64; 4])> = vec![
        (&[], vec![soft(HOST)], [100, 100, 100, 100]),
        (
            &[("node-a", 2), ("node-x", 1)],
            vec![soft(HOST)],
            [0, 100, 50, 100],
        ),
        (
            &[("node-a", 2), ("node-x", 1)],
            vec![soft("zone")],
            [33, 33, 100, 100],
        ),
    ];
    for (counts, constraints, expected) in cases {
        let mut paper = zones();
        fill(&mut paper, counts);
        let pod = web("p", &constraints);
        assert_eq!(said(&mut paper, &pod), ["", "", "", ""]);
        let scores = paper.scores("PodTopologySpread", &pod);
        assert_eq!(scores, Some(expected.into()), "{counts:?} {constraints:?}");
    }
    // Nodes without the label are the last choice.
    let mut paper = zones();
    paper.node("bare", json!({}), json!({}));
    fill(&mut paper, &[("node-a", 1)]);
    let scores = paper.scores("PodTopologySpread", &web("p", &[soft("zone")]));
    assert_eq!(scores, Some(vec![0, 0, 0, 100, 100]));
}

#[test]
fn pods_of_services_and_replica_sets_are_spread_without_being_told() {
    let mut paper = zones();
    fill(&mut paper, &[("node-a", 4), ("node-x", 1)]);
    let plain = web("p", &[]);
    assert_eq!(paper.scores("PodTopologySpread", &plain), None);
    paper.service("web", json!({"app": "web"}));
    paper.service("everything", json!({}));
    let by_service = paper.scores("PodTopologySpread", &plain).unwrap();
    assert!(by_service[0] < by_service[1] && by_service[2] < by_service[3]);
    paper
        .cache
        .put_service(&ferrule_client::Key::new("default", "web"), None);
    paper.replica_set("rs", json!({"app": "web"}));
    let owned = pod(
        "p",
        json!({"metadata": {"labels": {"app": "web"}, "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "u", "controller": true}]}}),
    );
    assert_eq!(paper.scores("PodTopologySpread", &owned), Some(by_service));
}

#[test]
fn default_constraints_of_the_configuration_may_be_hard() {
    let mut args = PluginArgs::default();
    let mut default = PodTopologySpread::default().defaults[0].clone();
    default.unsatisfiable = Unsatisfiable::DoNotSchedule;
    default.topology_key = "zone".into();
    default.max_skew = 1;
    args.spread = PodTopologySpread {
        defaults: vec![default],
        system: false,
    };
    let mut paper = zones();
    paper.profile = Profile::new("p", 0, &points_by_default(), &args);
    fill(&mut paper, &[("node-a", 1)]);
    let plain = web("p", &[]);
    assert_eq!(said(&mut paper, &plain), ["", "", "", ""]);
    paper.service("web", json!({"app": "web"}));
    assert_eq!(said(&mut paper, &plain), [SKEW, SKEW, "", ""]);
    // A pod with constraints of its own has no others.
    let own = web("p", &[hard(5, "zone")]);
    assert_eq!(said(&mut paper, &own), ["", "", "", ""]);
}
