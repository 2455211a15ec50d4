//! Evictions and disruption budgets against a real etcd.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;

use api::*;
use etcd::EtcdServer;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_apiserver::verbs::WriteOptions;
use serde_json::{Value, json};

const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// A pod of the application `web` in a phase, ready or not.
async fn pod_in(server: &Server, name: &str, phase: &str, ready: bool) {
    let mut object = pod(name);
    object["metadata"]["labels"] = json!({"app": "web"});
    object["spec"]["nodeName"] = "n1".into();
    server.create("pods", object).await.unwrap();
    let ready = if ready { "True" } else { "False" };
    let status = json!({"phase": phase, "conditions": [{"type": "Ready", "status": ready}]});
    server
        .merge(&format!("pods/{name}/status"), json!({"status": status}))
        .await
        .unwrap();
}

/// A budget for `web` that was observed, with what it allows.
async fn budget(server: &Server, name: &str, spec: Value, status: Value) {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    let object = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec,
    });
    server
        .create("poddisruptionbudgets.policy", object)
        .await
        .unwrap();
    let mut status = status;
    if status.get("observedGeneration").is_none() {
        status["observedGeneration"] = 1.into();
    }
    let at = format!("poddisruptionbudgets.policy/{name}/status");
    server.merge(&at, json!({"status": status})).await.unwrap();
}

async fn evict_with(
    server: &Server,
    name: &str,
    delete: Value,
    dry_run: bool,
) -> Result<Value, Status> {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": delete,
    });
    let options = WriteOptions {
        dry_run,
        ..WriteOptions::default()
    };
    let at = format!("pods/{name}/eviction");
    server.create_with(&call(), &at, eviction, &options).await
}

async fn evict(server: &Server, name: &str) -> Result<Value, Status> {
    evict_with(server, name, json!({}), false).await
}

/// Whether the pod is being deleted.
async fn ending(server: &Server, name: &str) -> bool {
    let pod = server.get(&format!("pods/{name}")).await.unwrap();
    !pod["metadata"]["deletionTimestamp"].is_null()
}

