//! Requests, and how full nodes are.

use serde_json::{Value, json};

use crate::plugins::allocation::{Counted, Resource, Strategy};
use crate::profile::{PluginArgs, Profile};
use crate::testing::{Paper, asks, pod};

fn with_gpus() -> Paper {
    let mut paper = Paper::default();
    let status = json!({"allocatable": {
        "cpu": "10", "memory": "20", "pods": "3", "ephemeral-storage": "20", "example.com/gpu": "5",
    }});
    paper.node_with("node", json!({}), json!({}), status);
    paper
}

fn requests(requests: Value) -> std::sync::Arc<crate::pod::Pod> {
    pod("p", json!({"spec": asks(requests)}))
}

#[test]
fn requests_must_fit_into_what_is_left_of_the_node() {
    let cases = [
        (json!({}), json!({"cpu": "10", "memory": "20"}), ""),
        (
            json!({"cpu": "1", "memory": "1"}),
            json!({"cpu": "8", "memory": "19"}),
            "",
        ),
        (json!({"cpu": "3"}), json!({"cpu": "8"}), "Insufficient cpu"),
        (
            json!({"memory": "2"}),
            json!({"memory": "19"}),
            "Insufficient memory",
        ),
        (
            json!({"cpu": "3", "memory": "2"}),
            json!({"cpu": "8", "memory": "19"}),
            "Insufficient cpu, Insufficient memory",
        ),
        // More than the whole node: nobody leaving it would help.
        (json!({"cpu": "11"}), json!({}), "!Insufficient cpu"),
        (
            json!({"ephemeral-storage": "10"}),
            json!({"ephemeral-storage": "11"}),
            "Insufficient ephemeral-storage",
        ),
        (
            json!({"example.com/gpu": "2"}),
            json!({"example.com/gpu": "4"}),
            "Insufficient example.com/gpu",
        ),
        (
            json!({"example.com/gpu": "6"}),
            json!({}),
            "!Insufficient example.com/gpu",
        ),
        (
            json!({"example.com/other": "1"}),
            json!({}),
            "!Insufficient example.com/other",
        ),
        (json!({"example.com/other": "0"}), json!({}), ""),
        // What a pod does not ask for may be taken ever so much.
        (json!({}), json!({"cpu": "12"}), ""),
    ];
    for (asked, used, expected) in cases {
        let mut paper = with_gpus();
        paper.put(&pod("first", json!({"spec": asks(used.clone())})), "node");
        let said = paper.verdicts(&requests(asked.clone()));
        assert_eq!(said[0].1, expected, "{asked} beside {used}");
    }
}

#[test]
fn the_number_of_pods_is_a_limit() {
    let mut paper = with_gpus();
    for name in ["a", "b", "c"] {
        paper.put(&pod(name, json!({})), "node");
    }
    assert_eq!(paper.verdicts(&requests(json!({})))[0].1, "Too many pods");
    paper.remove(&pod("c", json!({})));
    assert_eq!(paper.verdicts(&requests(json!({})))[0].1, "");
}

#[test]
fn ignored_resources_are_not_looked_at() {
    let mut args = PluginArgs::default();
    args.fit.ignored = vec!["example.com/other".into()];
    args.fit.ignored_groups = vec!["group.example".into()];
    let mut paper = with_gpus();
    paper.profile = Profile::new("p", 0, &crate::config::points_by_default(), &args);
    for (name, expected) in [
        ("example.com/other", ""),
        ("group.example/a", ""),
        ("example.com/third", "!Insufficient example.com/third"),
    ] {
        let mut asked = json!({});
        asked[name] = json!("1");
        assert_eq!(paper.verdicts(&requests(asked))[0].1, expected, "{name}");
    }
}

/// Nodes of 4,000 and 6,000 thousandths and 10,000 bytes each.
fn two_sizes() -> Paper {
    let mut paper = Paper::default();
    for (name, cpu) in [("node1", "4"), ("node2", "6")] {
        let status = json!({"allocatable": {"cpu": cpu, "memory": "10000", "pods": "10"}});
        paper.node_with(name, json!({}), json!({}), status);
    }
    paper
}

fn strategy(strategy: Strategy, scored: Counted) -> Profile {
    let mut args = PluginArgs::default();
    args.fit.strategy = strategy;
    args.fit.scored = scored;
    Profile::new("p", 0, &crate::config::points_by_default(), &args)
}

