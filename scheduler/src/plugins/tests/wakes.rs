//! Queueing hints: which changes a refused pod is tried again for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::events::Event;
use crate::node::{Node, NodeObject};
use crate::pod::Pod;
use crate::testing::{Paper, asks, labelled, pod, projected};

/// What happens.
enum Happens {
    Removed(Arc<Pod>),
    Added(Arc<Pod>),
    Changed(Arc<Pod>, Arc<Pod>),
    Node(Value),
    NodeChanged(Value, Value),
}

fn node(object: Value) -> Node {
    let mut object = object;
    object["metadata"]["name"] = json!("node");
    let object: NodeObject = projected(&object);
    Node {
        name: "node".into(),
        object: Some(Arc::new(object)),
        ..Node::default()
    }
}

fn wakes(plugin: &str, pod: &Pod, happens: &Happens) -> bool {
    let paper = Paper::default();
    let snapshot = paper.cache.snapshot();
    let mut filters = paper.profile.filters();
    let plugin = filters.find(|own| own.name() == plugin).unwrap();
    match happens {
        Happens::Removed(other) => plugin.wakes(pod, &Event::PodRemoved(other), snapshot),
        Happens::Added(other) => plugin.wakes(pod, &Event::PodAdded(other), snapshot),
        Happens::Changed(old, new) => plugin.wakes(pod, &Event::PodChanged { old, new }, snapshot),
        Happens::Node(object) => {
            plugin.wakes(pod, &Event::NodeAdded(&node(object.clone())), snapshot)
        }
        Happens::NodeChanged(old, new) => {
            let (old, new) = (node(old.clone()), node(new.clone()));
            let old = old.object.as_deref().unwrap();
            plugin.wakes(pod, &Event::NodeChanged { old, new: &new }, snapshot)
        }
    }
}

#[test]
fn a_refused_pod_is_tried_again_only_for_what_may_help_it() {
    use Happens::*;
    let size =
        |cpu: &str| json!({"status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "9"}}});
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let tainted = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
    let cordoned = |on: bool| json!({"spec": {"unschedulable": on}});
    let cpu = |cpu: &str| pod("o", json!({"spec": asks(json!({"cpu": cpu}))}));
    let port = |port: u16| json!({"containers": [{"ports": [{"hostPort": port}]}]});
    let eighty = port(80);
    let with_port = |number| pod("o", json!({"spec": port(number)}));
    let web = || labelled("o", json!({"app": "web"}), json!({}));
    let other = || labelled("o", json!({"app": "other"}), json!({}));
    let term = json!([{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}]);
    let rules = json!({"requiredDuringSchedulingIgnoredDuringExecution": term});
    let near = json!({"affinity": {"podAffinity": rules}});
    let far = json!({"affinity": {"podAntiAffinity": rules}});
    let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]});
    let two = asks(json!({"cpu": "2"}));
    let selects = json!({"nodeSelector": {"disk": "ssd"}});
    let cases: Vec<(&str, &Value, Happens, bool)> = vec![
        ("NodeResourcesFit", &two, Removed(cpu("1")), true),
        ("NodeResourcesFit", &two, Added(cpu("1")), false),
        ("NodeResourcesFit", &two, Changed(cpu("2"), cpu("1")), true),
        ("NodeResourcesFit", &two, Changed(cpu("1"), cpu("2")), false),
        ("NodeResourcesFit", &two, Node(size("2")), true),
        ("NodeResourcesFit", &two, Node(size("1")), false),
        (
            "NodeResourcesFit",
            &two,
            NodeChanged(size("2"), size("3")),
            true,
        ),
        (
            "NodeResourcesFit",
            &two,
            NodeChanged(size("3"), size("2")),
            false,
        ),
        (
            "NodeAffinity",
            &selects,
            Node(labels(json!({"disk": "ssd"}))),
            true,
        ),
        ("NodeAffinity", &selects, Node(labels(json!({}))), false),
        (
            "NodeAffinity",
            &selects,
            NodeChanged(labels(json!({})), labels(json!({"disk": "ssd"}))),
            true,
        ),
        (
            "NodeAffinity",
            &selects,
            NodeChanged(
                labels(json!({"disk": "ssd"})),
                labels(json!({"disk": "ssd", "a": "b"})),
            ),
            false,
        ),
        ("NodeAffinity", &selects, Removed(web()), false),
        (
            "TaintToleration",
            &two,
            NodeChanged(tainted("a"), json!({})),
            true,
        ),
        (
            "TaintToleration",
            &two,
            NodeChanged(tainted("a"), tainted("b")),
            false,
        ),
        ("TaintToleration", &two, Node(json!({})), true),
        (
            "NodeUnschedulable",
            &two,
            NodeChanged(cordoned(true), cordoned(false)),
            true,
        ),
        (
            "NodeUnschedulable",
            &two,
            NodeChanged(cordoned(false), cordoned(false)),
            false,
        ),
        ("NodeUnschedulable", &two, Node(cordoned(true)), false),
        ("NodePorts", &eighty, Removed(with_port(80)), true),
        ("NodePorts", &eighty, Removed(with_port(81)), false),
        ("NodePorts", &eighty, Node(json!({})), true),
        ("InterPodAffinity", &near, Added(web()), true),
        ("InterPodAffinity", &near, Added(other()), false),
        ("InterPodAffinity", &near, Changed(other(), web()), true),
        ("InterPodAffinity", &near, Removed(web()), false),
        (
            "InterPodAffinity",
            &near,
            Node(labels(json!({"zone": "a"}))),
            true,
        ),
        ("InterPodAffinity", &near, Node(labels(json!({}))), false),
        ("InterPodAffinity", &far, Removed(web()), true),
        ("InterPodAffinity", &far, Removed(other()), false),
        ("InterPodAffinity", &far, Changed(web(), other()), true),
        ("PodTopologySpread", &spread, Added(web()), true),
        ("PodTopologySpread", &spread, Removed(web()), true),
        ("PodTopologySpread", &spread, Removed(other()), false),
        ("PodTopologySpread", &spread, Changed(web(), other()), true),
        ("PodTopologySpread", &spread, Changed(web(), web()), false),
        (
            "PodTopologySpread",
            &spread,
            Node(labels(json!({"zone": "a"}))),
            true,
        ),
        ("PodTopologySpread", &spread, Node(labels(json!({}))), false),
    ];
    for (number, (plugin, spec, happens, expected)) in cases.iter().enumerate() {
        let waiting = pod("p", json!({"spec": spec}));
        assert_eq!(
            wakes(plugin, &waiting, happens),
            *expected,
            "case {number}: {plugin}"
        );
    }
}

#[test]
fn a_pod_whose_anti_affinity_meant_the_refused_one_wakes_it_by_leaving() {
    let term = json!([{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}]);
    let far = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}});
    let leaves = Happens::Removed(labelled("o", json!({"app": "db"}), far));
    let web = labelled("p", json!({"app": "web"}), json!({}));
    assert!(wakes("InterPodAffinity", &web, &leaves));
    let other = labelled("p", json!({"app": "other"}), json!({}));
    assert!(!wakes("InterPodAffinity", &other, &leaves));
}
