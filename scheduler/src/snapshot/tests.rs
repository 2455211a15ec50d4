//! What is counted along the way is what counting anew finds.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::*;
use crate::affinity::PodTerm;
use crate::testing::{Paper, labelled};
use ferrule_apimachinery::selector::LabelSelector;

fn matcher(app: &str) -> Matcher {
    let selector = LabelSelector::from_set([("app", app)]);
    Matcher::spread("default", selector)
}

/// Pods by app that the snapshot finds in a domain, by a count of its own.
fn recounted(snapshot: &Snapshot, matcher: &Matcher, key: &str) -> Vec<(String, i64)> {
    let mut counts: std::collections::BTreeMap<String, i64> = Default::default();
    for node in snapshot.known() {
        let Some(value) = node.label(key) else {
            continue;
        };
        let none = Labels::default();
        let meant = node
            .pods
            .iter()
            .filter(|pod| matcher.matches(pod, &none))
            .count();
        *counts.entry(value.to_owned()).or_default() += i64::try_from(meant).unwrap();
    }
    counts.into_iter().collect()
}

fn counted(snapshot: &Snapshot, matcher: &Matcher, key: &str) -> Vec<(String, i64)> {
    let topology = snapshot.topology(key);
    let tally = snapshot.tally(matcher, &[key]);
    assert!(matches!(tally, Cow::Borrowed(_)), "it is not kept");
    let mut counts: std::collections::BTreeMap<String, i64> = Default::default();
    for node in snapshot.known() {
        if let (Some(value), Some(domain)) = (node.label(key), topology.domain(node.id)) {
            let count = tally.of_domains(key).get(domain as usize).copied();
            counts.insert(value.to_owned(), count.unwrap_or(0).into());
        }
    }
    counts.into_iter().collect()
}

#[test]
fn counts_stay_right_while_nodes_and_pods_come_go_and_change() {
    let mut random = StdRng::seed_from_u64(7);
    let mut paper = Paper::default();
    let mut pods = Vec::new();
    let far = |app: &str| -> Value {
        let term = json!([{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "zone"}]);
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}})
    };
    for step in 0..2000 {
        let node = format!("node{}", random.random_range(0..6));
        match random.random_range(0..10) {
            0 => paper.node(
                &node,
                json!({"zone": format!("z{}", random.random_range(0..3))}),
                json!({}),
            ),
            1 => paper.node(&node, json!({}), json!({})),
            2 => drop(paper.cache.put_node(&node, None)),
            3..=6 => {
                let app = format!("app{}", random.random_range(0..2));
                let spec = if random.random() {
                    far(&app)
                } else {
                    json!({})
                };
                let pod = labelled(
                    &format!("p{}", random.random_range(0..30)),
                    json!({"app": app}),
                    spec,
                );
                paper.put(&pod, &node);
                pods.push(pod);
            }
            _ if !pods.is_empty() => {
                let pod = pods.swap_remove(random.random_range(0..pods.len()));
                paper.remove(&pod);
            }
            _ => {}
        }
        if step % 10 != 0 {
            continue;
        }
        let keys = ["zone", "kubernetes.io/hostname"];
        for app in ["app0", "app1"] {
            let matcher = matcher(app);
            paper.cache.prepare(&paper.profile, &Pod::default());
            paper.cache.count(&matcher, &keys);
            let snapshot = paper.cache.snapshot();
            for key in keys {
                assert_eq!(
                    counted(snapshot, &matcher, key),
                    recounted(snapshot, &matcher, key),
                    "step {step}: {app} by {key}"
                );
            }
        }
        let holding: usize = paper
            .cache
            .snapshot()
            .held()
            .map(|held| held.term.pods.clone())
            .collect::<std::collections::HashSet<PodTerm>>()
            .len();
        let expected: std::collections::HashSet<PodTerm> = paper
            .cache
            .snapshot()
            .nodes
            .iter()
            .flat_map(|node| &node.pods)
            .filter_map(|pod| pod.affinity.as_ref())
            .flat_map(|affinity| affinity.required_anti.iter())
            .map(|term| term.pods.clone())
            .collect();
        assert_eq!(holding, expected.len(), "step {step}");
    }
}

#[test]
fn matchers_that_nobody_asks_for_are_forgotten() {
    let mut paper = Paper::of(&[("node", &[])]);
    for number in 0..2 * MATCHERS {
        let matcher = matcher(&number.to_string());
        paper.cache.count(&matcher, &["zone"]);
    }
    assert_eq!(paper.cache.snapshot().matchers.len(), MATCHERS);
}
