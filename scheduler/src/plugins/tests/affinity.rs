//! Pods near to and far from other pods.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::pod::Pod;
use crate::testing::{Paper, labelled, pod};

const HOST: &str = "kubernetes.io/hostname";
const NEAR: &str = "!node(s) didn't match pod affinity rules";
const FAR: &str = "node(s) didn't match pod anti-affinity rules";
const OTHERS: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// Two zones: a with node1 and node2, b with node3.
fn zones() -> Paper {
    Paper::of(&[
        ("node1", &[("zone", "a")]),
        ("node2", &[("zone", "a")]),
        ("node3", &[("zone", "b")]),
    ])
}

fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}

fn required(kind: &str, terms: &[Value]) -> Value {
    let mut affinity = json!({});
    affinity[kind] = json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
    json!({"affinity": affinity})
}

fn preferred(kind: &str, weight: i64, term: Value) -> Value {
    let weighted = json!([{"weight": weight, "podAffinityTerm": term}]);
    let mut affinity = json!({});
    affinity[kind] = json!({"preferredDuringSchedulingIgnoredDuringExecution": weighted});
    json!({"affinity": affinity})
}

fn near(terms: &[Value]) -> Value {
    required("podAffinity", terms)
}

fn far(terms: &[Value]) -> Value {
    required("podAntiAffinity", terms)
}

fn app(name: &str, app: &str, spec: Value) -> Arc<Pod> {
    labelled(name, json!({"app": app}), spec)
}

fn said(paper: &mut Paper, pod: &Pod) -> Vec<String> {
    paper
        .verdicts(pod)
        .into_iter()
        .map(|(_, said)| said)
        .collect()
}

#[test]
fn required_terms_of_the_pod_decide_by_domain() {
    let cases: Vec<(Value, [&str; 3])> = vec![
        (near(&[term("db", "zone")]), ["", "", NEAR]),
        (near(&[term("db", HOST)]), ["", NEAR, NEAR]),
        (near(&[term("db", "rack")]), [NEAR, NEAR, NEAR]),
        (near(&[term("none", "zone")]), [NEAR, NEAR, NEAR]),
        // One pod has to be meant by all terms.
        (
            near(&[term("db", "zone"), term("cache", "zone")]),
            [NEAR, NEAR, NEAR],
        ),
        (far(&[term("db", "zone")]), [FAR, FAR, ""]),
        (far(&[term("db", HOST)]), [FAR, "", ""]),
        (far(&[term("db", "rack")]), ["", "", ""]),
        (
            far(&[term("db", HOST), term("cache", HOST)]),
            [FAR, "", FAR],
        ),
    ];
    for (spec, expected) in cases {
        let mut paper = zones();
        paper.put(&app("db", "db", json!({})), "node1");
        paper.put(&app("cache", "cache", json!({})), "node3");
        assert_eq!(
            said(&mut paper, &app("p", "web", spec.clone())),
            expected,
            "{spec}"
        );
    }
}

#[test]
fn the_first_pod_of_its_kind_may_go_anywhere_where_the_labels_are() {
    let mut paper = zones();
    let itself = app("p", "web", near(&[term("web", "zone")]));
    assert_eq!(said(&mut paper, &itself), ["", "", ""]);
    let itself_by_rack = app("p", "web", near(&[term("web", "rack")]));
    assert_eq!(said(&mut paper, &itself_by_rack), [NEAR, NEAR, NEAR]);
    paper.put(&itself, "node3");
    let second = app("q", "web", near(&[term("web", "zone")]));
    assert_eq!(said(&mut paper, &second), [NEAR, NEAR, ""]);
}

#[test]
fn anti_affinity_of_pods_on_nodes_keeps_away_whom_it_means() {
    let cases: Vec<(Value, [&str; 3])> = vec![
        (far(&[term("web", "zone")]), [OTHERS, OTHERS, ""]),
        (far(&[term("web", HOST)]), [OTHERS, "", ""]),
        (far(&[term("other", "zone")]), ["", "", ""]),
        (
            far(&[term("other", "zone"), term("web", HOST)]),
            [OTHERS, "", ""],
        ),
    ];
    for (spec, expected) in cases {
        let mut paper = zones();
        let existing = app("e", "db", spec.clone());
        paper.put(&existing, "node1");
        let new = app("p", "web", json!({}));
        assert_eq!(said(&mut paper, &new), expected, "{spec}");
        paper.remove(&existing);
        assert_eq!(said(&mut paper, &new), ["", "", ""], "{spec}");
    }
}

