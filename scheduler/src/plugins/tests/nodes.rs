//! Names, labels, taints, ports and images.

use serde_json::{Value, json};

use crate::testing::{Paper, labelled, pod};

fn lab() -> Paper {
    let mut paper = Paper::default();
    paper.node("node1", json!({"disk": "ssd", "cores": "4"}), json!({}));
    let cordoned = json!({"unschedulable": true});
    paper.node("node2", json!({"disk": "hdd", "cores": "8"}), cordoned);
    let taints = json!({"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]});
    paper.node("node3", json!({}), taints);
    paper
}

fn spec(spec: Value) -> std::sync::Arc<crate::pod::Pod> {
    pod("p", json!({"spec": spec}))
}

fn required(terms: Value) -> Value {
    let everything = json!([{"operator": "Exists"}]);
    json!({"tolerations": everything, "affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
}

fn label(key: &str, operator: &str, values: Value) -> Value {
    json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
}

#[test]
fn a_pod_goes_to_nodes_that_its_selector_and_affinity_select() {
    let name = |values: Value| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": values}]});
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({"nodeSelector": {"disk": "ssd"}}), &["node1"]),
        (json!({"nodeSelector": {"disk": "ssd", "cores": "8"}}), &[]),
        (
            required(json!([label("cores", "Gt", json!(["4"]))])),
            &["node2"],
        ),
        (
            required(json!([label("cores", "Lt", json!(["8"]))])),
            &["node1"],
        ),
        (
            required(json!([label("cores", "Gt", json!(["many"]))])),
            &[],
        ),
        (
            required(json!([label("cores", "DoesNotExist", json!([]))])),
            &["node3"],
        ),
        (
            required(json!([label("cores", "Exists", json!([]))])),
            &["node1", "node2"],
        ),
        (
            required(json!([label("cores", "In", json!(["8", "16"]))])),
            &["node2"],
        ),
        (
            required(json!([label("cores", "NotIn", json!(["8", "16"]))])),
            &["node1", "node3"],
        ),
        (
            required(json!([
                label("disk", "In", json!(["ssd"])),
                label("disk", "In", json!(["hdd"]))
            ])),
            &["node1", "node2"],
        ),
        (required(json!([{}])), &[]),
        (required(json!([])), &[]),
        (
            required(json!([name(json!(["node3", "node9"]))])),
            &["node3"],
        ),
    ];
    for (asked, expected) in cases {
        assert_eq!(lab().fitting(&spec(asked.clone())), expected, "{asked}");
    }
}

#[test]
fn terms_that_name_nodes_narrow_the_choice_before_any_filter_runs() {
    let name = |values: Value| json!({"key": "metadata.name", "operator": "In", "values": values});
    let cases = [
        (
            json!([{"matchFields": [name(json!(["node3"]))]}]),
            "node3".to_owned(),
        ),
        (
            json!([{"matchFields": [name(json!(["gone"]))]}]),
            "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity]."
                .to_owned(),
        ),
        (
            json!([{"matchFields": [name(json!(["node1"])), name(json!(["node3"]))]}]),
            "0/3 nodes are available: pod affinity terms conflict.".to_owned(),
        ),
    ];
    for (terms, expected) in cases {
        assert_eq!(
            lab().place(&spec(required(terms.clone()))),
            expected,
            "{terms}"
        );
    }
    // The node that is named refuses for a reason of its own.
    let mut other = required(json!([{"matchFields": [name(json!(["node3"]))]}]));
    other["tolerations"] = json!([]);
    let expected = "0/3 nodes are available: 1 node(s) had untolerated taint(s), \
                    2 node(s) didn't satisfy plugin(s) [NodeAffinity].";
    assert_eq!(lab().place(&spec(other)), expected);
}

#[test]
fn preferred_node_affinity_scores_by_the_sum_of_weights() {
    let preferred = |terms: Value| json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}});
    let term = |weight: i64, preference: Value| json!({"weight": weight, "preference": preference});
    let ssd = || label("disk", "In", json!(["ssd"]));
    let any = || label("disk", "Exists", json!([]));
    let cases: Vec<(Value, Option<Vec<i64>>)> = vec![
        (preferred(json!([])), None),
        (preferred(json!([term(5, json!({}))])), None),
        (preferred(json!([term(0, ssd())])), None),
        (preferred(json!([term(5, ssd())])), Some(vec![100, 0, 0])),
        (
            preferred(json!([term(6, ssd()), term(3, any())])),
            Some(vec![100, 33, 0]),
        ),
        (
            preferred(json!([term(1, label("no", "Exists", json!([])))])),
            Some(vec![0, 0, 0]),
        ),
    ];
    for (asked, expected) in cases {
        assert_eq!(
            lab().scores("NodeAffinity", &spec(asked.clone())),
            expected,
            "{asked}"
        );
    }
}

