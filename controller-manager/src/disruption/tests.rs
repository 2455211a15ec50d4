use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::plan::{Observed, Plan, failed, needs_scale, plan, shown, stale_in};
use crate::objects::disruption::PodDisruptionBudget;
use crate::objects::pod::Pod;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

fn budget(spec: Value, status: Value) -> PodDisruptionBudget {
    serde_json::from_value(json!({
        "metadata": {"name": "b", "namespace": "shop", "generation": 2},
        "spec": spec,
        "status": status,
    }))
    .unwrap()
}

fn pod(name: &str, ready: bool) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": name},
        "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    }))
    .unwrap()
}

fn pods(ready: usize, unready: usize) -> Vec<Pod> {
    (0..ready + unready)
        .map(|number| pod(&format!("p{number}"), number < ready))
        .collect()
}

fn planned(budget: &PodDisruptionBudget, pods: &[Pod], scale: i64) -> Plan {
    let pods = pods.iter().collect();
    plan(
        &Observed {
            budget,
            pods,
            scale,
        },
        now(),
    )
    .unwrap()
}

#[test]
fn budgets_count_pods_or_what_their_controllers_want() {
    // (spec, ready pods, unready pods, scale) and (expected, must be healthy, may go)
    let cases = [
        (json!({"minAvailable": 2}), (3, 0, 0), (3, 2, 1)),
        (json!({"minAvailable": 2}), (2, 1, 0), (3, 2, 0)),
        (json!({"minAvailable": 0}), (0, 0, 0), (0, 0, 0)),
        (json!({"minAvailable": "50%"}), (3, 0, 3), (3, 2, 1)),
        (json!({"minAvailable": "28%"}), (7, 0, 7), (7, 2, 5)),
        (json!({"minAvailable": "100%"}), (5, 0, 5), (5, 5, 0)),
        (json!({"maxUnavailable": 1}), (3, 0, 3), (3, 2, 1)),
        (json!({"maxUnavailable": 1}), (2, 1, 3), (3, 2, 0)),
        (json!({"maxUnavailable": 1}), (2, 0, 3), (3, 2, 0)),
        (json!({"maxUnavailable": 5}), (2, 0, 3), (3, 0, 2)),
        (json!({"maxUnavailable": "10%"}), (3, 0, 3), (3, 2, 1)),
        (json!({"maxUnavailable": "0%"}), (3, 0, 3), (3, 3, 0)),
        (json!({}), (3, 0, 0), (0, 0, 0)),
    ];
    for (spec, (ready, unready, scale), expected) in cases {
        let budget = budget(spec.clone(), json!({}));
        let by_controllers = spec.get("maxUnavailable").is_some()
            || spec.get("minAvailable").is_some_and(Value::is_string);
        assert_eq!(needs_scale(&budget), by_controllers, "{spec}");
        let status = planned(&budget, &pods(ready, unready), scale)
            .status
            .unwrap();
        let found = (
            status.expected_pods,
            status.desired_healthy,
            status.disruptions_allowed,
        );
        assert_eq!(found, expected, "{spec} {ready} {unready} {scale}");
        assert_eq!(status.current_healthy, ready as i64);
        assert_eq!(status.observed_generation, 2);
        let condition = &status.conditions[0];
        let said = match expected.2 {
            0 => ("False", "InsufficientPods"),
            _ => ("True", "SufficientPods"),
        };
        assert_eq!((&*condition.status, &*condition.reason), said);
        assert_eq!(condition.observed_generation, 2);
    }
    let wrong = budget(json!({"minAvailable": "many"}), json!({}));
    let observed = Observed {
        budget: &wrong,
        pods: vec![],
        scale: 1,
    };
    let said = "invalid value for IntOrString: invalid type: string is not a percentage";
    assert_eq!(plan(&observed, now()), Err(said.to_owned()));
}