#[test]
fn nodes_are_scored_by_how_full_they_would_be() {
    let both = Counted::default;
    let cpu_first = || Counted(vec![(Resource::Cpu, 3), (Resource::Memory, 1)]);
    let asked = json!({"cpu": "3", "memory": "5000"});
    // Shares with the pod: 75 % and 50 % of node1, 50 % and 50 % of node2.
    let cases = [
        (Strategy::LeastAllocated, both(), vec![(25 + 50) / 2, 50]),
        (Strategy::MostAllocated, both(), vec![(75 + 50) / 2, 50]),
        (
            Strategy::LeastAllocated,
            cpu_first(),
            vec![(3 * 25 + 50) / 4, 50],
        ),
        (
            Strategy::RequestedToCapacityRatio(vec![(0, 0), (100, 100)]),
            both(),
            vec![63, 50],
        ),
        (
            Strategy::RequestedToCapacityRatio(vec![(0, 100), (100, 0)]),
            both(),
            vec![38, 50],
        ),
        (
            Strategy::RequestedToCapacityRatio(vec![(60, 40), (80, 80)]),
            both(),
            vec![(70 + 40) / 2, 40],
        ),
    ];
    for (strategy_, scored, expected) in cases {
        let mut paper = two_sizes();
        let shown = format!("{strategy_:?} {scored:?}");
        paper.profile = strategy(strategy_, scored);
        let scores = paper.scores("NodeResourcesFit", &requests(asked.clone()));
        assert_eq!(scores, Some(expected), "{shown}");
    }
}

#[test]
fn containers_that_ask_for_nothing_count_when_nodes_are_scored() {
    let mut paper = Paper::default();
    let status = json!({"allocatable": {"cpu": "1", "memory": "2000Mi", "pods": "10"}});
    paper.node_with("node", json!({}), json!({}), status);
    // 100 thousandths and 200 MiB: a tenth of each.
    let scores = paper.scores("NodeResourcesFit", &requests(json!({})));
    assert_eq!(scores, Some(vec![90]));
    paper.put(&pod("first", json!({"spec": asks(json!({}))})), "node");
    let scores = paper.scores("NodeResourcesFit", &requests(json!({})));
    assert_eq!(scores, Some(vec![80]));
}

#[test]
fn a_node_that_is_used_more_evenly_with_the_pod_is_preferred() {
    let balance = |paper: &mut Paper, asked: Value| {
        paper.scores("NodeResourcesBalancedAllocation", &requests(asked))
    };
    // On empty nodes: an evenness of 87 and of 100, against 100 before.
    let asked = json!({"cpu": "3", "memory": "5000"});
    assert_eq!(
        balance(&mut two_sizes(), asked),
        Some(vec![50 + (50 + 87 - 100) / 2, 75])
    );
    // Memory of node2 is half taken, and CPU evens it out.
    let mut paper = two_sizes();
    paper.put(
        &pod("first", json!({"spec": asks(json!({"memory": "5000"}))})),
        "node2",
    );
    assert_eq!(
        balance(&mut paper, json!({"cpu": "3"})),
        Some(vec![50 + (50 + 62 - 100) / 2, 50 + (50 + 100 - 75) / 2])
    );
    assert_eq!(balance(&mut two_sizes(), json!({})), None);
}

#[test]
fn init_containers_count_once_and_sidecars_with_everything_after_them() {
    let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
    let mut sidecar = container("100m");
    sidecar["restartPolicy"] = json!("Always");
    let cases = [
        (
            json!({"containers": [container("1"), container("500m")]}),
            1500,
        ),
        (
            json!({"containers": [container("1")], "initContainers": [container("2"), container("500m")]}),
            2000,
        ),
        (
            json!({"containers": [container("1")], "initContainers": [sidecar.clone(), container("2")]}),
            2100,
        ),
        (
            json!({"containers": [container("1")], "initContainers": [container("500m"), sidecar]}),
            1100,
        ),
        (
            json!({"containers": [container("1")], "resources": {"requests": {"cpu": "3"}}}),
            3000,
        ),
        (
            json!({"containers": [container("1")], "overhead": {"cpu": "1"}}),
            2000,
        ),
    ];
    for (spec, expected) in cases {
        let pod = pod("p", json!({"spec": spec}));
        assert_eq!(pod.requests.milli_cpu, expected, "{spec}");
    }
}