#[test]
fn taints_and_cordons_keep_away_who_does_not_tolerate_them() {
    let tolerates = |toleration: Value| json!({"tolerations": [toleration]});
    let cordon = "node.kubernetes.io/unschedulable";
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({}), &["node1"]),
        (
            tolerates(json!({"operator": "Exists"})),
            &["node1", "node2", "node3"],
        ),
        (
            tolerates(json!({"key": "dedicated", "value": "gpu"})),
            &["node1", "node3"],
        ),
        (
            tolerates(json!({"key": "dedicated", "value": "gpu", "effect": "NoExecute"})),
            &["node1"],
        ),
        (
            tolerates(json!({"key": "dedicated", "value": "cpu"})),
            &["node1"],
        ),
        (
            tolerates(json!({"key": cordon, "operator": "Exists"})),
            &["node1", "node2"],
        ),
    ];
    for (asked, expected) in cases {
        assert_eq!(lab().fitting(&spec(asked.clone())), expected, "{asked}");
    }
    let said = lab().verdicts(&spec(json!({"nodeSelector": {"no": "node"}})));
    let said: Vec<&str> = said.iter().map(|(_, said)| said.as_str()).collect();
    assert_eq!(
        said,
        [
            "!node(s) didn't match Pod's node affinity/selector",
            "!node(s) were unschedulable",
            "!node(s) had untolerated taint(s)",
        ]
    );
}

#[test]
fn taints_that_only_advise_lower_the_score() {
    let advised = |count: usize| {
        let taints: Vec<Value> = (0..count)
            .map(|number| json!({"key": format!("t{number}"), "effect": "PreferNoSchedule"}))
            .collect();
        json!({"taints": taints})
    };
    let mut paper = Paper::default();
    for count in 0..3 {
        paper.node(&format!("node{count}"), json!({}), advised(count));
    }
    let scores = |paper: &mut Paper, asked: Value| paper.scores("TaintToleration", &spec(asked));
    assert_eq!(scores(&mut paper, json!({})), Some(vec![100, 50, 0]));
    let one =
        json!({"tolerations": [{"key": "t0", "operator": "Exists", "effect": "PreferNoSchedule"}]});
    assert_eq!(scores(&mut paper, one), Some(vec![100, 100, 0]));
    let all = json!({"tolerations": [{"operator": "Exists"}]});
    assert_eq!(scores(&mut paper, all), Some(vec![100, 100, 100]));
}

#[test]
fn a_host_port_is_given_once_for_an_address_and_protocol() {
    let port = |ip: &str, protocol: &str, port: u16| json!({"containers": [{"ports": [{"hostPort": port, "hostIP": ip, "protocol": protocol}]}]});
    let free = "";
    let taken = "node(s) didn't have free ports for the requested pod ports";
    let cases = [
        (port("127.0.0.1", "TCP", 80), taken),
        (port("10.0.0.1", "TCP", 80), free),
        (port("", "TCP", 80), taken),
        (port("0.0.0.0", "TCP", 80), taken),
        (port("127.0.0.1", "UDP", 80), free),
        (port("127.0.0.1", "TCP", 81), free),
        (json!({}), free),
    ];
    for (asked, expected) in cases {
        let mut paper = Paper::of(&[("node1", &[])]);
        paper.put(
            &pod("first", json!({"spec": port("127.0.0.1", "TCP", 80)})),
            "node1",
        );
        let said = paper.verdicts(&spec(asked.clone()));
        assert_eq!(said, [("node1".to_owned(), expected.to_owned())], "{asked}");
    }
}

#[test]
fn images_on_a_node_raise_its_score_by_size_and_by_how_many_nodes_have_them() {
    let mib = 1024 * 1024;
    let status = |images: Value| json!({"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "10"}, "images": images});
    let image = |names: &[&str], size: i64| json!({"names": names, "sizeBytes": size * mib});
    let mut paper = Paper::default();
    let big = image(&["registry.example/big:1"], 1000);
    let small = image(&["small:latest"], 20);
    paper.node_with("node1", json!({}), json!({}), status(json!([big, small])));
    paper.node_with("node2", json!({}), json!({}), status(json!([small])));
    let uses = |images: &[&str]| {
        let containers: Vec<Value> = images.iter().map(|image| json!({"image": image})).collect();
        spec(json!({"containers": containers}))
    };
    let scores = |paper: &mut Paper, images: &[&str]| paper.scores("ImageLocality", &uses(images));
    // 1000 MiB on one of two nodes count as 500 of at most 1000.
    let expected = 100 * (500 - 23) / (1000 - 23);
    assert_eq!(
        scores(&mut paper, &["registry.example/big:1"]),
        Some(vec![expected, 0])
    );
    assert_eq!(scores(&mut paper, &["small"]), Some(vec![0, 0]));
    assert_eq!(
        scores(&mut paper, &["registry.example/big:2"]),
        Some(vec![0, 0])
    );
    let expected = 100 * (520 - 23) / (2000 - 23);
    assert_eq!(
        scores(&mut paper, &["registry.example/big:1", "small"]),
        Some(vec![expected, 0])
    );
}

#[test]
fn scheduling_gates_are_named() {
    let gated = spec(json!({"schedulingGates": [{"name": "a.example/x"}, {"name": "b"}]}));
    let paper = Paper::default();
    assert_eq!(
        paper.profile.gate(&gated),
        Some((
            "SchedulingGates",
            "waiting for scheduling gates: [a.example/x b]".to_owned()
        ))
    );
    assert_eq!(
        paper.profile.gate(&labelled("p", json!({}), json!({}))),
        None
    );
}