#[test]
fn a_status_that_says_all_is_not_written_again() {
    let mut budget = budget(json!({"minAvailable": 1}), json!({}));
    let pods = pods(2, 0);
    budget.status = planned(&budget, &pods, 0).status.unwrap();
    assert_eq!(planned(&budget, &pods, 0), Plan::default());
    budget.metadata.generation = 3;
    let status = planned(&budget, &pods, 0).status.unwrap();
    assert_eq!(status.conditions[0].observed_generation, 3);
    assert_eq!(status.conditions[0].last_transition_time, Some(now()));
}

#[test]
fn an_evicted_pod_counts_as_gone_until_it_is_deleted_or_for_two_minutes() {
    let evicted =
        json!({"disruptedPods": {"p0": ago(100), "p1": ago(121), "p2": ago(5), "gone": ago(3)}});
    let budget = budget(json!({"minAvailable": 1}), evicted);
    let mut pods = pods(4, 0);
    pods[2].metadata.meta.deletion_timestamp = Some(now());
    let plan = planned(&budget, &pods, 0);
    let status = plan.status.unwrap();
    assert_eq!(status.disrupted_pods.keys().collect::<Vec<_>>(), ["p0"]);
    assert_eq!((status.current_healthy, status.disruptions_allowed), (2, 1));
    assert_eq!(plan.not_deleted, [1]);
    assert_eq!(plan.next, Some(SignedDuration::from_secs(20)));
}

#[test]
fn nothing_may_go_when_the_count_failed() {
    let before = json!({"disruptionsAllowed": 2, "currentHealthy": 3, "observedGeneration": 1});
    let mut budget = budget(json!({"maxUnavailable": 1}), before);
    let why = "found no controllers for pod \"p\"";
    let status = failed(&budget, why, now()).unwrap();
    assert_eq!((status.disruptions_allowed, status.current_healthy), (0, 3));
    let condition = &status.conditions[0];
    let said = (&*condition.status, &*condition.reason, &*condition.message);
    assert_eq!(said, ("False", "SyncFailed", why));
    budget.status = status;
    assert_eq!(failed(&budget, why, now()), None);
    let recovered = planned(&budget, &pods(3, 0), 3).status.unwrap();
    assert_eq!(recovered.conditions[0].message, "");
}

#[test]
fn an_empty_selector_chooses_all_and_an_absent_one_none() {
    for (selector, chosen, text) in [
        (Value::Null, false, "nil"),
        (
            json!({}),
            true,
            "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}",
        ),
        (
            json!({"matchLabels": {"app": "web"}}),
            true,
            "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}",
        ),
        (
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}),
            false,
            "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:app,Operator:In,Values:[a b],},},}",
        ),
    ] {
        let budget = budget(json!({"selector": selector}), json!({}));
        let labels = [("app".to_owned(), "web".to_owned())].into();
        assert_eq!(budget.selects(&labels), chosen, "{selector}");
        assert_eq!(shown(budget.spec.selector.as_ref()), text);
    }
}

#[test]
fn a_pod_that_was_not_disrupted_after_all_loses_its_condition_after_two_minutes() {
    let target = |status: &str, reason: &str, seconds| json!({"type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": ago(seconds)});
    let cases = [
        (
            target("True", "EvictionByEvictionAPI", 30),
            false,
            "Running",
            Some(90),
        ),
        (
            target("True", "EvictionByEvictionAPI", 300),
            false,
            "Running",
            Some(0),
        ),
        (
            target("True", "EvictionByEvictionAPI", 300),
            true,
            "Running",
            None,
        ),
        (
            target("True", "EvictionByEvictionAPI", 300),
            false,
            "Failed",
            None,
        ),
        (
            target("True", "TerminationByKubelet", 300),
            false,
            "Running",
            None,
        ),
        (target("False", "", 300), false, "Running", None),
    ];
    for (condition, deleting, phase, expected) in cases {
        let deletion = deleting.then(now).map(|at| at.to_string());
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"deletionTimestamp": deletion},
            "status": {"phase": phase, "conditions": [condition]},
        }))
        .unwrap();
        let found = stale_in(&pod, now()).map(|left| left.as_secs());
        assert_eq!(found, expected, "{condition} {deleting} {phase}");
    }
}