#[test]
fn namespaces_are_the_own_the_named_and_the_selected() {
    let with = |field: &str, value: Value| {
        let mut term = term("db", "zone");
        if !field.is_empty() {
            term[field] = value;
        }
        term
    };
    let team = json!({"matchLabels": {"team": "a"}});
    let cases = [
        (with("", json!(null)), false),
        (with("namespaces", json!(["other"])), true),
        (with("namespaces", json!(["third"])), false),
        (with("namespaceSelector", json!({})), true),
        (with("namespaceSelector", team), true),
        (
            with("namespaceSelector", json!({"matchLabels": {"team": "b"}})),
            false,
        ),
        (with("namespaceSelector", json!(null)), false),
    ];
    for (term, meant) in cases {
        let mut paper = zones();
        paper.namespace("other", &[("team", "a")]);
        paper.namespace("default", &[]);
        let db = pod(
            "db",
            json!({"metadata": {"namespace": "other", "labels": {"app": "db"}}}),
        );
        paper.put(&db, "node1");
        let expected = if meant {
            ["", "", NEAR]
        } else {
            [NEAR, NEAR, NEAR]
        };
        let new = app("p", "web", near(std::slice::from_ref(&term)));
        assert_eq!(said(&mut paper, &new), expected, "{term}");
    }
    // A namespace that gets the label is selected from then on.
    let mut paper = zones();
    let db = pod(
        "db",
        json!({"metadata": {"namespace": "other", "labels": {"app": "db"}}}),
    );
    paper.put(&db, "node1");
    let mut by_team = term("db", "zone");
    by_team["namespaceSelector"] = json!({"matchLabels": {"team": "a"}});
    let new = app("p", "web", near(&[by_team]));
    assert_eq!(said(&mut paper, &new), [NEAR, NEAR, NEAR]);
    paper.namespace("other", &[("team", "a")]);
    assert_eq!(said(&mut paper, &new), ["", "", NEAR]);
}

#[test]
fn label_keys_narrow_a_term_to_pods_with_the_same_or_other_values() {
    let keyed = |field: &str| {
        let mut term = term("web", HOST);
        term[field] = json!(["version", "absent"]);
        term
    };
    let version = |name: &str, version: &str, spec: Value| {
        labelled(name, json!({"app": "web", "version": version}), spec)
    };
    let cases = [
        (keyed("matchLabelKeys"), ["", FAR, ""]),
        (keyed("mismatchLabelKeys"), [FAR, "", ""]),
    ];
    for (term, expected) in cases {
        let mut paper = zones();
        paper.put(&version("old", "1", json!({})), "node1");
        paper.put(&version("new", "2", json!({})), "node2");
        let pod = version("p", "2", far(std::slice::from_ref(&term)));
        assert_eq!(said(&mut paper, &pod), expected, "{term}");
    }
}

#[test]
fn preferences_of_both_sides_are_added_up() {
    let draws = |weight| preferred("podAffinity", weight, term("web", "zone"));
    let pushes = |weight| preferred("podAntiAffinity", weight, term("web", "zone"));
    let none = json!({});
    // What the pod on node1 says, what the new pod says, and the scores.
    let cases: Vec<(Value, Value, Option<[i64; 3]>)> = vec![
        (none.clone(), none.clone(), None),
        (
            none.clone(),
            preferred("podAffinity", 5, term("db", "zone")),
            Some([100, 100, 0]),
        ),
        (
            none.clone(),
            preferred("podAffinity", 5, term("db", HOST)),
            Some([100, 0, 0]),
        ),
        (
            none.clone(),
            preferred("podAntiAffinity", 5, term("db", HOST)),
            Some([0, 100, 100]),
        ),
        (draws(7), none.clone(), Some([100, 100, 0])),
        (pushes(7), none.clone(), Some([0, 0, 100])),
        // The required affinity of others draws with weight 1.
        (
            near(&[term("web", "zone")]),
            none.clone(),
            Some([100, 100, 0]),
        ),
        (
            pushes(1),
            preferred("podAffinity", 2, term("db", HOST)),
            Some([100, 0, 50]),
        ),
    ];
    for (existing, new, expected) in cases {
        let mut paper = zones();
        paper.put(&app("db", "db", existing.clone()), "node1");
        let new_pod = app("p", "web", new.clone());
        let scores = paper.scores("InterPodAffinity", &new_pod);
        assert_eq!(scores, expected.map(Vec::from), "{existing} and {new}");
    }
}

#[test]
fn a_node_that_changes_its_zone_takes_its_pods_along() {
    let mut paper = zones();
    paper.put(&app("db", "db", far(&[term("web", "zone")])), "node1");
    let new = app("p", "web", near(&[term("db", "zone")]));
    let plain = app("q", "web", json!({}));
    assert_eq!(said(&mut paper, &new), [OTHERS, OTHERS, NEAR]);
    paper.node("node1", json!({"zone": "b"}), json!({}));
    assert_eq!(said(&mut paper, &new), [OTHERS, NEAR, OTHERS]);
    assert_eq!(said(&mut paper, &plain), [OTHERS, "", OTHERS]);
    paper.cache.put_node("node1", None);
    assert_eq!(said(&mut paper, &plain), ["", ""]);
}
