use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::plan::{BURST, Failure, Observed, Plan, batches, next_available, plan, pod, status};
use super::rank;
use crate::objects::pod::Pod;
use crate::objects::workload::ReplicaSet;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

fn set(replicas: i64) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "rs", "generation": 4},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    }))
    .unwrap()
}

fn ready_pod(name: &str, more: Value) -> Pod {
    let mut object = json!({
        "metadata": {"name": name, "uid": name, "labels": {"app": "web"}, "creationTimestamp": ago(1000)},
        "spec": {"nodeName": "node1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(900)}],
        },
    });
    merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn observe<'a>(set: &'a ReplicaSet, pods: &'a [Pod]) -> Observed<'a> {
    let pods: Vec<&Pod> = pods.iter().collect();
    Observed {
        set,
        related: pods.clone(),
        pods,
    }
}

#[test]
fn pods_that_end_or_are_being_deleted_do_not_count() {
    let pods = [
        ready_pod("running", json!({})),
        ready_pod("failed", json!({"status": {"phase": "Failed"}})),
        ready_pod("done", json!({"status": {"phase": "Succeeded"}})),
        ready_pod(
            "leaving",
            json!({"metadata": {"deletionTimestamp": ago(0)}}),
        ),
    ];
    let set = set(3);
    let observed = observe(&set, &pods);
    assert_eq!(
        plan(&observed, now()),
        Plan {
            create: 2,
            delete: vec![]
        }
    );
    let status = status(&observed, None, now());
    assert_eq!(
        (
            status.replicas,
            status.ready_replicas,
            status.terminating_replicas
        ),
        (1, 1, Some(1))
    );
    assert_eq!(status.observed_generation, 4);
}

#[test]
fn a_set_that_is_being_deleted_changes_no_pods() {
    let mut set = set(3);
    set.metadata.meta.deletion_timestamp = Some(now());
    assert_eq!(plan(&observe(&set, &[]), now()), Plan::default());
}

#[test]
fn one_plan_makes_a_bounded_number_of_pods_in_growing_batches() {
    assert_eq!(plan(&observe(&set(2000), &[]), now()).create, BURST);
    assert_eq!(batches(10).collect::<Vec<_>>(), [1, 2, 4, 3]);
    assert_eq!(batches(0).count(), 0);
}

#[test]
fn pods_are_deleted_in_upstreams_order() {
    // Each pod is to go before all that follow it.
    let order = [
        ready_pod(
            "unassigned",
            json!({"spec": {"nodeName": ""}, "status": {"phase": "Pending", "conditions": []}}),
        ),
        ready_pod(
            "pending",
            json!({"status": {"phase": "Pending", "conditions": []}}),
        ),
        ready_pod(
            "unknown",
            json!({"status": {"phase": "Unknown", "conditions": []}}),
        ),
        ready_pod("not-ready", json!({"status": {"conditions": []}})),
        ready_pod(
            "cheap",
            json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}}),
        ),
        ready_pod(
            "just-ready",
            json!({"status": {"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": ago(3)}]}}),
        ),
        ready_pod(
            "restarted",
            json!({"status": {"containerStatuses": [{"restartCount": 4}]}}),
        ),
        ready_pod(
            "restarted-beside",
            json!({
                "spec": {"initContainers": [{"name": "side", "restartPolicy": "Always"}, {"name": "once"}]},
                "status": {"initContainerStatuses": [
                    {"name": "side", "restartCount": 2}, {"name": "once", "restartCount": 9}]},
            }),
        ),
        ready_pod("young", json!({"metadata": {"creationTimestamp": ago(20)}})),
        ready_pod("steady", json!({})),
        ready_pod("alone", json!({"spec": {"nodeName": "node2"}})),
    ];
    let all: Vec<&Pod> = order.iter().collect();
    let mut shuffled: Vec<&Pod> = order.iter().rev().collect();
    rank::order(&mut shuffled, &all, now());
    let names = |pods: &[&Pod]| {
        pods.iter()
            .map(|pod| pod.meta().name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&shuffled), names(&all));
    let chosen = plan(&observe(&set(9), &order), now()).delete;
    assert_eq!(
        chosen
            .iter()
            .map(|pod| pod.name.as_str())
            .collect::<Vec<_>>(),
        ["unassigned", "pending"]
    );
}

#[test]
fn a_pod_is_available_after_it_was_ready_for_long_enough() {
    let mut set = set(2);
    set.spec.min_ready_seconds = 10;
    let since = |seconds| json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(seconds)}]}});
    let pods = [ready_pod("old", since(11)), ready_pod("new", since(4))];
    let observed = observe(&set, &pods);
    let status = status(&observed, None, now());
    assert_eq!((status.ready_replicas, status.available_replicas), (2, 1));
    assert_eq!(
        next_available(&observed, now()),
        Some(SignedDuration::from_secs(6))
    );
}

#[test]
fn a_failure_is_a_condition_until_it_is_over() {
    let mut set = set(1);
    let failure = Failure {
        reason: "FailedCreate",
        message: "pods is forbidden".to_owned(),
    };
    let failed = status(&observe(&set, &[]), Some(&failure), now());
    assert_eq!(failed.conditions[0].reason, "FailedCreate");
    assert_eq!(failed.conditions[0].message, "pods is forbidden");
    set.status = failed;
    assert_eq!(
        status(&observe(&set, &[]), Some(&failure), now()),
        set.status
    );
    assert_eq!(status(&observe(&set, &[]), None, now()).conditions, vec![]);
}

#[test]
fn a_pod_comes_from_the_template_and_names_its_manager() {
    assert_eq!(
        pod(&set(1)),
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "web-1-",
                "namespace": "shop",
                "labels": {"app": "web"},
                "annotations": {"a": "b"},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "rs",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        })
    );
}