fn cause(status: &Status) -> (&str, &str, i32) {
    let details = status.details.as_ref().unwrap();
    let cause = &details.causes[0];
    (&cause.reason, &cause.message, details.retry_after_seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_allows_as_many_evictions_as_it_says() {
    let etcd = EtcdServer::start();
    let servers = [
        server(&etcd.endpoint()).await,
        server(&etcd.endpoint()).await,
    ];
    let one = &servers[0];
    for number in 0..8 {
        pod_in(one, &format!("p{number}"), "Running", true).await;
    }
    let status = json!({"disruptionsAllowed": 3, "currentHealthy": 8, "desiredHealthy": 5});
    budget(one, "b", json!({"minAvailable": 5}), status).await;
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let evictions = names
        .iter()
        .enumerate()
        .map(|(number, name)| evict(&servers[number % 2], name));
    let results = futures::future::join_all(evictions).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    for refusal in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(refusal.reason, Reason::TooManyRequests);
        assert_eq!(refusal.message, REFUSAL);
        let needs = "The disruption budget b needs 5 healthy pods and has 8 currently";
        let none = "The disruption budget b does not allow evicting pods currently";
        let (reason, why, seconds) = cause(refusal);
        assert_eq!((reason, seconds), ("DisruptionBudget", 0));
        assert!(why == none || why == needs, "{why}");
    }
    let budget = one.get("poddisruptionbudgets.policy/b").await.unwrap();
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    let condition = &budget["status"]["conditions"][0];
    assert_eq!(
        (
            &condition["type"],
            &condition["status"],
            &condition["reason"]
        ),
        (
            &json!("DisruptionAllowed"),
            &json!("False"),
            &json!("InsufficientPods")
        )
    );
    let disrupted = budget["status"]["disruptedPods"].as_object().unwrap();
    assert_eq!(disrupted.len(), 3);
    for (name, result) in names.iter().zip(&results) {
        assert_eq!(ending(one, name).await, result.is_ok());
        assert_eq!(disrupted.contains_key(name), result.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_serve_nobody_go_without_a_budget() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    budget(&server, "b", json!({"maxUnavailable": 0}), json!({})).await;
    for phase in ["Pending", "Succeeded", "Failed"] {
        let name = phase.to_lowercase();
        pod_in(&server, &name, phase, false).await;
        let answer = evict(&server, &name).await.unwrap();
        assert_eq!(
            (&answer["status"], &answer["code"]),
            (&json!("Success"), &json!(201))
        );
    }
    pod_in(&server, "running", "Running", true).await;
    assert_eq!(
        evict(&server, "running").await.unwrap_err().reason,
        Reason::TooManyRequests
    );
    server.delete("pods/running", json!({})).await.unwrap();
    evict(&server, "running").await.unwrap();
    let pod = server.get("pods/running").await.unwrap();
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let target = conditions
        .iter()
        .find(|own| own["type"] == "DisruptionTarget");
    assert_eq!(target.unwrap()["reason"], "EvictionByEvictionAPI");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_pod_goes_as_its_budget_says() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    pod_in(&server, "p", "Running", false).await;
    let status = json!({"currentHealthy": 0, "desiredHealthy": 1});
    budget(&server, "b", json!({"minAvailable": 1}), status).await;
    let refusal = evict(&server, "p").await.unwrap_err();
    let needs = "The disruption budget b needs 1 healthy pods and has 0 currently";
    assert_eq!(cause(&refusal).1, needs);
    let always = json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}});
    server
        .merge("poddisruptionbudgets.policy/b", always)
        .await
        .unwrap();
    evict(&server, "p").await.unwrap();
    assert!(ending(&server, "p").await);
    let budget = server.get("poddisruptionbudgets.policy/b").await.unwrap();
    assert!(budget["status"].get("disruptedPods").is_none(), "{budget}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_its_controller_has_not_seen_asks_for_patience() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    pod_in(&server, "p", "Running", true).await;
    let status = json!({"disruptionsAllowed": 1, "observedGeneration": 0});
    budget(&server, "b", json!({"minAvailable": 0}), status).await;
    let refusal = evict(&server, "p").await.unwrap_err();
    let why = "The disruption budget b is still being processed by the server.";
    assert_eq!(cause(&refusal), ("DisruptionBudget", why, 10));
    assert!(!ending(&server, "p").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_budgets_are_one_too_many() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    pod_in(&server, "p", "Running", true).await;
    for name in ["a", "b"] {
        budget(
            &server,
            name,
            json!({"minAvailable": 0}),
            json!({"disruptionsAllowed": 1}),
        )
        .await;
    }
    let refusal = evict(&server, "p").await.unwrap_err();
    assert_eq!(refusal.http_code(), 500);
    assert_eq!(
        refusal.message,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_that_is_only_tried_takes_nothing() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    pod_in(&server, "p", "Running", true).await;
    budget(
        &server,
        "b",
        json!({"minAvailable": 0}),
        json!({"disruptionsAllowed": 1}),
    )
    .await;
    evict_with(&server, "p", json!({}), true).await.unwrap();
    evict_with(&server, "p", json!({"dryRun": ["All"]}), false)
        .await
        .unwrap();
    assert!(!ending(&server, "p").await);
    let status = &server.get("poddisruptionbudgets.policy/b").await.unwrap()["status"];
    assert_eq!(status["disruptionsAllowed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_of_an_eviction_are_kept() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    pod_in(&server, "p", "Running", true).await;
    for wrong in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let delete = json!({"preconditions": wrong});
        let refusal = evict_with(&server, "p", delete, false).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Conflict);
    }
    let pod = server.get("pods/p").await.unwrap();
    let right = json!({"uid": pod["metadata"]["uid"], "resourceVersion": version(&pod)});
    let delete = json!({"preconditions": right, "gracePeriodSeconds": 0});
    evict_with(&server, "p", delete, false).await.unwrap();
    assert_eq!(
        server.get("pods/p").await.unwrap_err().reason,
        Reason::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_names_its_pod() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    pod_in(&server, "p", "Running", true).await;
    for (metadata, why) in [
        (
            json!({"name": "q"}),
            "name in URL does not match name in Eviction object",
        ),
        (
            json!({}),
            "name in URL does not match name in Eviction object",
        ),
        (
            json!({"name": "p", "namespace": "other"}),
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ] {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata});
        let refusal = server
            .create("pods/p/eviction", eviction)
            .await
            .unwrap_err();
        assert_eq!((refusal.http_code(), refusal.message.as_str()), (400, why));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_has_its_priority_classes_and_keeps_them() {
    let etcd = EtcdServer::start();
    let server = server(&etcd.endpoint()).await;
    let class = server
        .get("priorityclasses.scheduling.k8s.io/system-node-critical")
        .await
        .unwrap();
    assert_eq!(class["value"], 2_000_001_000);
    assert_eq!(class["preemptionPolicy"], "PreemptLowerPriority");
    let refusal = server
        .delete(
            "priorityclasses.scheduling.k8s.io/system-node-critical",
            json!({}),
        )
        .await
        .unwrap_err();
    assert_eq!(
        refusal.message,
        "priorityclasses.scheduling.k8s.io \"system-node-critical\" is forbidden: this is a system priority class \
         and cannot be deleted"
    );
    let gold = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "gold"},
        "value": 100, "globalDefault": true, "preemptionPolicy": "Never",
    });
    server
        .create("priorityclasses.scheduling.k8s.io", gold.clone())
        .await
        .unwrap();
    let made = server.create("pods", pod("p")).await.unwrap();
    assert_eq!(
        (
            &made["spec"]["priority"],
            &made["spec"]["preemptionPolicy"],
            &made["spec"]["priorityClassName"]
        ),
        (&json!(100), &json!("Never"), &json!("gold"))
    );
    let mut critical = pod("q");
    critical["spec"]["priorityClassName"] = "system-cluster-critical".into();
    let made = server.create("pods", critical).await.unwrap();
    assert_eq!(made["spec"]["priority"], 2_000_000_000);
    let mut second = gold;
    second["metadata"]["name"] = "silver".into();
    let refusal = server
        .create("priorityclasses.scheduling.k8s.io", second)
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::Forbidden);
}
